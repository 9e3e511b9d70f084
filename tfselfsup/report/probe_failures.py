"""How often probes failed, as `bin/benchmark probes` counted it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from tfselfsup.report import fields
from tfselfsup.report.document import Section, Table

TITLE = "Probes that fail"
NOTE = (
    "Each probe was fitted once a seed, which draws the split as well as the first weights, to the"
    " features as they are and multiplied by a scale. `diverged`: a training log loss above twice"
    " that of a guess; `at chance`: an accuracy whose 95% interval (Wilson) includes the share of"
    " the largest class; `failed`: either. Accuracy in per cent."
)

# What a report needs of the counts of one probe at one scale, and whether a value can be.
PROBE_FIELDS: dict[str, fields.Check] = {
    "probe": fields.is_name,
    "scale": fields.is_number,
    **dict.fromkeys(("runs", "diverged", "at_chance", "failed"), fields.is_count),
    **dict.fromkeys(("accuracy", "lowest", "highest"), fields.optional(fields.is_share)),
}
FIELDS: dict[str, fields.Check] = {
    **dict.fromkeys(("model", "weights", "data_set", "split"), fields.is_name),
    "stand_in": fields.is_flag,
    "data_hash": fields.optional(fields.is_name),
    "probes": lambda value: (
        isinstance(value, list)
        and value
        and all(fields.is_object(row) and not fields.invalid(PROBE_FIELDS, row) for row in value)
    ),
}


@dataclass(frozen=True)
class ProbeFailures:
    """Probes on the features of one encoder.

    Attributes:
        path: The run directory.
        evaluation: The content of its evaluation.json.
    """

    TOLD_APART_BY: ClassVar[str] = "encoder, data and split"

    path: Path
    evaluation: dict[str, Any]

    def identity(self) -> str:
        """Names all that tells such counts from others."""
        about = ("model", "weights", "stand_in", "data_set", "data_hash", "split")
        return json.dumps([self.evaluation.get(name) for name in about])


def sections(counted: Sequence[ProbeFailures]) -> list[Section]:
    """Makes the section of the probes, if there are any."""
    if not counted:
        return []
    exact = pd.DataFrame([row for one in counted for row in _rows(one.evaluation)])
    table = Table("probe_failures", "Failures of each probe", NOTE, _shown(exact), exact)
    return [Section(TITLE, (), (table,))]


def _rows(evaluation: dict[str, Any]) -> list[dict[str, Any]]:
    about = {
        name: evaluation[name] for name in ("data_set", "model", "weights", "stand_in", "split")
    }
    return [about | {name: row.get(name) for name in PROBE_FIELDS} for row in evaluation["probes"]]


def _shown(exact: pd.DataFrame) -> pd.DataFrame:
    """Writes scales and shares as they are read, and whether one is a stand-in if any is."""
    shown = exact.assign(scale=exact["scale"].map("{:g}".format))
    if not exact["stand_in"].any():
        shown = shown.drop(columns="stand_in")
    for name in ("accuracy", "lowest", "highest"):
        shown[name] = [
            "" if pd.isna(share) else f"{100 * share:.1f}" for share in exact[name].astype(float)
        ]
    return shown.astype(str).rename(columns=lambda name: name.replace("_", " "))


def invalid_fields(evaluation: dict[str, Any]) -> list[str]:
    """Names what such an evaluation.json lacks, or has with a value that cannot be."""
    return fields.invalid(FIELDS, evaluation)
