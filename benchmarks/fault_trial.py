"""Plant faults one at a time and record which test catches each.

    python benchmarks/fault_trial.py --tree FOLDER --python PYTHON --out FILE.jsonl [--before] [--only NAME]
    python benchmarks/fault_trial.py --table BEFORE.jsonl AFTER.jsonl --write README.md

Each fault of ``faults.toml`` is planted in a copy of the tracked files of a tree. The fast tests of its room run
until the first failure, those that mirror the faulty module first. Faults that survive are then planted together,
the whole suite runs once, and every test that fails is run again with each survivor alone. A finished fault is one
line of FILE.jsonl, and a second start skips it; so a trial can be stopped and resumed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

STAGE_S = 90 * 60
"""Seconds that one stage may take."""
CAUGHT, PASSED = (1, 2), (0, 5)
"""Exit codes of pytest: failures, or stopped by one; all passed, or nothing collected."""
Fault = Mapping[str, str]


class RefusedError(click.ClickException):
    """A trial that cannot be made; exit code 2."""

    exit_code = 2


def read_faults(path: Path, before: bool) -> list[Fault]:
    """Return the faults of a file, as planted in today's tree or in the one before modules became packages."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))["faults"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise RefusedError(f"{path}: cannot read faults ({error}); name a TOML file with [[faults]] tables") from None
    return [{**one, **(one.get("before", {}) if before else {})} for one in found]


def read_lines(path: Path) -> dict[str, dict[str, Any]]:
    """Return what a trial recorded, by the fault's name; nothing where there is no file yet."""
    if not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return {line["name"]: line for line in lines}


def git(tree: Path, *words: str) -> str:
    """Return what a git command prints about a tree."""
    done = subprocess.run(["git", "-C", str(tree), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RefusedError(f"{tree}: {' '.join(done.stderr.split()) or 'git cannot read it'}")
    return done.stdout


def copy_tree(tree: Path, to: Path) -> None:
    """Copy the tracked files of a tree, links as links."""
    for name in filter(None, git(tree, "ls-files", "-z").split("\0")):
        if not os.path.lexists(tree / name):
            continue
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(tree / name, to / name, follow_symlinks=False)


def planted(copy: Path, fault: Fault) -> bytes:
    """Return a file with a fault in it.

    Raises:
        RefusedError: the file is missing, or does not contain the text to replace exactly once.
    """
    if not (copy / fault["path"]).is_file():
        raise RefusedError(f"{fault['name']}: there is no {fault['path']}")
    text = (copy / fault["path"]).read_text(encoding="utf-8")
    if (count := text.count(fault["find"])) != 1:
        raise RefusedError(
            f"{fault['name']}: '{fault['find']}' occurs {count} times in {fault['path']}, expected once; "
            "update faults.toml"
        )
    return text.replace(fault["find"], fault["replace"]).encode()


def check_imported(python: str, copy: Path) -> None:
    """Refuse an interpreter that imports another arbench than the copy."""
    code = "import arbench, arbench.kernels; print(arbench.__file__); print(arbench.kernels.__file__)"
    done = subprocess.run([python, "-c", code], cwd=copy, env=environment(copy, copy), capture_output=True, text=True)
    found = [Path(line).resolve() for line in done.stdout.split("\n") if line]
    if done.returncode or not all(path.is_relative_to(copy.resolve()) for path in found):
        raise RefusedError(f"{python} does not import the copy: {done.stdout.split() or done.stderr[-300:]}")


def environment(copy: Path, cache: Path) -> dict[str, str]:
    """Return the variables of a test run: the copy first on the path, and a Numba cache of its own."""
    return {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "NUMBA_CACHE_DIR": str(cache)}


def stages(copy: Path, fault: Fault) -> Iterator[tuple[str, list[str]]]:
    """Yield each stage's name and its test files, none of them twice."""
    tests = sorted((copy / "tests").rglob("test_*.py"))
    module = Path(fault["path"])
    stem = (module.parent.name if module.stem == "__init__" else module.stem).lstrip("_")
    top = fault["room"] == "top"
    room = copy / "tests" if top else copy / "tests" / fault["room"]
    inside = [file for file in tests if (file.parent == room if top else file.is_relative_to(room))]
    mirror = [file for file in inside if file.name.startswith(f"test_{stem}")]
    mirror = [file for file in tests if file.name in fault.get("first", ())] or mirror
    mirror = mirror or [file for file in tests if re.search(rf"(^|_){re.escape(stem)}(_|$)", file.stem)]
    seen: set[Path] = set()
    for name, files in (("mirror", mirror), ("room", inside)):
        rest = [file for file in files if file not in seen]
        seen.update(rest)
        if rest:
            yield name, [str(file.relative_to(copy)) for file in rest]


def run_tests(command: Sequence[str], copy: Path, scratch: Path) -> tuple[int | None, str]:
    """Run pytest and return its exit code, None after ``STAGE_S``, and its output."""
    with (scratch / "output").open("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            [*command, f"--basetemp={scratch}/base"],
            cwd=copy,
            env=environment(copy, scratch / "numba"),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(STAGE_S)
        except subprocess.TimeoutExpired:
            return None, ""
        finally:  # also when the trial is interrupted
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        output.seek(0)
        return code, output.read()


def failures(said: str) -> list[str]:
    """Return the ids of the tests that failed, and the files that could not be collected."""
    found = re.findall(r"^(?:FAILED|ERROR) (tests/.+?)(?: - .*)?$", said, re.MULTILINE)
    return [test.strip() for test in found]


def first_failure(said: str) -> str:
    """Return the id of the first failing test, or of the file that could not be collected."""
    if found := failures(said):
        return found[0]
    return " ".join(said.strip().splitlines()[-1:]) or "pytest printed nothing"


def tried(pytest: Sequence[str], copy: Path, fault: Fault) -> dict[str, Any]:
    """Plant a fault, run the tests of its room, and remove the fault.

    A test catches the fault if it fails with it, fails again alone, and passes without it.
    """
    started = time.monotonic()
    found: dict[str, Any] = {"caught": False, "stage": None, "test": None}
    for stage, files in stages(copy, fault):
        flaky: list[str] = []
        while True:
            skipped = [word for test in flaky for word in ("--deselect", test)]
            with fault_in(copy, fault):
                code, said = run_fresh([*pytest, *skipped, *files], copy)
            if code not in CAUGHT:
                break
            test = first_failure(said)
            if catches(pytest, copy, fault, test):
                return {**found, "caught": True, "stage": stage, "test": test, "confirmed": True} | seconds_since(
                    started
                )
            flaky.append(test)
        if flaky:
            found["flaky"] = flaky
        if code not in PASSED:
            found["note"] = "timeout" if code is None else f"pytest ended with {code}"
    return found | seconds_since(started)


def seconds_since(started: float) -> dict[str, float]:
    """Return the seconds since a moment, as a field of a line."""
    return {"seconds": round(time.monotonic() - started, 1)}


@contextmanager
def fault_in(copy: Path, fault: Fault) -> Iterator[None]:
    """Keep a fault planted within the block."""
    file = copy / fault["path"]
    sound = file.read_bytes()
    try:
        put(file, planted(copy, fault))
        yield
    finally:
        put(file, sound)


def run_fresh(command: Sequence[str], copy: Path) -> tuple[int | None, str]:
    """Run pytest with temporary folders and a Numba cache of its own."""
    with tempfile.TemporaryDirectory(prefix="fault-run-") as scratch:
        return run_tests(command, copy, Path(scratch))


def catches(pytest: Sequence[str], copy: Path, fault: Fault, test: str) -> bool:
    """Return whether a test alone fails with a fault and passes without it."""
    alone = [*pytest, *(["-n0"] if "-n" in pytest else []), test]
    with fault_in(copy, fault):
        fails = run_fresh(alone, copy)[0] in CAUGHT
    return fails and run_fresh(alone, copy)[0] == 0


def try_survivors(pytest: Sequence[str], copy: Path, faults: Sequence[Fault]) -> dict[str, str]:
    """Plant all survivors together, run the whole suite once, and return the test that catches each.

    Every test that fails with all of them planted is run again with each alone.
    """
    suite = [str(file.relative_to(copy)) for file in sorted((copy / "tests").rglob("test_*.py"))]
    with ExitStack() as all_faults:
        for fault in faults:
            all_faults.enter_context(fault_in(copy, fault))
        _, said = run_fresh([*(word for word in pytest if word != "-x"), *suite], copy)
    caught: dict[str, str] = {}
    for test in failures(said):
        for fault in faults:
            if fault["name"] not in caught and catches(pytest, copy, fault, test):
                caught[fault["name"]] = test
    return caught


def put(file: Path, content: bytes) -> None:
    """Write a source file and delete its bytecode, which Python would keep if both were written within a second."""
    file.write_bytes(content)
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
        compiled.unlink()


def cell(text: object) -> str:
    """Return text escaped for a cell of a markdown table."""
    return str(text).replace("\\", "\\\\").replace("|", "\\|").replace("`", "\\`").replace("<", "&lt;")


def caught_by(line: Mapping[str, Any] | None) -> str:
    """Return the table's cell for one fault in one tree."""
    if line is None or line["caught"]:
        return "not tried" if line is None else cell(line["test"])
    return "**not caught**" + (f" ({cell(line['note'])})" if line.get("note") else "")


def table(faults: Sequence[Fault], before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return two trials side by side in markdown, totals first."""
    parts = [
        "# Do the tests catch planted faults?",
        "",
        "Each fault was planted alone in a copy of the tree and the fast tests were run (`benchmarks/fault_trial.py`).",
        "A test counts only if it fails with the fault and passes without it. `before` is the tree before its modules",
        "moved into packages and its tests became faster; `after` is one since. Repeat or continue a trial with",
        "",
        "    python benchmarks/fault_trial.py --tree . --out reports/tests/after.jsonl",
        "",
    ]
    for title, lines in (("Before", before), ("After", after)):
        known = [lines[fault["name"]] for fault in faults if fault["name"] in lines]
        caught = sum(line["caught"] for line in known)
        commits = ", ".join(sorted({line["commit"][:12] for line in known})) or "none"
        loose = sum(line["caught"] and not line.get("confirmed") for line in known)
        doubt = f" The test of {loose} was not run again on sound code." if loose else ""
        parts.append(f"- {title} (commit {commits}): {caught} of {len(known)} faults caught.{doubt}")
    both = [name for fault in faults if (name := fault["name"]) in before and name in after]
    for text, had, has in (("before but not after", True, False), ("after but not before", False, True)):
        moved = [name for name in both if before[name]["caught"] is had and after[name]["caught"] is has]
        parts.append(f"- Caught {text}: {', '.join(moved) or 'none'}.")
    parts += ["", "| fault | what | room | caught before by | caught after by |", "|---|---|---|---|---|"]
    for fault in faults:
        name = fault["name"]
        seen = f"{caught_by(before.get(name))} | {caught_by(after.get(name))}"
        parts.append(f"| {name} | {cell(fault['what'])} | {fault['room']} | {seen} |")
    return "\n".join([*parts, ""])


@click.command()
@click.option("--tree", type=click.Path(path_type=Path), help="A checkout; it is only read.")
@click.option("--python", default=sys.executable, help="The interpreter, with all that the tests need.")
@click.option("--out", type=click.Path(path_type=Path), help="File of JSON lines; an existing one is continued.")
@click.option("--before", is_flag=True, help="Plant each fault where it was before modules became packages.")
@click.option("--faults", "file", type=click.Path(path_type=Path), help="[default: faults.toml beside this file]")
@click.option("--only", multiple=True, metavar="NAME", help="Plant this fault alone, repeatable.")
@click.option("--table", "files", type=click.Path(path_type=Path), nargs=2, help="Two trials, before and after.")
@click.option("--write", type=click.Path(path_type=Path), help="Where the table of --table goes.")
def main(
    tree: Path | None,
    python: str,
    out: Path | None,
    before: bool,
    file: Path | None,
    only: tuple[str, ...],
    files: tuple[Path, Path] | None,
    write: Path | None,
) -> None:
    """Plant faults one at a time and record which test catches each."""
    faults = read_faults(file or Path(__file__).with_name("faults.toml"), before)
    if files:
        text = table(faults, *map(read_lines, files))
        write.write_text(text, encoding="utf-8") if write else click.echo(text)
        return
    if tree is None or out is None:
        raise RefusedError("a trial needs --tree and --out; a table needs --table")
    if unknown := set(only) - {fault["name"] for fault in faults}:
        raise RefusedError(f"there is no fault {', '.join(sorted(unknown))}")
    python = os.path.abspath(python) if os.sep in python else python
    tree, commit = tree.resolve(), git(tree, "rev-parse", "HEAD").strip()
    if git(tree, "status", "--porcelain", "--untracked-files=no").strip():
        commit += "+"
    done = read_lines(out)
    todo = [one for one in faults if one["name"] not in done and (not only or one["name"] in only)]
    with tempfile.TemporaryDirectory(prefix="fault-trial-") as folder:
        copy = Path(folder) / "tree"
        copy_tree(tree, copy)
        for fault in todo:  # refuse before any test is run
            planted(copy, fault)
        check_imported(python, copy)
        probe = subprocess.run([python, "-c", "import xdist"], capture_output=True)
        pytest = [python, "-m", "pytest", "-x", "-q", "-m", "not slow", "-p", "no:cacheprovider"]
        pytest += [] if probe.returncode else ["-n", "2", "--dist", "worksteal"]
        for number, fault in enumerate(todo, 1):
            found = {"name": fault["name"], "room": fault["room"], **tried(pytest, copy, fault)}
            with out.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({**found, "commit": commit}) + "\n")
            click.echo(f"{number}/{len(todo)} {fault['name']}: {caught_by(found)}, {found['seconds']:.0f} s")
        lines = read_lines(out)
        left = [one for one in faults if one["name"] in lines and not lines[one["name"]]["caught"]]
        left = [one for one in left if "suite" not in lines[one["name"]]]
        if left and not only:
            found = try_survivors(pytest, copy, left)
            with out.open("a", encoding="utf-8") as file_of_lines:
                for fault in left:
                    line = {**lines[fault["name"]], "suite": True}
                    if fault["name"] in found:
                        line |= {"caught": True, "stage": "suite", "test": found[fault["name"]], "confirmed": True}
                    file_of_lines.write(json.dumps(line) + "\n")
                    click.echo(f"{fault['name']}: {caught_by(line)}")


if __name__ == "__main__":
    main()
