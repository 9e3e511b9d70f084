"""When a difference between two ways to train may be said to help, and how many seeds would tell.

The unit is the seed: games of one trained agent, and images that one trained classifier sees, say
how well that one was trained, and not how well the next one will be (Agarwal et al. 2021,
arXiv:2108.13264; Bouthillier et al. 2021, arXiv:2103.03098).

The rule, for agents and classifiers alike: something helps or hurts if there are `ENOUGH_SEEDS`
seeds or more on each side and the 95% interval of the mean difference excludes 0. In all other
cases it cannot be told. Intervals over seeds are Student's, as a bootstrap of three to five seeds
is too narrow. That of classifiers is widened, where the answers to each image are known, until it
holds what a bootstrap over sources and seeds says, too. Seeds that all score the same do not show
their spread, and settle nothing without such an interval.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

ENOUGH_SEEDS = 3
LEVEL = 0.95
# More seeds than anybody trains to settle one question.
PRACTICAL_SEEDS = 100
# More data than anybody adds to settle one question.
PRACTICAL_TIMES = 100
POWER = 0.8

HELPS, HURTS, UNKNOWN = "helps", "hurts", "cannot be told"

NO_SPREAD = (
    "All seeds say the same, so that it is not known how much seeds differ; more seeds, or a finer"
    " score, are needed."
)

RULE = (
    f"Something is said to help or to hurt if there are {ENOUGH_SEEDS} seeds or more on each side"
    " and the 95% interval of the mean difference excludes 0; in all other cases it cannot be told."
    " The unit is the seed: many games of one agent, or many images, say much about one training"
    " and nothing about the next. How many seeds would tell is estimated for a difference and a"
    " spread over seeds as measured so far, by a t test at the level 0.05 with a power of 80%; how"
    " many times as many test sources, likewise, for the interval over sources alone."
    " Where a seed draws the split as well, the training and test parts of several seeds overlap;"
    " Student's interval is widened for it as Nadeau and Bengio (2003, doi:10.1023/A:1024068626366)"
    " do."
)


def rule(comparisons: int) -> str:
    """States the rule, and what it means that it is applied several times.

    Args:
        comparisons: How many there are.
    """
    if comparisons < 2:
        return RULE
    return (
        f"{RULE} Each of the {comparisons} comparisons here is judged at 95% on its own, without a"
        " correction for their number: if nothing made any difference, one in twenty would be said"
        f" to help or to hurt all the same, which is up to {comparisons * (1 - LEVEL):.1f} of"
        f" {comparisons} on average."
    )


@dataclass(frozen=True)
class Difference:
    """A mean difference over seeds.

    Attributes:
        mean: The first minus the second.
        low: Lower end of the 95% interval; None where one seed, or seeds that say the same, give
            none.
        high: Its upper end.
        seeds: On the side that has fewer.
        seeds_needed: On each side, to tell such a difference from 0; infinite if no number is
            enough; None if more than `PRACTICAL_SEEDS`, or if one seed does not show the spread.
        over_seeds: Student's interval where low and high hold another one, too; else None.
        over_sources: The interval over sources alone, of the trainings as they are; None where
            it is not known.
        same_images: Whether all seeds are scored on the same images.
        unsettled: A sentence on why it cannot be told, whatever the interval; may be empty.
    """

    mean: float
    low: float | None
    high: float | None
    seeds: int
    seeds_needed: float | None
    over_seeds: tuple[float, float] | None = None
    over_sources: tuple[float, float] | None = None
    same_images: bool = False
    unsettled: str = ""

    @property
    def verdict(self) -> str:
        """`HELPS`, `HURTS` or `UNKNOWN`, by the rule above."""
        if self.seeds < ENOUGH_SEEDS or self.low is None or self.unsettled:
            return UNKNOWN
        if _includes_zero((self.low, self.high)):
            return UNKNOWN
        return HELPS if self.mean > 0 else HURTS


def _includes_zero(interval: tuple[float, float]) -> bool:
    low, high = interval
    return low <= 0 <= high


def independent(scores: Sequence[float], others: Sequence[float]) -> Difference:
    """Compares the scores of seeds that have nothing to do with one another (Welch's t test).

    Args:
        scores: One for each seed.
        others: Likewise; what is subtracted.
    """
    mean = float(np.mean(scores) - np.mean(others))
    seeds = min(len(scores), len(others))
    if seeds < 2:
        return Difference(mean, None, None, seeds, None)
    deviation = float(np.sqrt((np.var(scores, ddof=1) + np.var(others, ddof=1)) / 2))
    if _is_none(deviation, mean):
        return Difference(mean, None, None, seeds, ENOUGH_SEEDS, unsettled=NO_SPREAD)
    test = stats.ttest_ind(scores, others, equal_var=False)
    needed = _seeds_needed(mean, deviation, paired=False)
    return Difference(mean, *map(float, test.confidence_interval(LEVEL)), seeds, needed)


def paired(differences: Sequence[float], overlap: float = 0.0) -> Difference:
    """Averages differences, each of one seed, split and set of images (paired t test).

    Where each seed draws the split anew from the same data, the differences are not independent,
    and the variance of their mean is s^2 (1/n + overlap) in place of s^2/n: the corrected
    resampled t test of Nadeau and Bengio (2003), doi:10.1023/A:1024068626366.

    Args:
        differences: One for each seed.
        overlap: Images of the test part for each of the training part; 0 where seeds draw no split.
    """
    mean, seeds = float(np.mean(differences)), len(differences)
    if seeds < 2:
        return Difference(mean, None, None, seeds, None)
    deviation = float(np.std(differences, ddof=1))
    if _is_none(deviation, mean):
        return Difference(mean, None, None, seeds, ENOUGH_SEEDS, unsettled=NO_SPREAD)
    standard_error = deviation * math.sqrt(1 / seeds + overlap)
    half = float(stats.t.ppf((1 + LEVEL) / 2, seeds - 1)) * standard_error
    needed = _seeds_needed(mean, deviation, paired=True, overlap=overlap)
    return Difference(mean, mean - half, mean + half, seeds, needed)


def _is_none(deviation: float, mean: float) -> bool:
    """Tells whether a spread is no more than rounding."""
    return deviation <= 1e-9 * max(1.0, abs(mean))


def _seeds_needed(
    mean: float, deviation: float, paired: bool, overlap: float = 0.0
) -> float | None:
    """Counts the seeds a side at which a t test finds such a difference four times of five."""
    from statsmodels.stats.power import TTestIndPower, TTestPower

    if mean == 0:
        return math.inf if overlap else None
    test = TTestPower() if paired else TTestIndPower()
    counts = np.arange(ENOUGH_SEEDS, PRACTICAL_SEEDS + 1)
    # Seeds that overlap are worth fewer: s^2 (1/n + overlap) is that of s^2 (1 + n overlap) / n.
    # Beyond ten standard deviations three seeds are enough, and the distribution overflows.
    effects = np.minimum(abs(mean) / (deviation * np.sqrt(1 + counts * overlap)), 10)
    power = [test.power(effect, n, 1 - LEVEL) for effect, n in zip(effects, counts, strict=True)]
    enough = counts[np.array(power) >= POWER]
    if enough.size:
        return int(enough[0])
    # However many seeds split the same data, the variance stays above s^2 overlap.
    detectable = sum(stats.norm.ppf([(1 + LEVEL) / 2, POWER])) * deviation * math.sqrt(overlap)
    return math.inf if abs(mean) < detectable else None


def widened(
    difference: Difference,
    low: float,
    high: float,
    over_sources: tuple[float, float],
    *,
    same_images: bool,
) -> Difference:
    """Makes an interval wide enough to hold another one, too, that is of another kind of chance.

    Args:
        difference: With Student's interval over seeds, or none.
        low: Lower end of the interval over sources and seeds.
        high: Its upper end.
        over_sources: The interval over sources alone.
        same_images: Whether all seeds are scored on the same images.

    Returns:
        The difference with an interval that holds both.
    """
    both = dataclasses.replace(
        difference, over_sources=over_sources, same_images=same_images, unsettled=""
    )
    if difference.low is None:
        return dataclasses.replace(both, low=low, high=high)
    return dataclasses.replace(
        both,
        low=min(difference.low, low),
        high=max(difference.high, high),
        over_seeds=(difference.low, difference.high),
    )


def what_would_tell(difference: Difference) -> str:
    """Says in a sentence or two what it would take where it cannot be told; empty where it can."""
    if difference.verdict != UNKNOWN:
        return ""
    if difference.seeds == 1:
        return (
            f"One seed proves nothing: at least {ENOUGH_SEEDS} on each side are needed before"
            " anything can be said."
        )
    if difference.unsettled:
        return difference.unsettled
    over_seeds = difference.over_seeds  # None where all seeds say the same
    if difference.over_sources is None or difference.seeds < ENOUGH_SEEDS:
        seeds_in_doubt = True
    else:
        seeds_in_doubt = over_seeds is not None and _includes_zero(over_seeds)
    needed = []
    if seeds_in_doubt:
        needed.append(_seeds_in_words(difference))
    if difference.over_sources is not None and _includes_zero(difference.over_sources):
        needed.append(_sources_in_words(difference))
    if seeds_in_doubt and difference.seeds_needed == math.inf:
        return _more_data_in_words(difference)
    if not needed:
        return (
            "By seeds or by sources alone it could be told, but not by both together: it takes more"
            " of either, and it is not known how many."
        )
    return f"If the difference is as measured, it takes {' and '.join(needed)} to tell."


def _seeds_in_words(difference: Difference) -> str:
    needed = difference.seeds_needed
    if needed is None:
        return f"more than {PRACTICAL_SEEDS} seeds on each side"
    # The spread of a few seeds may say that fewer are enough than were not.
    needed = max(needed, difference.seeds + 1)
    return f"about {needed} seeds on each side ({difference.seeds} so far)"


def _more_data_in_words(difference: Difference) -> str:
    """Says what it takes where seeds that draw splits of the same data never tell."""
    told = "If the difference is as measured, no number of further splits of these data tells"
    if difference.over_sources is not None and _includes_zero(difference.over_sources):
        return f"{told}; it takes more data, with {_times_as_many_sources(difference)}."
    return f"{told}; it takes more data."


def _sources_in_words(difference: Difference) -> str:
    # Seeds that draw the split bring test sources of their own.
    or_where = "" if difference.same_images else " or, as far as there are any left, other splits"
    return f"{_times_as_many_sources(difference)} in all, of more data{or_where},"


def _times_as_many_sources(difference: Difference) -> str:
    low, high = difference.over_sources
    # An interval of n times as many sources is narrower by the square root of n. At the level 0.05
    # with a power of 80% the difference has to be so many of its standard errors.
    level, power = stats.norm.ppf([(1 + LEVEL) / 2, POWER])
    standard_error = (high - low) / (2 * level)
    demanded, measured = ((level + power) * standard_error) ** 2, difference.mean**2
    # Where both sides give the same answers, nothing was measured that more sources could confirm.
    if measured == 0 or demanded > PRACTICAL_TIMES * measured:
        times = f"more than {PRACTICAL_TIMES}"
    else:
        times = f"about {max(2, math.ceil(demanded / measured))}"
    return f"{times} times as many test sources"


@dataclass(frozen=True)
class Hypothesis:
    """What may help.

    Attributes:
        treatment: What is done on the one side only: `rotation beside the classes`.
        subject: What it is done to: `squeezenet under a probe`.
        place: Where it is scored: `on pong`.
        is_plural: Whether the treatment takes the verb's plural.
    """

    treatment: str
    subject: str
    place: str
    is_plural: bool = False

    @property
    def question(self) -> str:
        """Asks whether it helps."""
        verb = "Do" if self.is_plural else "Does"
        return f"{verb} {self.treatment} help {self.subject} {self.place}?"

    def answer(self, difference: Difference, figures: str) -> str:
        """Says what is known, with the figures, and what would tell more.

        Args:
            difference: What was measured.
            figures: The same in words.
        """
        verbs = {HELPS: ("helps", "help"), HURTS: ("hurts", "hurt"), UNKNOWN: ("helps", "help")}
        verb = verbs[difference.verdict][self.is_plural]
        claim = f"{self.treatment} {verb} {self.subject} {self.place}"
        if difference.verdict == UNKNOWN:
            claim = f"it cannot be told whether {claim}"
        sentence = f"{claim[0].upper()}{claim[1:]}: {figures}."
        return " ".join(filter(None, [sentence, what_would_tell(difference)]))


def interval_in_words(difference: Difference, decimals: int, unit: str = "") -> str:
    """Writes a difference with its sign and its interval: `+1.2 points (95% interval 0.3 to 2.1)`.

    Args:
        difference: In the unit that it is written in.
        decimals: How many.
        unit: What follows the number.
    """
    text = f"{difference.mean:+.{decimals}f}{unit}"
    if difference.low is None:
        return text
    ends = f"{difference.low:.{decimals}f} to {difference.high:.{decimals}f}"
    return f"{text} (95% interval {ends})"


def counted(seeds: int) -> str:
    """Counts seeds: `1 seed`, `3 seeds`."""
    return f"{seeds} seed{'s' * (seeds != 1)}"
