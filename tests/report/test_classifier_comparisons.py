import dataclasses

import pandas as pd
import pytest

from tests.report.scored_runs import classifier as scored
from tfselfsup.config import ClassifierExperiment
from tfselfsup.report import classifier_comparisons

FINE_TUNED = {"mode": "fine_tune", "side": 128}
WITH_ROTATION = FINE_TUNED | {"training.tasks.rotation": 0.5}


def seeds(accuracies, **changed):
    return [
        scored(seed=seed, accuracy=accuracy, auc=accuracy, **changed)
        for seed, accuracy in enumerate(accuracies)
    ]


def found_of(runs) -> dict:
    (found,) = classifier_comparisons.comparisons(runs).values()
    return {(one.question, one.score): one for one in found}


def test_a_pre_trained_trunk_stands_beside_a_random_one():
    runs = [
        *seeds([0.5, 0.5, 0.51], weights="random"),
        *seeds([0.7, 0.7, 0.7]),
        *seeds([0.9], split="random"),
    ]
    question = "Do ImageNet weights help mobilenet under a probe on the hard split of dfdc?"
    found = found_of(runs)
    assert list(found) == [(question, "accuracy"), (question, "AUC")]
    one = found[question, "accuracy"]
    # Differences 0.2, 0.2 and 0.19: mean 0.19667, standard error 0.00333, quantile 4.303.
    assert (one.difference, one.seeds, one.verdict) == (pytest.approx(0.59 / 3), 3, "helps")
    assert one.low == pytest.approx(0.59 / 3 - 4.3026527 * 0.01 / 3)
    assert one.sentence.startswith(
        "ImageNet weights help mobilenet under a probe on the hard split of dfdc: accuracy +19.7"
        " points (95% interval 18.2 to 21.1); AUC +0.197"
    )
    assert one.sentence.endswith(
        "; 3 seeds, over seeds only, not over images: no predictions.csv of both."
    )


def test_the_interval_is_wider_where_a_seed_draws_the_split():
    runs = [
        *seeds([0.7, 0.8, 0.78], weights="imagenet"),
        *seeds([0.5, 0.62, 0.6], weights="random"),
    ]
    drawn = [dataclasses.replace(run, experiment=ClassifierExperiment()) for run in runs]
    plain, wider = (next(iter(found_of(one).values())) for one in (runs, drawn))
    assert plain.difference == wider.difference
    # 1/3 and 1/3 + 0.2/0.7 of the variance of a seed.
    ratio = (wider.high - wider.low) / (plain.high - plain.low)
    assert ratio == pytest.approx((1 + 3 * 0.2 / 0.7) ** 0.5)


def test_a_task_beside_the_classes():
    runs = [
        *seeds([0.7, 0.8], protocol=FINE_TUNED),
        *seeds([0.6, 0.7], protocol=WITH_ROTATION, task="rotation"),
        *seeds([0.1], protocol=WITH_ROTATION | {"side": 224}, task="rotation"),
    ]
    (accuracy, auc) = found_of(runs).values()
    assert accuracy.question == (
        "Does rotation beside the classes help mobilenet (weights imagenet), fine-tuned, on the"
        " hard split of dfdc?"
    )
    assert (accuracy.difference, accuracy.seeds) == (pytest.approx(-0.1), 2)
    assert accuracy.verdict == "cannot be told"


def test_a_pre_training_stands_beside_the_random_trunk_of_its_side():
    probe = {"mode": "probe", "side": 128}
    pretrained = probe | {"pretraining_epochs": 8, "pretraining_checkpoint": "best"}
    runs = [
        *seeds([0.5], weights="random", protocol=probe),
        *seeds([0.6], weights="random", protocol=probe | {"side": 224}),
        *seeds([0.55], weights="rotation", protocol=pretrained),
    ]
    accuracy, _ = found_of(runs).values()
    assert accuracy.question == (
        "Does pre-training by rotation help mobilenet (side 128) under a probe on the hard split of"
        " dfdc?"
    )
    assert accuracy.difference == pytest.approx(0.05)
    assert (
        "1 seed, without an interval over images: no predictions.csv of both. One seed proves"
        " nothing" in accuracy.sentence
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"data_set": "ff"},
        {"part": "validation"},
        {"part": "all", "trained_on": "dfdc"},
        {"split": "random"},
        {"model": "resnet50"},
        {"stand_in": True},
        {"protocol": {"mode": "probe", "solver": "adam"}},
        {"seed": 1},
    ],
)
def test_what_differs_in_more_is_not_compared(changed):
    runs = [scored(weights="random"), scored(**changed)]
    assert not any(classifier_comparisons.comparisons(runs).values())


def answered(run, right) -> object:
    """Answers to ten images of as many sources, those of the first `right` sources being right."""
    labels = [0, 1] * 5
    predicted = [label if i < right else 1 - label for i, label in enumerate(labels)]
    table = pd.DataFrame({"label": labels, "predicted": predicted})
    table["source"] = table["video"] = [f"{i}" for i in range(10)]
    table["probability"] = table["predicted"] * 0.8 + 0.1
    return dataclasses.replace(run, predictions=table)


def test_answers_to_the_same_images_give_one_seed_an_interval():
    random = answered(scored(weights="random", accuracy=0.5), 5)
    trained = answered(scored(accuracy=0.9), 9)
    accuracy = next(iter(found_of([random, trained]).values()))
    assert accuracy.difference == pytest.approx(0.4)
    assert 0 < accuracy.low < 0.4 < accuracy.high <= 1
    assert accuracy.verdict == "cannot be told"  # the training was done but once
    assert "(95% interval" in accuracy.sentence and "One seed proves nothing" in accuracy.sentence


def test_chance_in_the_images_widens_the_interval_over_seeds():
    runs = [
        answered(scored(weights=weights, accuracy=right / 10, seed=seed), right)
        for weights, right in (("random", 5), ("imagenet", 9))
        for seed in range(3)
    ]
    accuracy = next(iter(found_of(runs).values()))
    # All seeds agree, so that over seeds alone the interval would have no width.
    assert accuracy.low < 0.4 < accuracy.high


def official(weights, rights, is_answered) -> list:
    """Seeds on a split of which the test part is the same for all of them."""
    runs = [
        scored(weights=weights, split="official", accuracy=right / 10, auc=right / 10, seed=seed)
        for seed, right in enumerate(rights)
    ]
    if not is_answered:
        return runs
    return [answered(run, right) for run, right in zip(runs, rights, strict=True)]


def test_seeds_on_the_same_images_tell_nothing_without_the_answers_to_these():
    runs = [*official("random", [2, 2, 2], False), *official("imagenet", [9, 9, 9], False)]
    for one in found_of(runs).values():
        assert (one.low, one.high, one.verdict) == (None, None, "cannot be told")
        assert "3 seeds, over seeds only, not over images: no predictions.csv" in one.sentence
        assert one.sentence.endswith(
            "All seeds are scored on the same images, and seeds do not show the chance in these:"
            " predictions.csv of both sides is needed; score the runs again."
        )


def test_seeds_on_the_same_images_tell_with_the_answers_to_these():
    runs = [*official("random", [2, 2, 2], True), *official("imagenet", [9, 9, 9], True)]
    accuracy = next(iter(found_of(runs).values()))
    assert accuracy.verdict == "helps" and accuracy.low < 0.7 < accuracy.high
    assert "over seeds only" not in accuracy.sentence


def test_a_score_that_answers_do_not_give_is_over_seeds_only():
    runs = [*official("random", [2, 2, 2], True), *official("imagenet", [9, 9, 9], True)]
    runs = [
        dataclasses.replace(run, predictions=run.predictions.drop(columns="probability"))
        for run in runs
    ]
    accuracy, auc = found_of(runs).values()
    assert (accuracy.verdict, auc.verdict) == ("helps", "cannot be told")
    assert "3 seeds, AUC over seeds only, not over images: no probabilities" in accuracy.sentence
    assert "probabilities in predictions.csv of both; judged by AUC: cannot be told." in (
        accuracy.sentence
    )


def test_answers_to_other_images_are_refused_with_the_reason():
    random = answered(scored(weights="random", accuracy=0.5), 5)
    random.predictions["source"] += "_of_another_set"
    accuracy = next(iter(found_of([random, answered(scored(accuracy=0.9), 9)]).values()))
    assert accuracy.low is None
    assert "expected answers to the same images" in accuracy.sentence


PROBE = {"mode": "probe", "side": 128}


def test_a_pre_training_on_other_images_is_told_as_such():
    on_others = PROBE | {"pretraining_epochs": 8, "pretrained_on_other_data": True}
    runs = [
        *seeds([0.5, 0.5], weights="random", protocol=PROBE),
        *seeds([0.6, 0.6], weights="rotation", protocol=on_others),
    ]
    accuracy, _ = found_of(runs).values()
    assert accuracy.question.startswith(
        "Does pre-training by rotation (on other data, split or seed) help"
    )
    assert accuracy.difference == pytest.approx(0.1)


def test_trunks_that_saw_other_images_do_not_take_the_place_of_those_that_did_not():
    own = FINE_TUNED | {"pretraining_epochs": 8}
    with_task = own | {"training.tasks.rotation": 0.5}
    runs = [
        scored(
            seed=seed,
            accuracy=0.5 + 0.1 * (task is not None) + 0.01 * seed,
            weights="rotation",
            task=task,
            protocol=protocol | {"pretrained_on_other_data": seed > 0},
        )
        for seed in (0, 1, 2)
        for task, protocol in ((None, own), ("jigsaw", with_task))
    ]
    (found,) = classifier_comparisons.comparisons(runs).values()
    of_accuracy = [one for one in found if one.score == "accuracy"]
    assert [(one.difference, one.seeds) for one in of_accuracy] == [
        (pytest.approx(0.1), 1),
        (pytest.approx(0.1), 2),
    ]
    own_data, other_data = (one.question for one in of_accuracy)
    assert "(weights rotation)" in own_data
    assert "(weights rotation (on other data, split or seed))" in other_data


def test_treatments_of_one_name_are_told_apart_by_their_settings():
    runs = [
        *seeds([0.5, 0.5], protocol=FINE_TUNED),
        *seeds([0.6, 0.6], protocol=WITH_ROTATION, task="rotation"),
        *seeds([0.4, 0.4], protocol=FINE_TUNED | {"training.tasks.rotation": 1}, task="rotation"),
        *seeds([0.7, 0.7], protocol=FINE_TUNED | {"training.tasks.jigsaw": 1}, task="jigsaw"),
    ]
    found = found_of(runs)
    told = {
        question.split(" help ")[0]: round(one.difference, 6)
        for (question, score), one in found.items()
        if score == "accuracy"
    }
    assert told == {
        "Does rotation beside the classes (training.tasks.rotation 0.5)": 0.1,
        "Does rotation beside the classes (training.tasks.rotation 1)": -0.1,
        "Does jigsaw beside the classes": 0.2,
    }
