import dataclasses
import math
import re

import numpy as np
import pytest
from scipy import stats

from tfselfsup.report import evidence
from tfselfsup.report.evidence import HELPS, HURTS, UNKNOWN, Difference, Hypothesis


def widened(difference, low, high, over_sources, same_images=True):
    return evidence.widened(difference, low, high, over_sources, same_images=same_images)


def test_independent_seeds_are_compared_by_welchs_t_test():
    # Both variances are 1, so that the standard error is sqrt(2/3) with 4 degrees of freedom, whose
    # quantile is 2.776.
    found = evidence.independent([1, 2, 3], [4, 5, 6])
    half = 2.7764451 * math.sqrt(2 / 3)
    assert (found.mean, found.seeds) == (-3, 3)
    assert (found.low, found.high) == pytest.approx((-3 - half, -3 + half))
    assert found.verdict == HURTS
    opposite = evidence.independent([4, 5, 6], [1, 2, 3])
    assert (opposite.mean, opposite.verdict) == (3, HELPS)


def test_unequal_spreads_have_welchs_degrees_of_freedom():
    scores, others = [0, 10, 20, 30], [1, 1.5, 2]
    found = evidence.independent(scores, others)
    own, other = 500 / 3 / 4, 0.25 / 3
    freedom = (own + other) ** 2 / (own**2 / 3 + other**2 / 2)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(own + other)
    assert (found.low, found.high) == pytest.approx((13.5 - half, 13.5 + half))
    assert (found.seeds, found.verdict) == (3, UNKNOWN)


def test_paired_differences_are_compared_by_the_paired_t_test():
    # Mean 2, standard error 1 / sqrt(3), 2 degrees of freedom: quantile 4.303.
    found = evidence.paired([1, 2, 3])
    half = 4.3026527 / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half))
    assert found.verdict == UNKNOWN
    assert evidence.paired([1.9, 2, 2.1]).verdict == HELPS


def test_seeds_whose_splits_overlap_are_worth_fewer():
    # As above, but the variance of the mean is 1/3 + 2/7 of that of a seed.
    found = evidence.paired([1, 2, 3], overlap=0.2 / 0.7)
    half = 4.3026527 * math.sqrt(1 / 3 + 2 / 7)
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half))
    # However many there are, the mean stays as uncertain as half of one seed: a standard error of
    # 0.7071, of which a power of 80% at the level 0.05 demands 1.960 + 0.842, 1.981 in all.
    lost = evidence.paired([0.0, 1, 2], overlap=0.5)
    assert lost.seeds_needed == math.inf
    told = "If the difference is as measured, no number of further splits of these data tells;"
    assert evidence.what_would_tell(lost) == f"{told} it takes more data."
    # 4 wide, so that one standard error is 4 / 3.92, and 2.80 of them are demanded: 2.86 squared.
    with_sources = widened(lost, -1, 3, over_sources=(-1, 3), same_images=False)
    assert evidence.what_would_tell(with_sources) == (
        f"{told} it takes more data, with about 9 times as many test sources."
    )
    assert evidence.paired([-1.0, 0, 1], overlap=0.5).seeds_needed == math.inf
    assert evidence.paired([-1.0, 0, 1]).seeds_needed is None
    assert evidence.paired([0.979, 1.979, 2.979], overlap=0.5).seeds_needed == math.inf
    assert evidence.paired([0.984, 1.984, 2.984], overlap=0.5).seeds_needed is None  # over 100
    assert evidence.paired([1.1, 2.1, 3.1], overlap=0.5).seeds_needed == 35
    power = {
        n: stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, 2.1 / math.sqrt(1 / n + 0.5))
        for n in (34, 35)
    }
    assert power[34] < 0.8 <= power[35]
    few, more = evidence.paired([9.0, 10, 11]), evidence.paired([9.0, 10, 11], overlap=4.0)
    assert few.seeds_needed == 3 < more.seeds_needed


def test_one_seed_has_no_interval_and_proves_nothing():
    for found in (evidence.paired([5.0]), evidence.independent([5.0], [0.0, 0.0, 0.0])):
        assert found == Difference(5.0, None, None, 1, None)
        assert found.verdict == UNKNOWN
        assert evidence.what_would_tell(found) == (
            "One seed proves nothing: at least 3 on each side are needed before anything can be"
            " said."
        )


def test_two_seeds_are_too_few_whatever_they_say():
    found = evidence.paired([1.0, 1.01])
    assert found.low > 0 and found.verdict == UNKNOWN
    assert "takes about 3 seeds on each side (2 so far) to tell" in evidence.what_would_tell(found)


@pytest.mark.parametrize(
    "found", [evidence.paired([1.0, 1.0, 1.0]), evidence.independent(3 * [10.0], 3 * [9.0])]
)
def test_seeds_that_all_score_the_same_do_not_show_their_spread(found):
    assert (found.mean, found.low, found.high, found.verdict) == (1.0, None, None, UNKNOWN)
    assert "it is not known how much seeds differ" in evidence.what_would_tell(found)
    # What depends on no seed is settled by the images.
    assert widened(found, 0.5, 1.5, (0.5, 1.5)).verdict == HELPS
    told = evidence.what_would_tell(widened(found, -0.5, 2.5, (-0.5, 2.5)))
    assert "test sources" in told and "seeds" not in told


@pytest.mark.parametrize(
    ("effect", "needed"),
    # Cohen (1988), table 2.4.1: for a power of 0.8 at the level 0.05, two-sided.
    [(0.5, 64), (0.8, 26), (1.0, 17), (-0.8, 26), (0.3, None)],
)
def test_the_seeds_that_would_tell_are_those_of_cohens_tables(effect, needed):
    assert evidence.independent([effect - 1, effect, effect + 1], [-1, 0, 1]).seeds_needed == needed


def test_paired_seeds_need_fewer():
    found = evidence.paired([-0.5, 0.5, 1.5])  # an effect of half a standard deviation
    assert found.seeds_needed == 34
    assert evidence.what_would_tell(found) == (
        "If the difference is as measured, it takes about 34 seeds on each side (3 so far) to tell."
    )


def test_a_difference_far_beyond_the_spread_takes_no_more_than_enough_seeds():
    assert evidence.paired([1e6, 1e6 + 1e-3]).seeds_needed == 3


def test_no_difference_cannot_be_told_by_a_practical_number():
    for found in (evidence.paired([-1.0, 0.0, 1.0]), evidence.paired([-1.0, 0.1, 1.0])):
        assert found.verdict == UNKNOWN
        assert "more than 100 seeds" in evidence.what_would_tell(found)


def test_equal_answers_of_both_sides_cannot_be_told_apart_by_more_sources():
    found = widened(evidence.paired([0.0, 0.0, 0.0]), 0.0, 0.0, (0.0, 0.0))
    assert found.verdict == UNKNOWN
    assert "more than 100 times as many test sources" in evidence.what_would_tell(found)


def test_more_seeds_are_asked_for_than_were_not_enough():
    found = dataclasses.replace(evidence.paired([1.9, 2, 2.1, 2]), low=-1.0)
    assert "takes about 5 seeds on each side (4 so far) to tell" in evidence.what_would_tell(found)


def test_of_unequal_numbers_of_seeds_the_smaller_is_named():
    found = evidence.independent([0.0, 1, 2, 3, 4, 5, 6], [4.0, 5.5])
    assert "(2 so far)" in evidence.what_would_tell(found)


def test_where_it_can_be_told_nothing_more_is_asked_for():
    assert evidence.what_would_tell(evidence.paired([1.9, 2, 2.1])) == ""


def test_a_widened_interval_holds_both():
    found = Difference(1.0, 0.5, 1.5, 3, 3)
    alone = (0.4, 1.2)
    below = widened(found, 0.25, 1.25, alone)
    above = widened(found, 0.75, 1.75, alone)
    assert (below.low, below.high) == (0.25, 1.5)
    assert (above.low, above.high) == (0.5, 1.75)
    for wide in (below, above):
        assert (wide.over_seeds, wide.over_sources) == ((0.5, 1.5), alone)
    alone = widened(Difference(1.0, None, None, 1, None), 0.25, 1.25, alone)
    assert (alone.low, alone.high, alone.verdict) == (0.25, 1.25, UNKNOWN)


def test_where_the_doubt_is_about_images_no_seeds_are_promised_to_tell():
    over_sources = (-0.02, 0.05)
    found = widened(evidence.paired([0.0140, 0.0145, 0.0142]), *over_sources, over_sources)
    assert found.verdict == UNKNOWN
    # A standard error of 0.07 / 3.92 = 0.01786 has to be 0.01423 / 2.80 = 0.00508: 3.51 squared.
    assert evidence.what_would_tell(found) == (
        "If the difference is as measured, it takes about 13 times as many test sources in all, of"
        " more data, to tell."
    )
    # Where seeds draw the split, more of them bring sources of their own.
    found = dataclasses.replace(found, same_images=False)
    assert evidence.what_would_tell(found) == (
        "If the difference is as measured, it takes about 13 times as many test sources in all, of"
        " more data or, as far as there are any left, other splits, to tell."
    )


def test_never_as_many_sources_as_there_are_are_asked_for():
    skewed = (-0.001, 0.05)
    found = widened(evidence.paired([0.038, 0.040, 0.042]), *skewed, skewed)
    assert "takes about 2 times as many test sources" in evidence.what_would_tell(found)


def test_what_only_both_kinds_of_chance_leave_open_has_no_number():
    found = widened(evidence.paired([0.9, 1.0, 1.1]), -0.1, 2.0, (0.2, 1.8))
    assert found.verdict == UNKNOWN
    assert evidence.what_would_tell(found) == (
        "By seeds or by sources alone it could be told, but not by both together: it takes more of"
        " either, and it is not known how many."
    )


def test_where_both_are_in_doubt_both_are_named():
    seeds = evidence.paired([-0.5, 0.5, 1.5])
    settled = widened(seeds, -0.1, 0.9, (0.1, 0.9))
    assert evidence.what_would_tell(settled) == (
        "If the difference is as measured, it takes about 34 seeds on each side (3 so far) to tell."
    )
    # 1.3 / 3.92 against 0.5 / 2.80: 1.86 squared, and no part of a time.
    both = widened(seeds, -0.3, 1.3, (-0.15, 1.15))
    assert evidence.what_would_tell(both) == (
        "If the difference is as measured, it takes about 34 seeds on each side (3 so far) and"
        " about 4 times as many test sources in all, of more data, to tell."
    )
    # Two seeds are too few, however well they agree.
    two = widened(evidence.paired([1.0, 1.0]), -0.5, 2.5, (-0.5, 2.5))
    assert "about 3 seeds on each side (2 so far) and" in evidence.what_would_tell(two)


@pytest.mark.parametrize("mean", [0.0, 0.001])
def test_no_practical_number_of_images_tells_hardly_any_difference(mean):
    found = widened(evidence.paired([mean - 1, mean, mean + 1]), -0.1, 0.1, (-0.1, 0.1))
    assert "more than 100 times as many test sources" in evidence.what_would_tell(found)


def test_with_so_many_sources_their_interval_excludes_0_four_times_of_five():
    random = np.random.default_rng(0)
    count, effect, spread = 400, 0.05, 1.0
    half = 1.96 * spread / math.sqrt(count)
    found = widened(evidence.paired([effect] * 3), -1.0, 1.0, (effect - half, effect + half))
    times = int(re.search(r"about (\d+) times", evidence.what_would_tell(found))[1])
    error = spread / math.sqrt(times * count)
    means = random.normal(effect, error, size=4000)
    assert np.mean(means > 1.96 * error) == pytest.approx(0.8, abs=0.03)


def test_what_is_unsettled_cannot_be_told_whatever_the_interval():
    told = evidence.paired([1.9, 2, 2.1])
    found = dataclasses.replace(told, unsettled="Something is missing.")
    assert (told.verdict, found.verdict) == (HELPS, UNKNOWN)
    assert evidence.what_would_tell(found) == "Something is missing."


def test_the_rule_says_what_many_comparisons_mean():
    assert evidence.rule(1) == evidence.RULE
    assert "Nadeau and Bengio (2003" in evidence.RULE
    # 5% of 30.
    assert evidence.rule(30).startswith(f"{evidence.RULE} Each of the 30 comparisons")
    assert evidence.rule(30).endswith("which is up to 1.5 of 30 on average.")


def test_an_answer_is_a_sentence():
    hypothesis = Hypothesis("rotation", "dqn", "on pong")
    assert hypothesis.question == "Does rotation help dqn on pong?"
    told = evidence.paired([1.9, 2, 2.1])
    assert hypothesis.answer(told, "score +2") == "Rotation helps dqn on pong: score +2."
    worse = evidence.paired([-1.9, -2, -2.1])
    assert hypothesis.answer(worse, "score -2") == "Rotation hurts dqn on pong: score -2."
    unknown = hypothesis.answer(evidence.paired([2.0]), "score +2")
    assert unknown.startswith("It cannot be told whether rotation helps dqn on pong: score +2. One")


def test_an_answer_about_several_things_has_the_plural():
    hypothesis = Hypothesis("ImageNet weights", "mobilenet", "on dfdc", is_plural=True)
    assert hypothesis.question == "Do ImageNet weights help mobilenet on dfdc?"
    for differences, verb in (([1.9, 2, 2.1], "help"), ([-1.9, -2, -2.1], "hurt")):
        sentence = hypothesis.answer(evidence.paired(differences), "")
        assert sentence.startswith(f"ImageNet weights {verb} mobilenet on dfdc")


def test_an_interval_in_words():
    assert evidence.interval_in_words(Difference(1.234, 0.5, 2, 3, None), 1, " points") == (
        "+1.2 points (95% interval 0.5 to 2.0)"
    )
    assert evidence.interval_in_words(Difference(-0.5, None, None, 1, None), 2) == "-0.50"
    assert (evidence.counted(1), evidence.counted(3)) == ("1 seed", "3 seeds")
