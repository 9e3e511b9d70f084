import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.vision.training_cases import batches, images, model, network, values
from tfselfsup.config import TrainingConfig
from tfselfsup.runs import RunDirectory
from tfselfsup.vision import training
from tfselfsup.vision.training_callbacks import NonFiniteLossError
from tfselfsup.vision.training_checkpoints import load_weights, read_state

SETTINGS = TrainingConfig(epochs=6, learning_rate=1e-2, weight_decay=0.01)
BATCHES = 6
TRAINING = images(96)
VALIDATION = images(64, seed=1)


class At(tf.keras.callbacks.Callback):
    """Does something after a step of the run."""

    def __init__(self, step, action):
        super().__init__()
        self._step = step
        self._action = action

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations.numpy() == self._step:
            self._action(self.model)


def train(path, *callbacks, made=None, settings=SETTINGS, seed=3, validation=VALIDATION):
    """Trains class and rotation in a folder; returns the run and the model."""
    made = made or model(1.0, seed=seed, momentum=0.5)
    run = RunDirectory(path)
    run.path.mkdir(exist_ok=True)
    training.train(
        made,
        lambda epoch: batches(*TRAINING, shuffle_seed=training.shuffle_seed(seed, epoch)),
        validation and batches(*validation),
        settings,
        run,
        callbacks,
        hyper_parameters={"learning_rate": settings.learning_rate},
    )
    return run, made


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return train(tmp_path_factory.mktemp("runs") / "finished")


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def rows(run):
    """The rows of metrics.csv, without the clock."""
    return [{k: v for k, v in row.items() if k != "steps_per_second"} for row in run.metrics()]


def one_line(error, *words):
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def interrupt(_):
    raise KeyboardInterrupt


def spoil(made):
    # All of them: some processors' fused ReLU makes 0 of NaN.
    for weight in made.network.trainable_weights:
        weight.assign(tf.fill(weight.shape, float("nan")))


def test_class_and_rotation_are_learnt_together(finished):
    _, made = finished
    measured = made.evaluate(batches(*images(200, seed=2)), return_dict=True, verbose=0)
    assert measured["accuracy/label"] > 0.97 and measured["auc/label"] > 0.99
    assert measured["accuracy/rotation"] > 0.9


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(finished, tmp_path):
    run, made = finished
    again, made_again = train(tmp_path / "again")
    assert_same(values(made), values(made_again))
    assert rows(run) == rows(again)
    # Begun with the same weights, but in another order and with other turns.
    with pytest.raises(training.InterruptedTraining):
        train(tmp_path / "other", At(BATCHES + 1, interrupt), seed=4)
    (first,) = rows(RunDirectory(tmp_path / "other"))
    for name in ("loss/label", "loss/rotation"):
        assert float(first[name]) != pytest.approx(float(rows(run)[0][name]), rel=1e-3)


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(finished, tmp_path):
    run, made = finished
    # In the middle of the fourth epoch.
    with pytest.raises(training.InterruptedTraining) as error:
        train(tmp_path / "run", At(3 * BATCHES + 2, interrupt))
    one_line(error, "epoch 4 of 6", "from the end of epoch 3")
    # A row of an epoch whose checkpoint was not written any more.
    RunDirectory(tmp_path / "run").append_metrics(run.metrics()[3])
    resumed, made_again = train(tmp_path / "run")
    assert_same(values(made), values(made_again))
    assert rows(run) == rows(resumed)
    assert read_state(run.best) == read_state(resumed.best)


def test_a_run_that_is_interrupted_at_once_begins_anew(tmp_path):
    with pytest.raises(training.InterruptedTraining) as error:
        train(tmp_path / "run", At(1, interrupt))
    one_line(error, "epoch 1 of 6", "from the beginning")
    assert RunDirectory(tmp_path / "run").checkpoints() == []


def test_a_finished_run_is_left_alone(finished):
    run, made = finished
    before, files = rows(run), sorted(path.name for path in run.path.rglob("*"))
    other = model(1.0, seed=9, momentum=0.5)
    train(run.path, made=other)
    assert rows(run) == before and sorted(path.name for path in run.path.rglob("*")) == files
    # The network is that of the last checkpoint, as after the training itself.
    assert_same(values(made), values(other))


def test_each_epoch_has_a_row_and_the_step_size_rises_and_falls(finished):
    run, _ = finished
    found = run.metrics()
    assert list(found[0])[:4] == ["epoch", "step", "learning_rate", "steps_per_second"]
    assert {"loss", "loss/label", "auc/label", "accuracy/rotation", "gradient_norm", "val_loss",
            "val_loss/rotation", "val_accuracy/label"} < set(found[0])  # fmt: skip
    assert [int(row["epoch"]) for row in found] == [1, 2, 3, 4, 5, 6]
    assert [int(row["step"]) for row in found] == [6, 12, 18, 24, 30, 36]
    rates = [float(row["learning_rate"]) for row in found]
    assert rates == sorted(rates, reverse=True) and rates[0] < 1e-2 and 0 < rates[-1] < 1e-4
    assert all(float(row["steps_per_second"]) > 0 for row in found)


def test_tensorboard_gets_the_same_numbers(finished):
    run, _ = finished
    (events,) = run.path.glob("events.out.*")
    seen = {
        (value.tag, event.step): float(tf.make_ndarray(value.tensor))
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "scalars"
    }
    for row in run.metrics():
        for name, value in row.items():
            assert seen[name, int(row["epoch"])] == pytest.approx(float(value), rel=1e-5), name


def test_tensorboard_gets_the_settings_once_and_other_summaries_after_each_epoch(tmp_path):
    settings = TrainingConfig(epochs=3)
    steps = []

    def summary():
        steps.append(int(tf.summary.experimental.get_step()))
        tf.summary.scalar("more", len(steps))

    run = RunDirectory(tmp_path)
    data = batches(*TRAINING)
    training.train(
        model(None), lambda epoch: data, None, settings, run,
        hyper_parameters={"seed": 5}, summaries=[summary],
    )  # fmt: skip
    assert steps == [1, 2, 3]
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Tensors("more")] == steps
    assert len(events.Tensors("_hparams_/session_start_info")) == 1


def test_the_last_and_the_best_checkpoint_are_kept(finished):
    run, made = finished
    (last,) = run.checkpoints()
    losses = [float(row["val_loss/label"]) for row in run.metrics()]
    assert last.name == "step_6" and read_state(last).epoch == 6
    assert read_state(last).loss == pytest.approx(losses[-1], rel=1e-5)
    assert read_state(run.best).epoch == 1 + int(np.argmin(losses))
    best = model(1.0, momentum=0.5)
    load_weights(best.network, run.best)
    best.compile()
    measured = best.evaluate(batches(*VALIDATION), return_dict=True, verbose=0)
    assert measured["loss/label"] == pytest.approx(min(losses), rel=1e-5)
    load_weights(best.network, last)
    assert_same(values(best), values(made))


def test_a_network_that_becomes_worse_is_not_the_best(tmp_path):
    def forget(made):
        kernel = made.network.get_layer("trunk").kernel
        kernel.assign(-10 * kernel)

    run, _ = train(
        tmp_path / "run",
        At(2 * BATCHES, forget),
        settings=TrainingConfig(epochs=2, learning_rate=1e-2),
        made=model(None),
    )
    first, second = (float(row["val_loss/label"]) for row in run.metrics())
    assert first < second
    assert read_state(run.best).epoch == 1 and read_state(run.checkpoints()[-1]).epoch == 2


def test_a_pretraining_is_judged_by_its_tasks(tmp_path):
    made = model(1.0, pretrain=True, heads=[("rotation", 4)])
    settings = TrainingConfig(epochs=4, learning_rate=1e-2)
    run, _ = train(tmp_path / "run", made=made, settings=settings)
    losses = [float(row["val_loss"]) for row in run.metrics()]
    assert losses == [float(row["val_loss/rotation"]) for row in run.metrics()]
    assert read_state(run.best).loss == pytest.approx(min(losses), rel=1e-5)
    assert losses[-1] < 0.5 * np.log(4)  # where it began, at chance


def test_without_validation_there_is_no_best(tmp_path):
    run, _ = train(
        tmp_path / "run", validation=None, settings=TrainingConfig(epochs=1), made=model(None)
    )
    assert not run.best.exists() and len(run.checkpoints()) == 1
    assert "val_loss" not in run.metrics()[0]
    assert read_state(run.checkpoints()[-1]).loss is None


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_epoch(tmp_path):
    settings = TrainingConfig(epochs=3, learning_rate=1e-2)
    with pytest.raises(NonFiniteLossError) as error:
        train(tmp_path / "run", At(BATCHES + 2, spoil), settings=settings, made=model(None))
    one_line(error, "loss nan", "step 3 of epoch 2", "step_1", "learning rate")
    run = RunDirectory(tmp_path / "run")
    assert [path.name for path in run.checkpoints()] == ["step_1"] and len(run.metrics()) == 1
    # Only the validation can tell what the last step of an epoch has done.
    with pytest.raises(NonFiniteLossError) as error:
        train(tmp_path / "run", At(2 * BATCHES, spoil), settings=settings, made=model(None))
    one_line(error, "val_loss nan", "after epoch 2", "step_1")
    assert [path.name for path in run.checkpoints()] == ["step_1"] and len(run.metrics()) == 1
    good = model(None)
    load_weights(good.network, run.best)
    assert all(np.isfinite(value).all() for value in values(good).values())


def test_a_checkpoint_of_another_network_is_refused(finished):
    run, _ = finished
    with pytest.raises(ValueError) as error:
        train(run.path, made=model(None, heads=[("label", 3)]))
    one_line(error, "step_6", "another network", "delete it")
    with pytest.raises(ValueError) as error:
        load_weights(network(heads=[("label", 5)]), run.best)
    one_line(error, "best", "another network")


def test_a_damaged_checkpoint_is_refused(finished, tmp_path):
    run, _ = finished
    broken = tmp_path / "step_6"
    broken.mkdir()
    with pytest.raises(ValueError) as error:
        read_state(broken)
    one_line(error, "step_6", "damaged")
    (broken / "state.json").write_text('{"epoch": 1, "loss": null, "more": 2}')
    with pytest.raises(ValueError) as error:
        read_state(broken)
    one_line(error, "step_6", "damaged")


@pytest.mark.parametrize(
    "data, found",
    [
        (lambda: batches(*TRAINING).filter(lambda *_: True), "an unknown number"),
        (lambda: batches(*TRAINING).repeat(), "endless ones"),
        (lambda: batches(*TRAINING).take(0), "none"),
    ],
)
def test_the_number_of_batches_must_be_known(data, found, tmp_path):
    with pytest.raises(ValueError) as error:
        run = RunDirectory(tmp_path / "run")
        training.train(model(None), lambda epoch: data(), None, SETTINGS, run, hyper_parameters={})
    one_line(error, f"got {found}", "assert_cardinality")


def rates(warm_up, total):
    settings = TrainingConfig(learning_rate=0.4, warm_up=warm_up)
    optimizer = training.make_optimizer(network(), settings, total)
    return [float(optimizer._learning_rate(step)) for step in range(total + 1)]


def test_the_step_size_is_the_one_worked_out_by_hand():
    # From 0.1 in 4 equal steps of 0.1 - 1/40; then 0.2 * (1 + cos(pi * k / 6)).
    rising = [0.1, 0.175, 0.25, 0.325]
    falling = [0.2 * (1 + np.cos(np.pi * k / 6)) for k in range(7)]
    np.testing.assert_allclose(rates(0.4, 10), rising + falling, atol=1e-6)
    np.testing.assert_allclose(rates(0.0, 2), [0.4, 0.2, 0.0], atol=1e-6)
    np.testing.assert_allclose(rates(1.0, 2), [0.2, 0.3, 0.4], atol=1e-6)


def test_weights_decay_and_biases_and_scales_do_not():
    built = network(momentum=0.5)
    before = {variable.name: variable.numpy() for variable in built.trainable_variables}
    settings = TrainingConfig(learning_rate=0.1, warm_up=0.0, weight_decay=0.5)
    optimizer = training.make_optimizer(built, settings, 10)
    variables = built.trainable_variables
    optimizer.apply_gradients([(tf.zeros_like(variable), variable) for variable in variables])
    for variable in variables:
        # Adam takes no step along a gradient of 0: what is left is lr * decay = 0.05.
        expected = before[variable.name] * (0.95 if "kernel" in variable.name else 1.0)
        np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-6, err_msg=variable.name)


def test_every_epoch_of_every_run_has_a_seed_of_its_own():
    seeds = {training.shuffle_seed(seed, epoch) for seed in range(20) for epoch in range(20)}
    assert len(seeds) == 400 and min(seeds) >= 0 and max(seeds) < 2**31
    assert training.shuffle_seed(1, 2) == training.shuffle_seed(1, 2)
