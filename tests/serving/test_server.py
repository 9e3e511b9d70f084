import base64
import http.client
import json
import socket
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.models.multi_head import FoldTime
from tfselfsup.programs import serve
from tfselfsup.serving import agent_export, classifier_export, load, saved_models
from tfselfsup.serving.load import Body

pytest.importorskip("ray.serve", reason="needs the extra 'serving'")

SIDE, MOST_BYTES, MOST_INSTANCES = 8, 50_000, 8


def export_colours(folder):
    """Exports a classifier whose features are an image's mean colour."""
    frames = tf.keras.Input((1, SIDE, SIDE, 3), dtype=tf.uint8)
    means = tf.keras.layers.GlobalAveragePooling2D()(FoldTime()(frames))
    network = tf.keras.Model(frames, {"label": means[:, :2]})
    model = classifier_export.joined(network, "label", means)
    described = {"kind": "classifier", "labels": ["real", "fake"], "side": SIDE, "channels": 3}
    signatures = classifier_export.signatures(model, 1.0)
    saved_models.save(folder, signatures, model, described, (), ())


def export_brightness(folder):
    """Exports an agent whose Q values are the frames' mean brightness."""
    frames = tf.keras.Input((4, SIDE, SIDE, 1), dtype=tf.uint8)
    values = tf.reduce_mean(tf.cast(frames, tf.float32), (2, 3, 4))
    model = agent_export.only(tf.keras.Model(frames, {"q": values}), "q")
    signatures = agent_export.signatures(model)
    saved_models.save(folder, signatures, model, {"kind": "agent"}, (), ())


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    from tfselfsup.serving import server

    folder = tmp_path_factory.mktemp("models")
    export_colours(folder / "colours" / "1")
    export_colours(folder / "colours" / "2")
    export_brightness(folder / "brightness" / "1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    limits = server.Limits(4, 0.005, MOST_BYTES, MOST_INSTANCES)
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
