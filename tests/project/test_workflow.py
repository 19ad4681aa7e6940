"""The workflow: its commands parse, and it has no permissions or secrets."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from arbench.cli import group

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / ".github" / "workflows" / "perf.yml").read_text()
RUNS = re.findall(r"^ +run: (.+)$", TEXT, flags=re.MULTILINE)
COMMANDS = [run for run in RUNS if run.startswith("arbench ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_parse(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE", "origin/main")
    words = shlex.split(os.path.expandvars(line))[1:]
    with group.make_context("arbench", words) as context:
        name, command, rest = group.resolve_command(context, words)
        assert command is not None
        with command.make_context(name, rest, parent=context) as parsed:
            assert not parsed.args


def test_it_judges_with_the_committed_baseline_and_the_base() -> None:
    assert len(COMMANDS) == 2
    assert all("--baseline benchmarks/baselines/exact.jsonl --" in line for line in COMMANDS)
    assert ["--against" in line for line in COMMANDS] == [True, False]
    assert all("--junit perf.xml" in line for line in COMMANDS)
    assert (ROOT / "benchmarks" / "baselines" / "exact.jsonl").is_file()


def test_it_gives_a_pull_request_nothing() -> None:
    assert "pull_request_target" not in TEXT
    assert "secrets." not in TEXT
    assert re.search(r"^permissions:\n  contents: read\n\n", TEXT, flags=re.MULTILINE)
    assert not any("${{" in run for run in RUNS), "text from others is data: pass it by env"
    uses = re.findall(r"uses: (\S+)", TEXT)
    assert len(uses) == 3
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", one) for one in uses)
    assert "timeout-minutes:" in TEXT
    assert "concurrency:" in TEXT


def test_what_was_found_is_kept_whatever_the_outcome() -> None:
    kept = TEXT.partition("- name: Keep the results")[2]
    assert "if: always()" in kept
    assert "path: perf.xml" in kept


def test_it_is_as_yaml_wants_it() -> None:
    """Common YAML mistakes are looked for, since no YAML parser is installed."""
    assert "\t" not in TEXT
    for line in TEXT.splitlines():
        assert (len(line) - len(line.lstrip(" "))) % 2 == 0, line
        assert line == line.rstrip(), line
        assert re.match(r"^ *(#.*|(- )?[A-Za-z_-]+:( .+)?)?$", line), line
