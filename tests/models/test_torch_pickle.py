import io
import pickle
import sys

import pytest

from tfselfsup.models.torch_pickle import Refused, Storage, TensorUnpickler, TensorView

# A storage of six floats that the file calls '0', in opcodes.
STORAGE = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuI6\ntQ"


def loaded(opcodes):
    unpickler = TensorUnpickler(io.BytesIO(b"\x80\x02" + opcodes + b"."))
    return unpickler.load(), unpickler.dtypes


def test_storages_and_tensors_become_records():
    storage = Storage("<f4", "0", 0, 6)
    assert loaded(STORAGE) == (storage, {"0": "<f4"})
    tensor = b"ctorch._utils\n_rebuild_tensor\n(" + STORAGE + b"I1\n(I2\nI2\nt(I2\nI1\nttR"
    expected = TensorView(storage, 1, (2, 2), (2, 1))
    assert loaded(tensor)[0] == expected
    parameter = b"ctorch._utils\n_rebuild_parameter\n(" + tensor + b"\x89NtR"
    assert loaded(parameter)[0] == expected


def test_records_cannot_be_changed_by_the_pickle():
    tensor = b"ctorch._utils\n_rebuild_tensor\n(" + STORAGE + b"I0\n(I6\nt(I1\nttR"
    # BUILD sets attributes; here the offset, in both ways that there are.
    for state in (b"}U\x06offsetI9\ns", b"N}U\x06offsetI9\ns\x86"):
        with pytest.raises(AttributeError):
            loaded(tensor + state + b"b")


def test_plain_containers_come_back():
    plain = {"epoch": 3, "lr": 0.1, "names": ["a", ("b", None)], "best": {1, 2}, "raw": b"x"}
    for protocol in (4, 5):
        assert TensorUnpickler(io.BytesIO(pickle.dumps(plain, protocol))).load() == plain


@pytest.mark.parametrize("kind", [b"U\x06module", b"U\x07storage"])
def test_other_things_outside_the_pickle_are_refused(kind):
    with pytest.raises(Refused, match="expected storages"):
        loaded(b"(" + kind + b"U\x02<U" + b"U\x010U\x03cpuI6\ntQ")


def test_a_module_that_is_named_is_not_even_imported():
    assert "this" not in sys.modules
    with pytest.raises(Refused, match="'this.s', which is not run"):
        loaded(b"cthis\ns\n")
    assert "this" not in sys.modules
