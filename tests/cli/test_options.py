"""Options that several commands share, and their completion by the shell, which is click's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from arbench.report.metrics import METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "install.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", ["history", "compare"])
def test_the_help_of_metric_lists_every_metric(command, answer):
    text = re.search(r"--metric NAME(.*?)--", answer(command, "--help").out, re.DOTALL)
    assert re.split(r", | or ", " ".join(text[1].split()).rstrip(".").replace(" (the default)", "")) == list(METRICS)


def test_the_size_of_a_timed_check_is_documented(answer):
    words = " ".join(answer("check", "--help").out.split())
    assert "[default: the baseline's; for times the suite's, or the smallest of a --model]" in words


@pytest.fixture
def completed(answer, monkeypatch):
    """Return a function that completes the last of some words, as bash asks for it."""

    def run(*words: str) -> list[str]:
        monkeypatch.setenv("_ARBENCH_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(["arbench", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        found = answer()
        assert (found.code, found.err) == (0, "")
        return found.out.splitlines()

    return run


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["re"], ["plain,report"]),
        (["report", "--st"], ["plain,--style"]),
        (["report", "--style", "p"], ["plain,page", "plain,paper"]),
        (["report", "results"], ["file,results"]),
        (["run", "--op", "sc"], ["plain,score"]),
    ],
)
def test_commands_options_choices_and_files_are_completed(words, wanted, completed) -> None:
    assert completed(*words) == wanted


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_page_switches_it_on(shell, answer, monkeypatch) -> None:
    (variable,) = set(re.findall(rf"(_[A-Z_]+)={shell}_source arbench", PAGE))
    monkeypatch.setenv(variable, f"{shell}_source")
    found = answer()
    assert (found.code, found.err) == (0, "")
    assert f"{variable}={shell}_complete" in found.out
