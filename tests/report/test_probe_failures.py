import json
from pathlib import Path

import pytest

from tfselfsup.report import aggregate, contents, probe_failures
from tfselfsup.report.probe_failures import ProbeFailures

ADAM = {
    **{"probe": "adam", "scale": 1000.0, "runs": 20, "diverged": 20, "at_chance": 3, "failed": 20},
    **{"accuracy": 0.597, "lowest": 0.5791, "highest": 0.617},
}
NOT_FINITE = ADAM | {"probe": "lbfgs", "accuracy": None, "lowest": None, "highest": None}
COUNTED = {
    "kind": "probes",
    "model": "mobilenet",
    "weights": "imagenet",
    "stand_in": False,
    "data_set": "dfdc",
    "data_hash": "12345678",
    "split": "hard",
    "probes": [ADAM, NOT_FINITE],
}


def test_counts_are_valid():
    assert probe_failures.invalid_fields(COUNTED) == []


@pytest.mark.parametrize(
    "probes",
    [
        [],
        {},
        [3],
        [ADAM | {"failed": -1}],
        [ADAM | {"accuracy": 59.7}],
        [ADAM, {"probe": "adam"}],
    ],
)
def test_counts_that_cannot_be_are_named(probes):
    assert probe_failures.invalid_fields(COUNTED | {"probes": probes}) == ["probes"]


def test_what_lacks_its_encoder_is_named():
    assert probe_failures.invalid_fields({"probes": [ADAM]}) == [
        *("model", "weights", "data_set", "split", "stand_in")
    ]


def test_the_table_has_a_row_for_each_probe_and_scale():
    other = COUNTED | {"weights": "random", "probes": [ADAM | {"scale": 0.001}]}
    counted = [ProbeFailures(Path("a"), COUNTED), ProbeFailures(Path("b"), other)]
    (section,) = probe_failures.sections(counted)
    (table,) = section.items
    shown = table.frame.to_dict("records")
    assert shown[0] == {
        **{"data set": "dfdc", "model": "mobilenet", "weights": "imagenet"},
        **{"split": "hard", "probe": "adam", "scale": "1000", "runs": "20", "diverged": "20"},
        **{"at chance": "3", "failed": "20", "accuracy": "59.7", "lowest": "57.9"},
        "highest": "61.7",
    }
    assert [shown[1][name] for name in ("accuracy", "lowest", "highest")] == ["", "", ""]
    assert (shown[2]["weights"], shown[2]["scale"]) == ("random", "0.001")
    stand_in = ProbeFailures(Path("c"), COUNTED | {"stand_in": True})
    (section,) = probe_failures.sections([*counted, stand_in])
    assert section.items[0].frame["stand in"].tolist() == [*3 * ["False"], *2 * ["True"]]
    assert table.exact.loc[0, "lowest"] == 0.5791


def test_a_row_may_be_without_an_accuracy():
    row = {name: value for name, value in ADAM.items() if name != "accuracy"}
    counted = COUNTED | {"probes": [row]}
    assert probe_failures.invalid_fields(counted) == []
    (section,) = probe_failures.sections([ProbeFailures(Path("a"), counted)])
    assert section.items[0].frame["accuracy"].tolist() == [""]


def test_data_sets_of_one_name_are_told_apart(tmp_path):
    other = COUNTED | {"data_hash": "abcdefabcd"}
    folders = [made_run(tmp_path / "a", COUNTED), made_run(tmp_path / "b", other)]
    runs, left_out = aggregate.read_runs(folders)
    assert left_out == []
    assert [run.evaluation["data_set"] for run in runs] == [
        "dfdc (fingerprint 12345678)",
        "dfdc (fingerprint abcdefab)",
    ]


def test_counts_beside_broken_settings_are_left_out(tmp_path):
    path = made_run(tmp_path / "run", COUNTED)
    (path / "config.yaml").write_text("mode: no_such_mode\n")
    runs, (left_out,) = aggregate.read_runs([path])
    assert runs == [] and "no_such_mode" in left_out.reason


def test_without_probes_there_is_no_section():
    assert probe_failures.sections([]) == []


def made_run(path, content):
    path.mkdir()
    (path / "config.yaml").write_text("mode: probe\n")
    (path / "environment.json").write_text('{"python": "3.11"}')
    (path / "evaluation.json").write_text(json.dumps(content))
    return path


def test_a_folder_of_counts_is_read_and_reported(tmp_path):
    good = made_run(tmp_path / "good", COUNTED)
    copy = made_run(tmp_path / "copy", COUNTED)
    broken = made_run(tmp_path / "broken", COUNTED | {"probes": []})
    runs, left_out = aggregate.read_runs([good, copy, broken])
    assert runs == [ProbeFailures(good, COUNTED)]
    assert [(one.path, one.reason) for one in left_out] == [
        (broken, "evaluation.json has no valid probes"),
        (copy, f"it has the encoder, data and split of {good}"),
    ]
    report = contents.contents(runs, left_out)
    assert [section.title for section in report.sections] == ["Probes that fail", "Environments"]
    assert report.question == "Is self-supervision helpful?"
