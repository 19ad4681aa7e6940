"""The writer of a results file: one at a time, whole lines alone, whatever ends it or fills its disk."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from arbench.results import Limits, Ratio, ResultsError, Run, WriteError, Writer

RUN = Run(
    schema=1,
    run_id="r",
    started_at="2026-01-05T12:00:00+00:00",
    argv=[],
    seed=0,
    git=None,
    plan={},
    environment={},
    limits={},
)
LINE = Limits("2026-01-05T14:00:00+00:00", {"matmul": {"float32": 80.5}})
LONG = Limits("2026-01-05T15:00:00+00:00", {"note": "long " * 50})


def encoded(*lines: Run | Limits) -> bytes:
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


def test_a_writer_cuts_a_torn_last_line_off(path):
    path.write_bytes(encoded(RUN, LINE) + b'{"kind":"fi')
    with Writer(path) as writer:
        assert not writer.empty
        assert path.read_bytes() == encoded(RUN, LINE)
        writer.write(LONG)
    assert path.read_bytes() == encoded(RUN, LINE, LONG)


def test_a_file_of_nothing_but_a_torn_line_is_empty_to_a_writer(path):
    path.write_bytes(encoded(RUN)[:30])
    with Writer(path) as writer:
        assert writer.empty
        writer.write(RUN)
    assert path.read_bytes() == encoded(RUN)


def test_a_second_writer_is_refused_while_the_first_lives(path):
    said = f"{path} is being written by another run; choose another --out"
    with Writer(path) as writer:
        writer.write(RUN)
        with pytest.raises(ResultsError, match=f"^{re.escape(said)}$"):
            Writer(path)
        writer.write(LINE)
    with Writer(path):
        pass
    assert path.read_bytes() == encoded(RUN, LINE)


def test_the_lock_is_free_once_its_holder_died(path):
    code = (
        "import sys, time; from pathlib import Path; from arbench.results import Writer\n"
        "writer = Writer(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ResultsError, match="is being written by another run"):
            Writer(path)
        holder.kill()
    with Writer(path) as writer:
        assert writer.empty


@pytest.mark.parametrize("place", ["file/results.jsonl", "file/below/results.jsonl"])
def test_a_place_below_a_file_cannot_be_written(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(ResultsError, match=r"^cannot write .*results\.jsonl: (Not a directory|File exists)$"):
        Writer(tmp_path / place)


FULL = """
import resource, sys
from pathlib import Path
from arbench.results import ResultsError, Samples, Writer, read
path, room = Path(sys.argv[1]), int(sys.argv[2])
writer = Writer(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
line, whole = Samples("case", 0, 0, 1.7e9, [1e-3]), 0
try:
    while True:
        writer.write(line)
        whole += 1
except ResultsError as error:
    print(error)
assert len(read(path).samples) == whole > 2, whole
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.write(line)
writer.close()
assert len(read(path).samples) == whole + 1
"""


@pytest.mark.parametrize("more", [401, 457, 500])
def test_a_full_disk_leaves_every_earlier_line_intact(path, more):
    path.write_bytes(encoded(RUN))
    room = str(path.stat().st_size + more)
    done = subprocess.run([sys.executable, "-c", FULL, str(path), room], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout == f"cannot write {path}: File too large; the earlier lines are intact\n"


@pytest.mark.parametrize("ends", [(float("nan"), 1.1), (1.1, 0.9)])
def test_a_line_that_the_reader_would_refuse_is_not_written(path, ends):
    with Writer(path) as writer:
        writer.write(RUN)
        with pytest.raises(ValueError, match=r"ci95|null"):
            writer.write(Ratio("case", "other", 1.0, ends))
    assert path.read_bytes() == encoded(RUN)


def test_a_flush_that_fails_is_an_error_of_the_file(path, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")

    writer = Writer(path)
    writer.write(RUN)
    monkeypatch.setattr(os, "fsync", full)
    said = f"{path} may lack its last lines: No space left on device; free space on its disk, then --resume"
    with pytest.raises(WriteError, match=f"^{re.escape(said)}$") as failed:
        writer.close()
    assert failed.value.closing
    writer.close()
    monkeypatch.undo()
    Writer(path).close()  # the lock is free


def test_an_interrupt_within_a_write_leaves_whole_lines(path, monkeypatch):
    with Writer(path) as writer:
        writer.write(RUN)
        real = os.pwrite

        def interrupted(*args):
            real(*args)
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "pwrite", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.write(LONG)
        monkeypatch.undo()
        writer.write(LINE)
    assert path.read_bytes() == encoded(RUN, LINE)
