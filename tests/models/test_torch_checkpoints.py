import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.models.alexnet_reference import CHECKPOINTS
from tfselfsup.models import torch_checkpoints

MAGIC_NUMBER, PROTOCOL_VERSION = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}


# What make_alexnet_reference.py saved, once more and by hand.
def saved():
    twelve = np.arange(12, dtype=np.float32)
    return {
        "0.weight": np.array([[0, 3], [1, 4], [2, 5]], np.float32),
        "0.bias": np.array([7, 8, 9], np.float32),
        "1.weight": np.ones(3, np.float32),
        "1.bias": np.zeros(3, np.float32),
        "1.running_mean": np.zeros(3, np.float32),
        "1.running_var": np.ones(3, np.float32),
        "1.num_batches_tracked": np.array(0, np.int64),
        "middle": twelve[2:8].reshape(2, 3),
        "turned": twelve.reshape(3, 4).T,
        "every_other": twelve[1::2],
        "none": np.zeros((0, 3), np.float32),
        "parameter": np.array([0.5, -0.5], np.float32),
        **{
            dtype: np.array([[1, 0, 1]], dtype)
            for dtype in ("float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")
        },
    }


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_what_pytorch_saved_is_read(kind):
    read = torch_checkpoints.read(CHECKPOINTS / f"{kind}.pt")
    assert list(read) == list(saved())
    for name, expected in saved().items():
        assert read[name].dtype == expected.dtype, name
        np.testing.assert_array_equal(read[name], expected, err_msg=name)


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_tensors_of_a_training_program_are_found(kind):
    read = torch_checkpoints.read(CHECKPOINTS / f"{kind}_network.pt")
    assert {name: array.tolist() for name, array in read.items()} == {"conv.bias": [0, 1]}


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_prefixes_of_data_parallelism_are_taken_off(kind):
    read = torch_checkpoints.read(CHECKPOINTS / f"{kind}_parallel.pt")
    assert {name: array.tolist() for name, array in read.items()} == {
        "features.0.weight": [0, 1, 2],
        "features.3.bias": [3, 4],
    }


def refused(path, *words):
    with pytest.raises(ValueError) as error:
        torch_checkpoints.read(path)
    message = str(error.value)
    assert "\n" not in message
    for word in (*words, str(path)):
        assert word in message


def test_a_whole_module_is_refused_by_the_name_of_its_class():
    refused(CHECKPOINTS / "module.pt", "torch.nn.modules.container.Sequential", "state_dict()")


def test_bfloat16_is_refused_by_name():
    refused(CHECKPOINTS / "bfloat16.pt", "BFloat16Storage", "float32")


# From here on files are made by hand, opcode by opcode where it matters.
def rebuilt(storage, offset, shape, strides, function="_rebuild_tensor_v2"):
    """Opcodes that rebuild a tensor of a float storage ('0', as it is pickled by `storage`)."""
    further = b"\x89ccollections\nOrderedDict\n(tR" if function.endswith("v2") else b""
    return (
        f"ctorch._utils\n{function}\n(".encode()
        + storage
        + integer(offset)
        + b"("
        + b"".join(map(integer, shape))
        + b"t("
        + b"".join(map(integer, strides))
        + b"t"
        + further
        + b"tR"
    )


def integer(value):
    return f"I{value}\n".encode()


def storage(size, *, kind="FloatStorage", view=None):
    parts = b"(U\x07storagectorch\n" + f"{kind}\n".encode() + b"U\x010U\x03cpu" + integer(size)
    if view:
        parts += b"(U\x010" + integer(view[0]) + integer(view[1]) + b"t"
    return parts + b"tQ"


def state(value, name=b"w"):
    return b"\x80\x02}U" + bytes([len(name)]) + name + value + b"s."


def zipped(path, pickled, numbers=(0.0, 1.0, 2.0, 3.0), compression=zipfile.ZIP_STORED, order=None):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", np.asarray(numbers, "<f4").tobytes())
        if order:
            archive.writestr("archive/byteorder", order)
    return path


def legacy(path, pickled, numbers=(0.0, 1.0, 2.0, 3.0), system=SYSTEM, claimed=None):
    file = io.BytesIO()
    for header in (MAGIC_NUMBER, PROTOCOL_VERSION, system):
        pickle.dump(header, file, protocol=2)
    file.write(pickled)
    pickle.dump(["0"], file, protocol=2)
    file.write(struct.pack("<q", len(numbers) if claimed is None else claimed))
    file.write(np.asarray(numbers, "<f4").tobytes())
    path.write_bytes(file.getvalue())
    return path


on_both_formats = pytest.mark.parametrize("write", [zipped, legacy])


@on_both_formats
def test_a_file_made_by_hand_is_read(tmp_path, write):
    # Strings as Python 2 wrote them, and a transposed view.
    path = write(tmp_path / "a.pt", state(rebuilt(storage(4), 0, (2, 2), (1, 2))))
    np.testing.assert_array_equal(torch_checkpoints.read(path)["w"], [[0, 2], [1, 3]])


def test_tensors_of_pytorch_0_3_are_read(tmp_path):
    path = legacy(tmp_path / "a.pt", state(rebuilt(storage(4), 1, (3,), (1,), "_rebuild_tensor")))
    np.testing.assert_array_equal(torch_checkpoints.read(path)["w"], [1, 2, 3])


def test_a_view_of_a_storage_is_read(tmp_path):
    pickled = state(rebuilt(storage(4, view=(2, 2)), 1, (1,), (1,)))
    np.testing.assert_array_equal(
        torch_checkpoints.read(legacy(tmp_path / "a.pt", pickled))["w"], [3]
    )
    pickled = state(rebuilt(storage(4, view=(3, 2)), 0, (2,), (1,)))
    refused(legacy(tmp_path / "b.pt", pickled), "cut off")


@on_both_formats
@pytest.mark.parametrize(
    "offset, shape, strides, word",
    [
        (1, (4,), (1,), "within their storages"),
        (4, (1,), (1,), "within their storages"),
        (0, (2, 2), (2, 2), "within their storages"),
        # Within its storage, but 10**18 numbers large.
        (0, (10**9, 10**9), (0, 0), "within their storages"),
        (-1, (2,), (1,), "0 or more"),
        (0, (-1,), (1,), "0 or more"),
        (2, (2,), (-1,), "0 or more"),
        (0, (2, 2), (1,), "as many strides"),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(tmp_path, write, offset, shape, strides, word):
    pickled = state(rebuilt(storage(4), offset, shape, strides))
    refused(write(tmp_path / "a.pt", pickled), word)


def test_a_tensor_that_ends_where_its_storage_ends_is_read(tmp_path):
    path = zipped(tmp_path / "a.pt", state(rebuilt(storage(4), 1, (2, 2), (1, 1))))
    np.testing.assert_array_equal(torch_checkpoints.read(path)["w"], [[1, 2], [2, 3]])


@on_both_formats
def test_a_storage_that_is_cut_off_is_refused(tmp_path, write):
    pickled = state(rebuilt(storage(5), 0, (5,), (1,)))
    refused(write(tmp_path / "a.pt", pickled), "cut off")


def test_a_size_beyond_all_memory_is_refused(tmp_path):
    pickled = state(rebuilt(storage(2**60), 0, (2**60,), (1,)))
    refused(legacy(tmp_path / "a.pt", pickled, claimed=2**60))


class Mischief:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return Path.touch, (self._path,)


CALLS = {
    "os.system": b"cos\nsystem\n(S'touch %s'\ntR",
    "builtins.eval": b'c__builtin__\neval\n(S\'open("%s", "w")\'\ntR',
    "torch._utils.os.system": b"\x8c\x0ctorch._utils\x8c\tos.system\x93(S'touch %s'\ntR",
    "numpy.core.multiarray._reconstruct": b"cnumpy.core.multiarray\n_reconstruct\n(tR",
    "pathlib.PosixPath": b"cpathlib\nPosixPath\n(S'%s'\ntR",
}


@on_both_formats
@pytest.mark.parametrize("call", CALLS)
def test_a_call_of_anything_else_is_refused_and_not_made(tmp_path, write, call):
    witness = tmp_path / "witness"
    opcodes = CALLS[call].replace(b"%s", str(witness).encode())
    refused(write(tmp_path / "a.pt", state(opcodes)), call.split(".")[-1], "not run")
    assert not witness.exists()


def test_the_witness_would_have_told(tmp_path):
    opcodes = state(CALLS["os.system"].replace(b"%s", str(tmp_path / "witness").encode()))
    pickle.loads(opcodes)
    assert (tmp_path / "witness").exists()


@pytest.mark.parametrize("place", range(5))
def test_no_pickle_of_the_old_format_is_trusted(tmp_path, place):
    pickles = [MAGIC_NUMBER, PROTOCOL_VERSION, SYSTEM, {}, ["0"]]
    pickles[place] = Mischief(tmp_path / "witness")
    path = tmp_path / "a.pt"
    path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in pickles))
    refused(path, "getattr")
    assert not (tmp_path / "witness").exists()


def test_a_pickle_cannot_change_what_its_dict_says(tmp_path):
    # BUILD gives an OrderedDict an attribute `items`, which a call of its method would find first.
    tensor = rebuilt(storage(4), 0, (4,), (1,))
    built = b"\x80\x02ccollections\nOrderedDict\n(tRU\x01w" + tensor + b"s}U\x05itemsNsb."
    assert list(torch_checkpoints.read(zipped(tmp_path / "a.pt", built))) == ["w"]


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", ("damaged",)),
        (b"no pickle at all", ("damaged",)),
        (pickle.dumps("a pickle", protocol=2), ("torch.save",)),
        (pickle.dumps(MAGIC_NUMBER, protocol=2), ("damaged",)),
    ],
)
def test_another_file_is_refused(tmp_path, content, words):
    path = tmp_path / "a.pt"
    path.write_bytes(content)
    refused(path, "PyTorch checkpoint", *words)


def test_a_missing_file_is_named(tmp_path):
    refused(tmp_path / "a.pt", "does not exist")


def test_another_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/b.txt", "text")
    refused(tmp_path / "a.zip", "data.pkl")


def test_a_compressed_archive_is_refused(tmp_path):
    pickled = state(rebuilt(storage(4), 0, (4,), (1,)))
    refused(zipped(tmp_path / "a.pt", pickled, compression=zipfile.ZIP_DEFLATED), "compressed")


def test_numbers_the_other_way_round_are_refused(tmp_path):
    pickled = state(rebuilt(storage(4), 0, (4,), (1,)))
    refused(zipped(tmp_path / "a.pt", pickled, order=b"big"), "little-endian")
    system = {**SYSTEM, "little_endian": False}
    refused(legacy(tmp_path / "b.pt", pickled, system=system), "little-endian")


def test_a_checkpoint_without_tensors_is_refused(tmp_path):
    refused(zipped(tmp_path / "a.pt", state(integer(3))), "state_dict or network")


def test_a_name_with_line_breaks_is_still_one_line(tmp_path):
    opcodes = b"X\x04\x00\x00\x00os\nxX\x07\x00\x00\x00sys\ntem\x93"
    refused(zipped(tmp_path / "a.pt", b"\x80\x04" + opcodes + b"."), "sys tem", "not run")
