"""Self-supervision beside the main loss: Atari agents and forged-face classifiers."""

__version__ = "0.1.0"
