"""What every task in the folder promises, on Atari-shaped and on photo-shaped frames."""

import numpy as np
import pytest
import tensorflow as tf

from tfselfsup import tasks
from tfselfsup.models.encoders import encoder
from tfselfsup.models.multi_head import multi_head

SHAPES = {"atari": (4, 84, 84, 1), "photo": (1, 64, 64, 3)}
SEED = tf.constant([3, 14], tf.int32)
OTHER_SEED = tf.constant([15, 92], tf.int32)


def _accepts(name, domain):
    try:
        tasks.get(name).check(SHAPES[domain])
    except ValueError:
        return False
    return True


PAIRS = [(name, domain) for name in tasks.names() for domain in SHAPES]
on_each_domain = pytest.mark.parametrize(
    ("name", "domain"), [pair for pair in PAIRS if _accepts(*pair)]
)
on_each_task = pytest.mark.parametrize("name", tasks.names())


def _frames(domain, batch=8):
    """Makes a square that moves up and to the right, over a ground that is brighter below."""
    num_frames, height, width, channels = SHAPES[domain]
    rng = np.random.default_rng(0)
    frames = np.empty((batch, num_frames, height, width, channels), np.uint8)
    frames[:] = np.linspace(1, 100, height, dtype=np.uint8)[:, None, None]
    for example in frames:
        row, column = rng.integers(16, 44, size=2)
        colour = rng.integers(120, 256, size=channels)
        for time, picture in enumerate(example):
            top, left = row - 5 * time, column + 5 * time
            picture[top : top + 12, left : left + 12] = colour
    return frames


def _model(task, domain, precision="float32"):
    trunk = encoder(SHAPES[domain], "nature_cnn", precision=precision)
    return multi_head(trunk, {task.name: task.head}, precision)


def _answered(name, domain):
    """Returns a task, examples of it, and what a fresh network answers."""
    task = tasks.get(name)
    examples = task.transform(_frames(domain), SEED)
    return task, examples, _model(task, domain)(examples.frames)[name]


def _assert_same(one, other):
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)


def _one_line(error, *words):
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("name", "domain"), [pair for pair in PAIRS if not _accepts(*pair)] or [("none", "none")]
)
def test_a_refused_shape_is_one_line_that_names_the_task(name, domain):
    if name == "none":
        pytest.skip("every task accepts every domain")
    task = tasks.get(name)
    with pytest.raises(ValueError) as from_check:
        task.check(SHAPES[domain])
    with pytest.raises(ValueError) as from_transform:
        task.transform(_frames(domain), SEED)
    _one_line(from_check, repr(name))
    assert str(from_transform.value) == str(from_check.value)


@on_each_task
def test_serves_at_least_one_domain(name):
    assert any(_accepts(name, domain) for domain in SHAPES)
    assert tasks.get(name).name == name


@on_each_domain
def test_shapes_and_dtypes(name, domain):
    frames = _frames(domain)
    examples = tasks.get(name).transform(frames, SEED)
    assert isinstance(examples, tasks.Examples)
    assert examples.frames.dtype == tf.uint8
    assert examples.frames.shape.rank == 5
    assert examples.frames.shape[0] == len(frames)
    assert examples.frames.shape[-1] == frames.shape[-1]
    assert examples.targets.shape[0] == len(frames)
    assert examples.weights.dtype == tf.float32
    assert examples.weights.shape == (len(frames),)
    # A moving square over a ramp: every example has an answer.
    assert np.all(examples.weights.numpy() > 0)


@on_each_domain
def test_frames_that_are_not_bytes_are_refused(name, domain):
    with pytest.raises(ValueError) as error:
        tasks.get(name).transform(_frames(domain).astype(np.float32), SEED)
    _one_line(error, repr(name), "uint8", "float32")


@on_each_domain
def test_the_seed_decides(name, domain):
    task, frames = tasks.get(name), _frames(domain)
    first = task.transform(frames, SEED)
    _assert_same(first, task.transform(frames, SEED))
    other = task.transform(frames, OTHER_SEED)
    same_frames = np.array_equal(first.frames, other.frames)
    is_same = same_frames and np.array_equal(first.targets, other.targets)
    assert is_same is not task.is_random


@on_each_domain
def test_same_examples_eagerly_in_a_graph_and_in_a_data_set(name, domain):
    task, frames = tasks.get(name), _frames(domain)
    eager = task.transform(frames, SEED)
    any_batch = tf.TensorSpec((None, *SHAPES[domain]), tf.uint8)
    signature = [any_batch, tf.TensorSpec([2], tf.int32)]
    # Without AutoGraph, as in training: a Python `if` on a tensor fails.
    graph = tf.function(task.transform, input_signature=signature, autograph=False)
    _assert_same(eager, graph(frames, SEED))
    data_set = tf.data.Dataset.from_tensor_slices(frames).batch(len(frames))
    mapped = data_set.map(lambda batch: task.transform(batch, SEED))
    _assert_same(eager, next(iter(mapped)))
    # A network can be built on what comes out: all sizes but the batch's are known.
    assert mapped.element_spec.frames.shape.as_list() == [None, *eager.frames.shape[1:]]


@on_each_domain
def test_leaves_its_input_alone(name, domain):
    frames = _frames(domain)
    before = frames.copy()
    tasks.get(name).transform(frames, SEED)
    np.testing.assert_array_equal(frames, before)


@on_each_domain
def test_the_inverse_leads_back_to_the_input(name, domain):
    task, frames = tasks.get(name), _frames(domain)
    examples = task.transform(frames, SEED)
    candidates = task.invert(examples.frames, examples.targets)
    if not candidates:
        assert type(task).invert is tasks.Task.invert
        return
    found = np.zeros(len(frames), bool)
    for candidate in candidates:
        assert candidate.dtype == tf.uint8
        found |= np.all(candidate.numpy() == frames, axis=(1, 2, 3, 4))
    assert found.all()


@on_each_domain
def test_loss_is_one_number_per_example_and_zero_without_an_answer(name, domain):
    task, examples, outputs = _answered(name, domain)
    loss = task.loss(outputs, examples)
    assert loss.dtype == tf.float32
    assert loss.shape == (8,)
    assert np.all(np.isfinite(loss)) and np.all(loss.numpy() > 0)
    mask = np.array([1, 0, 1, 0, 0, 1, 1, 0], np.float32)
    masked = task.loss(outputs, examples._replace(weights=examples.weights * mask))
    np.testing.assert_allclose(masked, loss * mask, rtol=1e-6)


@on_each_domain
def test_metrics_are_scalars_by_the_declared_names(name, domain):
    task, examples, outputs = _answered(name, domain)
    metrics = task.metrics(outputs, examples)
    assert isinstance(task.metric_names, tuple)
    assert task.metric_names
    assert tuple(metrics) == task.metric_names
    for value in metrics.values():
        assert value.dtype == tf.float32
        assert value.shape == ()
        assert np.isfinite(value)


@on_each_domain
def test_metrics_ignore_examples_without_an_answer(name, domain):
    task, examples, outputs = _answered(name, domain)
    mask = np.array([1, 0, 1, 0, 0, 1, 1, 0], np.float32)
    some = examples._replace(weights=examples.weights * mask)
    others = tf.where(mask.reshape(-1, *[1] * (outputs.shape.rank - 1)) > 0, outputs, -outputs)
    assert not np.array_equal(outputs, others)
    expected, got = task.metrics(outputs, some), task.metrics(others, some)
    assert {key: float(v) for key, v in got.items()} == {k: float(v) for k, v in expected.items()}
    none = task.metrics(outputs, examples._replace(weights=tf.zeros(8)))
    assert {float(value) for value in none.values()} == {0.0}


@on_each_domain
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_head_says_what_it_reads_and_answers_in_float32(name, domain, precision):
    task = tasks.get(name)
    assert task.head().reads in ("pooled", "map")
    examples = task.transform(_frames(domain), SEED)
    outputs = _model(task, domain, precision)(examples.frames)[name]
    assert outputs.dtype == tf.float32
    assert outputs.shape[0] == 8
    assert task.loss(outputs, examples).dtype == tf.float32


@on_each_task
def test_a_trunk_without_what_the_head_reads_is_refused(name):
    domain = next(domain for domain in SHAPES if _accepts(name, domain))
    task = tasks.get(name)
    reads = task.head().reads
    trunk = encoder(SHAPES[domain], "nature_cnn")
    others = {feature: value for feature, value in trunk.output.items() if feature != reads}
    with pytest.raises(ValueError) as error:
        multi_head(tf.keras.Model(trunk.input, others, name="poor"), {name: task.head})
    _one_line(error, f"head '{name}' reads '{reads}'", "'poor' has only", *others)


@on_each_task
def test_head_can_be_made_again_from_its_settings(name):
    domain = next(domain for domain in SHAPES if _accepts(name, domain))
    head = tasks.get(name).head()
    feature = encoder(SHAPES[domain], "nature_cnn").output[head.reads]
    features = np.random.default_rng(0).normal(size=(2, *feature.shape[1:])).astype(np.float32)
    expected = head(features)
    again = tf.keras.layers.deserialize(tf.keras.layers.serialize(head))
    again(features)
    again.set_weights(head.get_weights())
    np.testing.assert_array_equal(again(features), expected)


@on_each_task
def test_head_is_fresh_each_time(name):
    domain = next(domain for domain in SHAPES if _accepts(name, domain))
    task = tasks.get(name)
    assert task.head() is not task.head()
    one, other = _model(task, domain), _model(task, domain)
    assert not {id(v) for v in one.variables} & {id(v) for v in other.variables}


@on_each_domain
def test_the_gradient_reaches_every_variable_of_the_trunk(name, domain):
    task = tasks.get(name)
    examples = task.transform(_frames(domain), SEED)
    model = _model(task, domain)
    head = {id(variable) for variable in model.get_layer(name).trainable_variables}
    trunk = [variable for variable in model.trainable_variables if id(variable) not in head]
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(task.loss(model(examples.frames)[name], examples))
    gradients = tape.gradient(loss, trunk)
    # Three convolutions, each with a kernel and a bias.
    assert len(gradients) == 6
    assert all(gradient is not None and np.any(gradient) for gradient in gradients)


@on_each_domain
def test_32_examples_can_be_learnt(name, domain):
    tf.keras.utils.set_random_seed(0)
    task = tasks.get(name)
    examples = task.transform(_frames(domain, batch=32), SEED)
    model = _model(task, domain)
    optimizer = tf.keras.optimizers.Adam(1e-3)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(task.loss(model(examples.frames)[name], examples))
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    first = float(step())
    # Most tasks need 20 to 40 steps; whoever has learnt stops.
    assert any(float(step()) < 0.2 * first for _ in range(150))


def test_an_unknown_task_is_told_the_valid_ones():
    with pytest.raises(ValueError) as error:
        tasks.get("rotatoin")
    _one_line(error, "'rotatoin'", *tasks.names())


def test_base_is_not_a_task():
    assert "base" not in tasks.names()
    with pytest.raises(ValueError, match="unknown task 'base'"):
        tasks.get("base")


@on_each_task
def test_an_unknown_option_names_the_task_and_the_option(name):
    with pytest.raises(ValueError) as error:
        tasks.get(name, no_such_option=1)
    _one_line(error, repr(name), "'no_such_option'", "valid options")


@on_each_task
@pytest.mark.parametrize("shape", [(84, 84, 1), (2, 4, 84, 84, 1), (4, None, 84, 1), ()])
def test_a_shape_of_another_rank_or_unknown_size_is_refused(name, shape):
    with pytest.raises(ValueError) as error:
        tasks.get(name).check(shape)
    _one_line(error, repr(name), "(T, H, W, C)")


@on_each_task
def test_too_few_frames_or_a_picture_that_is_not_square_is_refused(name):
    task = tasks.get(name)
    with pytest.raises(ValueError) as error:
        task.check((task.min_frames - 1, 84, 84, 1))
    _one_line(error, repr(name), f"at least {task.min_frames} frames")
    if task.square:
        with pytest.raises(ValueError) as error:
            task.check((task.min_frames, 84, 64, 1))
        _one_line(error, repr(name), "square", "height 84", "width 64")
