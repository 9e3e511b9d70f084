import json
import re
import shutil
import types

import numpy as np
import pandas as pd
import pytest

from tests.programs.conftest import refused
from tfselfsup.datasets import forged_faces, splices
from tfselfsup.datasets.loading import FaceData
from tfselfsup.programs import evaluate_classifier
from tfselfsup.report import classifiers

pytestmark = pytest.mark.usefixtures("one_tensorflow")


def score(run, *arguments):
    evaluate_classifier.main([str(run.path), *map(str, arguments)])
    return run.evaluation()


def test_a_report_accepts_what_is_written(train):
    assert classifiers.invalid_fields(score(train())) == []


def test_the_validation_part_is_another_part(train):
    run = train(data__fractions="[0.5, 0.25, 0.25]")
    test = score(run)
    assert score(run, "--part", "validation") == test  # which stays as it was
    validation = json.loads((run.path / "evaluation_validation.json").read_text())
    assert (test["part"], validation["part"]) == ("test", "validation")
    assert test["auc"] != validation["auc"]
    # The temperature was fitted there: no other has a lower loss.
    assert validation["log_loss"] <= validation["log_loss_uncalibrated"] + 1e-9


def test_of_the_data_that_was_learnt_from_only_the_test_part_is_scored(train, faces, capsys):
    run = train(data__balance="false")
    own = score(run)
    printed = score_on(run, faces, capsys)
    assert "were learnt from" in printed
    assert run.evaluation() == own  # stays as it was
    (path,) = run.path.glob("evaluation_on_*.json")
    other = json.loads(path.read_text())
    assert other["part"] == "all"
    for name in ("examples", "accuracy", "auc", "log_loss", "temperature"):
        assert other[name] == own[name]


def other_data(tmp_path):
    """Makes splices that are called by another name."""
    folder = tmp_path / "other"
    splices.write(folder, count=40, side=32, seed=5)
    for path in (folder / "manifests").iterdir():
        path.write_text(path.read_text().replace('"splices"', '"others"'))
    forged_faces.build(folder)
    return folder


def test_a_classifier_is_scored_on_data_it_has_never_seen(train, tmp_path, capsys):
    folder = other_data(tmp_path)
    run = train()
    assert "0 of 40 images are left out" in score_on(run, folder, capsys)
    (path,) = run.path.glob("evaluation_on_*.json")
    evaluation, inputs = json.loads(path.read_text()), run.inputs()
    assert path.name == f"evaluation_on_others_{evaluation['data_hash'][:8]}.json"
    assert (evaluation["trained_on"], evaluation["trained_on_hash"]) == (
        *("splices", inputs["data"]),
    )
    assert evaluation["data_hash"] != inputs["data"]


def test_the_name_of_a_source_that_was_learnt_from_is_warned_of(train, tmp_path, capsys):
    folder = other_data(tmp_path)
    run = train()
    evaluate_classifier.main([str(run.path), "--data", str(folder)])
    assert "images have the source id of one that was learnt from" in capsys.readouterr().err
    for path in (folder / "manifests").iterdir():
        path.write_text(path.read_text().replace('"source_id": "', '"source_id": "other_'))
    forged_faces.build(folder)
    evaluate_classifier.main([str(run.path), "--data", str(folder)])
    assert "source id" not in capsys.readouterr().err


def test_a_corrected_source_is_another_data_set(train, faces, tmp_path, capsys):
    # The split goes by it: images that were learnt from may now be among those to score.
    folder = tmp_path / "corrected"
    shutil.copytree(faces, folder)
    run = train(data__path=folder)
    first, *_ = sorted((folder / "manifests").iterdir())
    text = first.read_text()
    source = re.search('"source_id": "([^"]+)"', text)[0]
    first.write_text(text.replace(source, '"source_id": "another"'))
    forged_faces.build(folder)
    assert "was made from other data" in refused(lambda: score(run), capsys)


def test_grey_images_are_not_corrupted(train, capsys, monkeypatch):
    run = train()
    monkeypatch.setattr(FaceData, "channels", 1)
    assert "in colour" in refused(lambda: score(run, "--robustness"), capsys)
    assert run.evaluation() is None


def test_predictions_belong_to_the_scores(train):
    run = train()
    evaluation = score(run)
    table = pd.read_csv(run.path / "predictions.csv")
    assert len(table) == evaluation["examples"]
    assert table["source"].nunique() == evaluation["sources"]
    right = table["label"] == table["predicted"]
    assert right.mean() == pytest.approx(evaluation["accuracy"])
    assert ((table["probability"] > 0.5) == table["predicted"]).all()


def test_robustness_begins_with_the_images_as_they_are(train):
    run = train()
    evaluation = score(run, "--robustness")
    table = pd.read_csv(run.path / "robustness.csv")
    assert set(table["corruption"]) == {"jpeg", "rescaling", "blur", "noise"}
    assert set(table["data_set"]) == {"splices"} and set(table["checkpoint"]) == {"only"}
    clean = table[(table["corruption"] != "jpeg")].groupby("corruption", sort=False).first()
    np.testing.assert_allclose(clean["accuracy"], evaluation["accuracy"], atol=1e-9)
    np.testing.assert_allclose(clean["auc"], evaluation["auc"], atol=1e-6)


def test_fewer_resamples_change_the_intervals_only(train):
    run = train(data__split="random")
    one, other = score(run), score(run, "--resamples", 20)
    assert one["auc"] == other["auc"] and one["auc_low"] != other["auc_low"]


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (("--part", "train"), "validation"),
        (("--resamples", "0"), "resamples"),
        (("--data", "nowhere"), "bin/prepare_faces"),
        (("--checkpoint", "first"), "best"),
        (("--checkpoint", "last"), "but one"),
        (("--data", "other", "--part", "validation"), "both"),
    ],
)
def test_a_mistake_is_one_line(train, capsys, arguments, expected):
    run = train()
    assert expected in refused(lambda: score(run, *arguments), capsys)
    assert run.evaluation() is None


def test_a_folder_without_a_classifier_is_refused(tmp_path, capsys):
    message = refused(lambda: evaluate_classifier.main([str(tmp_path)]), capsys)
    assert "config.yaml" in message


def test_an_unfinished_training_is_refused(train, capsys):
    run = train()
    (run.path / "calibration.json").unlink()
    assert "train the classifier to its end" in refused(lambda: score(run), capsys)


def score_on(run, data, capsys):
    capsys.readouterr()
    evaluate_classifier.main([str(run.path), "--data", str(data)])
    return capsys.readouterr().out


def test_what_was_learnt_from_is_found_among_many_classes_and_without_donors():
    learnt, other = (
        pd.DataFrame(
            {
                "example_id": ["a", "b", "c"],
                "data_set": "mine",
                "video_id": videos,
                "source_id": videos,
                "actor": "",
                "label": [0, 1, 2],
                "sha256": hashes,
                **more,
            }
        )
        for videos, hashes, more in (
            (["1", "2", "3"], ["x", "y", "z"], {}),
            (["3", "4", "5"], ["u", "v", "x"], {"donor": ""}),
        )
    )
    found = evaluate_classifier._is_learnt(learnt, types.SimpleNamespace(index=other))
    # The first has the source of one that was learnt from, and the last is the same image.
    assert found.tolist() == [True, False, True]
