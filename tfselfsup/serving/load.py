"""Clients that ask a server all at once, to see how fast it is and that nobody's answer is lost."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple
from urllib.parse import urlsplit

_TIMEOUT = 60  # seconds


class Answer(NamedTuple):
    """What came of a request.

    Attributes:
        status: Of HTTP; 0 if the connection broke.
        content: The JSON that was sent back; empty if the connection broke.
        seconds: From sending to having read the answer.
    """

    status: int
    content: dict[str, Any]
    seconds: float


class Body(NamedTuple):
    """What a client sends.

    Attributes:
        content: Bytes.
        content_type: Of HTTP.
    """

    content: bytes
    content_type: str


def ask(url: str, bodies: Sequence[Body], clients: int) -> tuple[list[Answer], float]:
    """Sends requests from several clients, each of which waits for an answer before it asks again.

    Args:
        url: To post to.
        bodies: One for each request.
        clients: How many ask at the same time, each over a connection of its own.

    Returns:
        The answers, in the order of the requests, and the seconds that all took together.
    """

    def one_client(first: int) -> list[Answer]:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_TIMEOUT)
        answers = [_asked(connection, url, body) for body in bodies[first::clients]]
        connection.close()
        return answers

    begun = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        each = list(pool.map(one_client, range(clients)))
    seconds = time.perf_counter() - begun
    return [each[row % clients][row // clients] for row in range(len(bodies))], seconds


def _asked(connection: http.client.HTTPConnection, url: str, body: Body) -> Answer:
    begun = time.perf_counter()
    try:
        path = url.removeprefix(f"http://{urlsplit(url).netloc}")
        connection.request("POST", path, body.content, {"Content-Type": body.content_type})
        response = connection.getresponse()
        status, content = response.status, json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError):
        connection.close()  # opens again at the next request
        status, content = 0, {}
    return Answer(status, content, time.perf_counter() - begun)
