from pathlib import Path

from tfselfsup.report import classifier_rows, published
from tfselfsup.report.classifiers import ClassifierRun


def scored(**changed) -> ClassifierRun:
    evaluation = {
        "model": "mobilenet",
        "weights": "imagenet",
        "stand_in": False,
        "task": None,
        "part": "test",
        "protocol": {"mode": "probe", "solver": "lbfgs"},
    }
    return ClassifierRun(Path("run"), evaluation | changed)


def row(weights, settings, *, mode="probe", model="mobilenet", stand_in=False) -> dict:
    names = {"model": model, "task": None, "weights": weights, "settings": settings}
    return names | {"mode": mode, "stand_in": stand_in}


def test_only_settings_that_differ_are_named():
    runs = [
        scored(),
        scored(protocol={"mode": "probe", "solver": "adam", "side": 96}),
    ]
    names = [classifier_rows.name_of(classifier_rows.of_run(run, runs)) for run in runs]
    assert names == ["mobilenet, solver lbfgs", "mobilenet, solver adam, side 96"]
    assert classifier_rows.of_run(runs[1], runs, passed_over=["side"])["settings"] == "solver adam"
    assert classifier_rows.of_run(runs[1], runs[1:])["settings"] == ""


def test_a_pre_training_is_a_note_and_no_setting():
    protocol = {"mode": "probe", "pretrained_on_other_data": True}
    runs = [scored(protocol=protocol), scored(protocol={"mode": "probe"})]
    rows = [classifier_rows.of_run(run, runs) for run in runs]
    assert [one["settings"] for one in rows] == ["", ""]
    assert [one["note"] for one in rows] == ["pre-trained on other data, split or seed", None]


def test_what_does_not_say_its_mode_is_taken_for_the_studys():
    assert classifier_rows.mode(scored(protocol=None), published.FACES) == "probe"
    assert classifier_rows.mode(scored(protocol={}), published.DIGITS) == "fine_tune"


def test_settings_with_a_random_initialisation_come_first():
    rows = [
        row("imagenet", "epochs 10"),
        row("imagenet", "solver adam"),
        row("random", "epochs 30"),
        row("random", "solver adam"),
        row("random", "", mode="fine_tune"),
        row("imagenet", "", model="alexnet"),
    ]
    ordered = classifier_rows.together(rows, published.FACES)
    assert [rows.index(one) for one in ordered] == [5, 2, 3, 1, 0, 4]


def test_what_has_no_run_stands_at_the_beginning_of_its_mode():
    missing = row("random", "mode fine_tune", mode="fine_tune")
    del missing["stand_in"]
    rows = [row("imagenet", "a"), row("imagenet", "b", mode="fine_tune"), missing]
    ordered = classifier_rows.together(rows, published.FACES)
    assert [rows.index(one) for one in ordered] == [0, 2, 1]
