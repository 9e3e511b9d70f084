import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from tfselfsup.report import evidence, paired_bootstrap
from tfselfsup.report.paired_bootstrap import Interval


def answers(labels, fake, sources=None) -> pd.DataFrame:
    """Answers to one image of each source, unless sources are given."""
    labels, fake = np.asarray(labels), np.asarray(fake, float)
    sources = np.arange(len(labels)) if sources is None else sources
    names = [f"{source:05d}" for source in sources]
    return pd.DataFrame(
        {
            "source": names,
            "video": [f"{name}_{label}" for name, label in zip(names, labels, strict=True)],
            "label": labels,
            "predicted": (fake > 0.5).astype(int),
            "probability": fake,
        }
    )


def drawn(random, count, skill) -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(count) % 2
    logits = random.normal(size=count) + skill * (2 * labels - 1)
    return labels, 1 / (1 + np.exp(-logits))


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_a_classifier_does_not_differ_from_itself(random):
    own = answers(*drawn(random, 40, 1.0))
    found = paired_bootstrap.differences([(own, own), (own, own)])
    assert found == dict.fromkeys(["accuracy", "auc"], Interval(0, 0, 0, (0, 0)))


def test_the_differences_are_those_of_scikit_learn(random):
    labels, fake = drawn(random, 60, 1.0)
    _, other = drawn(random, 60, 0.2)
    found = paired_bootstrap.differences([(answers(labels, fake), answers(labels, other))])
    accuracy = ((fake > 0.5) == labels).mean() - ((other > 0.5) == labels).mean()
    assert found["accuracy"].mean == pytest.approx(accuracy)
    auc = roc_auc_score(labels, fake) - roc_auc_score(labels, other)
    assert found["auc"].mean == pytest.approx(auc)
    for interval in found.values():
        assert interval.low < interval.mean < interval.high


def test_with_one_image_a_source_the_interval_is_that_of_scipy(random):
    labels, fake = drawn(random, 200, 1.0)
    _, other = drawn(random, 200, 0.5)
    found = paired_bootstrap.differences(
        [(answers(labels, fake), answers(labels, other))], resamples=4000
    )
    gain = ((fake > 0.5) == labels).astype(float) - ((other > 0.5) == labels)
    known = stats.bootstrap(
        (gain,),
        np.mean,
        n_resamples=4000,
        method="percentile",
        random_state=np.random.default_rng(1),
    ).confidence_interval
    assert (found["accuracy"].low, found["accuracy"].high) == pytest.approx(known, abs=0.01)


def test_images_of_one_source_are_no_independent_images(random):
    labels, fake = drawn(random, 100, 1.0)
    _, other = drawn(random, 100, 0.5)
    alone = paired_bootstrap.differences([(answers(labels, fake), answers(labels, other))])
    # Every image ten times, under the same source: not a bit more is known.
    sources = np.tile(np.arange(100), 10)
    tenfold = paired_bootstrap.differences(
        [tuple(answers(np.tile(labels, 10), np.tile(one, 10), sources) for one in (fake, other))]
    )
    for name, interval in alone.items():
        assert (tenfold[name].low, tenfold[name].high) == pytest.approx(
            (interval.low, interval.high), abs=1e-9
        )


def test_the_order_of_the_answers_does_not_matter(random):
    own, other = answers(*drawn(random, 40, 1.0)), answers(*drawn(random, 40, 0.2))
    shuffled = other.sample(frac=1, random_state=1)
    assert paired_bootstrap.differences([(own, other)]) == paired_bootstrap.differences(
        [(own, shuffled)]
    )


def test_swapping_the_classifiers_changes_the_sign(random):
    own, other = answers(*drawn(random, 60, 1.0)), answers(*drawn(random, 60, 0.2))
    one = paired_bootstrap.differences([(own, other)])
    swapped = paired_bootstrap.differences([(other, own)])
    for name, interval in one.items():
        assert (-swapped[name].high, -swapped[name].low) == pytest.approx(
            (interval.low, interval.high)
        )


def test_of_more_classes_only_the_accuracy_is_compared(random):
    labels = np.arange(30) % 3
    own = answers(labels, np.zeros(30)).drop(columns="probability").assign(predicted=labels)
    other = own.assign(predicted=0)
    found = paired_bootstrap.differences([(own, other)])
    assert list(found) == ["accuracy"]
    assert found["accuracy"].mean == pytest.approx(2 / 3)
    assert found["accuracy"].low > 0.4


def test_a_source_is_no_new_one_for_standing_in_the_test_parts_of_several_seeds(random):
    labels, fake = drawn(random, 200, 1.0)
    _, other = drawn(random, 200, 0.8)
    pair = (answers(labels, fake), answers(labels, other))
    once = paired_bootstrap.differences([pair])
    for seeds in (3, 5):
        again = paired_bootstrap.differences(seeds * [pair])
        for name, interval in once.items():
            assert (again[name].low, again[name].high) == pytest.approx(
                (interval.low, interval.high), abs=1e-9
            )


def test_sources_of_several_seeds_say_more_the_fewer_they_share(random):
    labels, fake = drawn(random, 100, 1.0)
    _, other = drawn(random, 100, 0.8)
    # What repeats every hundred sources is the same for all seeds, of whichever sources.
    labels, fake, other = (np.tile(one, 4) for one in (labels, fake, other))

    def width(shift) -> float:
        """Of four seeds, each with `shift` sources that the one before has not."""
        pairs = [
            [
                answers(labels, one, np.arange(400) + shift * seed).drop(columns="probability")
                for one in (fake, other)
            ]
            for seed in range(4)
        ]
        interval = paired_bootstrap.differences(pairs, resamples=8000)["accuracy"]
        return interval.high - interval.low

    shared, partly, own = width(0), width(100), width(400)
    # Half of it where nothing is shared, were the seeds not drawn anew as well: sqrt(7) / 4.
    assert own == pytest.approx(shared * 7**0.5 / 4, rel=0.1)
    # Two of four seeds share 3/4, 1/2 or 1/4 of their sources, 7/12 on average.
    assert partly == pytest.approx(shared * (7 / 16 + 9 / 16 * 7 / 12) ** 0.5, rel=0.1)


def test_seeds_that_disagree_widen_the_interval(random):
    labels, fake = drawn(random, 400, 1.0)
    better, worse = answers(labels, fake), answers(labels, 1 - fake)
    same = answers(labels, np.where(np.arange(400) % 4 == 0, 1 - fake, fake))
    agreeing = paired_bootstrap.differences(3 * [(better, same)])["accuracy"]
    disagreeing = paired_bootstrap.differences([(better, worse), (worse, better), (better, same)])[
        "accuracy"
    ]
    assert agreeing.low > 0
    assert disagreeing.low < 0 < disagreeing.high
    assert disagreeing.high - disagreeing.low > 5 * (agreeing.high - agreeing.low)


@pytest.mark.parametrize(("seeds", "is_shared"), [(1, False), (3, False), (3, True)])
def test_intervals_hold_the_truth_about_as_often_as_they_say(seeds, is_shared, random):
    """Simulates classifiers of known accuracy, 0.6 and 0.5, whose gain differs among sources.

    Each seed's training adds a difference of its own. One seed's interval is about that training.
    Seeds that share their sources are tried with next to no such difference, and images that matter
    more: what is uncertain is then all in the images.
    """
    of_training, of_images = (0.005, 0.3) if is_shared else (0.05, 0.1)
    held = 0
    for _ in range(60):
        pairs, differences = [], []
        of_source = random.normal(scale=of_images, size=50)
        for seed in range(seeds):
            truth = 0.1 + (of_training * random.normal() if seeds > 1 else 0)
            if not is_shared:
                of_source = random.normal(scale=of_images, size=50)
            sources = np.repeat(np.arange(50) + (0 if is_shared else 50 * seed), 2)
            gain = np.repeat(of_source, 2)
            labels = np.tile([0, 1], 50)
            tables = []
            for chance in (0.5 + truth + gain / 2, 0.5 - gain / 2):
                right = random.random(100) < chance.clip(0, 1)
                table = answers(labels, np.where(right, labels, 1 - labels), sources)
                tables.append(table.drop(columns="probability"))
            pairs.append(tuple(tables))
            right = [(table["predicted"] == table["label"]).mean() for table in tables]
            differences.append(right[0] - right[1])
        interval = paired_bootstrap.differences(pairs, resamples=200)["accuracy"]
        found = evidence.widened(
            evidence.paired(differences),
            interval.low,
            interval.high,
            interval.over_sources,
            same_images=is_shared,
        )
        held += found.low <= 0.1 <= found.high
    assert held >= 52


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "answers of 1 seed or more"),
        ([(answers([0, 1], [0, 1]), answers([0, 1, 1], [0, 1, 1]))], "the same images"),
        ([(answers([0, 1], [0, 1]), answers([1, 0], [0, 1]))], "the same images"),
        ([2 * (answers([0, 1], [0, 1], [0, 0]),)], "2 sources or more, got 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(pairs, message):
    with pytest.raises(ValueError, match=message):
        paired_bootstrap.differences(pairs)


def test_resamples_without_fakes_are_drawn_again():
    # A fake in one of three sources: 8 of 27 resamples have none.
    own = answers([0, 0, 1], [0.2, 0.3, 0.9])
    other = answers([0, 0, 1], [0.2, 0.3, 0.1])
    found = paired_bootstrap.differences([(own, other)], resamples=200)["auc"]
    assert (found.mean, found.low, found.high) == (1, 1, 1)


def test_answers_of_which_hardly_any_resample_has_both_classes_are_refused():
    # One fake in each of twelve test parts that share nothing: (1 - 1/e)^12 of all resamples do.
    sources = [3 * seed + np.arange(3) for seed in range(12)]
    pairs = [2 * (answers([0, 0, 1], [0.2, 0.3, 0.9], own),) for own in sources]
    with pytest.raises(ValueError, match="sources of every class in each test part"):
        paired_bootstrap.differences(pairs, resamples=50)


def test_without_the_classes_0_and_1_there_is_no_auc():
    own = answers([0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8]).assign(label=[1, 2, 1, 2])
    assert list(paired_bootstrap.differences([(own, own)])) == ["accuracy"]


def test_the_interval_over_sources_alone_does_not_know_of_other_seeds(random):
    labels = np.arange(400) % 2
    right = np.where(labels, 0.9, 0.1)
    pairs = []
    # Two trainings, of which one is right always, and the other one is right half of the time, on
    # the same images; the classifier they are compared with is always wrong.
    for is_wrong in (np.zeros(400, bool), random.random(400) < 0.5):
        pairs.append(
            (answers(labels, np.where(is_wrong, 1 - right, right)), answers(labels, 1 - right))
        )
    found = paired_bootstrap.differences(pairs)["accuracy"]
    low, high = found.over_sources
    # Half the variance of the second one's share, 0.25 / 400, counts a quarter.
    half = 1.96 * np.sqrt(0.25 / 400 / 4)
    assert (low, high) == pytest.approx((found.mean - half, found.mean + half), abs=0.008)
    assert found.low < 0.6 and found.high > 0.95


def test_answers_whose_probabilities_round_to_1_are_ranked_by_their_log_odds():
    # Of one side all pairs are the right way round, of the other none; every probability is 1.
    labels, odds = np.array([0, 0, 1, 1]), np.array([50.0, 51, 60, 61])
    one, other = answers(labels, np.ones(4)), answers(labels, np.ones(4))
    assert paired_bootstrap.differences([(one, other)])["auc"] == Interval(0, 0, 0, (0, 0))
    found = paired_bootstrap.differences(
        [(one.assign(log_odds=odds), other.assign(log_odds=-odds))]
    )
    assert found["auc"] == Interval(1, 1, 1, (1, 1))
