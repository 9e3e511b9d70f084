import pandas as pd

from tfselfsup.report import comparisons
from tfselfsup.report.comparisons import Comparison


def compared(score="accuracy", low=0.1, high=0.3) -> Comparison:
    return Comparison(
        question="Does it help?",
        kind="classifier",
        of="it",
        against="squeezenet",
        score=score,
        difference=0.2,
        low=low,
        high=high,
        seeds=3,
        verdict="helps",
        sentence=f"It helps: {score}.",
    )


def test_each_question_has_one_sentence():
    assert comparisons.answers([compared(), compared("AUC")], []) == ("It helps: accuracy.",)


def test_what_was_not_asked_is_said():
    (told,) = comparisons.answers([], ["pong", "dfdc"])
    assert told.startswith("On pong and dfdc no two finished runs differ in the task")


def test_the_table_lists_all_scores():
    table = comparisons.table([compared(), compared("AUC", low=None, high=None)])
    assert table["score"].tolist() == ["accuracy", "AUC"]
    assert table["low"].dtype == float and pd.isna(table["low"][1])
    shown = comparisons.presented(table)
    assert shown.iloc[0].tolist() == [
        *("Does it help?", "accuracy", "+0.2000", "0.1000 to 0.3000", "3", "helps")
    ]
    assert shown["95% interval"][1] == ""
