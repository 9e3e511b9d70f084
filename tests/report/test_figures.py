import struct
import xml.etree.ElementTree

import matplotlib.pyplot
import numpy as np
from matplotlib.figure import Figure

from tfselfsup.report import figures


def test_a_figure_is_written_as_png_and_svg(tmp_path):
    figure = Figure(figsize=(4, 3))
    figure.subplots().plot([0, 1], [1, 0], gid="the_line")
    written = figures.save(figure, tmp_path / "pong_curves")
    assert written == [tmp_path / "pong_curves.png", tmp_path / "pong_curves.svg"]
    assert sorted(tmp_path.iterdir()) == written  # and nothing half-written
    png = written[0].read_bytes()
    # Signature, the header chunk's length and name, and then width and height: 4 x 3 inches of
    # 150 dots.
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and png[12:16] == b"IHDR"
    assert struct.unpack(">II", png[16:24]) == (600, 450)
    pixels = matplotlib.pyplot.imread(written[0])
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) > 2
    svg = xml.etree.ElementTree.parse(written[1]).getroot()
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    assert svg.find(".//*[@id='the_line']") is not None


def test_a_figure_that_is_drawn_again_is_the_same_file(tmp_path):
    files = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        figure = Figure(figsize=(4, 3))
        figure.subplots().plot([0, 1], [1, 0], marker="o")
        files.append([file.read_bytes() for file in figures.save(figure, folder / "curve")])
    assert files[0] == files[1] and b"<dc:date>" not in files[0][1]
