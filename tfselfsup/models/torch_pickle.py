"""Reads the pickle inside a PyTorch checkpoint without running what is in it.

A pickle may name any function to be called while it is read. Here it may name the few that PyTorch
writes for tensors, and each of them stands for a harmless record: nothing else is looked up, and
records are checked before anybody turns bytes into arrays.
"""

from __future__ import annotations

import math
import pickle
from collections import OrderedDict
from typing import Any, BinaryIO, NamedTuple

STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "<?",
}


class Refused(ValueError):
    """What is not taken; the message is for the user."""


class Storage(NamedTuple):
    """A run of numbers in the file: `key` names it, `start` and `size` are in numbers."""

    dtype: str
    key: str
    start: int
    size: int


class TensorView(NamedTuple):
    """A tensor on a storage; offset and strides are in numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class TensorUnpickler(pickle.Unpickler):
    """Makes containers, numbers, strings and the records above; looks up nothing else.

    Attributes:
        dtypes: NumPy's type of each storage that was named, by its key.
    """

    def __init__(self, file: BinaryIO):
        """Reads the pickle that begins where the file stands."""
        # Checkpoints of Python 2 hold byte strings.
        super().__init__(file, encoding="latin1")
        self.dtypes: dict[str, str] = {}
        # Functions of this reading only: a pickle can set attributes of what it is given.
        self._admitted: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor"): lambda *fields: _tensor(*fields[:4]),
            ("torch._utils", "_rebuild_tensor_v2"): lambda *fields: _tensor(*fields[:4]),
            ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
            **{("torch", name): dtype for name, dtype in STORAGES.items()},
        }

    def find_class(self, module: str, name: str) -> Any:
        """Looks up one of the few names that a checkpoint of tensors needs."""
        if (module, name) in self._admitted:
            return self._admitted[module, name]
        if module == "torch" and name.endswith("Storage"):
            raise Refused(
                f"expected tensors of {', '.join(STORAGES)}, got '{name}'; convert them to float32 "
                "with PyTorch"
            )
        raise Refused(
            f"expected a checkpoint of tensors only, got one that asks for '{module}.{name}', "
            "which is not run; save the model's state_dict() with PyTorch"
        )

    def persistent_load(self, pid: Any) -> Storage:
        """Records a storage: ('storage', type, key, device, size) and, before 1.6, a view of it."""
        kind, dtype, key, _, size, *view = pid
        if kind != "storage" or dtype not in STORAGES.values():
            raise Refused(f"expected storages of tensors, got '{kind}' of '{dtype}'")
        self.dtypes[str(key)] = dtype
        start = 0
        if view and view[0] is not None:
            _, start, size = view[0]
        return Storage(dtype, str(key), _count(start), _count(size))


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> TensorView:
    """Checks what the pickle says of a tensor."""
    if not isinstance(storage, Storage) or len(shape) != len(strides):
        raise Refused("expected tensors with a storage, and as many strides as dimensions")
    shape, strides = tuple(map(_count, shape)), tuple(map(_count, strides))
    tensor = TensorView(storage, _count(offset), shape, strides)
    numbers = math.prod(shape)
    last = tensor.offset + sum(
        (extent - 1) * stride for extent, stride in zip(shape, strides, strict=True)
    )
    # More numbers than the storage has would be one repeated: no weights, but perhaps a trap.
    if numbers and (last >= storage.size or numbers > storage.size):
        raise Refused(
            f"expected tensors within their storages, got one of shape {shape} from "
            f"{tensor.offset} with strides {strides} in a storage of {storage.size}"
        )
    return tensor


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise Refused(f"expected sizes, offsets and strides of 0 or more, got {value!r:.40}")
    return value
