"""What the evidence says of every question that the runs can be asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from tfselfsup.report.document import listed
from tfselfsup.report.evidence import Difference, Hypothesis

AGENT, CLASSIFIER = "agent", "classifier"
# Scores whose comparisons are told in a sentence; those of others stand in the table only.
TOLD = ("mean raw score", "accuracy")


@dataclass(frozen=True)
class Comparison:
    """An answer to one question.

    Attributes:
        question: `Does rotation help dqn on pong?`
        kind: `AGENT` or `CLASSIFIER`.
        of: What has the task, or the weights.
        against: What has not, and is otherwise the same.
        score: What is compared.
        difference: Of the mean scores over seeds: the first minus the second.
        low: Lower end of its 95% interval; None if one seed gives none.
        high: Its upper end.
        seeds: On the side with fewer.
        verdict: `helps`, `hurts` or `cannot be told`.
        sentence: The answer with its figures, and how many more seeds would tell.
    """

    question: str
    kind: str
    of: str
    against: str
    score: str
    difference: float
    low: float | None
    high: float | None
    seeds: int
    verdict: str
    sentence: str

    @classmethod
    def of_difference(
        cls, hypothesis: Hypothesis, difference: Difference, kind: str, score: str, figures: str
    ) -> Comparison:
        """Answers a hypothesis by what was measured.

        Args:
            hypothesis: What may help, and what.
            difference: Of the score.
            kind: `AGENT` or `CLASSIFIER`.
            score: What is compared.
            figures: What was measured, in words.
        """
        return cls(
            question=hypothesis.question,
            kind=kind,
            of=hypothesis.treatment,
            against=hypothesis.subject,
            score=score,
            difference=difference.mean,
            low=difference.low,
            high=difference.high,
            seeds=difference.seeds,
            verdict=difference.verdict,
            sentence=hypothesis.answer(difference, figures),
        )


def answers(found: Iterable[Comparison], places: Sequence[str]) -> tuple[str, ...]:
    """Says what the comparisons come to.

    Args:
        found: All comparisons.
        places: The games and data sets on which there is none.

    Returns:
        A sentence for each question, and one for what has not been asked.
    """
    told = [one.sentence for one in found if one.score in TOLD]
    if places:
        told.append(
            f"On {listed(places)} no two finished runs differ in the task, or in the pre-training,"
            " alone: whether it helps there has not been asked."
        )
    return tuple(told)


def table(found: Iterable[Comparison]) -> pd.DataFrame:
    """Lists comparisons.

    Args:
        found: Comparisons.

    Returns:
        A row for each, with the columns: question; score; difference, low and high, in the score's
        unit; seeds; verdict.
    """
    columns = ["question", "score", "difference", "low", "high", "seeds", "verdict"]
    rows = [[getattr(one, name) for name in columns] for one in found]
    figures = dict.fromkeys(("difference", "low", "high"), float)
    return pd.DataFrame(rows, columns=columns).astype(figures)


def presented(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Puts a difference and its interval into one cell.

    Args:
        comparisons: What `table` returned.
    """
    rows = []
    for row in comparisons.to_dict("records"):
        interval = "" if pd.isna(row["low"]) else f"{row['low']:.4f} to {row['high']:.4f}"
        shown = {name: row[name] for name in ("question", "score")}
        shown |= {"difference": f"{row['difference']:+.4f}", "95% interval": interval}
        rows.append(shown | {"seeds": str(row["seeds"]), "verdict": row["verdict"]})
    return pd.DataFrame(rows)
