"""Exported models over HTTP, on Ray Serve.

- `GET /v1/models`: what is served; `GET /v1/models/NAME`: one of them.
- `POST /v1/models/NAME:predict`: TensorFlow Serving's JSON, an image file as the body, or image
  files as multipart/form-data, which are answered in their order.
- `GET /health`: 200 as soon as every model can answer.

What a client gets wrong is answered with 4xx and `{"error": reason}`. Every example is decoded
before it joins a batch, so that one which cannot be decoded fails nobody else's request.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

from tfselfsup.config.serving import Limits
from tfselfsup.serving import layout, payloads, served_model, uploads
from tfselfsup.serving.batching import Batcher
from tfselfsup.serving.payloads import Refused

# A client that sends too much is listened to for as many times the limit, so that it reads why.
_PATIENCE = 4
# Long and seldom asked for: returned only if named.
_ON_REQUEST = {"features"}


class Server:
    """Answers requests with all models of a folder."""

    def __init__(self, directory: str, limits: Limits):
        """Loads the models.

        Args:
            directory: As `layout.find` reads it.
            limits: What is taken at a time.
        """
        self._limits = limits
        found = layout.find(Path(directory))
        self._models = {
            name: served_model.load(folder, limits.batch_size) for name, folder in found.items()
        }
        self._batched = {
            name: Batcher(model.answer, limits.batch_size, limits.batch_wait)
            for name, model in self._models.items()
        }
        self._routes: tuple[tuple[str, re.Pattern[str], Callable[..., Awaitable[Any]]], ...] = (
            ("GET", re.compile(r"/health"), self._health),
            ("GET", re.compile(r"/v1/models"), self._list),
            ("GET", re.compile(r"/v1/models/([^/:]+)"), self._describe),
            ("POST", re.compile(r"/v1/models/([^/:]+):predict"), self._predict),
        )

    async def __call__(self, request: Request) -> JSONResponse:
        """Answers one request."""
        try:
            return JSONResponse(await self._routed(request))
        except Refused as refused:
            return JSONResponse({"error": refused.reason}, refused.status)

    async def _routed(self, request: Request) -> dict[str, Any]:
        allowed = []
        path = request.scope["path"]  # a URL would be made of the header Host, too
        for method, pattern, answer in self._routes:
            if match := pattern.fullmatch(path):
                if method == request.method:
                    return await answer(request, *match.groups())
                allowed.append(method)
        if allowed:
            raise Refused(405, f"expected {' or '.join(allowed)}, got {request.method}")
        raise Refused(404, f"expected /v1/models/NAME:predict, /v1/models or /health, got {path}")

    async def _health(self, request: Request) -> dict[str, Any]:
        return {"status": "ok"}

    async def _list(self, request: Request) -> dict[str, Any]:
        return {"models": {name: model.description for name, model in self._models.items()}}

    async def _describe(self, request: Request, name: str) -> dict[str, Any]:
        model = self._model(name)
        return {**model.description, "outputs": model.outputs}

    async def _predict(self, request: Request, name: str) -> dict[str, Any]:
        model = self._model(name)
        outputs = self._outputs(model, request.query_params.get("outputs"))
        body = await self._body(request)
        kind = request.headers.get("content-type", "")
        examples = await asyncio.to_thread(_prepared, model, body, kind, self._limits.instances)
        answers = await asyncio.gather(*map(self._batched[name], examples))
        predictions = [{key: answer[key].tolist() for key in outputs} for answer in answers]
        return {"predictions": predictions}

    def _model(self, name: str) -> served_model.ServedModel:
        if name not in self._models:
            raise Refused(404, f"expected a model among {', '.join(self._models)}, got {name}")
        return self._models[name]

    def _outputs(self, model: served_model.ServedModel, asked: str | None) -> list[str]:
        if asked is None:
            return [name for name in model.outputs if name not in _ON_REQUEST]
        names = asked.split(",")
        if unknown := [name for name in names if name not in model.outputs]:
            raise Refused(
                400, f"expected outputs among {', '.join(model.outputs)}, got {', '.join(unknown)}"
            )
        return names

    async def _body(self, request: Request) -> bytes:
        """Reads the body, and keeps no more of it than is allowed."""
        limit, size, chunks = self._limits.request_bytes, 0, []
        async for chunk in request.stream():
            size += len(chunk)
            if size <= limit:
                chunks.append(chunk)
            elif size > _PATIENCE * limit:
                break
        if size > limit:
            raise Refused(413, f"expected at most {limit} bytes, got more")
        return b"".join(chunks)


def _prepared(
    model: served_model.ServedModel, body: bytes, content_type: str, most: int
) -> list[Any]:
    """Reads the examples of a request.

    Files are recognised by what they declare to be; all else, as with TensorFlow Serving, is taken
    for JSON, whatever curl declares it to be.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("image/") or kind == "application/octet-stream":
        return [model.of_file(body)]
    if kind == uploads.KIND:
        return _each("file", model.of_file, uploads.files(body, content_type, most))
    return _each("instance", model.of_instance, payloads.instances(body, most))


def _each(what: str, read: Callable[[Any], Any], parts: Sequence[Any]) -> list[Any]:
    """Reads every part of a request; a reason to refuse it names the part."""
    examples = []
    for index, part in enumerate(parts):
        try:
            examples.append(read(part))
        except Refused as refused:
            raise Refused(refused.status, f"{what} {index}: {refused.reason}") from refused
    return examples


def application(directory: Path, limits: Limits, replicas: int) -> serve.Application:
    """Makes what `ray.serve.run` runs.

    Args:
        directory: Of the models.
        limits: What is taken at a time.
        replicas: Processes, each with all the models; their operations share the cores.
    """
    deployment = serve.deployment(
        Server,
        name="models",
        num_replicas=replicas,
        max_ongoing_requests=8 * limits.batch_size,
        # Only a label: TensorFlow uses whatever cores there are.
        ray_actor_options={"num_cpus": 0},
    )
    return deployment.bind(str(directory.resolve()), limits)
