from pathlib import Path

import pytest

from tfselfsup.report import classifier_files
from tfselfsup.report.classifiers import ClassifierRun

HEADER = "data_set,part,checkpoint,corruption,strength,accuracy,auc\n"
ROWS = "dfdc,test,best,blur,0.0,0.75,0.875\ndfdc,test,last,blur,4,0.5,\n"


def scored(**changed) -> ClassifierRun:
    return ClassifierRun(Path("run"), {"data_set": "dfdc", "part": "test"} | changed)


def test_scores_on_corrupted_images_are_read(tmp_path):
    path = tmp_path / "robustness.csv"
    path.write_text(HEADER + ROWS)
    table = classifier_files.read_robustness(path)
    assert table["checkpoint"].tolist() == ["best", "last"]
    assert table["strength"].tolist() == [0.0, 4.0]
    assert table["auc"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("protocol", "accuracies"), [(None, [0.75, 0.5]), ({"checkpoint": "last"}, [0.5])]
)
def test_an_evaluation_has_the_scores_of_its_checkpoint(tmp_path, protocol, accuracies):
    (tmp_path / "robustness_on_ff_12345678.csv").write_text(HEADER + ROWS)
    (tmp_path / "robustness.csv").write_text("another's")
    file = tmp_path / "evaluation_on_ff_12345678.json"
    run = classifier_files.with_robustness(scored(protocol=protocol), file)
    assert run.robustness["accuracy"].tolist() == accuracies


def test_other_scores_are_not_an_evaluations(tmp_path):
    run = scored(protocol={"checkpoint": "only"})
    (tmp_path / "robustness.csv").write_text(HEADER + ROWS)
    assert classifier_files.with_robustness(run, tmp_path / "evaluation.json") is run
    assert classifier_files.with_robustness(run, tmp_path / "evaluation_on_ff.json") is run


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "robustness.csv is broken: No columns"),
        ("corruption,strength\nblur,1\n", "robustness.csv is broken: .* not in index"),
        (HEADER + "dfdc,test,best,blur,much,0.5,0.5\n", "robustness.csv is broken: could not"),
        (HEADER + "dfdc,test,best,blur,0,0.5,0.5\nd,test,best,blur,1,50,0.5\n", "broken: row 2"),
        (HEADER + "dfdc,test,best,blur,0,0.5,-0.5\n", "broken: row 1"),
        (HEADER + "dfdc,test,best,blur,,0.5,0.5\n", "broken: row 1"),
        (HEADER + "dfdc,test,best,../blur,0,0.5,0.5\n", "broken: row 1"),
    ],
)
def test_a_broken_table_is_refused(tmp_path, content, told):
    path = tmp_path / "robustness.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=told):
        classifier_files.read_robustness(path)


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_a_broken_evaluation_is_refused(tmp_path, content):
    path = tmp_path / "evaluation_on_ff.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match="expected a JSON object in evaluation_on_ff.json; score"):
        classifier_files.read_evaluation(path)


def test_files_are_found_by_their_names(tmp_path):
    names = ("evaluation.json", "evaluation_on_b.json", "evaluation_on_a.json", "robustness.csv")
    for name in (*names, "robustness_on_a.csv", "metrics.csv"):
        (tmp_path / name).write_text("")
    others = classifier_files.on_other_data(tmp_path)
    assert [path.name for path in others] == ["evaluation_on_a.json", "evaluation_on_b.json"]
    tables = [classifier_files.robustness_beside(path) for path in others]
    assert [path.name for path in tables] == ["robustness_on_a.csv", "robustness_on_b.csv"]
    own = classifier_files.robustness_beside(tmp_path / "evaluation.json")
    assert own == tmp_path / "robustness.csv"


ANSWERS = "source,video,label,predicted,probability\n01,v,0,0,0.25\n02,w,1,0,0.5\n"


def with_answers(tmp_path, text, **changed):
    (tmp_path / "predictions.csv").write_text(text)
    return ClassifierRun(tmp_path, {"part": "test", "accuracy": 0.5} | changed)


def test_the_answers_that_were_scored_are_read(tmp_path):
    run = classifier_files.with_predictions(with_answers(tmp_path, ANSWERS))
    assert run.predictions.to_dict("list") == {
        **{"source": ["01", "02"], "video": ["v", "w"], "label": [0, 1], "predicted": [0, 0]},
        "probability": [0.25, 0.5],
    }


def test_log_odds_come_back_to_the_last_digit(tmp_path):
    odds = [-0.1 - 0.2, 61.00000000000001]
    header, *rows = ANSWERS.split()
    text = "\n".join([f"{header},log_odds", *map("{},{!r}".format, rows, odds)])
    run = classifier_files.with_predictions(with_answers(tmp_path, text))
    assert run.predictions["log_odds"].tolist() == odds


def test_of_more_classes_any_number_from_0_on_is_a_class(tmp_path):
    run = with_answers(tmp_path, "source,video,label,predicted\na,v,9,9\nb,w,0,3\n")
    assert classifier_files.with_predictions(run).predictions["label"].tolist() == [9, 0]


@pytest.mark.parametrize("changed", [{"part": "validation"}, {"part": "all"}])
def test_answers_to_other_images_are_not_taken(changed, tmp_path):
    run = with_answers(tmp_path, ANSWERS, **changed)
    assert classifier_files.with_predictions(run).predictions is None


def test_without_answers_a_run_is_as_it_was(tmp_path):
    run = ClassifierRun(tmp_path, {"part": "test", "accuracy": 0.5})
    assert classifier_files.with_predictions(run) is run


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "predictions.csv is broken"),
        ("source,video,label\na,v,0\n", "predictions.csv is broken"),
        (ANSWERS.replace("01,v,0", "01,v,x"), "predictions.csv is broken"),
        (ANSWERS.replace("01,v,0", "01,,0"), "an answer in every row"),
        (ANSWERS.splitlines()[0], "an answer in every row"),
        (ANSWERS.replace("0.25", "1.25"), "probabilities between 0 and 1"),
        (ANSWERS.replace("02,w,1,0", "02,w,2,2"), "a label of 0 or 1 beside a probability, got 2"),
        (ANSWERS.replace("02,w,1,0", "02,w,1,2"), "a predicted of 0 or 1 beside .*, got 2"),
        (ANSWERS.replace("01,v,0", "01,v,-1"), "a label of 0 or 1 beside a probability, got -1"),
        ("source,video,label,predicted\na,v,3,-1\n", "a predicted of 0 or more, got -1"),
        (ANSWERS.replace("01,v,0", "01,v,0.5"), "predictions.csv is broken: cannot safely"),
        (ANSWERS.replace("01,v,0", "01,v," + 30 * "9"), "predictions.csv is broken: Overflow"),
        (ANSWERS.replace("02,w,1,0", "02,w,1,1"), "accuracy of 1.0000 for 0.5000; score"),
    ],
)
def test_answers_that_cannot_be_are_refused(text, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        classifier_files.with_predictions(with_answers(tmp_path, text))
