import numpy as np
import pytest

from tfselfsup.serving.payloads import Refused

uploads = pytest.importorskip("tfselfsup.serving.uploads", reason="needs the extra 'serving'")
filepost = pytest.importorskip("urllib3.filepost", reason="needs another's encoder of forms")


def encoded(*parts):
    """Encodes (field, (file name, content)) or (field, text) with urllib3."""
    return filepost.encode_multipart_formdata(parts)


def refused(body, content_type, most=4):
    with pytest.raises(Refused) as error:
        uploads.files(body, content_type, most)
    assert error.value.status == 400
    return error.value.reason


def test_files_are_read_byte_by_byte_in_their_order():
    random = np.random.default_rng(0)
    # One is larger than what the parser would put on disk, one is empty, one looks like a form.
    contents = [random.bytes(size) for size in (10, 2_000_000, 0)] + [
        encoded(("a", ("b", b"c")))[0]
    ]
    parts = [("same", (f"{number}.png", content)) for number, content in enumerate(contents)]
    assert uploads.files(*encoded(*parts), 4) == contents


def test_the_names_of_fields_do_not_matter():
    found = uploads.files(*encoded(("b", ("1", b"x")), ("a", ("2", b"y")), ("b", ("3", b"z"))), 3)
    assert found == [b"x", b"y", b"z"]


def test_too_many_files_are_refused():
    parts = 5 * [("image", ("a.png", b"x"))]
    assert "1 to 4 files, got more" in refused(*encoded(*parts))
    assert len(uploads.files(*encoded(*parts), 5)) == 5


def test_a_field_without_a_file_is_refused():
    # What curl sends for -F image=face.jpg, with the @ forgotten.
    reason = refused(*encoded(("image", ("a.png", b"x")), ("image", "face.jpg")))
    assert "'image' without a file name" in reason and "-F image=@FILE" in reason
    assert "got none" in refused(*encoded())


def test_what_is_no_form_is_refused():
    body, kind = encoded(("image", ("a.png", b"some bytes")))
    for cut in (len(body) - 20, len(body) // 2, 10, 0):
        assert "cut off" in refused(body[:cut], kind)
    assert "that is not" in refused(body, "multipart/form-data")
    assert "that is not" in refused(body, kind + "x")
    assert "that is not" in refused(b"no form", kind)
    boundary = kind.partition("boundary=")[2]
    for part in ("\r\ntext", "A: b\r\n\r\ntext", "Content-Disposition: form-data\r\n\r\ntext"):
        whole = f"--{boundary}\r\n{part}\r\n--{boundary}--\r\n".encode()
        assert "that is not" in refused(whole, kind)
