"""Reading what was written, and refusing what cannot be trusted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from arbench.border.gallery import LINES, GalleryError, galleries, read, write
from arbench.border.shown import Sound, Text

LINE = {"model": "m", "preset": "p", "method": "cached", "element": "byte", "n": 3, "bits_per_element": 1.5}
SOUND = Sound(np.array([0, 0.5], np.float32), 8000)


def test_what_is_written_is_read(tmp_path) -> None:
    write(tmp_path / "a", [Text("one"), Text("two")], [Text("x"), Text("y")], {"class": [3, 4]}, [LINE, LINE])
    write(tmp_path / "b", [SOUND], [SOUND], {}, [LINE])
    found, problems = galleries(tmp_path)
    assert problems == []
    assert [one.ending for one in found] == [".txt", ".wav"]
    events = found[0].events
    assert [(one.file, one.context, one.bits_per_element, one.weights) for one in events] == [
        ("sample-0.txt", {"class": 3}, 1.5, "random"),
        ("sample-1.txt", {"class": 4}, 1.5, "random"),
    ]
    assert found[0].text(events[1].real) == "y\n"


def test_a_folder_without_samples_has_none(tmp_path) -> None:
    assert galleries(tmp_path / "none") == ([], [])
    with pytest.raises(GalleryError, match=r"none/samples.jsonl: No such file or directory$"):
        read(tmp_path / "none")


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname", "", ".", "..", "a\0b", "link.txt", "none.txt"])
def test_files_elsewhere_are_not_read(tmp_path, name) -> None:
    write(tmp_path / "a", [Text("one")], [Text("x")], {}, [LINE])
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "a" / "link.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(GalleryError) as refused:
        read(tmp_path / "a").content(name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", "has no event"),
        ("{", "Input data was truncated"),
        ('{"model": 3}', "Expected `str`, got `int` - at `$[0].model`"),
        (json.dumps({**LINE, "file": "a"}), "Object missing required field `real` - at `$[0]`"),
        ('{"model" 3}', "JSON is malformed: "),
    ],
)
def test_lines_that_do_not_say_what_they_must_are_refused_on_one_line(tmp_path, lines, said) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / LINES).write_text(lines)
    found, (problem,) = galleries(tmp_path)
    assert found == []
    assert problem.startswith(f"{tmp_path}/a/samples.jsonl: {said}")
    assert "\n" not in problem
