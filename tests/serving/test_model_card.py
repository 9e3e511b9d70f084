import re

import pytest

from tfselfsup.config import AgentExperiment, ClassifierExperiment, ImageDataConfig
from tfselfsup.serving import model_card

NAMES = ("accuracy", "balanced_accuracy", "auc", "eer", "average_precision", "log_loss")
DESCRIPTION = {
    "kind": "classifier",
    "model": "mobilenet",
    "weights": "imagenet",
    "stand_in": False,
    "task": "rotation",
    "labels": ["real", "fake"],
    "checkpoint": "best",
    "temperature": 1.2345,
    "side": 128,
    "channels": 3,
}
AGENT = {
    "kind": "agent",
    "model": "sequence",
    "game": "pong",
    "labels": ["NOOP", "FIRE"],
    "checkpoint": "last",
    "agent_steps": 350_004,
}
GAMES = {
    "episodes": 100,
    "mean": 17.489,
    "std": 2.904,
    "median": 18.0,
    "protocol": {"checkpoint": "last", "epsilon": 0.001, "frame_skip": 4},
    "agent_steps": 350_004,
    "finished": True,
}


def scores(first):
    """Scores that are all different, with bounds around them."""
    found = {"examples": round(1000 * first), "sources": round(500 * first)}
    for number, name in enumerate((*NAMES, "calibration_error")):
        value = first + number / 1000
        found |= {name: value, f"{name}_low": value - 0.1, f"{name}_high": value + 0.1}
    return found


def evaluation(first, **changes):
    return {
        "data_set": "dfdc",
        "part": "test",
        "protocol": {"checkpoint": "best"},
        **scores(first),
        "log_loss_uncalibrated": first + 0.05,
        "calibration_error_uncalibrated": first + 0.06,
        "videos": scores(first + 0.2),
        **changes,
    }


def files(**more):
    return {
        "inputs.json": {"data": "abc123", "data_set": "dfdc"},
        "environment.json": {
            "versions": {"tensorflow": "2.15.1", "tfselfsup": "0.1"},
            "git_revision": "v1-3-gabc",
            "command": ["/home/someone/train"],
        },
        **more,
    }


def card(description=DESCRIPTION, found=None, data=None):
    experiment = ClassifierExperiment(mode="fine_tune", seed=7, data=data or ImageDataConfig())
    found = files(**{"evaluation.json": evaluation(0.3)}) if found is None else found
    return model_card.of_classifier("faces, version 1", description, experiment, found)


def tables(text):
    """The rows of each table, by the heading above it."""
    found = {}
    for part in re.split("^### ", text, flags=re.M)[1:]:
        heading, _, rest = part.partition("\n")
        rows = [line.strip("|").split("|") for line in rest.splitlines() if line.startswith("|")]
        found[heading] = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows[2:]}
    return found


@pytest.mark.parametrize("kind", ["faces", "digits", "of_a_package"])
def test_no_placeholder_is_left_and_every_section_is_there(kind):
    split = "official" if kind == "digits" else "hard"
    text = card(data=ImageDataConfig(kind=kind, split=split))
    assert "$" not in text and "None" not in text
    sections = re.findall("^## (.*)", text, flags=re.M)
    # Those of the paper, in its order, but with training data before the analyses as in its figure.
    assert sections == [
        "Model details",
        "Intended use",
        "Factors",
        "Metrics",
        "Evaluation data",
        "Training data",
        "Quantitative analyses",
        "Ethical considerations",
        "Caveats and recommendations",
    ]
    assert all(re.split("^## .*", text, flags=re.M)[1:])


def test_the_scores_are_those_of_the_evaluation():
    (table,) = tables(card()).values()
    of, videos = evaluation(0.3), evaluation(0.3)["videos"]
    assert table["examples"] == ["300", "500"] and table["sources"] == ["150", "250"]
    titles = list(table)[2:9]
    for title, name in zip(titles, (*NAMES, "calibration_error"), strict=True):
        assert title.startswith(name.replace("_", " ")) or name in ("auc", "eer")
        assert table[title] == [
            f"{one[name]:.3f} [{one[f'{name}_low']:.3f}, {one[f'{name}_high']:.3f}]"
            for one in (of, videos)
        ]
    assert table["log loss before calibration, nats"] == ["0.350", ""]
    assert table["calibration error before calibration"] == ["0.360", ""]


def test_every_evaluation_has_a_table_and_the_own_test_part_comes_first():
    found = files(
        **{
            "evaluation_on_ff.json": evaluation(0.2, data_set="ff", part="all"),
            "evaluation.json": evaluation(0.3),
            "evaluation_validation.json": evaluation(0.4, part="validation"),
        }
    )
    text = card(found=found)
    assert [name.split(" (")[0] for name in tables(text)] == [
        "dfdc, test part",
        "ff, all part",
        "dfdc, validation part",
    ]
    assert "- ff, all images that are not of a source" in text
    assert "200 images of 100 sources" in text


def test_details_are_those_of_the_run():
    text = card()
    for line in (
        "# Model card: faces, version 1",
        "- trunk: mobilenet",
        "- weights it began with: imagenet",
        "- self-supervised task beside the classes: rotation",
        "- seed: 7",
        "- input: images, scaled to 128x128 pixels with 3 channels",
        "- made with: tfselfsup 0.1, tensorflow 2.15.1",
        "- revision of the code: v1-3-gabc",
        "- data set: dfdc",
        "- fingerprint: `abc123`",
        "- training, validation and test: 70%, 10%, 20%; as many examples of each class",
    ):
        assert line in text.splitlines()
    assert "temperature 1.234" in text or "temperature 1.235" in text
    assert "/home/someone" not in text


def test_the_limits_of_faces_are_said_plainly():
    text = card().lower()
    for limit in (
        "consent",
        "demographic imbalance",
        "compression",
        "generators not seen",
        "not evidence on its own",
    ):
        assert limit in text


def test_what_makes_scores_doubtful_is_said():
    other = evaluation(0.3, protocol={"checkpoint": "last"})
    text = card(found=files(**{"evaluation.json": other}))
    assert "scores of the last checkpoint, and this model is the best one" in text
    assert "scores of the" not in card()
    assert "random stand-in" in card({**DESCRIPTION, "stand_in": True})
    assert "too good" in card(data=ImageDataConfig(split="random"))
    assert "too good" not in card(data=ImageDataConfig(split="hard"))
    inputs = files()["inputs.json"] | {"pretrained_on_other_data": True}
    assert "may hold test images" in card(found=files(**{"inputs.json": inputs}))


def test_a_model_that_was_not_scored_says_so():
    assert card(found={"inputs.json": files()["inputs.json"]}).count("**Not scored.**") == 2
    assert "**Not scored.**" in model_card.of_agent("pong", AGENT, AgentExperiment(), {})


def test_accuracies_of_many_classes_are_listed():
    digits = evaluation(0.3, classes={"0": 0.9833, "1": 0.9697})
    (table,) = tables(card(found=files(**{"evaluation.json": digits}))).values()
    assert table["accuracy of class 0"] == ["0.983", ""]


def test_an_agent_has_a_shorter_card():
    found = files(**{"evaluation.json": GAMES})
    text = model_card.of_agent("pong, version 2", AGENT, AgentExperiment(), found)
    assert "$" not in text and "None" not in text
    assert "mean 17.49, standard deviation 2.90, median 18.00" in " ".join(text.split())
    for line in ("- game: pong", "- agent: sequence", "- epsilon: 0.001", "- frame_skip: 4"):
        assert line in text.splitlines()
    assert "NOOP, FIRE" in text and "350,004" in text
    assert "**These are scores" not in text and "not finished" not in text


def test_an_agent_s_scores_of_another_step_are_told_apart():
    early = GAMES | {"agent_steps": 1000, "finished": False}
    found = files(**{"evaluation.json": early})
    text = model_card.of_agent("pong", AGENT, AgentExperiment(), found)
    assert "scores after 1,000 agent steps" in text and "learnt for 350,004" in text
    assert "not finished when it was scored" in text


def test_of_an_official_split_only_the_shares_of_its_training_part_are_told():
    data = ImageDataConfig(kind="digits", split="official", fractions=(0.6, 0.2, 0.2))
    text = card(data=data)
    assert "25% of the training part validates; as many" in text
    assert "60%" not in text
