"""The command line as a whole: fast help for every command, interrupts and closed pipes."""

from __future__ import annotations

import importlib
import subprocess
import sys

from arbench.cli import COMMANDS

WITHOUT_TORCH = """
import sys
import arbench
from arbench.cli import COMMANDS, main
for words in ([], ["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)):
    print(">", *words, flush=True)
    try:
        main(words)
    except SystemExit as ended:
        assert ended.code == 0, (words, ended.code)
    heavy = {"torch", "numpy", "scipy", "matplotlib", "pandas", "pynvml"} & sys.modules.keys()
    assert not heavy, (words, heavy)
"""


def test_help_of_every_command_answers_without_torch():
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for said in done.stdout.split("> ")[1:]:
        words, _, answer = said.partition("\n")
        assert answer.startswith("arbench " if words == "--version" else "Usage: arbench"), said
    assert f"> {list(COMMANDS)[-1]} --help" in done.stdout


def test_help_lists_every_command(answer):
    found = answer("-h")
    assert (found.code, found.err) == (0, "")
    for name, line in COMMANDS.items():
        assert f"  {name}" in found.out
        assert line in found.out
    assert answer().out == found.out


def test_help_answers_once_the_command_list_was_imported(answer):
    """The module ``arbench.cli.list`` hides the builtin of the same name in its package."""
    importlib.import_module("arbench.cli.list")
    assert answer("-h").code == 0


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
