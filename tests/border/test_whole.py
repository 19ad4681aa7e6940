"""Files appear whole or not at all, and several processes may check the same folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from arbench.border import whole
from arbench.border.whole import check_file, check_folder, write_bytes, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "one \x1b ü\n\udcff")
    assert path.read_bytes() == r"one \u001b ü".encode() + b"\n" + rb"\udcff"
    path.chmod(0o640)
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["a.txt"]


def test_a_link_stays_a_link_and_a_device_is_written_in_place(tmp_path):
    (tmp_path / "kept").write_text("one")
    (tmp_path / "link").symlink_to("kept")
    write_text(tmp_path / "link", "two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "kept").read_text() == "two"
    write_text(Path("/dev/null"), "gone")
    assert not Path("/dev/null").is_file()


@pytest.mark.parametrize("link", [False, True])
def test_standard_output_is_written_in_place_where_it_is_a_file(tmp_path, link):
    path = Path("/dev/stdout")
    if link:
        path = tmp_path / "link"
        path.symlink_to("/dev/stdout")
    code = (
        "import os, pathlib, sys; from arbench.border.whole import check_file, write_text; os.write(1, b'before ');"
        "path = pathlib.Path(sys.argv[1]); check_file(path); write_text(path, 'XML'); os.write(1, b' after')"
    )
    with (tmp_path / "log").open("wb") as log:
        subprocess.run([sys.executable, "-c", code, path], stdout=log, check=True)
    assert (tmp_path / "log").read_text() == "before XML after"
    assert names(tmp_path) == ["link", "log"][not link :]


def test_a_descriptor_that_is_only_read_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with (tmp_path / "file").open("rb") as file, pytest.raises(OSError, match="Not open for writing"):
        check_file(Path(f"/dev/fd/{file.fileno()}"))


@pytest.mark.parametrize("name", ["write", "flush"])
def test_a_full_disk_leaves_the_file_that_was_there(tmp_path, monkeypatch, name):
    path = tmp_path / "a.txt"
    path.write_text("one")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole.os, "fsync" if name == "flush" else "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "two")
    assert path.read_text() == "one"
    assert names(tmp_path) == ["a.txt"]


def test_several_check_a_folder_at_once(tmp_path):
    """The folder is checked by eight threads, each a hundred times; a fixed name of the probe fails some of them."""
    failed = []

    def check():
        for _ in range(100):
            try:
                check_folder(tmp_path / "new" / "out")
            except OSError as error:
                failed.append(error)

    threads = [threading.Thread(target=check) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert not [path for path in tmp_path.rglob("*") if not path.is_dir()]
    check_folder(tmp_path / "other" / "out")
    assert not (tmp_path / "other").exists()  # no trace is left


def test_what_cannot_be_written_is_said_before(tmp_path):
    (tmp_path / "file").touch()
    for check, path, said in (
        (check_folder, tmp_path / "file", "File exists"),
        (check_folder, tmp_path / "file" / "below", "Not a directory"),
        (check_file, tmp_path, "Is a directory"),
        (check_file, tmp_path / "file" / "below", "Not a directory"),
        (check_file, tmp_path / "new" / ("a" * 300), "File name too long"),
    ):
        with pytest.raises(OSError, match=re.escape(said)):
            check(path)
    check_file(tmp_path / "new" / "a.xml")
    check_file(tmp_path / "file")
    check_file(Path(os.devnull))
    assert names(tmp_path) == ["file"]
