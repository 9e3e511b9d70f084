"""Answers together what is asked at the same time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any


class Batcher:
    """Calls a model with all that came while its last call was under way.

    The busier the server, the larger the batches. Ray's own `serve.batch` takes only what comes
    within a fixed time, however long such batches then wait for each other.
    """

    def __init__(self, answer: Callable[[Sequence[Any]], Sequence[Any]], most: int, wait: float):
        """Takes what is called, in a thread, so that others can be listened to meanwhile.

        Args:
            answer: From examples to as many answers.
            most: Examples of a call.
            wait: Seconds that the first example of a call waits for others.
        """
        self._answer = answer
        self._most = most
        self._wait = wait
        self._asked: deque[tuple[Any, asyncio.Future]] = deque()
        self._calls: asyncio.Task | None = None

    async def __call__(self, example: Any) -> Any:
        """Returns the answer to one example.

        Raises:
            Exception: What the call raised that the example was part of.
        """
        answered = asyncio.get_running_loop().create_future()
        self._asked.append((example, answered))
        if self._calls is None:
            self._calls = asyncio.create_task(self._call_while_asked())
        return await answered

    async def _call_while_asked(self) -> None:
        await asyncio.sleep(self._wait)
        while self._asked:
            count = min(self._most, len(self._asked))
            await self._call([self._asked.popleft() for _ in range(count)])
        self._calls = None

    async def _call(self, asked: Sequence[tuple[Any, asyncio.Future]]) -> None:
        examples = [example for example, _ in asked]
        try:
            answers = await asyncio.to_thread(self._answer, examples)
        except Exception as error:
            answers = [error] * len(asked)
        for answer, (_, answered) in zip(answers, asked, strict=True):
            if answered.done():
                continue  # the client has gone
            if isinstance(answer, Exception):
                answered.set_exception(answer)
            else:
                answered.set_result(answer)
