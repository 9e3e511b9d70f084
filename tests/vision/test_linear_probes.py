import warnings

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from tfselfsup.vision.labelled_features import LabelledFeatures, log_loss
from tfselfsup.vision.linear_probes import Adam, Diverged, Lbfgs

SCALES = np.array([1e-3, 1.0, 30.0, 1e4, 1.0])
OFFSETS = np.array([1e-2, 0.0, -60.0, 1e5, 3.0])


def made(count, classes=2, seed=0):
    """Makes features of five scales, of which each class has its own mean; they overlap."""
    random = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    means = np.random.default_rng(99).normal(size=(classes, 5))
    standard = means[labels] + random.normal(size=(count, 5))
    return LabelledFeatures((standard * SCALES + OFFSETS).astype(np.float32), labels)


def standardised(part, training):
    features = training.features.astype(np.float64)
    return (part.features - features.mean(0)) / features.std(0)


def predicted(probe, features):
    return softmax(probe.logits(features), axis=1)


def test_the_solution_by_hand():
    # Of four examples at 1, three are of class 1, and of four at -1 one is: the odds are 3 to 1.
    part = LabelledFeatures(
        np.repeat([[1.0], [-1.0]], 4, axis=0), np.array([1, 1, 1, 0, 1, 0, 0, 0])
    )
    probe = Lbfgs(strengths=(1e8,)).fit(part, part)
    np.testing.assert_allclose(probe.kernel, [[0, np.log(3)]], atol=1e-4)
    np.testing.assert_allclose(probe.bias, [0, 0], atol=1e-4)
    expected = -0.75 * np.log(0.75) - 0.25 * np.log(0.25)
    assert probe.validation_log_loss == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(predicted(probe, np.array([[1.0]])), [[0.25, 0.75]], atol=1e-4)
    # The shift and the scale of the features are folded in.
    moved = part._replace(features=5 * part.features + 10)
    probe = Lbfgs(strengths=(1e8,)).fit(moved, moved)
    np.testing.assert_allclose(probe.kernel, [[0, np.log(3) / 5]], atol=1e-4)
    np.testing.assert_allclose(probe.bias, [0, -2 * np.log(3)], atol=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("strength", [1e-3, 1e-1, 10.0])
def test_the_gradient_of_the_penalised_loss_is_zero(classes, strength):
    training = made(300, classes)
    probe = Lbfgs(strengths=(strength,)).fit(training, made(90, classes, 1))
    assert probe.converged and probe.strength == strength and probe.iterations > 0
    surplus = softmax(probe.logits(training.features), axis=1) - np.eye(classes)[training.labels]
    weights = probe.kernel * training.features.astype(np.float64).std(0)[:, None]
    slope = strength * standardised(training, training).T @ surplus
    if classes == 2:  # only the difference of the two columns is penalised
        slope, weights = slope[:, 1:], weights[:, 1:]
    # scikit-learn divides both by the number of examples and the strength.
    gradient = (slope + weights) / (300 * strength)
    np.testing.assert_allclose(gradient, 0, atol=2e-6)
    np.testing.assert_allclose(surplus.mean(0), 0, atol=2e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_dense_layer_of_its_weights_gives_its_logits(classes):
    training, other = made(300, classes), made(50, classes, 2)
    probe = Lbfgs().fit(training, made(90, classes, 1))
    assert probe.kernel.dtype == probe.bias.dtype == np.float32
    assert probe.kernel.shape == (5, classes) and probe.bias.shape == (classes,)
    layer = tf.keras.layers.Dense(classes)
    layer.build((None, 5))
    layer.set_weights([probe.kernel, probe.bias])
    np.testing.assert_allclose(layer(other.features), probe.logits(other.features), atol=1e-4)
    np.testing.assert_allclose(
        tf.nn.softmax(layer(other.features)), predicted(probe, other.features), atol=1e-4
    )


@pytest.mark.parametrize("scale", [1e-25, 1e-3, 1e3, 1e25])
def test_the_scale_of_the_features_is_of_no_account(scale):
    training, validation, other = made(300), made(90, seed=1), made(50, seed=2)
    expected = Lbfgs().fit(training, validation)
    scaled = [
        part._replace(features=part.features * np.float32(scale))
        for part in (training, validation, other)
    ]
    probe = Lbfgs().fit(*scaled[:2])
    assert probe.converged and probe.strength == expected.strength
    np.testing.assert_allclose(
        predicted(probe, scaled[2].features), predicted(expected, other.features), atol=1e-3
    )


def test_the_strength_is_the_one_that_the_validation_part_likes_best():
    training, validation = made(30), made(200, seed=1)
    strengths = Lbfgs().strengths
    alone = [Lbfgs((strength,)).fit(training, validation) for strength in strengths]
    losses = [log_loss(one.logits(validation.features), validation.labels) for one in alone]
    best = int(np.argmin(losses))
    assert 0 < best < len(strengths) - 1  # there is something to choose
    probe = Lbfgs().fit(training, validation)
    assert probe.strength == strengths[best]
    assert probe.validation_log_loss == pytest.approx(losses[best], rel=1e-4)
    # That fits begin where others ended does not change where they end.
    np.testing.assert_allclose(
        predicted(probe, validation.features),
        predicted(alone[best], validation.features),
        atol=1e-4,
    )
    assert probe.iterations > alone[best].iterations


def test_the_weights_are_of_the_training_part_alone():
    training = made(100)
    one, other = (Lbfgs((0.1,)).fit(training, made(90, seed=seed)) for seed in (1, 2))
    np.testing.assert_array_equal(one.kernel, other.kernel)
    np.testing.assert_array_equal(one.bias, other.bias)
    assert one.validation_log_loss != other.validation_log_loss


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6, -1e-20])
def test_a_constant_feature_has_no_weight(constant):
    training, validation = made(300), made(90, seed=1)
    expected = Lbfgs().fit(training, validation)
    # Rounding makes 0.1 differ in the last place, as sums in another order do.
    columns = [
        np.full((len(part.labels), 1), constant, np.float32) for part in (training, validation)
    ]
    columns[0][::2] = np.nextafter(columns[0][::2], np.float32(np.inf))
    wider = [
        part._replace(features=np.hstack([part.features, column]))
        for part, column in zip((training, validation), columns, strict=True)
    ]
    probe = Lbfgs().fit(*wider)
    assert (probe.kernel[5] == 0).all()
    np.testing.assert_allclose(probe.kernel[:5], expected.kernel, rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(probe.bias, expected.bias, rtol=1e-3, atol=1e-5)


def test_classes_that_can_be_separated_give_finite_weights():
    random = np.random.default_rng(0)
    labels = np.arange(40) % 2
    features = np.maximum(random.normal(size=(40, 200)), 0)  # more features than examples
    features[:, 0] += 100 * labels
    part = LabelledFeatures(features.astype(np.float32), labels)
    probe = Lbfgs().fit(part, part)
    assert probe.converged
    assert np.isfinite(probe.kernel).all() and np.isfinite(probe.bias).all()
    assert (predicted(probe, features).argmax(1) == labels).all()
    assert probe.validation_log_loss < 0.01


def test_where_there_is_nothing_to_learn_it_guesses():
    random = np.random.default_rng(0)
    parts = [
        LabelledFeatures(random.normal(size=(count, 100)).astype(np.float32), np.arange(count) % 2)
        for count in (200, 400)
    ]
    probe = Lbfgs().fit(*parts)
    assert probe.validation_log_loss < np.log(2) + 0.01
    assert probe.strength < 1e-3


def test_too_few_iterations_give_a_warning():
    with pytest.warns(UserWarning, match="did not converge in 1 iterations at strength 1; allow"):
        probe = Lbfgs((1.0,), max_iterations=1).fit(made(300), made(90, seed=1))
    assert probe.converged is False


def test_no_warning_where_all_is_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Lbfgs().fit(made(300), made(90, seed=1)).converged


def adam_in_numpy(training, kernel, bias, rate, steps):
    """Algorithm 1 of Kingma and Ba on all examples at once, with Keras' defaults."""
    features, targets = training.features.astype(float), np.eye(kernel.shape[1])[training.labels]
    weights = np.vstack([kernel, bias]).astype(float)
    inputs = np.hstack([features, np.ones((len(features), 1))])
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, steps + 1):
        gradient = inputs.T @ (softmax(inputs @ weights, axis=1) - targets) / len(inputs)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        corrected = np.sqrt(square / (1 - 0.999**step)) + 1e-7
        weights -= rate * mean / (1 - 0.9**step) / corrected
    return weights[:-1], weights[-1]


def first_kernel(training, classes, seed):
    shape = (training.features.shape[1], classes)
    return tf.keras.initializers.GlorotUniform(seed)(shape).numpy()


@pytest.mark.parametrize("classes", [2, 3])
def test_adam_is_that_of_the_paper_on_raw_features(classes):
    training = made(60, classes)
    training = training._replace(features=training.features[:, [1, 2, 4]])
    probe = Adam(0.01, batch_size=60, epochs=7).fit(training, training, seed=3)
    kernel = first_kernel(training, classes, 3)
    kernel, bias = adam_in_numpy(training, kernel, np.zeros(classes), 0.01, 7)
    np.testing.assert_allclose(probe.kernel, kernel, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(probe.bias, bias, rtol=1e-3, atol=1e-5)
    assert (probe.iterations, probe.strength, probe.converged) == (7, None, None)
    loss = log_loss(training.features @ kernel + bias, training.labels)
    assert probe.validation_log_loss == pytest.approx(loss, rel=1e-3)


def test_adam_sees_every_example_in_every_epoch():
    assert Adam(batch_size=32, epochs=3).fit(made(70), made(30), 0).iterations == 9


def test_adam_repeats_itself_with_the_same_seed_only():
    fits = [Adam(epochs=2).fit(made(100), made(30), seed) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(fits[0].kernel, fits[1].kernel)
    np.testing.assert_array_equal(fits[0].bias, fits[1].bias)
    assert np.abs(fits[0].kernel - fits[2].kernel).max() > 1e-3


def test_adam_trains_in_float32_whatever_the_policy():
    expected = Adam(epochs=1).fit(made(64), made(30), 0)
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        probe = Adam(epochs=1).fit(made(64), made(30), 0)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_array_equal(probe.kernel, expected.kernel)


def test_one_step_of_adam_moves_the_logits_by_the_sum_of_the_features():
    # Three examples of four are of class 1, and all have the same features: every weight goes one
    # way, by the learning rate, those of the two classes in opposite directions.
    features = np.full((4, 1000), 0.4, np.float32)
    training = LabelledFeatures(features, np.array([1, 1, 1, 0]))
    for scale in (1.0, 1e3):
        scaled = training._replace(features=features * np.float32(scale))
        probe = Adam(1e-4, batch_size=4, epochs=1).fit(scaled, scaled, 0)
        moved = probe.logits(scaled.features) - scaled.features @ first_kernel(scaled, 2, 0)
        expected = 1e-4 * (0.4 * scale * 1000 + 1)
        np.testing.assert_allclose(np.abs(moved), expected, rtol=2e-3)
        np.testing.assert_allclose(moved[:, 0], -moved[:, 1], rtol=2e-3)


def test_a_probe_that_is_not_finite_is_an_error():
    # The first step sets weights of 1e30, and the second finds logits that float32 cannot hold.
    huge = LabelledFeatures(np.full((8, 3), 1e10, np.float32), np.arange(8) % 2)
    with pytest.raises(Diverged, match="got NaN or infinity after 4 steps of adam; take the probe"):
        Adam(1e30, batch_size=4, epochs=2).fit(huge, huge, 0)
