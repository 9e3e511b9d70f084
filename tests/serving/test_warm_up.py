import numpy as np
import pytest
import tensorflow as tf

from tfselfsup.serving import warm_up
from tfselfsup.serving.warm_up import Request

# Serialised by TensorFlow Serving's own package, tensorflow-serving-api 2.15.1.
OF_PIXELS = (
    "32320a300a081a06696d6167657312240a06696d61676573121a0804121012020801120208021202080212020801"
    "220400010203"
)
OF_200_BYTES = (
    "32fc010af9010a111a0f73657276696e675f64656661756c7412e3010a0b696d6167655f627974657312d3010807"
    "12041202080142c801" + "78" * 200
)


def pixels() -> Request:
    return Request("images", {"images": np.arange(4, dtype=np.uint8).reshape(1, 2, 2, 1)})


def file(size: int) -> Request:
    return Request("serving_default", {"image_bytes": np.array([b"x" * size], object)})


def test_a_message_is_that_of_tensorflow_servings_package():
    assert warm_up.prediction_log(pixels()).hex() == OF_PIXELS
    # Lengths above 127 take two bytes.
    assert warm_up.prediction_log(file(200)).hex() == OF_200_BYTES


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16_383, 16_384, 200_000])
def test_tensorflow_servings_package_reads_a_message(size):
    messages = pytest.importorskip(
        "tensorflow_serving.apis.prediction_log_pb2", reason="needs tensorflow-serving-api"
    )
    read = messages.PredictionLog.FromString(warm_up.prediction_log(file(size)))
    asked = read.predict_log.request
    assert asked.model_spec.signature_name == "serving_default"
    assert tf.make_ndarray(asked.inputs["image_bytes"]).tolist() == [b"x" * size]


def test_the_file_holds_a_record_for_each_request(tmp_path):
    warm_up.write(tmp_path, [pixels(), file(200)])
    # The name is what TensorFlow Serving looks for.
    records = tf.data.TFRecordDataset(str(tmp_path / "tf_serving_warmup_requests"))
    assert [record.numpy().hex() for record in records] == [OF_PIXELS, OF_200_BYTES]
