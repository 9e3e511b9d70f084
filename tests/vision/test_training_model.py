import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import log_loss, roc_auc_score

from tests.vision.training_cases import batches, images, model, network, values
from tfselfsup import tasks
from tfselfsup.tasks.base import ClassificationTask, Examples
from tfselfsup.vision.training_model import MultiTaskModel, frames_and_labels


class Fixed(ClassificationTask):
    """Leaves the frames alone; targets and weights are given."""

    num_classes = 3

    def __init__(self, targets, weights):
        self._targets = tf.constant(targets, tf.int32)
        self._weights = tf.constant(weights, tf.float32)

    def transform(self, frames, seed):
        return Examples(frames, self._targets, self._weights)


class Echo(Fixed):
    """Its metric says what the seed was."""

    metric_names = ("accuracy", "seed")

    def transform(self, frames, seed):
        self._seen = tf.random.stateless_uniform((), seed)
        return super().transform(frames, seed)

    def metrics(self, outputs, examples):
        return {**super().metrics(outputs, examples), "seed": self._seen}


def fixed_logits(logits):
    """A network that says the same of every image, whose biases learn."""
    built = network([(name, len(bias)) for name, bias in logits.items()])
    for name, bias in logits.items():
        kernel, _ = built.get_layer(name).get_weights()
        built.get_layer(name).set_weights([np.zeros_like(kernel), np.array(bias)])
    return built


def by_hand(weight=0.5):
    # p(label) = (1/4, 3/4); p(fixed) = (1/2, 1/4, 1/4)
    built = fixed_logits({"label": [0.0, np.log(3)], "fixed": [np.log(2), 0.0, 0.0]})
    asked = Fixed([0, 1, 2], [1.0, 0.5, 0.0])
    made = MultiTaskModel(built, {"fixed": asked}, {"fixed": weight}, seed=0)
    made.compile(tf.keras.optimizers.SGD(1.0), run_eagerly=True)
    return made, (images(3)[0], np.array([0, 1, 1]))


def step(made, data, optimizer=None, eagerly=True):
    """Takes one step, and says what it changed. An eager step is faster than tracing a graph."""
    made.compile(optimizer or tf.keras.optimizers.SGD(1.0), run_eagerly=eagerly)
    before = values(made)
    logs = made.train_on_batch(*data, return_dict=True)
    return logs, {name: value - before[name] for name, value in values(made).items()}


def test_the_combined_loss_is_the_one_worked_out_by_hand():
    made, data = by_hand(weight=0.5)
    measured = made.test_on_batch(*data, return_dict=True)
    # Classes: -(log 1/4 + 2 log 3/4) / 3
    label = (np.log(4) + 2 * np.log(4 / 3)) / 3
    # Task: (1 * log 2 + 1/2 * log 4 + 0) / (1 + 1/2) = 4/3 log 2
    fixed = 4 / 3 * np.log(2)
    assert measured["loss/label"] == pytest.approx(label)
    assert measured["loss/fixed"] == pytest.approx(fixed)
    assert measured["loss"] == pytest.approx(label + 0.5 * fixed)
    assert measured["accuracy/label"] == pytest.approx(2 / 3)
    # Of the two that have an answer, the first is right.
    assert measured["accuracy/fixed"] == pytest.approx(1 / 2)


def test_the_step_follows_the_gradient_worked_out_by_hand():
    made, data = by_hand(weight=0.5)
    _, change = step(made, data)
    # Bias gradients: mean of p - one_hot; for the task weighted, over 3/2, times 1/2.
    label = np.array([1 / 4 - 1 / 3, 3 / 4 - 2 / 3])
    p = np.array([1 / 2, 1 / 4, 1 / 4])
    fixed = 0.5 * (1.0 * (p - [1, 0, 0]) + 0.5 * (p - [0, 1, 0])) / 1.5
    np.testing.assert_allclose(change["label_head/logits/bias:0"], -label, atol=1e-6)
    np.testing.assert_allclose(change["fixed_head/logits/bias:0"], -fixed, atol=1e-6)


def test_the_gradient_reaches_the_trunk_as_the_weighted_sum_of_both():
    data = images(16)
    _, alone = step(model(None), data)
    _, task = step(model(1.0, pretrain=True), data)
    _, both = step(model(0.3), data)
    trunk = "trunk/kernel:0"
    assert np.abs(alone[trunk]).max() > 1e-4 and np.abs(task[trunk]).max() > 1e-4
    np.testing.assert_allclose(both[trunk], alone[trunk] + 0.3 * task[trunk], atol=1e-6)


def test_the_norm_is_that_of_the_whole_gradient():
    logs, change = step(model(0.5), images(16))
    squares = sum(np.sum(np.square(value)) for value in change.values())
    assert logs["gradient_norm"] == pytest.approx(np.sqrt(squares), rel=1e-4)


def test_a_task_of_weight_0_changes_nothing():
    data = images(16)
    one, other = model(0.0, momentum=0.5), model(None, momentum=0.5)
    for made in (one, other):
        for _ in range(2):
            step(made, data)
    assert values(one).keys() == values(other).keys()
    for name, value in values(other).items():
        np.testing.assert_array_equal(values(one)[name], value, err_msg=name)


@pytest.mark.parametrize("momentum, used", [(0.5, 0.5), (0.99, 0.9)])
def test_running_statistics_follow_the_unchanged_frames_and_soon(momentum, used):
    data = images(16)
    made = model(1.0, momentum=momentum)
    pixels = data[0][:, 0].astype(np.float32) / 255
    seen = made.network.get_layer("trunk")(pixels).numpy()
    step(made, data, eagerly=False)
    _, _, mean, variance = made.network.get_layer("norm").get_weights()
    # The statistics begin with 0 and 1; the variance is the unbiased one.
    flat = seen.reshape(-1, seen.shape[-1])
    np.testing.assert_allclose(mean, (1 - used) * flat.mean(0), rtol=1e-4, atol=1e-5)
    expected = used + (1 - used) * flat.var(0, ddof=1)
    np.testing.assert_allclose(variance, expected, rtol=1e-4)


def test_a_pretraining_moves_the_trunk_and_the_task_but_not_the_class_head():
    made = model(1.0, pretrain=True, momentum=0.5)
    # Decay would move what no gradient reaches, if it were handed to the optimiser.
    optimizer = tf.keras.optimizers.AdamW(1e-2, weight_decay=0.1)
    label = [variable.name for variable in made.network.get_layer("label").weights]
    _, change = step(made, images(16), optimizer)
    moved = {name for name, value in change.items() if np.any(value)}
    assert len(label) == 2 and moved == set(change) - set(label)


def test_a_pretraining_needs_neither_labels_nor_their_head():
    frames, labels = images(16)
    made = model(1.0, pretrain=True, heads=[("rotation", 4)])
    logs, change = step(made, (frames,))
    again, with_labels = step(model(1.0, pretrain=True, heads=[("rotation", 4)]), (frames, labels))
    assert logs == again and set(logs) == {
        "loss", "loss/rotation", "accuracy/rotation", "gradient_norm",
    }  # fmt: skip
    for name, value in change.items():
        np.testing.assert_array_equal(value, with_labels[name])


def test_means_are_over_the_examples_whatever_the_batches():
    frames, labels = images(40)
    made = model(0.5)
    made.compile(tf.keras.optimizers.SGD())
    measured = made.evaluate(batches(frames, labels, 16), return_dict=True, verbose=0)
    probabilities = tf.nn.softmax(made(frames)["label"]).numpy().astype(float)
    probabilities /= probabilities.sum(1, keepdims=True)
    assert measured["loss/label"] == pytest.approx(log_loss(labels, probabilities), rel=1e-5)
    assert measured["accuracy/label"] == pytest.approx(np.mean(probabilities.argmax(1) == labels))
    assert measured["auc/label"] == pytest.approx(
        roc_auc_score(labels, probabilities[:, 1]), abs=0.02
    )
    assert measured["loss"] == pytest.approx(
        measured["loss/label"] + 0.5 * measured["loss/rotation"], rel=1e-5
    )


def test_a_batch_counts_for_a_task_by_its_answers():
    # One batch has three answers, the other none: its loss, 0, does not pull the mean down.
    asked = Fixed([0, 1, 2], [1.0, 1.0, 1.0])
    made = MultiTaskModel(network([("fixed", 3)]), {"fixed": asked}, {"fixed": 1.0}, seed=0,
                          pretrain=True)  # fmt: skip
    made.compile(tf.keras.optimizers.SGD())
    frames = images(3)[0]
    first = made.test_step((frames,))["loss/fixed"].numpy()
    asked._weights = tf.zeros(3)
    assert first > 0
    assert made.test_step((frames,))["loss/fixed"].numpy() == first


def echo_seeds(seed, names=("echo",), steps=2):
    asked = {name: Echo([0, 1, 2], [1.0, 1.0, 1.0]) for name in names}
    heads = [(name, 3) for name in names]
    made = MultiTaskModel(
        network(heads), asked, dict.fromkeys(names, 1.0), seed=seed, pretrain=True
    )
    made.compile(tf.keras.optimizers.SGD(), run_eagerly=True)
    frames = images(3)[0]
    learnt = [made.train_on_batch(frames, return_dict=True) for _ in range(steps)]
    tested = [made.test_on_batch(frames, return_dict=True) for _ in range(2)]
    return {name: [float(logs[f"seed/{name}"]) for logs in learnt + tested] for name in names}


def test_questions_differ_by_run_step_and_task_and_are_the_same_at_every_test():
    first, second, test, test_again = echo_seeds(1)["echo"]
    assert len({first, second, test}) == 3 and test == test_again
    assert echo_seeds(1)["echo"] == [first, second, test, test]
    assert set(echo_seeds(2)["echo"]).isdisjoint({first, second, test})
    both = echo_seeds(1, ("other", "echo"))
    assert both["echo"] == [first, second, test, test]
    assert set(both["other"]).isdisjoint(both["echo"])


def test_bfloat16_learns_what_float32_does_with_float32_losses():
    data = images(64)
    loss = {}
    for precision in ("float32", "mixed_bfloat16"):
        made = model(0.5, precision=precision)
        assert made.network.get_layer("trunk").compute_dtype == precision.removeprefix("mixed_")
        made.compile(tf.keras.optimizers.Adam(1e-2))
        loss[precision] = [
            made.train_on_batch(*data, return_dict=True)["loss/label"] for _ in range(30)
        ]
        assert made(data[0])["label"].dtype == tf.float32
    assert loss["float32"][-1] < 0.1 * loss["float32"][0]
    np.testing.assert_allclose(loss["mixed_bfloat16"][0], loss["float32"][0], rtol=0.02)
    assert loss["mixed_bfloat16"][-1] < 0.1 * loss["mixed_bfloat16"][0]


def test_more_than_two_classes_have_no_auc():
    made = model(None, heads=[("label", 3)])
    assert made.num_classes == 3
    assert [metric.name for metric in made.metrics] == [
        "loss", "loss/label", "accuracy/label", "gradient_norm",
    ]  # fmt: skip


def test_what_decides_is_the_class_loss_and_without_classes_the_sum():
    assert model(1.0).deciding_loss == "loss/label"
    assert model(1.0, pretrain=True).deciding_loss == "loss"


def test_the_batches_of_a_data_set_get_an_axis_for_time():
    frames, labels = images(5)
    data = tf.data.Dataset.from_tensor_slices(
        {"image": frames[:, 0], "label": labels, "row": np.arange(5)}
    )
    (first, first_labels), (second, second_labels) = frames_and_labels(data.batch(3))
    np.testing.assert_array_equal(tf.concat([first, second], 0), frames)
    np.testing.assert_array_equal(tf.concat([first_labels, second_labels], 0), labels)


@pytest.mark.parametrize(
    "heads, beside, weights, pretrain, words",
    [
        ([("rotation", 4)], ["rotation"], {"rotation": 1.0}, False,
         ["heads label, rotation", "with rotation", "add label"]),
        ([("label", 2)], ["rotation"], {"rotation": 1.0}, True, ["add rotation"]),
        ([("label", 2)], [], {}, True, ["at least one task", "none"]),
        ([("label", 2), ("rotation", 4)], ["rotation"], {}, False, ["rotation", "none"]),
        ([("label", 2)], [], {"rotation": 1.0}, False, ["none", "rotation"]),
        ([("label", 2), ("rotation", 4)], ["rotation"], {"rotation": -1.0}, False,
         ["at least 0", "'rotation'", "-1"]),
        ([("label", 2), ("rotation", 4)], ["rotation"], {"rotation": float("nan")}, False,
         ["at least 0", "nan"]),
        ([("label", 2), ("frame_order", 12)], ["frame_order"], {"frame_order": 1.0}, False,
         ["frame_order", "frames"]),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(heads, beside, weights, pretrain, words):
    asked = {name: tasks.get(name) for name in beside}
    with pytest.raises(ValueError) as error:
        MultiTaskModel(network(heads), asked, weights, seed=0, pretrain=pretrain)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)
