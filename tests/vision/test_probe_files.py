import numpy as np
import pytest

from tfselfsup.vision import probe_files
from tfselfsup.vision.labelled_features import LabelledFeatures
from tfselfsup.vision.linear_probes import Adam, Lbfgs
from tfselfsup.vision.neighbour_probe import NearestNeighbours


def made(count, seed):
    random = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    features = random.normal(size=(count, 5)) + np.eye(5)[labels]
    return LabelledFeatures(features.astype(np.float32), labels)


@pytest.mark.parametrize(
    "method", [Lbfgs(), Adam(epochs=1), NearestNeighbours(7, 0.5)], ids=lambda m: type(m).__name__
)
def test_a_probe_comes_back_as_it_was(tmp_path, method):
    fitted = method.fit(made(60, 0), made(30, 1), 0)
    probe_files.save(fitted, tmp_path)
    again = probe_files.load(tmp_path)
    features = made(20, 2).features
    np.testing.assert_array_equal(again.logits(features), fitted.logits(features))
    assert again.validation_log_loss == fitted.validation_log_loss
    for name in ("strength", "iterations", "converged"):
        assert getattr(again, name, None) == getattr(fitted, name, None)


def test_a_damaged_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a fitted probe in .*probe.npz, got"):
        probe_files.load(tmp_path)
    fitted = Lbfgs().fit(made(60, 0), made(30, 1))
    probe_files.save(fitted, tmp_path)
    whole = (tmp_path / "probe.npz").read_bytes()
    (tmp_path / "probe.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="train the classifier again"):
        probe_files.load(tmp_path)
    np.savez(tmp_path / "probe.npz", kernel=np.zeros((5, 2)))
    with pytest.raises(ValueError, match="strength"):
        probe_files.load(tmp_path)


def test_a_file_can_run_nothing(tmp_path):
    # An array of objects is a pickle.
    np.savez(tmp_path / "probe.npz", kernel=np.array([print], object))
    with pytest.raises(ValueError, match="allow_pickle"):
        probe_files.load(tmp_path)
