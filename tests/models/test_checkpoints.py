import json

import pytest
import tensorflow as tf

from tfselfsup.models import checkpoints


@pytest.fixture
def network():
    return tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])


@pytest.fixture
def saved(network, tmp_path):
    tf.train.Checkpoint(online=network, counter=tf.Variable(7)).write(
        str(tmp_path / checkpoints.TENSORS)
    )
    (tmp_path / checkpoints.STATE).write_text(json.dumps({"epoch": 3}))
    return tmp_path


def test_weights_and_state_come_back(network, saved):
    kernel = network.layers[0].kernel
    before = kernel.numpy()
    kernel.assign(tf.zeros_like(kernel))
    checkpoints.load_weights(saved, online=network)
    assert (kernel.numpy() == before).all()
    assert checkpoints.read_state(saved) == {"epoch": 3}


def test_weights_under_another_name_do_not_fit(network, saved):
    with pytest.raises(checkpoints.DamagedCheckpoint, match=f"{saved} is damaged or of another"):
        checkpoints.load_weights(saved, trunk=network)


@pytest.mark.parametrize("content", ["", "{", "[3]"])
def test_a_damaged_state_is_named_once(content, saved):
    (saved / checkpoints.STATE).write_text(content)
    with (
        pytest.raises(checkpoints.DamagedCheckpoint) as raised,
        checkpoints.damage_named(saved.parent),
    ):
        checkpoints.read_state(saved)
    message = str(raised.value)
    assert message.startswith(f"{saved} is damaged") and message.count("is damaged") == 1


def test_a_state_that_is_not_there_is_named(saved):
    (saved / checkpoints.STATE).unlink()
    with pytest.raises(checkpoints.DamagedCheckpoint, match="No such file"):
        checkpoints.read_state(saved)
