import json
import math

import pandas as pd
import pytest

from tests.report.scored_runs import MODEL
from tfselfsup.config import AgentExperiment
from tfselfsup.report import aggregate

EVALUATION = {
    "kind": "agent",
    "agent": "dqn",
    "task": None,
    "mode": None,
    "game": "pong",
    "seed": 0,
    "agent_steps": 1000,
    "total_steps": AgentExperiment().total_steps,
    "episodes": 2,
    "mean": 1.0,
    "std": 1.41,
    "median": 1.0,
    "scores": [0.0, 2.0],
    "protocol": {"checkpoint": "last"},
}
CLASSIFIER = {
    "kind": "classifier",
    "model": "alexnet",
    "weights": "random",
    **MODEL,
    "accuracy": 0.6,
    "accuracy_low": 0.5,
    "accuracy_high": 0.7,
    "auc": 0.6,
    "auc_low": 0.5,
    "auc_high": 0.7,
}
METRICS = "agent_steps,loss/q,evaluation_score\n100,,\n200,0.5,-3.0\n"


def made_run(path, evaluation=EVALUATION, metrics=METRICS, settings="seed: 0\n"):
    """Writes a run directory; what is None is left out, and text is written as it stands."""
    path.mkdir()
    (path / "config.yaml").write_text(settings)
    if evaluation is not None:
        text = evaluation if isinstance(evaluation, str) else json.dumps(evaluation)
        (path / "evaluation.json").write_text(text)
    if metrics is not None:
        (path / "metrics.csv").write_text(metrics)
    return path


def made_classifier(path, evaluation=CLASSIFIER):
    return made_run(path, evaluation, metrics=None, settings="mode: probe\n")


def test_a_scored_run_is_read(tmp_path):
    path = made_run(tmp_path / "run")
    (run,), left_out = aggregate.read_runs([str(path)])
    assert (run.path, run.evaluation, left_out) == (path, EVALUATION, [])
    expected = pd.DataFrame(
        {"agent_steps": [100, 200], "loss/q": [math.nan, 0.5], "evaluation_score": [math.nan, -3.0]}
    )
    pd.testing.assert_frame_equal(run.metrics, expected)


def test_an_agent_that_does_not_learn_has_no_metrics(tmp_path):
    path = made_run(tmp_path / "run", EVALUATION | {"agent": "random"}, metrics=None)
    (run,), _ = aggregate.read_runs([path])
    assert run.metrics.empty


def test_the_order_is_the_one_given(tmp_path):
    names = ["c", "a", "missing", "b", "also_missing"]
    for seed, name in enumerate("abc"):
        made_run(tmp_path / name, EVALUATION | {"seed": seed})
    runs, left_out = aggregate.read_runs(tmp_path / name for name in names)
    assert [run.evaluation["seed"] for run in runs] == [2, 0, 1]
    assert [skipped.path.name for skipped in left_out] == ["missing", "also_missing"]


def test_agents_and_classifiers_are_read_together(tmp_path):
    given = [
        made_classifier(tmp_path / "classifier"),
        made_run(tmp_path / "agent"),
        made_classifier(tmp_path / "random_split", CLASSIFIER | {"split": "random"}),
    ]
    runs, left_out = aggregate.read_runs(given)
    assert ([run.path for run in runs], left_out) == (given, [])
    classifier, agent, _ = runs
    assert classifier == aggregate.ClassifierRun(given[0], CLASSIFIER)
    assert isinstance(agent, aggregate.AgentRun)


def test_the_second_of_two_equal_classifiers_is_left_out(tmp_path):
    # Counted as a seed of its own, it would narrow nothing and still look like evidence.
    path, copy, other_seed = (
        made_classifier(tmp_path / name, CLASSIFIER | {"seed": seed})
        for name, seed in (("run", 0), ("copy", 0), ("seed", 1))
    )
    runs, left_out = aggregate.read_runs([path, copy, other_seed, path])
    assert [run.path for run in runs] == [path, other_seed]
    assert [skipped.path for skipped in left_out] == [copy, path]
    assert {skipped.reason for skipped in left_out} == {
        f"it has the model, split and seed of {path}"
    }


ON_OTHER = CLASSIFIER | {
    **{"data_set": "ff", "data_hash": "23456789", "part": "all"},
    **{"trained_on": "dfdc", "trained_on_hash": "12345678"},
}
ROBUSTNESS = "data_set,part,checkpoint,corruption,strength,accuracy,auc\n"


def test_a_classifier_is_read_with_all_that_it_was_scored_on(tmp_path):
    path = made_classifier(tmp_path / "run")
    (path / "evaluation_on_ff.json").write_text(json.dumps(ON_OTHER))
    (path / "robustness.csv").write_text(ROBUSTNESS + "dfdc,test,only,blur,0,0.75,0.5\n")
    (path / "robustness_on_ff.csv").write_text(ROBUSTNESS + "ff,all,only,blur,0,0.25,0.5\n")
    runs, left_out = aggregate.read_runs([path])
    assert [run.evaluation for run in runs] == [CLASSIFIER, ON_OTHER] and left_out == []
    assert [run.robustness["accuracy"].tolist() for run in runs] == [[0.75], [0.25]]
    assert [run.path for run in runs] == [path, path]


def test_two_data_sets_of_one_name_are_no_seeds_of_one_another(tmp_path):
    path = made_classifier(tmp_path / "run", CLASSIFIER | {"data_hash": "12345678"})
    for number, digest in enumerate(("abcdefab", "cdefabcd")):
        file = path / f"evaluation_on_dfdc_{digest}.json"
        on_other = ON_OTHER | {"data_set": "dfdc", "data_hash": digest}
        file.write_text(json.dumps(on_other | {"trained_on_hash": "12345678"}))
        table = path / f"robustness_on_dfdc_{digest}.csv"
        table.write_text(ROBUSTNESS + f"dfdc,all,only,blur,0,0.{number}5,0.5\n")
    runs, left_out = aggregate.read_runs([path])
    assert left_out == []
    assert [run.evaluation["data_set"] for run in runs] == [
        *(
            "dfdc (fingerprint 12345678)",
            "dfdc (fingerprint abcdefab)",
            "dfdc (fingerprint cdefabcd)",
        )
    ]
    assert {run.trained_on for run in runs} == {"dfdc (fingerprint 12345678)"}
    assert [run.robustness["accuracy"].tolist() for run in runs[1:]] == [[0.05], [0.15]]


def test_a_classifier_that_was_scored_on_other_data_only_is_read(tmp_path):
    path = made_classifier(tmp_path / "run", None)
    (path / "evaluation_on_ff.json").write_text(json.dumps(ON_OTHER))
    (run,), (skipped,) = aggregate.read_runs([path])
    assert run.evaluation == ON_OTHER and run.robustness is None
    assert skipped.path == path and "not been scored" in skipped.reason


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("evaluation_on_ff.json", "{", "expected a JSON object in evaluation_on_ff.json"),
        (
            "evaluation_on_ff.json",
            json.dumps(CLASSIFIER | {"part": "all"}),
            "evaluation_on_ff.json has no valid data_hash, trained_on_hash, trained_on",
        ),
        ("evaluation_on_ff.json", json.dumps(EVALUATION), "expected the evaluation of a"),
        ("robustness.csv", "corruption\n", "robustness.csv is broken: "),
    ],
)
def test_what_is_broken_beside_an_evaluation_is_named_alone(tmp_path, name, content, reason):
    path = made_classifier(tmp_path / "run")
    (path / name).write_text(content)
    (run,), (skipped,) = aggregate.read_runs([path])
    assert run.evaluation == CLASSIFIER and run.robustness is None
    assert skipped.path == path / name
    assert skipped.reason.startswith(reason) and "\n" not in skipped.reason


def test_a_row_that_was_being_written_is_passed_over(tmp_path):
    path = made_run(tmp_path / "run", metrics=METRICS + "300,0.4")
    (run,), _ = aggregate.read_runs([path])
    assert run.metrics["agent_steps"].tolist() == [100, 200]


def lacking(*names) -> dict:
    return {name: value for name, value in EVALUATION.items() if name not in names}


@pytest.mark.parametrize(
    ("evaluation", "metrics", "reason"),
    [
        pytest.param(None, METRICS, "not been scored", id="unfinished"),
        pytest.param("{", METRICS, "JSON object", id="torn"),
        pytest.param("[1]", METRICS, "JSON object", id="a list"),
        pytest.param(
            {"kind": "poem"}, None, "a classifier or probes, got 'poem'", id="another kind"
        ),
        pytest.param({"kind": ["agent"]}, None, "probes, got ['agent']", id="a list of kinds"),
        pytest.param(
            {"kind": "classifier", "model": "alexnet"}, None, "weights", id="half a classifier"
        ),
        pytest.param(lacking("scores"), METRICS, "scores", id="no scores"),
        pytest.param(lacking("game", "seed"), METRICS, "game, seed", id="no game, no seed"),
        # Drawn as a line for an agent without a learning curve.
        pytest.param(lacking("mean"), None, "mean", id="no mean"),
        pytest.param(EVALUATION, "agent_steps,loss/q\n100,x\n", "metrics.csv", id="words in a row"),
        pytest.param(EVALUATION, "agent_steps,loss/q\n1,2,3\n", "metrics.csv", id="too many cells"),
        pytest.param(EVALUATION, "evaluation_score\n1\n", "metrics.csv", id="no step in a row"),
    ],
)
def test_a_run_that_cannot_be_reported_is_left_out_with_a_reason(
    evaluation, metrics, reason, tmp_path
):
    broken = made_run(tmp_path / "broken", evaluation, metrics)
    good = made_run(tmp_path / "good")
    runs, (skipped,) = aggregate.read_runs([broken, good])
    assert [run.path for run in runs] == [good]
    assert skipped.path == broken
    assert reason in skipped.reason and "\n" not in skipped.reason


def test_metrics_that_are_no_text_are_named(tmp_path):
    broken = made_run(tmp_path / "broken")
    (broken / "metrics.csv").write_bytes(b"\xff\xfe")
    _, (skipped,) = aggregate.read_runs([broken])
    assert skipped.reason.startswith("metrics.csv is broken: ")


def test_what_is_no_run_directory_is_left_out_with_a_reason(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    paths = [tmp_path / "empty", tmp_path / "file", tmp_path / "nothing"]
    runs, left_out = aggregate.read_runs(paths)
    assert runs == [] and [skipped.path for skipped in left_out] == paths
    assert all("config.yaml" in skipped.reason for skipped in left_out)


def test_an_agents_score_beside_a_classifiers_settings_is_left_out(tmp_path):
    path = made_run(tmp_path / "run")
    (path / "config.yaml").write_text("encoder:\n  trunk: mobilenet\n")
    runs, (skipped,) = aggregate.read_runs([path])
    assert runs == [] and "AgentExperiment" in skipped.reason


def test_the_second_of_two_agents_that_differ_in_nothing_is_left_out(tmp_path):
    made_run(tmp_path / "a")
    for name, changed in (("copy", {}), ("seed", {"seed": 1}), ("game", {"game": "breakout"})):
        made_run(tmp_path / name, EVALUATION | changed)
    runs, (left_out,) = aggregate.read_runs(sorted(tmp_path.iterdir()))
    assert [run.path.name for run in runs] == ["a", "game", "seed"]
    assert left_out.path.name == "copy"
    assert left_out.reason == f"it has the settings, game and seed of {tmp_path / 'a'}"


def test_a_pre_training_is_said_to_have_no_score(tmp_path):
    path = made_run(tmp_path / "run", evaluation=None)
    (path / "config.yaml").write_text("mode: pretrain\ntraining: {tasks: [{name: rotation}]}\n")
    _, (left_out,) = aggregate.read_runs([path])
    assert left_out.reason.startswith("it is a pre-training, which has no score")


def test_broken_answers_are_listed_and_the_scores_reported(tmp_path):
    path = made_classifier(tmp_path / "run")
    (path / "predictions.csv").write_text("source\n")
    (run,), (left_out,) = aggregate.read_runs([path])
    assert run.predictions is None
    assert "predictions.csv is broken" in left_out.reason


def test_a_classifiers_score_beside_an_agents_settings_is_left_out(tmp_path):
    path = made_classifier(tmp_path / "run")
    (path / "config.yaml").write_text("environment: {game: pong}\n")
    runs, (left_out,) = aggregate.read_runs([path])
    assert runs == [] and "ClassifierExperiment" in left_out.reason


def test_a_classifier_with_broken_settings_is_left_out(tmp_path):
    path = made_classifier(tmp_path / "run")
    (path / "config.yaml").write_text("mode: no_such_mode\n")
    runs, (left_out,) = aggregate.read_runs([path])
    assert runs == [] and "no_such_mode" in left_out.reason
