import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.report.scored_runs import MODEL
from tfselfsup.config import AgentExperiment
from tfselfsup.programs import report

ROOT = Path(__file__).resolve().parents[2]
# Two short evaluations of a learning agent.
CURVE = "agent_steps,evaluation_score\n500,-21.0\n1000,-20.0\n"


def made_run(path, agent, scores, *, game="pong", seed=0, steps=1000, metrics=CURVE):
    """Writes the run directory of a scored agent."""
    path.mkdir()
    (path / "config.yaml").write_text(f"seed: {seed}\n")
    if metrics:
        (path / "metrics.csv").write_text(metrics)
    evaluation = {
        "kind": "agent",
        "agent": agent,
        "task": None,
        "mode": None,
        "game": game,
        "seed": seed,
        "agent_steps": steps,
        "total_steps": AgentExperiment().total_steps,  # as config.yaml has them
        "episodes": len(scores),
        "mean": sum(scores) / len(scores),
        "std": 0.0,
        "median": 0.0,
        "scores": scores,
        "protocol": {},
    }
    (path / "evaluation.json").write_text(json.dumps(evaluation))
    return path


def made_classifier(path, model, accuracy, **others):
    """Writes the run directory of a scored classifier."""
    path.mkdir()
    (path / "config.yaml").write_text("mode: probe\n")
    scores = {}
    for name in ("accuracy", "auc"):
        scores |= {
            name: accuracy,
            f"{name}_low": accuracy - 0.125,
            f"{name}_high": accuracy + 0.125,
        }
    evaluation = {
        "kind": "classifier",
        "model": model,
        "weights": "random",
        **MODEL,
    }
    (path / "evaluation.json").write_text(json.dumps(evaluation | scores | others))
    return path


@pytest.fixture
def classifiers(tmp_path):
    """A trunk on both splits of one data set and on another, and a network for digits."""
    official = {"data_set": "usps", "split": "official", "classes": {"0": 0.5, "1": 1.0}}
    return [
        made_classifier(tmp_path / "hard", "resnet50", 0.5),
        made_classifier(tmp_path / "random_split", "resnet50", 0.75, split="random"),
        made_classifier(tmp_path / "digits", "two_layer_cnn", 0.75, **official),
        made_classifier(tmp_path / "elsewhere", "resnet50", 0.625, data_set="faceforensics"),
    ]


@pytest.fixture
def runs(tmp_path):
    """Two games, and in one of them two seeds and an agent that does not learn."""
    return [
        made_run(tmp_path / "dqn_0", "dqn", [1.0, 3.0]),
        made_run(tmp_path / "dqn_1", "dqn", [5.0, 7.0], seed=1),
        made_run(tmp_path / "random", "random", [-21.0, -20.0], steps=0, metrics=""),
        made_run(tmp_path / "breakout", "sequence", [12.0, 16.0], game="breakout"),
    ]


def run_here(*arguments) -> int:
    try:
        report.main([*map(str, arguments)])
    except SystemExit as ended:
        return ended.code or 0
    return 0


def told_of_page(out) -> str:
    return f"page: {out}/index.html\n"


def files_of(out) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}


def tables(*names) -> set[str]:
    return {f"tables/{name}.{ending}" for name in names for ending in ("md", "csv", "tex")}


def figures(*names) -> set[str]:
    return {f"figures/{name}.{ending}" for name in names for ending in ("png", "svg")}


def test_a_report_has_a_table_and_curves_for_each_game(runs, tmp_path, capsys):
    out = tmp_path / "a" / "report"
    assert run_here(*runs, "--out", out) == 0
    games = ("pong", "breakout")
    assert {"report.md", "index.html"} | tables(*games) <= files_of(out)
    assert figures(*(f"{game}_over_agent_steps" for game in games)) <= files_of(out)
    captured = capsys.readouterr()
    assert captured.err == told_of_page(out)
    text = (out / "report.md").read_text()
    assert captured.out == text
    _, _, of_pong = text.partition("## Pong\n")
    # Seeds' means 2 and 6; the four games' deviations -3, -1, 1 and 3 give sqrt(20 / 3).
    assert "| dqn          |       20.00 |       4.00 |" in of_pong
    assert "](<figures/pong_over_agent_steps.png>)" in of_pong
    assert (out / "tables" / "pong.md").read_text() in text
    latex = (out / "tables" / "pong.tex").read_text()
    assert latex.startswith("\\begin{tabular}{lr") and "\\toprule" in latex


def test_the_csv_table_has_the_exact_figures(runs, tmp_path):
    run_here(*runs, "--out", tmp_path / "report")
    with (tmp_path / "report" / "tables" / "pong.csv").open() as file:
        rows = {row["agent"]: row for row in csv.DictReader(file)}
    dqn = {name: float(value) for name, value in rows["dqn"].items() if name != "agent" and value}
    assert dqn == {
        "published": 20.0,
        "measured": 4.0,
        "difference": -16.0,
        "std": pytest.approx((20 / 3) ** 0.5),
        "games": 4,
        "seeds": 2,
        "agent steps": 1000,
    }
    assert rows["human"] == {"agent": "human", "published": "-3.0"} | dict.fromkeys(
        ("measured", "difference", "std", "games", "seeds", "agent steps", "hours"), ""
    )


def test_what_cannot_be_reported_is_named_and_the_rest_is_reported(runs, tmp_path, capsys):
    unfinished = made_run(tmp_path / "unfinished", "dqn", [1.0], seed=2)
    (unfinished / "evaluation.json").unlink()
    (tmp_path / "foreign").mkdir()
    given = [runs[0], unfinished, tmp_path / "foreign", tmp_path / "nothing"]
    assert run_here(*given, "--out", tmp_path / "report") == 0
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert len(lines) == 4
    for line, path in zip(lines[:3], given[1:], strict=True):
        assert line.startswith(f"left out: {path}: ")
    assert "evaluate_agent" in lines[0]
    assert "| 2.00 | -18.00 | 1.41 | 2 | 1 |" in " ".join(captured.out.split())


@pytest.fixture
def elsewhere(tmp_path):
    """A trunk that was scored on another data set, too, and on corrupted images of both."""
    path = made_classifier(tmp_path / "both", "resnet50", 0.5)
    other = made_classifier(
        *(tmp_path / "other", "resnet50", 0.25),
        **{"data_set": "ff/c40", "data_hash": "2", "part": "all"},
        **{"trained_on": "dfdc", "trained_on_hash": "1"},
    )
    (other / "evaluation.json").rename(path / "evaluation_on_ff_c40.json")
    header = "data_set,part,checkpoint,corruption,strength,accuracy,auc\n"
    for name, of in (("robustness", "dfdc,test"), ("robustness_on_ff_c40", "ff/c40,all")):
        rows = "".join(
            f"{of},only,{corruption},{strength},0.5,0.5\n"
            for corruption in ("jpeg", "blur")
            for strength in (1, 2)
        )
        (path / f"{name}.csv").write_text(header + rows)
    return path


def test_classifiers_have_a_table_of_other_data_and_figures_of_corrupted_images(
    elsewhere, tmp_path, capsys
):
    out = tmp_path / "report"
    assert run_here(elsewhere, "--out", out) == 0
    assert capsys.readouterr().err == told_of_page(out)
    drawn = [
        f"{name}_{corruption}" for name in ("dfdc", "ff_c40") for corruption in ("jpeg", "blur")
    ]
    assert figures(*drawn) | tables("dfdc_accuracy", "dfdc_on_hard", "on_other_data") <= files_of(
        out
    )
    text = (out / "report.md").read_text()
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    places = [headings.index(f"## {one}") for one in ("dfdc", "On other data", "Corrupted images")]
    assert places == sorted(places)
    _, _, corrupted = text.partition("## Corrupted images\n\n")
    links = [line.partition("](<")[2] for line in corrupted.splitlines() if "](<" in line]
    assert links == [f"figures/{name}.png>)" for name in drawn]
    with (out / "tables" / "on_other_data.csv").open() as file:
        rows = [
            (row["trained_on"], row["tested_on"], float(row["accuracy"]))
            for row in csv.DictReader(file)
        ]
    assert rows == [("dfdc", "dfdc", 50.0), ("dfdc", "ff/c40", 25.0)]


def test_classifiers_have_a_table_for_each_data_set(classifiers, tmp_path, capsys):
    out = tmp_path / "report"
    assert run_here(*classifiers, "--out", out) == 0
    accuracies = tables(*(f"{name}_accuracy" for name in ("dfdc", "usps", "faceforensics")))
    assert accuracies | tables("dfdc_on_hard", "usps_by_class") <= files_of(out)
    captured = capsys.readouterr()
    text = (out / "report.md").read_text()
    assert (captured.out, captured.err) == (text, told_of_page(out))
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    places = [headings.index(f"## {one}") for one in ("dfdc", "usps", "faceforensics")]
    assert places == sorted(places)
    row = "| 50.0 (95%: 37.5 to 62.5) | -6.2 | 25.0 |"
    assert row in " ".join(text.split())


def test_the_csv_tables_of_classifiers_have_the_exact_figures(classifiers, tmp_path):
    run_here(*classifiers, "--out", tmp_path / "report")
    rows = {}
    for name in ("dfdc", "faceforensics"):
        with (tmp_path / "report" / "tables" / f"{name}_accuracy.csv").open() as file:
            rows |= {(name, row["model"], row["weights"]): row for row in csv.DictReader(file)}
    row = rows["dfdc", "resnet50", "random"]
    names = (
        "published_hard",
        "random",
        "hard",
        "hard_low",
        "hard_high",
        "random_minus_hard",
        "auc_hard",
    )
    assert [float(row[name]) for name in names] == [56.2, 75.0, 50.0, 37.5, 62.5, 25.0, 0.5]
    assert (row["hard_interval"], row["hard_seeds"], row["stand_in"]) == (
        *("95% bootstrap", "1", "False"),
    )
    assert float(rows["faceforensics", "resnet50", "random"]["hard"]) == 62.5
    assert rows["dfdc", "alexnet", "imagenet"]["note"] == "no run"
    with (tmp_path / "report" / "tables" / "usps_by_class.csv").open() as file:
        (digits,) = csv.DictReader(file)
    assert (digits["0"], digits["1"]) == ("50.0", "100.0")


def test_agents_and_classifiers_are_reported_together(runs, classifiers, tmp_path, capsys):
    out = tmp_path / "report"
    half = made_classifier(tmp_path / "half", "alexnet", 0.5, split=None)
    given = [classifiers[0], runs[0], half, classifiers[1], runs[2]]
    assert run_here(*given, "--out", out) == 0
    captured = capsys.readouterr()
    left_out = f"left out: {half}: evaluation.json has no valid split\n"
    assert captured.err == left_out + told_of_page(out)
    assert "## Pong\n" in captured.out and "## dfdc\n" in captured.out
    assert f"## Left out\n\n- {half}: evaluation.json has no valid split\n" in captured.out
    assert not tables("dfdc_by_class") & files_of(out)


def test_nothing_to_report_is_a_mistake(tmp_path, capsys):
    assert run_here(tmp_path / "nothing", "--out", tmp_path / "report") == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and "at least one run directory that was scored" in lines[1]
    assert not (tmp_path / "report").exists()


def test_notes_are_added_to_their_section(runs, tmp_path, capsys):
    notes = tmp_path / "notes.md"
    notes.write_text("## Pong\n\nSaid by a person.\n")
    assert run_here(runs[0], "--out", tmp_path / "report", "--notes", notes) == 0
    assert "\n\nSaid by a person.\n\n" in (tmp_path / "report" / "report.md").read_text()
    capsys.readouterr()
    notes.write_text("## Qbert\n\nNever played.\n")
    assert run_here(runs[0], "--out", tmp_path / "report", "--notes", notes) == 2
    errors = capsys.readouterr().err
    assert "got Qbert; change the heading" in errors and errors.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--out", "out"), "run_dirs"),
        (("run",), "out"),
        (("run", "--out", "out", "--html"), "--html"),
    ],
)
def test_a_bad_command_is_one_line(given, told, capsys):
    assert run_here(*given) == 2
    errors = capsys.readouterr().err
    assert told in errors and errors.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_one_line(runs, tmp_path, capsys):
    (tmp_path / "report").write_text("a file")
    assert run_here(*runs, "--out", tmp_path / "report") == 2
    errors = capsys.readouterr().err
    assert ": error: " in errors and errors.count("\n") == 1


def test_a_report_is_written_anew(runs, tmp_path):
    out = tmp_path / "report"
    run_here(*runs, "--out", out)
    first = {name: (out / name).read_bytes() for name in files_of(out)}
    made_run(tmp_path / "dqn_2", "dqn", [100.0], seed=2)
    run_here(*runs, tmp_path / "dqn_2", "--out", out)
    second = {name: (out / name).read_bytes() for name in files_of(out)}
    assert second.keys() == first.keys()
    for name in ("report.md", "tables/pong.csv", "figures/pong_over_agent_steps.png"):
        assert second[name] != first[name]
    assert second["tables/breakout.csv"] == first["tables/breakout.csv"]


def test_a_report_imports_no_tensorflow(runs, classifiers, elsewhere, tmp_path):
    given = [*runs, *classifiers[1:], elsewhere]
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for package in ("tensorflow", "tf_agents", "keras", "ale_py"):
        (blocked / f"{package}.py").write_text(f"raise SystemExit('imports {package}')\n")
    finished = subprocess.run(
        [
            sys.executable,
            ROOT / "bin" / "report",
            *given,
            "--out",
            tmp_path / "report",
        ],
        env=os.environ | {"PYTHONPATH": str(blocked)},
        capture_output=True,
        text=True,
    )
    assert (finished.returncode, finished.stderr) == (0, told_of_page(tmp_path / "report"))
    assert finished.stdout == (tmp_path / "report" / "report.md").read_text()
