import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tfselfsup.vision.tensorboard_images import (
    EXPLAINED,
    SHOWN,
    TAG,
    MisclassifiedImages,
    captioned,
    worst,
)

NAMES = ("real", "fake")


def test_the_worst_are_the_most_confident_mistakes():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7], [0.05, 0.95]])
    labels = np.array([1, 0, 0, 1, 0])
    assert worst(probabilities, labels, 4).tolist() == [4, 0, 2, 1]
    assert worst(probabilities, labels, 2).tolist() == [4, 0]
    assert worst(probabilities, probabilities.argmax(1), 4).tolist() == []


def test_a_picture_shows_the_image_and_a_line_below_it():
    image = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    (picture,) = captioned(image[None], ["fake, taken for real 0.93"])
    assert picture.shape == (248, 224, 3) and picture.dtype == np.uint8
    # Enlarged pixels stay squares of one colour.
    np.testing.assert_array_equal(picture[28:224:56, 28:224:56], image)
    line = picture[224:]
    assert (line == 255).mean() > 0.6 and line.min() < 100
    other = captioned(image[None], ["real, taken for fake 0.93"])[0]
    np.testing.assert_array_equal(picture[:224], other[:224])
    assert (line != other[224:]).any()


def test_a_long_line_is_written_smaller():
    picture = captioned(np.zeros((1, 300, 300, 1), np.uint8), ["nine, taken for four " * 4])[0]
    assert picture[:224].max() == 0  # grey becomes black, in colour
    assert (picture[224:, -4:] == 255).all()


def batches(labels, confidences, batch_size):
    """Images whose first pixel tells their number, and logits that give these confidences."""
    numbers = np.arange(len(labels))
    data = tf.data.Dataset.from_tensor_slices(
        {
            "image": np.broadcast_to(numbers[:, None, None, None], (len(labels), 2, 2, 1)).astype(
                np.uint8
            ),
            "label": np.asarray(labels, np.int64),
            "row": numbers.astype(np.int64),
        }
    )
    logits = np.log(np.array([[1 - fake, fake] for fake in confidences]))
    return data.batch(batch_size), lambda batch: logits[batch["row"]]


def written(folder, summary, step=1, tag=TAG):
    with tf.summary.create_file_writer(str(folder)).as_default(step=step):
        summary()
    events = EventAccumulator(str(folder)).Reload()
    if tag not in events.Tags()["tensors"]:
        return []
    (event,) = events.Tensors(tag)
    assert event.step == step
    # The width and the height come first.
    return [tf.io.decode_png(png).numpy() for png in tf.make_ndarray(event.tensor_proto)[2:]]


@pytest.mark.parametrize("batch_size", [2, 3, 100])
def test_the_worst_of_all_batches_are_written(tmp_path, batch_size):
    labels = [0, 1, 0, 0, 1, 0, 0]
    confidences = [0.6, 0.1, 0.99, 0.2, 0.8, 0.7, 0.8]
    data, answer = batches(labels, confidences, batch_size)
    shown = written(tmp_path, MisclassifiedImages(answer, data, NAMES))
    assert [int(picture[0, 0, 0]) for picture in shown] == [2, 1, 6, 5] and len(shown) == SHOWN
    expected = captioned(np.full((1, 2, 2, 1), 1, np.uint8), ["fake, taken for real 0.90"])[0]
    np.testing.assert_array_equal(shown[1], expected)


@pytest.mark.parametrize("batch_size", [2, 100])
def test_the_same_mistakes_are_explained(tmp_path, batch_size):
    data, answer = batches([0, 1, 0, 1, 1], [0.6, 0.1, 0.99, 0.9, 0.3], batch_size)
    asked = []

    def explain(images, classes):
        asked.append((images[:, 0, 0, 0].tolist(), classes.tolist()))
        return np.concatenate([images, 100 + images], axis=2)

    summary = MisclassifiedImages(answer, data, NAMES, explain)
    shown = written(tmp_path, summary, tag=EXPLAINED)
    # What they are taken for, not what they are.
    assert asked == [([2, 1, 4, 0], [1, 0, 0, 1])]
    pictures = np.array([[[[2], [102]]]], np.uint8)
    np.testing.assert_array_equal(shown[0], captioned(pictures, ["real, taken for fake 0.99"])[0])
    assert [picture.shape for picture in shown] == 4 * [(248, 448, 3)]


def test_without_a_mistake_nothing_is_written(tmp_path):
    def explain(images, classes):
        raise AssertionError("there is nothing to explain")

    data, answer = batches([0, 1], [0.1, 0.9], 2)
    assert written(tmp_path, MisclassifiedImages(answer, data, NAMES, explain)) == []
    assert written(tmp_path, MisclassifiedImages(answer, data, NAMES), tag=EXPLAINED) == []
