"""The command line as a whole: fast help for every command, interrupts and closed pipes."""

from __future__ import annotations

import importlib
import re
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


def test_a_verdict_is_shown_without_what_only_figures_need():
    code = "import sys, arbench.report.findings; print({'pandas', 'matplotlib', 'scipy'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")


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


def test_an_unexpected_failure_has_a_code_of_its_own(answer, monkeypatch):
    """It is not 1, which is a regression."""

    def broken(path):
        raise ZeroDivisionError("no way\nout")

    monkeypatch.setattr("arbench.results.read", broken)
    found = answer("report", ".")
    assert (found.code, found.out) == (70, "")
    assert "Traceback" in found.err
    assert re.fullmatch(
        r"arbench: unexpected failure, which is no result: ZeroDivisionError: no way out \(\S*test_init.py:\d+\); "
        r"please report it with the lines above",
        found.err.splitlines()[-1],
    )


def test_an_error_of_the_system_without_a_file_is_not_blamed_on_standard_output(answer, monkeypatch):
    def broken(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("arbench.results.read", broken)
    found = answer("report", ".")
    assert (found.code, found.out) == (70, "")
    assert "Traceback" in found.err
    assert "standard output" not in found.err


def test_a_full_standard_output_is_one_line():
    command = [sys.executable, "-c", "from arbench.cli import main; main()", "list"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (70, "arbench: cannot write standard output: No space left on device\n")


def test_a_closed_pipe_ends_quietly(start):
    with start("list") as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1
