import numpy as np
import pytest

from tfselfsup.report import reference_scores
from tfselfsup.report.reference_scores import SCORES


def test_a_random_agent_has_0_and_a_person_1():
    # Mnih et al. (2015), extended data table 2, and Wang et al. (2016), table 2, agree on Breakout.
    assert reference_scores.human_normalised(np.array([1.7, 30.5, 16.1]), "breakout") == (
        pytest.approx([0, 1, 0.5])
    )
    assert reference_scores.human_normalised(21.0, "pong") == pytest.approx(41.7 / 35.3)


def test_raw_scores_come_back():
    for game in SCORES:
        score = reference_scores.raw(0.25, game)
        assert reference_scores.human_normalised(score, game) == pytest.approx(0.25)


def test_there_are_the_57_games_and_people_play_better():
    assert len(SCORES) == 57
    assert all(human > random for random, human in SCORES.values())
