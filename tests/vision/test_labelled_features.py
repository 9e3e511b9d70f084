import numpy as np
import pytest

from tfselfsup.vision.labelled_features import LabelledFeatures, check, log_loss

GOOD = LabelledFeatures(np.ones((4, 3), np.float32), np.array([0, 1, 1, 0]))


def test_the_classes_are_counted():
    assert check(GOOD, GOOD) == 2
    three = LabelledFeatures(np.ones((5, 3)), np.array([2, 1, 0, 0, 2], np.uint8))
    assert check(three, GOOD) == 3


def test_inputs_stay_as_they_are():
    part = LabelledFeatures(np.ones((4, 3)), np.array([0, 1, 1, 0]))
    check(part, part)
    assert (part.features == 1).all() and part.labels.tolist() == [0, 1, 1, 0]


BROKEN = np.ones((4, 3), np.float32)
BROKEN[[1, 3], 2] = np.nan, np.inf


@pytest.mark.parametrize("name", ["training", "validation"])
@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.ones((0, 3)), np.ones(0, int), r"NAME features .*got \(0, 3\) and \(0,\); choose"),
        (np.ones((4, 0)), GOOD.labels, r"NAME features .*got \(4, 0\) and \(4,\)"),
        (np.ones((3, 3)), GOOD.labels, r"NAME features .*got \(3, 3\) and \(4,\)"),
        (np.ones(4), GOOD.labels, r"NAME features .*got \(4,\) and \(4,\)"),
        (np.ones((4, 3)), GOOD.labels / 1.0, "NAME labels of an integer type, got float64"),
        (BROKEN, GOOD.labels, "finite NAME features, got NaN or infinity in 2 of 4 rows"),
        (np.ones((4, 3)), np.ones(4, int), r"NAME examples of two or more.*those of \[1\]"),
        (np.ones((4, 3)), np.array([0, 1, -1, 1]), r"NAME examples of two .*\[-1, 0, 1\]"),
    ],
)
def test_a_part_that_does_not_serve(name, features, labels, message):
    parts = {"training": GOOD, "validation": GOOD, name: LabelledFeatures(features, labels)}
    with pytest.raises(ValueError, match=message.replace("NAME", name)):
        check(**parts)


def test_a_class_that_is_not_in_the_training_part():
    gap = LabelledFeatures(GOOD.features, np.array([0, 2, 2, 0]))
    with pytest.raises(ValueError, match=r"classes 0, 1, ..., got those of \[0, 2\]"):
        check(gap, GOOD)
    with pytest.raises(ValueError, match=r"of the classes 0 to 1, got those of \[0, 2\]"):
        check(GOOD, gap)


def test_features_of_another_width():
    wide = LabelledFeatures(np.ones((4, 5)), GOOD.labels)
    with pytest.raises(ValueError, match="validation features of width 3.*got 5; take both from"):
        check(GOOD, wide)


def test_the_log_loss_by_hand():
    # Probabilities 3/4 and 1/4 of the right class, and 1 of it where the other is out of question.
    logits = np.array([[np.log(3), 0], [np.log(3), 0], [0, 5000]], np.float32)
    expected = -(np.log(0.75) + np.log(0.25) + 0) / 3
    assert log_loss(logits, np.array([0, 1, 1])) == pytest.approx(expected, rel=1e-6)


def test_the_log_loss_of_the_impossible_is_not_hidden():
    assert log_loss(np.array([[0.0, 5000.0]]), np.array([0])) == 5000
    assert not np.isfinite(log_loss(np.array([[np.nan, 0.0]]), np.array([0])))
    assert not np.isfinite(log_loss(np.array([[np.inf, np.inf]]), np.array([0])))
