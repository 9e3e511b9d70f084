import pytest

from tests.serving import exported
from tfselfsup.benchmarks import served_models
from tfselfsup.benchmarks.served_models import Measured, ServingLoad
from tfselfsup.serving import payloads, served_model
from tfselfsup.serving.load import Answer
from tfselfsup.serving.payloads import Refused

COUNT = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "colours" / "1"
    exported.colours(folder)
    return folder


@pytest.fixture
def served(folder, monkeypatch):
    """Answers as a server would, in this process, after a change of the answers to all requests."""
    model = served_model.load(folder)

    def answered(body):
        try:
            (answer,) = model.answer([model.of_file(body.content)])
        except Refused as refused:
            return Answer(refused.status, {"error": refused.reason}, 0.5)
        return Answer(200, {"predictions": [{"logits": answer["logits"].tolist()}]}, 0.25)

    def serve(change=list):
        monkeypatch.setattr(
            served_models.load,
            "ask",
            # Before these, a few are sent whose answers do not matter.
            lambda url, bodies, clients: (
                (change if len(bodies) == COUNT else list)(map(answered, bodies)),
                2.0,
            ),
        )

    return serve


@pytest.fixture
def load(folder):
    load = ServingLoad(folder, COUNT)
    load.directly(1)
    return load


def good(answers):
    """The numbers of those that are no refusal."""
    return [number for number, answer in enumerate(answers) if answer.status == 200]


def test_answers_that_are_all_right_are_counted_as_such(load, served):
    served()
    found = load.over_http("http://localhost/v1/models/colours:predict", 8)
    assert (found.refused, found.lost, found.mixed_up) == (4, 0, 0)
    assert found.latencies == 36 * (0.25,) and found.seconds == 2.0
    assert found.row("so") == {
        "asked": "so",
        "images/s": "18.0",
        "median, ms": "250.0",
        "95th percentile, ms": "250.0",
        "refused": "4",
        "lost": "0",
        "mixed up": "0",
    }
    # All can be told apart.
    assert load.apart() > 10 * found.deviation


def test_answers_that_went_to_another_are_found(load, served):
    def swapped(answers):
        answers = list(answers)
        one, other, *_ = good(answers)
        answers[one], answers[other] = answers[other], answers[one]
        return answers

    served(swapped)
    found = load.over_http("http://localhost", 1)
    assert (found.refused, found.lost, found.mixed_up) == (4, 0, 2)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(0, {}, 1.0),
        Answer(500, {}, 1.0),
        Answer(400, {"error": "no image"}, 1.0),
        Answer(200, {"predictions": []}, 1.0),
        Answer(200, {"predictions": 2 * [{"logits": [0, 0]}]}, 1.0),
    ],
)
def test_a_good_request_without_its_answer_is_lost(load, served, answer):
    def spoiled(answers):
        answers = list(answers)
        answers[good(answers)[-1]] = answer
        return answers

    served(spoiled)
    found = load.over_http("http://localhost", 1)
    assert (found.refused, found.lost, found.mixed_up) == (4, 1, 0)
    assert len(found.latencies) == 35


@pytest.mark.parametrize("answer", [Answer(0, {}, 1.0), Answer(200, {"predictions": [1]}, 1.0)])
def test_a_malformed_request_without_a_reason_is_lost(load, served, answer):
    served(lambda answers: [one if one.status == 200 else answer for one in answers])
    found = load.over_http("http://localhost", 1)
    assert (found.refused, found.lost, found.mixed_up) == (0, 4, 0)


def test_one_request_in_ten_is_malformed_in_some_way(load, folder):
    reasons = []
    for body in load.bodies:
        try:
            payloads.decoded_image(body.content, exported.SIDE, 3)
        except Refused as refused:
            reasons.append(refused.reason)
    assert len(reasons) == 4
    assert [body.content for body in ServingLoad(folder, COUNT).bodies] == [
        body.content for body in load.bodies
    ]


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_direct_answers_do_not_depend_on_the_batch(load, batch_size):
    found = load.directly(batch_size)
    assert (found.lost, found.mixed_up) == (0, 0) and found.deviation < 1e-5
    assert len(found.latencies) == 36 and found.seconds > 0
    assert found.seconds <= sum(found.latencies) + 1e-9


def test_nothing_answered_is_a_row_too():
    assert Measured(1.0, (), lost=3).row("so")["median, ms"] == "nan"


def test_an_agent_is_refused(tmp_path):
    folder = tmp_path / "brightness" / "1"
    exported.brightness(folder)
    with pytest.raises(ValueError, match="expected a classifier"):
        ServingLoad(folder, COUNT)
