import base64
import http.client
import json
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from tests.serving import exported
from tests.serving.exported import SIDE
from tfselfsup.config.serving import Limits
from tfselfsup.programs import serve
from tfselfsup.serving import load
from tfselfsup.serving.load import Body

pytest.importorskip("ray.serve", reason="needs the extra 'serving'")

MOST_BYTES, MOST_INSTANCES = 50_000, 8


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    exported.colours(folder / "colours" / "1")
    exported.colours(folder / "colours" / "2")
    exported.brightness(folder / "brightness" / "1")
    limits = Limits(4, 0.005, MOST_BYTES, MOST_INSTANCES)
    port = serve.free_port("127.0.0.1")
    with serve.running(folder, limits, 1, "127.0.0.1", port) as url:
        yield url


def png(colour, side=12):
    return cv2.imencode(".png", np.full((side, side, 3), colour[::-1], np.uint8))[1].tobytes()


def get(url, path, method="GET"):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request(method, path)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def post(url, body, name="colours", query="", kind="application/json"):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    ((answer,), _) = load.ask(f"{url}/v1/models/{name}:predict{query}", [Body(content, kind)], 1)
    return answer.status, answer.content


def encoded(content):
    return {"b64": base64.b64encode(content).decode()}


def test_it_is_healthy_and_lists_its_models(url):
    assert get(url, "/health") == (200, {"status": "ok"})
    status, listed = get(url, "/v1/models")
    versions = {name: model["version"] for name, model in listed["models"].items()}
    assert (status, versions) == (200, {"colours": 2, "brightness": 1})
    _, described = get(url, "/v1/models/colours")
    assert described["labels"] == ["real", "fake"] and "probability" in described["outputs"]


def test_a_file_and_json_have_the_same_answer(url):
    image = png((255, 0, 51))
    of_file = post(url, image, kind="image/png")
    assert of_file == post(url, {"instances": [encoded(image)]})
    assert of_file == post(url, {"instances": [{"image_bytes": encoded(image)}]})
    status, content = of_file
    (prediction,) = content["predictions"]
    assert status == 200 and prediction.keys() == {"logits", "probabilities", "probability"}
    np.testing.assert_allclose(prediction["logits"], [1, 0], atol=1e-6)
    assert prediction["probability"] == pytest.approx(1 / (1 + np.e))


BOUNDARY = "a-boundary"


def form(*files, field="image", name='; filename="face.png"'):
    """A body as a browser sends it, with every file under the same name."""
    head = (
        f'Content-Disposition: form-data; name="{field}"{name}\r\nContent-Type: image/png\r\n\r\n'
    )
    parts = [f"--{BOUNDARY}\r\n{head}".encode() + file + b"\r\n" for file in files]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


FORM = f"multipart/form-data; boundary={BOUNDARY}"


def test_uploaded_files_are_answered_in_their_order(url):
    colours = [(17 * number, 0, 255 - number) for number in range(MOST_INSTANCES)]
    files = [png(colour, side=8 + number) for number, colour in enumerate(colours)]
    status, content = post(url, form(*files), query="?outputs=features", kind=FORM)
    found = [prediction["features"] for prediction in content["predictions"]]
    assert status == 200
    np.testing.assert_allclose(found, np.array(colours) / 255, atol=1e-6)
    # One file has the answer that it has as a body of its own.
    assert post(url, form(files[3]), kind=FORM) == post(url, files[3], kind="image/png")


def test_outputs_can_be_chosen(url):
    _, content = post(url, png((255, 0, 51)), query="?outputs=features", kind="image/png")
    (prediction,) = content["predictions"]
    assert prediction.keys() == {"features"}
    np.testing.assert_allclose(prediction["features"], [1, 0, 0.2], atol=1e-6)


def test_an_agent_is_served_beside(url):
    frames = np.zeros((2, SIDE, SIDE, 4), int)
    frames[0, ..., 2] = frames[1, ..., 0] = 8
    instances = [{"frames": frames[0].tolist()}, frames[1].tolist()]
    _, content = post(url, {"instances": instances}, "brightness")
    assert content["predictions"] == [
        {"action": 2, "q_values": [0, 0, 8, 0]},
        {"action": 0, "q_values": [8, 0, 0, 0]},
    ]


@pytest.mark.parametrize(
    "body, options, status, reason",
    [
        (b"{", {}, 400, "expected JSON"),
        (b"no image", {"kind": "image/png"}, 400, "expected a JPEG or PNG"),
        (png((1, 2, 3))[:-30], {"kind": "image/png"}, 400, "damaged"),
        ({"instances": [encoded(b"no image")]}, {}, 400, "instance 0: "),
        ({"instances": 9 * ["x"]}, {}, 400, "1 to 8 instances, got 9"),
        (b" " * (MOST_BYTES + 1), {}, 413, "at most 50000 bytes"),
        (form(b" " * MOST_BYTES), {"kind": FORM}, 413, "at most 50000 bytes"),
        (form(png((1, 2, 3)), b"no image"), {"kind": FORM}, 400, "file 1: expected a JPEG"),
        (form(*9 * [b"x"]), {"kind": FORM}, 400, "expected 1 to 8 files, got more"),
        (form(png((1, 2, 3)))[:-20], {"kind": FORM}, 400, "cut off"),
        (form(png((1, 2, 3))), {"kind": "multipart/form-data"}, 400, "a body that is not"),
        (form(png((1, 2, 3))), {"kind": FORM, "name": "brightness"}, 415, "expected JSON"),
        (b" " * 3_000_000, {}, 413, "at most 50000 bytes"),
        (png((1, 2, 3)), {"name": "brightness", "kind": "image/png"}, 415, "expected JSON"),
        ({"instances": [[1]]}, {"name": "brightness"}, 400, "[8, 8, 4]"),
        (png((1, 2, 3)), {"name": "none"}, 404, "brightness, colours"),
        (png((1, 2, 3)), {"query": "?outputs=loss"}, 400, "got loss"),
    ],
)
def test_a_mistake_has_a_status_and_a_reason(url, body, options, status, reason):
    found, content = post(url, body, **options)
    assert (found, content.keys()) == (status, {"error"})
    assert reason in content["error"]
    assert post(url, png((0, 0, 0)), kind="image/png")[0] == 200  # the server lives on


def test_other_paths_and_methods_are_refused(url):
    status, content = get(url, "/v1/models/colours:predict")
    assert status == 405 and "expected POST, got GET" in content["error"]
    assert get(url, "/v1/models", "DELETE")[0] == 405
    assert get(url, "/v2")[0] == 404


def test_a_host_that_is_none_is_no_concern_of_the_server(url):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request("GET", "/health", headers={"Host": "["})
    assert connection.getresponse().status == 200


def test_a_question_mark_in_a_name_is_part_of_it(url):
    assert get(url, "/v1/models/colours%3Fb")[0] == 404


def test_of_32_clients_nobody_loses_an_answer_or_gets_anothers(url):
    generator = np.random.default_rng(0)
    colours = generator.integers(0, 256, (640, 3))
    bad = (b"no image", png((1, 2, 3))[:-30], b"", b"\xff\xd8\xff")
    # One in ten or so; nine has no factor in common with 32: each client sends some of them.
    bodies = [
        Body(bad[row % 4] if row % 9 == 0 else png(colour, side=8 + row % 9), "image/png")
        for row, colour in enumerate(colours)
    ]
    answers, _ = load.ask(f"{url}/v1/models/colours:predict?outputs=features", bodies, 32)
    assert len(answers) == len(bodies)
    for row, answer in enumerate(answers):
        if row % 9 == 0:
            assert (answer.status, answer.content.keys()) == (400, {"error"})
        else:
            (prediction,) = answer.content["predictions"]
            np.testing.assert_allclose(prediction["features"], colours[row] / 255, atol=1e-5)
