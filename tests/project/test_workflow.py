"""The workflows: their commands parse, and they have no secrets, and no permissions but the one to publish."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from arbench.cli import group

ROOT = Path(__file__).parents[2]
WORKFLOWS = {path.stem: path.read_text() for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
OWN = (ROOT / "docs" / "perf.yml").read_text()
"""The workflow for a repository of a user's model."""
EACH = pytest.mark.parametrize("text", [*WORKFLOWS.values(), OWN], ids=[*WORKFLOWS, "own"])
TEXT = WORKFLOWS["perf"]
PUBLISHER = "pypa/gh-action-pypi-publish@ed0c53931b1dc9bd32cbe73a98c7f6766f8a527e"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def runs(text: str) -> list[str]:
    """Return the commands of a workflow."""
    return re.findall(r"^ +run: (.+)$", text, flags=re.MULTILINE)


RUNS = runs(TEXT)
COMMANDS = [run for run in RUNS if run.startswith("arbench ")]


@pytest.mark.parametrize("line", [*COMMANDS, *(run for run in runs(OWN) if run.startswith("arbench "))])
def test_its_commands_parse(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASE", "origin/main")
    monkeypatch.setenv("MODEL", "my_model.py:MyModel")
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
    uses = [one for one in re.findall(r"uses: (\S+)", text) if one != PUBLISHER]
    assert uses
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", one) for one in uses)
    assert "timeout-minutes:" in text
    assert "concurrency:" in text


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("weekly", ["test-compile", "test-slow", "test-extras", "links"]),
        ("test", ["test", "test-page", "docs"]),
        ("release", ["test", "dist"]),
    ],
)
def test_targets_are_in_the_makefile(name: str, wanted: list[str]) -> None:
    targets = [shlex.split(run)[1] for run in runs(WORKFLOWS[name]) if run.startswith("make ")]
    assert targets == wanted
    makefile = (ROOT / "Makefile").read_text()
    assert all(re.search(rf"^{target}: .*## ", makefile, flags=re.MULTILINE) for target in targets)


def test_what_needs_an_extra_is_tested_where_extras_are_installed() -> None:
    """Everywhere else it is skipped."""
    (target,) = re.findall(r"^test-extras:.*?(?=^\S)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE | re.DOTALL)
    places = [word for word in target.split() if word.startswith("tests/")]
    needs = re.compile(r"skip\(.*\[(?:hf|flows|data)\]")
    files = [file for file in (ROOT / "tests").rglob("test_*.py") if needs.search(file.read_text(encoding="utf-8"))]
    assert len(files) > 10
    assert [file for file in files if not any(file.is_relative_to(ROOT / place) for place in places)] == []


def oldest(requirement: str) -> str:
    """Return the pin to the lowest version that a requirement allows, with its corrections."""
    found = re.match(r"([\w-]+)>=([0-9.]+)", requirement)
    assert found, requirement
    version = found[2] if "." in found[2] else f"{found[2]}.0"
    return f"{found[1]}=={version}.*"


def test_the_oldest_versions_are_those_that_the_metadata_allows() -> None:
    text = WORKFLOWS["test"]
    versions = dict(re.findall(r'- versions: (\S+)\n +python: "(\S+)"', text))
    assert [*versions] == ["oldest", "newest"]
    assert PROJECT["requires-python"] == f">={versions['oldest']}"
    pins, held = (
        [line for line in (ROOT / ".ci" / f"{name}.txt").read_text().splitlines() if not line.startswith("#")]
        for name in versions
    )
    assert pins == [oldest(one) for one in PROJECT["dependencies"]]
    assert held == [], "the newest are whatever the index has"
    (triton,) = (one for one in pins if one.startswith("triton=="))
    assert f"OLDEST_TRITON := {triton.removeprefix('triton==').removesuffix('*')}" in (ROOT / "Makefile").read_text()
    install, *_ = (run for run in runs(text) if run.startswith("pip install "))
    assert '-c ".ci/$VERSIONS.txt"' in install


@pytest.mark.parametrize(("tag", "code"), [(f"v{PROJECT['version']}", 0), ("v9.9.9", 1), ("v", 1)])
def test_only_a_tag_of_the_version_is_built(tag: str, code: int) -> None:
    (line,) = (run for run in runs(WORKFLOWS["release"]) if "${TAG" in run)
    done = subprocess.run(["bash", "-ec", line], cwd=ROOT, env={**os.environ, "TAG": tag}, check=False)
    assert done.returncode == code


def test_what_publishes_runs_no_code_of_the_repository() -> None:
    build, publish = re.split(r"^  publish:\n", WORKFLOWS["release"], flags=re.MULTILINE)
    assert "id-token" not in build
    assert re.findall(r"^    permissions:\n((?: {6}.*\n)+)", publish, flags=re.MULTILINE) == ["      id-token: write\n"]
    assert re.findall(r"uses: (\S+)", publish) == ["actions/download-artifact@v4", PUBLISHER]
    assert runs(publish) == []
    assert "if: github.event_name == 'push'\n" in publish
    assert "needs: build\n" in publish
    assert "  build:\n    needs: test\n" in build, "what fails its tests is not published"
    assert "environment: pypi\n" in publish
    assert not any(PUBLISHER in text for name, text in WORKFLOWS.items() if name != "release")


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
    gate, starter = ((ROOT / name).read_text() for name in ("docs/gate.md", "arbench/cli/starters/model.py"))
    assert f"`{check.removesuffix(' --junit perf.xml')}`" in " ".join(gate.split())
    assert f"class {values['MODEL'].rpartition(':')[2]}(Source)" in starter
    elsewhere = gate.partition("Elsewhere")[2]  # in the reader's repository, too
    assert "arbench check --baseline counters.jsonl " in elsewhere
    assert where.removesuffix(" transformers") in elsewhere
    assert "pip install .\n" not in elsewhere
    assert "benchmarks/" not in elsewhere
    assert "fetch-depth: 0" in OWN
    assert "path: perf.xml" in OWN


def test_what_was_found_is_kept_whatever_the_outcome() -> None:
    kept = TEXT.partition("- name: Keep the results")[2]
    assert "if: always()" in kept
    assert "path: perf.xml" in kept


KEYS = {
    "workflow": {"name", "on", "permissions", "concurrency", "jobs"},
    "job": {
        "name",
        "if",
        "needs",
        "runs-on",
        "timeout-minutes",
        "environment",
        "permissions",
        "strategy",
        "env",
        "steps",
    },
    "step": {"name", "if", "uses", "run", "with", "env", "working-directory"},
}
"""The keys of the forge that are used here; another one is most likely a typing error, which the forge would refuse."""


def wrong_in(text: str) -> list[str]:
    """Return what the forge would refuse in a workflow, or would take for something else than it seems."""
    flow = yaml.safe_load(text)
    flow = {"on" if key is True else key: value for key, value in flow.items()}  # YAML 1.1 takes on for true
    wrong = [f"workflow: {key}" for key in flow.keys() - KEYS["workflow"]]
    for name, job in flow["jobs"].items():
        wrong += [f"{name}: {key}" for key in job.keys() - KEYS["job"]]
        wrong += [f"{name}: no {key}" for key in ("runs-on", "timeout-minutes", "steps") if key not in job]
        wrong += [f"{name}: needs {job['needs']}"] if job.get("needs", name) not in flow["jobs"] else []
        matrix = {key for one in job.get("strategy", {}).get("matrix", {}).get("include", []) for key in one}
        used = set(re.findall(r"matrix\.(\w+)", yaml.safe_dump(job)))
        wrong += [f"{name}: matrix.{key}" for key in used ^ matrix]
        for number, step in enumerate(job.get("steps", [])):
            at = f"{name}, step {number}"
            wrong += [f"{at}: {key}" for key in step.keys() - KEYS["step"]]
            wrong += [f"{at}: uses or run"] if ("uses" in step) == ("run" in step) else []
            wrong += [f"{at}: with without uses"] if "with" in step and "uses" not in step else []
            version = step.get("with", {}).get("python-version", "3.11")
            wrong += [f"{at}: {version} is a number"] if not isinstance(version, str) else []
            kept = str(step.get("uses")).startswith("actions/checkout@")
            wrong += (
                [f"{at}: keeps credentials"] if kept and step["with"].get("persist-credentials") is not False else []
            )
    return wrong


@EACH
def test_the_forge_can_read_it(text: str) -> None:
    assert wrong_in(text) == []


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("    timeout-minutes: 45\n", "", ["test: no timeout-minutes"]),
        ("    runs-on: ubuntu", "    run-on: ubuntu", ["test: run-on", "test: no runs-on"]),
        ('python-version: "3.13"', "python-version: 3.10", ["docs, step 1: 3.1 is a number"]),
        ("matrix.python ", "matrix.pythons ", ["test: matrix.python", "test: matrix.pythons"]),
        ("          persist-credentials: false", "          fetch-depth: 0", ["test, step 0: keeps credentials"]),
        ("        run: make docs", "        runs: make docs", ["docs, step 3: runs", "docs, step 3: uses or run"]),
        ("jobs:\n", "job:\n  a: {}\njobs:\n", ["workflow: job"]),
        ("    strategy:", "    needs: build\n    strategy:", ["test: needs build"]),
    ],
)
def test_what_the_forge_would_refuse_is_noticed(before: str, after: str, found: list[str]) -> None:
    text = WORKFLOWS["test"]
    assert before in text
    assert sorted(wrong_in(text.replace(before, after, 1))) == sorted(found)
