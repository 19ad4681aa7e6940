"""Folders of events: files by the kind of event, grids, tables, and a line for each."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import soundfile
from PIL import Image

from arbench.border.gallery import write
from arbench.border.media import ABSENT, GROUND, dots, png, wav
from arbench.border.shown import UNKNOWN, Picture, Sound, Text, read

GREY = Picture(np.array([[[0], [1]], [[2], [UNKNOWN]]]), 3)
RED = Picture(np.array([[[4, 0, 0]]]), 5)
LOUD = Sound(np.array([0, 0.5, -1, 1], np.float32), 22050.4)


def opened(content: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))


def test_a_pixel_is_a_square_of_whole_dots() -> None:
    found = dots(GREY, side=5)
    assert found.shape == (6, 6, 3)
    assert found[::3, ::3].tolist() == [[[0] * 3, [128] * 3], [[255] * 3, [*ABSENT]]]
    assert (found == found[::3, ::3].repeat(3, 0).repeat(3, 1)).all()
    assert dots(RED, side=1).tolist() == [[[255, 0, 0]]]


def test_large_pictures_keep_their_size() -> None:
    assert dots(Picture(np.zeros((300, 200, 1), int), 2)).shape == (300, 200, 3)


def test_a_grid_has_the_pictures_in_rows() -> None:
    pictures = [Picture(np.full((2, 2, 1), level), 8) for level in range(5)]
    found = opened(png(pictures, side=8))
    assert found.shape == (2 * 8 + 3, 3 * 8 + 4, 3)
    places = [(top, left) for top in (1, 10) for left in (1, 10, 19)]
    for level, (top, left) in enumerate(places[:5]):
        assert (found[top : top + 8, left : left + 8] == round(level * 255 / 7)).all()
    assert (found[10:18, 19:] == GROUND).all()
    assert (found[:, [0, 9, 18, 27]] == GROUND).all()


def test_grey_pictures_are_grey_files() -> None:
    assert Image.open(io.BytesIO(png([Picture(np.zeros((1, 1, 1), int), 2)]))).mode == "L"
    assert Image.open(io.BytesIO(png([GREY]))).mode == "RGB"


def test_a_sound_has_16_bits_and_its_rate() -> None:
    samples, rate = soundfile.read(io.BytesIO(wav(LOUD)))
    assert rate == 22050
    assert np.abs(samples - LOUD.samples).max() <= 2**-15
    assert soundfile.info(io.BytesIO(wav(LOUD))).subtype == "PCM_16"


def test_symbols_beyond_bytes_are_spelled_out() -> None:
    assert read([72, 105, 300, 0xC3, 0xA4], 400) == Text("Hi<300>ä")


def test_texts_without_a_source_are_files(tmp_path) -> None:
    told = {"class": [3]}
    written = write(tmp_path, [Text("a\nb", "of letters")], [Text("c")], told, [{"row": 0}])
    assert [path.name for path in written] == ["sample-0.txt", "samples.jsonl"]
    assert (tmp_path / "sample-0.txt").read_text() == "a\nb\n"
    assert (tmp_path / "real-0.txt").read_text() == "c\n"
    assert json.loads((tmp_path / "samples.jsonl").read_text()) == {
        "row": 0,
        "file": "sample-0.txt",
        "real": "real-0.txt",
        "context": {"class": 3},
        "remark": "of letters",
    }


def test_translations_are_a_table_of_one_line_each(tmp_path) -> None:
    told = {"source": [Text("one\ttwo"), Text("three")]}
    write(tmp_path, [Text("a\nb"), Text("")], [Text("c"), Text("d")], told, [{}, {}])
    assert (tmp_path / "samples.tsv").read_text().splitlines() == [
        "source\treference\tsample",
        "one\\u0009two\tc\ta\\u000ab",
        "three\td\t",
    ]
    assert {path.name for path in tmp_path.iterdir()} == {"samples.tsv", "samples.jsonl"}


def test_translations_stand_beside_what_was_drawn(tmp_path) -> None:
    told = {"source": [Text("one"), Text("three")]}
    lines = [
        {"log_prob": -3.25, "translation": {"log_prob": -0.5}},
        {"log_prob": -12345.678, "translation": {"log_prob": -1e-9}},
    ]
    best = [Text("b\tb"), Text("d")]
    write(tmp_path / "a", [Text("a"), Text("")], [Text("c"), Text("d")], told, lines, best)
    assert (tmp_path / "a" / "samples.tsv").read_text().splitlines() == [
        "source\treference\ttranslation\ttranslation_log_prob\tsample\tsample_log_prob",
        "one\tc\tb\\u0009b\t-0.5\ta\t-3.25",
        "three\td\td\t-1e-09\t\t-12345.7",
    ]
    joint = [{"log_prob": None, "joint_log_prob": -1.0, "translation": {"log_prob": None, "joint_log_prob": -2.0}}] * 2
    write(tmp_path / "b", [Text("a"), Text("")], [Text("c"), Text("d")], told, joint, best)
    head, row, _ = (tmp_path / "b" / "samples.tsv").read_text().splitlines()
    assert head == "source\treference\ttranslation\ttranslation_joint_log_prob\tsample\tsample_joint_log_prob"
    assert row == "one\tc\tb\\u0009b\t-2\ta\t-1"


def test_a_picture_that_conditions_a_text_is_a_file(tmp_path) -> None:
    write(tmp_path, [Text("one")], [Text("one")], {"source": [GREY]}, [{}])
    assert json.loads((tmp_path / "samples.jsonl").read_text())["context"] == {"source": "source-0.png"}
    assert np.array_equal(opened((tmp_path / "source-0.png").read_bytes()), dots(GREY))


def test_a_folder_that_holds_samples_stays_as_it_is(tmp_path) -> None:
    write(tmp_path, [LOUD], [LOUD], {}, [{}])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FileExistsError, match="holds samples already; choose another folder"):
        write(tmp_path, [RED], [RED], {}, [{}])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
