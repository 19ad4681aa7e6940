"""The workflows: their commands parse, and they have no permissions or secrets."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from arbench.cli import group

ROOT = Path(__file__).parents[2]
WORKFLOWS = {path.stem: path.read_text() for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
OWN = (ROOT / "docs" / "perf.yml").read_text()
"""The workflow for a repository of a user's model."""
EACH = pytest.mark.parametrize("text", [*WORKFLOWS.values(), OWN], ids=[*WORKFLOWS, "own"])
TEXT = WORKFLOWS["perf"]


def runs(text: str) -> list[str]:
    """Return the commands of a workflow."""
    return re.findall(r"^ +run: (.+)$", text, flags=re.MULTILINE)


RUNS = runs(TEXT)
COMMANDS = [run for run in RUNS if run.startswith("arbench ")]


@pytest.mark.parametrize("line", [*COMMANDS, *(run for run in runs(OWN) if run.startswith("arbench "))])
def test_its_commands_parse(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE", "origin/main")
    monkeypatch.setenv("MODEL", "my_model.py:Bigram")
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


@EACH
def test_it_gives_a_pull_request_nothing(text: str) -> None:
    assert "pull_request_target" not in text
    assert "secrets." not in text
    assert re.search(r"^permissions:\n  contents: read\n\n", text, flags=re.MULTILINE)
    assert not any("${{" in run for run in runs(text)), "text from others is data: pass it by env"
    uses = re.findall(r"uses: (\S+)", text)
    assert uses
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", one) for one in uses)
    assert "timeout-minutes:" in text
    assert "concurrency:" in text


def test_weekly_targets_are_in_the_makefile() -> None:
    targets = [shlex.split(run)[1] for run in runs(WORKFLOWS["weekly"])]
    assert targets == ["test-compile", "test-slow"]
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}: .*## ", makefile, flags=re.MULTILINE) for target in targets)


def test_that_of_a_users_model_runs_what_the_pages_say(monkeypatch: pytest.MonkeyPatch) -> None:
    values = dict(re.findall(r"^      ([A-Z]+): (\S+)", OWN, flags=re.MULTILINE))
    for name in ("ARBENCH", "MODEL"):
        monkeypatch.setenv(name, values[name])
    monkeypatch.setenv("NEEDS", "transformers")
    monkeypatch.setenv("BASE", "origin/main")
    install, check = (os.path.expandvars(run).replace('"', "") for run in runs(OWN))
    assert install.startswith("pip install ")
    where = " git+https://HOST/OWNER/arbench@COMMIT transformers"  # a bare name may be anybody's on the index
    assert install.endswith(where)
    gate, readme = ((ROOT / name).read_text() for name in ("docs/gate.md", "README.md"))
    assert f"`{check.removesuffix(' --junit perf.xml')}`" in " ".join(gate.split())
    assert f"class {values['MODEL'].rpartition(':')[2]}(Source)" in readme
    assert "fetch-depth: 0" in OWN
    assert "path: perf.xml" in OWN


def test_what_was_found_is_kept_whatever_the_outcome() -> None:
    kept = TEXT.partition("- name: Keep the results")[2]
    assert "if: always()" in kept
    assert "path: perf.xml" in kept


@EACH
def test_it_is_as_yaml_wants_it(text: str) -> None:
    """Common YAML mistakes are looked for, since no YAML parser is installed."""
    assert "\t" not in text
    for line in text.splitlines():
        assert (len(line) - len(line.lstrip(" "))) % 2 == 0, line
        assert line == line.rstrip(), line
        assert re.match(r"^ *(#.*|(- )?[A-Za-z_-]+:( .+)?)?$", line), line
