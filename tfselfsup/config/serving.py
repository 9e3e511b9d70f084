"""The settings of a server of exported models."""

from __future__ import annotations

from dataclasses import dataclass

from jsonargparse.typing import NonNegativeFloat, PositiveInt


@dataclass(frozen=True)
class Limits:
    """What a server takes at a time.

    Attributes:
        batch_size: Most examples that are answered in one call of a model.
        batch_wait: Seconds that the first example waits for others, where none is being answered.
        request_bytes: Largest body of a request.
        instances: Most examples of one request.
    """

    batch_size: PositiveInt = 32
    batch_wait: NonNegativeFloat = 0.005  # seconds
    request_bytes: PositiveInt = 20_000_000
    instances: PositiveInt = 128
