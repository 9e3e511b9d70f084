import itertools

import pytest
import tensorflow as tf

from tfselfsup.rl.objectives import MODES, GradientStep, Q, gradient_steps

TASKS = {"rotation": 0.5, "frame_order": 2.0}


def counted_optimizers():
    """A function that makes optimisers, which are the numbers 0, 1, 2 and so on here."""
    return itertools.count().__next__


def test_alternate_takes_a_q_step_and_then_a_step_of_all_tasks():
    assert gradient_steps("alternate", TASKS, counted_optimizers()) == (
        GradientStep({Q: 1.0}, 0),
        GradientStep(TASKS, 1),
    )


def test_joint_takes_one_step_on_the_weighted_sum():
    assert gradient_steps("joint", TASKS, counted_optimizers()) == (
        GradientStep({"q": 1.0, "rotation": 0.5, "frame_order": 2.0}, 0),
    )


def test_pretrain_hands_over_from_the_tasks_to_q():
    tasks, q = gradient_steps("pretrain", TASKS, counted_optimizers(), pretrain_updates=3)
    assert (tasks.weights, q.weights) == (TASKS, {Q: 1.0})
    assert tasks.optimizer != q.optimizer
    assert [tasks.taken_at(update) for update in range(5)] == [True, True, True, False, False]
    assert [q.taken_at(update) for update in range(5)] == [False, False, False, True, True]
    assert not tasks.always and not q.always


@pytest.mark.parametrize("mode", MODES)
def test_without_tasks_every_mode_is_plain_dqn(mode):
    assert gradient_steps(mode, {}, counted_optimizers()) == (GradientStep({Q: 1.0}, 0),)


def test_a_step_without_bounds_is_always_taken():
    step = GradientStep({Q: 1.0}, None)
    assert step.always and step.taken_at(0) and step.taken_at(10**9)


@pytest.mark.parametrize("first, end", [(0, None), (2, None), (0, 3), (2, 3)])
def test_a_step_is_taken_at_the_same_updates_in_a_graph(first, end):
    step = GradientStep({Q: 1.0}, None, first, end)
    taken_at = tf.function(lambda update: tf.convert_to_tensor(step.taken_at(update)))
    for update in range(5):
        expected = first <= update and (end is None or update < end)
        assert step.taken_at(update) == expected
        assert taken_at(tf.constant(update, tf.int64)).numpy() == expected


def test_the_norm_is_named_after_the_losses():
    assert GradientStep({Q: 1.0, **TASKS}, None).norm_name == "gradient_norm/q+rotation+frame_order"


def test_bad_settings():
    with pytest.raises(ValueError, match="among alternate, joint, pretrain, got 'both'"):
        gradient_steps("both", TASKS, counted_optimizers())
    with pytest.raises(ValueError, match="pretrain_updates of at least 1, got 0"):
        gradient_steps("pretrain", TASKS, counted_optimizers())
