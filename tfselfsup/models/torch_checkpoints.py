"""Reads tensors out of PyTorch's checkpoints, without PyTorch."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tfselfsup.messages import one_line
from tfselfsup.models.torch_pickle import Refused, Storage, TensorUnpickler, TensorView

ZIP_BEGINNING = b"PK\x03\x04"
# What the format before PyTorch 1.6 begins with.
MAGIC_NUMBER, PROTOCOL_VERSION = 0x1950A86A20F9469CFC6C, 1001
STATE_KEYS = ("state_dict", "network")  # where training programs put the tensors

BytesOf = Callable[[Storage], bytes]


def read(path: str | Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a checkpoint.

    They may be nested under `state_dict` or `network`; the prefix `module.`, which data parallelism
    puts before names or after `features.`, is taken off.

    Args:
        path: A file that `torch.save` wrote, of PyTorch 1.6 and later (a zip archive) or before.

    Returns:
        Arrays of float, integer or bool type by name, in the file's order.

    Raises:
        ValueError: If the file is missing or no such checkpoint, if it asks for anything but
            tensors in plain containers, or if a tensor reaches beyond its storage.
    """
    if not Path(path).is_file():
        raise ValueError(f"expected a PyTorch checkpoint, but '{path}' does not exist")
    try:
        with open(path, "rb") as file:
            is_zip = file.read(len(ZIP_BEGINNING)) == ZIP_BEGINNING
            file.seek(0)
            content, bytes_of = (_read_zip if is_zip else _read_legacy)(file)
            tensors = {name: _array(tensor, bytes_of) for name, tensor in _state(content).items()}
    except Refused as error:
        raise ValueError(f"{one_line(error)}, in '{path}'") from None
    except Exception as error:  # a damaged pickle or archive raises nearly anything
        raise ValueError(
            f"expected a PyTorch checkpoint, got '{path}', which is damaged or of another kind "
            f"({type(error).__name__}: {one_line(error)})"
        ) from None
    return {_without_module(name): array for name, array in tensors.items()}


def _read_zip(file: BinaryIO) -> tuple[Any, BytesOf]:
    """Reads PyTorch 1.6's archive: the pickle `data.pkl`, and a record for each storage."""
    archive = zipfile.ZipFile(file)
    pickles = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
    if len(pickles) != 1:
        raise Refused("expected an archive with one data.pkl, as torch.save writes it")
    root = pickles[0].split("/")[0]

    def bytes_of_record(name: str) -> bytes:
        # PyTorch does not compress; what is compressed could be larger than memory.
        if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
            raise Refused("expected an archive that is not compressed, as torch.save writes it")
        return archive.read(name)

    if f"{root}/byteorder" in archive.namelist():
        _check_order(bytes_of_record(f"{root}/byteorder") == b"little")
    content = TensorUnpickler(io.BytesIO(bytes_of_record(pickles[0]))).load()
    return content, lambda storage: bytes_of_record(f"{root}/data/{storage.key}")


def _read_legacy(file: BinaryIO) -> tuple[Any, BytesOf]:
    """Reads the format before 1.6: five pickles, then each storage's size and bytes."""
    for expected in (MAGIC_NUMBER, PROTOCOL_VERSION):
        if TensorUnpickler(file).load() != expected:
            raise Refused(
                "expected a PyTorch checkpoint, as torch.save writes it, got another file"
            )
    _check_order(TensorUnpickler(file).load()["little_endian"])
    unpickler = TensorUnpickler(file)
    content = unpickler.load()
    keys = TensorUnpickler(file).load()
    storages = {}
    for key in map(str, keys):
        size = int.from_bytes(file.read(8), "little") * np.dtype(unpickler.dtypes[key]).itemsize
        storages[key] = (file.tell(), size)
        file.seek(size, io.SEEK_CUR)

    def bytes_of(storage: Storage) -> bytes:
        start, size = storages[storage.key]
        file.seek(start)
        return file.read(size)

    return content, bytes_of


def _check_order(little_endian: bool) -> None:
    if not little_endian:
        raise Refused("expected little-endian numbers, got a checkpoint of a big-endian machine")


def _state(content: Any) -> dict[str, TensorView]:
    """Finds the dict of tensors, at the top or under one of the usual names."""
    # `dict.items`, since a pickle can give an OrderedDict an attribute of that name.
    entries = dict(dict.items(content)) if isinstance(content, dict) else {}
    for key in STATE_KEYS:
        if isinstance(entries.get(key), dict):
            entries = dict(dict.items(entries[key]))
            break
    tensors = {
        name: value
        for name, value in entries.items()
        if isinstance(name, str) and isinstance(value, TensorView)
    }
    if not tensors:
        raise Refused(
            f"expected tensors by name, at the top or under {' or '.join(STATE_KEYS)}, got none; "
            "save the model's state_dict() with PyTorch"
        )
    return tensors


def _array(tensor: TensorView, bytes_of: BytesOf) -> np.ndarray:
    """Copies a tensor out of its storage."""
    storage = tensor.storage
    numbers = np.frombuffer(bytes_of(storage), storage.dtype)
    numbers = numbers[storage.start : storage.start + storage.size]
    if len(numbers) != storage.size:
        raise Refused(
            f"expected {storage.size} numbers in storage '{storage.key}', got {len(numbers)}; the "
            "file is cut off"
        )
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :], tensor.shape, strides, writeable=False
    )
    return view.copy()


def _without_module(name: str) -> str:
    return name.removeprefix("module.").replace("features.module.", "features.", 1)
