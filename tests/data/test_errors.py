"""Checks of paths: one printable line for each problem."""

from pathlib import Path

import pytest

from arbench.data.errors import DataError, files_of, reason, require_file


def test_a_message_is_one_printable_line_for_any_path() -> None:
    error = DataError(Path("a\nb\x1b[31m\udcff\u00e9.wav"), "is empty")
    assert str(error) == "a\\nb\\x1b[31m\\udcff\u00e9.wav: is empty"


def test_require_file_takes_a_file_with_something_in_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    require_file(tmp_path / "a", "a file")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("folder", "is a folder; wanted a file"),
        ("none", "does not exist; wanted a file"),
        ("dangling", "does not exist; wanted a file"),
        ("empty", "is empty; wanted a file"),
        ("empty/below", "cannot be reached (Not a directory); wanted a file"),
        ("x" * 300, "cannot be reached (File name too long); wanted a file"),
        ("nul\0", "cannot be reached (embedded null byte); wanted a file"),
    ],
)
def test_require_file_says_what_is_wrong(tmp_path: Path, name: str, problem: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    with pytest.raises(DataError) as caught:
        require_file(tmp_path / name, "a file")
    assert str(caught.value).endswith(f": {problem}")


def test_files_of_a_file_is_the_file_whatever_its_suffix(tmp_path: Path) -> None:
    assert files_of(tmp_path / "a.flac", ".wav", "sound") == [tmp_path / "a.flac"]


def test_files_of_a_folder_are_sorted_and_chosen_by_suffix(tmp_path: Path) -> None:
    for name in ("b.wav", "a.WAV", "c.txt", "wav"):
        (tmp_path / name).touch()
    assert [file.name for file in files_of(tmp_path, ".wav", "sound")] == ["a.WAV", "b.wav"]


def test_reason_is_short() -> None:
    assert reason(FileNotFoundError(2, "No such file", "/some/path")) == "No such file"
    assert reason(ValueError("two\nlines.")) == "two lines"
