"""The command line as a whole: fast help for every command, interrupts and closed pipes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from arbench.cli import COMMANDS

WITHOUT_TORCH = """
import sys
from arbench.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert ended.code == 0, ended.code
heavy = {"torch", "numpy", "scipy", "matplotlib", "pandas", "pynvml"} & sys.modules.keys()
assert not heavy, heavy
"""


@pytest.mark.parametrize("words", [[], ["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_answers_without_torch(words):
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *words], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("arbench " if "--version" in words else "Usage: arbench")


def test_importing_the_package_does_not_import_torch():
    code = "import sys, arbench, arbench.cli; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_lists_every_command(answer):
    found = answer("-h")
    assert (found.code, found.err) == (0, "")
    for name, line in COMMANDS.items():
        assert f"  {name}" in found.out
        assert line in found.out
    assert answer().out == found.out


def test_an_interrupt_anywhere_is_one_line(answer, monkeypatch):
    monkeypatch.setattr("arbench.results.read", interrupted)
    found = answer("report", ".")
    assert (found.code, found.out, found.err) == (130, "", "\narbench: interrupted\n")


def interrupted(path):
    raise KeyboardInterrupt


def test_a_closed_pipe_ends_quietly(start):
    with start("list") as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
