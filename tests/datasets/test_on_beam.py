from pathlib import Path

import pytest

from tfselfsup.datasets import manifests, workers
from tfselfsup.datasets.manifests import Manifest
from tfselfsup.datasets.records import REAL, Video

on_beam = pytest.importorskip(
    "tfselfsup.datasets.on_beam", reason="the extra 'beam' is not installed"
)

VIDEOS = [Video(Path(f"{name}.mp4"), "made", name, name, REAL) for name in "abcde"]


def prepare():
    return "prepared"


class Task:
    """Notes which preparation a video met, in a manifest."""

    def __init__(self, out):
        self.out = out

    def __call__(self, prepared, video):
        manifest = Manifest(video, "done", reason=prepared)
        manifests.write(self.out, manifest)
        return manifest


def test_the_same_comes_of_it_as_in_processes(tmp_path):
    on_beam_out, apart_out = tmp_path / "beam", tmp_path / "apart"
    each = on_beam.each(["--runner=DirectRunner"], on_beam_out)
    came = dict(each(Task(on_beam_out), prepare, VIDEOS, workers=1))
    assert came == dict(workers.each_apart(Task(apart_out), prepare, VIDEOS, 1))
    assert [manifest.reason for manifest in came.values()] == ["prepared"] * 5


def test_what_fails_ends_the_run(tmp_path):
    def fail(prepared, video):
        raise OSError("the disk is full")

    with pytest.raises(Exception, match="the disk is full"):
        list(on_beam.each(["--runner=DirectRunner"], tmp_path)(fail, prepare, VIDEOS, workers=1))


@pytest.mark.parametrize("earlier", [False, True])
def test_workers_that_write_elsewhere_are_told_of(tmp_path, earlier):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    if earlier:
        for video in VIDEOS:
            manifests.write(out, Manifest(video, "unreadable"))
    each = on_beam.each(["--runner=DirectRunner"], out)
    with pytest.raises(ValueError, match="5 manifests to .*out, got none of 5 videos, such as a;"):
        list(each(Task(elsewhere), prepare, VIDEOS, workers=1))
