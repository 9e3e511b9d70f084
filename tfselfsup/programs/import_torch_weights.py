"""Turns a public PyTorch checkpoint into a file of Keras weights, without PyTorch."""

from __future__ import annotations

from pathlib import Path

from tfselfsup.command_line import ExperimentParser
from tfselfsup.models import torch_checkpoints, torch_layouts
from tfselfsup.programs.startup import import_quietly, user_mistakes


def main(arguments: list[str] | None = None) -> None:
    """Runs the program.

    Args:
        arguments: Command-line arguments; those of the process by default.
    """
    parser = ExperimentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("checkpoint", help="file that torch.save wrote, such as alexnet.pth")
    parser.add_argument("--out", required=True, help="file of Keras weights to write (.h5)")
    parser.add_argument(
        "--trunk",
        required=True,
        choices=list(torch_layouts.LAYOUTS),
        help="the network that the checkpoint is of",
    )
    parsed = parser.parse_args(arguments)
    with user_mistakes():
        convert(parsed.checkpoint, parsed.trunk, Path(parsed.out))
    print(f"{parsed.out}: weights of '{parsed.trunk}'")


def convert(checkpoint: str | Path, trunk: str, out: Path) -> None:
    """Writes the weights of a checkpoint as a file that a trunk can read.

    Args:
        checkpoint: What `torch.save` wrote.
        trunk: Name of a trunk that has a layout.
        out: The file; its folder is made if it is not there.

    Raises:
        ValueError: If the checkpoint cannot be read or is not of this trunk, or if the file's name
            is that of a folder.
    """
    if out.is_dir():
        raise ValueError(f"expected the name of a file for --out, got the folder {out}")
    arrays = torch_layouts.convert(torch_checkpoints.read(checkpoint), trunk)
    import_quietly("tensorflow")
    from tfselfsup.models import encoders, trunks, weights

    side = trunks.get(trunk).side
    encoder = encoders.encoder((1, side, side, 3), trunk)
    weights.assign(encoder, arrays, str(checkpoint))
    out.parent.mkdir(parents=True, exist_ok=True)
    weights.save(encoder.layers, out)
