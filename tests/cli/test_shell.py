"""Limits of the shell: one line that says what to raise, before any work."""

from __future__ import annotations

import errno
import resource
import subprocess
import threading

import pytest

from arbench.cli import shell


@pytest.fixture
def few_threads(monkeypatch):
    """Let this process start one more thread, as under ``ulimit -u``."""
    start, left = threading.Thread.start, [1]

    def limited(thread):
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    monkeypatch.setattr("os.cpu_count", lambda: 2)


COMMANDS = [
    ["run", "--model", "wavenet:tiny"],
    ["kernels"],
    ["check", "--baseline", "none.jsonl"],
    ["doctor"],
    ["report", "."],
    ["compare", "a", "b"],
    ["history", "."],
    ["list"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_without_threads_a_command_is_refused(words, refusal, few_threads, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = threading.active_count()
    assert refusal(*words) == (
        "only 1 of 6 threads can be started; end other processes of this user, or raise the limit of the shell "
        "(ulimit -u) or of the container"
    )
    assert threading.active_count() == before
    assert list(tmp_path.iterdir()) == []


def test_help_needs_no_threads(answer, few_threads):
    assert answer("run", "--help").code == 0


def limit(monkeypatch, size):
    """Pretend that the address space is limited to so many bytes."""
    real = resource.getrlimit
    monkeypatch.setattr("resource.getrlimit", lambda kind: (size, size) if kind == resource.RLIMIT_AS else real(kind))


def test_memory_that_an_import_exceeds_is_named(refusal, monkeypatch, tmp_path):
    limit(monkeypatch, 600 << 20)
    monkeypatch.setattr("arbench.cli.run.MEASURING", ("no_such_module",))
    said = refusal("run", "--model", "wavenet:tiny", "--out", tmp_path / "out")
    assert said == (
        "600 MiB of memory (ulimit -v) are too little for what this command imports; raise the limit; "
        "an attempt exited with code 1: ModuleNotFoundError: No module named 'no_such_module'"
    )
    assert not (tmp_path / "out").exists()


def test_memory_that_is_enough_and_memory_without_a_limit(monkeypatch):
    tried = []
    monkeypatch.setattr(
        subprocess, "run", lambda words, **_: tried.append(words) or subprocess.CompletedProcess(words, 0)
    )
    shell.check_shell("json")
    assert tried == []
    limit(monkeypatch, 600 << 20)
    shell.check_shell("json", "csv")
    ((*_, code),) = tried
    assert code == "import json, csv"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ImportError("libtorch.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_fails_later_for_want_of_memory_or_threads_is_one_line(error, answer, monkeypatch):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("arbench.cli.list.check_shell", fails)
    found = answer("list")
    assert (found.code, found.err.count("\n")) == (3, 1)
    assert found.err.startswith(
        "arbench: free memory, or raise the limits of the shell (ulimit -a), which made this fail: "
        + type(error).__name__
    )


def test_what_only_reads_like_that_keeps_its_traceback(answer, monkeypatch):
    def fails(*_, **__):
        raise ValueError("not enough memory cells in the model")

    monkeypatch.setattr("arbench.cli.list.check_shell", fails)
    found = answer("list")
    assert found.code == 3
    assert found.err.startswith("Traceback (most recent call last):\n")
    assert found.err.splitlines()[-1].startswith("arbench: free memory, or raise the limits of the shell")


def test_a_full_pipe_that_does_not_block_is_no_want_of_memory():
    """A buffered writer states how much it has written, which no other error does."""
    full = BlockingIOError(errno.EAGAIN, "write could not complete without blocking", 65536)
    assert shell.scarce(full) is None


def test_other_errors_are_unexpected():
    assert shell.scarce(ValueError("wrong")) is None
    assert shell.scarce(OSError(errno.ENOSPC, "No space left on device")) is None
