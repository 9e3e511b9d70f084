import base64
import json
import struct

import cv2
import numpy as np
import pytest

from tfselfsup.datasets.labelled_images import scaled
from tfselfsup.serving import payloads
from tfselfsup.serving.payloads import Refused


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def png(image):
    return cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def refused(call):
    with pytest.raises(Refused) as error:
        call()
    return error.value.status, error.value.reason


def test_instances_are_read():
    assert payloads.instances(b'{"instances": [1, {"a": 2}]}', 2) == [1, {"a": 2}]


@pytest.mark.parametrize(
    "body, reason",
    [
        (b"", "expected JSON"),
        (b"[1]", "expected JSON"),
        (b'{"inputs": 1}', "expected JSON"),
        (b"\xff", "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        (b'{"instances": {}}', "got dict"),
        (b'{"instances": []}', "got 0"),
        (b'{"instances": [1, 2, 3]}', "1 to 2 instances, got 3"),
    ],
)
def test_what_holds_no_instances_is_refused(body, reason):
    status, given = refused(lambda: payloads.instances(body, 2))
    assert status == 400 and reason in given


def test_both_forms_of_a_file_in_json_are_read():
    value = {"b64": base64.b64encode(b"\x00\xff").decode()}
    assert payloads.image_of(value) == payloads.image_of({"image_bytes": value}) == b"\x00\xff"


@pytest.mark.parametrize(
    "instance", [None, 1, "x", [], {}, {"b64": 1}, {"b64": "?"}, {"image_bytes": "x"}, {"b64": "a"}]
)
def test_a_file_that_is_not_in_base64_is_refused(instance):
    assert refused(lambda: payloads.image_of(instance))[0] == 400


def test_an_image_is_scaled_as_those_that_were_learnt_from():
    image = noise(40, 24, 3)
    found = payloads.decoded_image(png(image), 8, 3)
    np.testing.assert_array_equal(found, scaled(image, 8))
    # Once more it would stay as it is: the model's own scaling does no harm.
    np.testing.assert_array_equal(scaled(found, 8), found)


def test_a_jpeg_is_decoded():
    jpeg = cv2.imencode(".jpg", np.full((20, 30, 3), 77, np.uint8))[1].tobytes()
    np.testing.assert_allclose(payloads.decoded_image(jpeg, 8, 3), np.full((8, 8, 3), 77), atol=2)


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "0 bytes of something else"),
        (b"GIF89a", "expected a JPEG or PNG"),
        (png(noise(9, 9, 3))[:-20], "damaged"),
        (png(noise(9, 9, 3))[:12], "damaged"),
        (b"\xff\xd8\xff", "damaged"),
    ],
)
def test_a_file_that_cannot_be_decoded_is_refused(content, reason):
    status, given = refused(lambda: payloads.decoded_image(content, 8, 3))
    assert status == 400 and reason in given


def test_an_image_that_would_fill_the_memory_is_refused_unread():
    header = png(noise(9, 9, 3))
    bomb = header[:16] + struct.pack(">II", 50_000, 40_000) + header[24:]
    assert refused(lambda: payloads.decoded_image(bomb, 8, 3)) == (
        413,
        "expected an image of at most 50000000 pixels, got 50000x40000",
    )


def test_frames_are_read_in_both_forms():
    frames = noise(4, 5, 2)
    for instance in (frames.tolist(), {"frames": frames.tolist()}):
        found = payloads.frames_of(json.loads(json.dumps(instance)), (4, 5, 2))
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, frames)


@pytest.mark.parametrize(
    "instance, reason",
    [
        ({}, "got object"),
        ([[[1, 2]]], "got int64 [1, 1, 2]"),
        ([[[1.5]]], "got float64"),
        ([[["a"]]], "expected frames as lists [1, 1, 1]"),
        ([[[True]]], "got bool"),
        ([[[1], [1, 2]]], "several lengths"),
        ([[[256]]], "got 256 to 256"),
        ([[[-1]]], "got -1 to -1"),
        ([[[10**30]]], "got object"),
    ],
)
def test_what_are_no_frames_is_refused(instance, reason):
    status, given = refused(lambda: payloads.frames_of(instance, (1, 1, 1)))
    assert status == 400 and reason in given
