"""Baseline of the counter check: a results file reduced to what the check compares.

It has one ``run`` line and one short ``case`` line for each case, without times and in a fixed order, so a change of
one counter is one line in a diff. The plan in the run line states the number of cases, so a truncated file is noticed.
A file of ``arbench run`` serves as a baseline too, and so does one of pytest-benchmark with counters; only ``save``
writes baselines.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from arbench.bench.analyse import planned
from arbench.bench.options import Options
from arbench.border.printable import on_one_line, to_json
from arbench.border.whole import check_file, write_bytes
from arbench.gate.counters.portable import moved
from arbench.gate.stored import read_stored
from arbench.results import COUNTERS, Case, Line, Results, ResultsError, Run
from arbench.results.errors import UnreadableError

SOURCE = "baseline"
"""Value of ``plan["source"]`` in a file that ``save`` wrote."""
COMPARED = (*COUNTERS, "peak_bytes")
REWRITE = "remove it and write it again with --update"
_KEPT = {"cpu": ("model", "capability"), "gpu": ("name",), "versions": ("python", "torch", "cuda", "triton")}
"""Facts about the machine on which a counter may depend."""


class BaselineError(Exception):
    """Failure to read or write a baseline; the message is one line for the user.

    Args:
        problem: what is wrong.
        advice: what to do next.
        replaceable: whether ``--update`` may advise to remove the file.
    """

    def __init__(self, problem: str, advice: str = "", replaceable: bool = True) -> None:
        super().__init__(f"{problem}; {advice}" if advice else problem)
        self.problem, self.replaceable = problem, replaceable


class NothingInCommonError(Exception):
    """Valid file without anything to compare with; the message is one line for the user."""


@dataclass(frozen=True)
class Baseline:
    """Baseline that was read.

    Args:
        path: the file.
        run: its run line.
        rows: cases of models, by id.
        options: options of its plan; None where it has none.
    """

    path: Path
    run: Run
    rows: Mapping[str, Case]
    options: Options | None

    @property
    def written_by_save(self) -> bool:
        """True if ``save`` wrote it, False for another file that serves as a baseline."""
        return self.run.plan.get("source") == SOURCE


def load(path: Path) -> Baseline:
    """Read a baseline, or a file that serves as one.

    Raises:
        BaselineError: the file is missing, truncated, of another schema, about kernels, or not a results file.
        NothingInCommonError: it contains no counters of models.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a torn case line is refused below
            results = read_stored(path)
        options = _options(path, results.run)
        promised = len(results.cases) if options is None else _promised(results)
    except ResultsError as error:
        problem = error.problem if error.problem.startswith(str(path)) else f"{path}: {error.problem}"
        if not os.path.exists(path):
            raise BaselineError(problem, "write it with --update") from None
        restore = isinstance(error, UnreadableError)
        raise BaselineError(problem, "restore it from version control" if restore else error.advice) from None
    run = results.run
    if len(results.cases) != promised:
        found = f"it contains {len(results.cases)} of the {promised} cases of its plan"
        if run.plan.get("source") == SOURCE:
            raise BaselineError(f"{path}: truncated: {found}", "restore it from version control")
        advice = f"finish the run with --resume --out {path.parent}"
        raise BaselineError(f"{path}: unfinished run: {found}", advice, replaceable=False)
    rows = {case.id: case for case in results.cases.values() if case.op in ("score", "sample")}
    if not any(_counted(row) for row in rows.values()):
        raise NothingInCommonError(f"{path}: contains no counters of models to compare with; name another file")
    if run.plan.get("source") == SOURCE and options is not None:
        options = moved(options, path.resolve().parent, reading=True)
    return Baseline(path, run, rows, options)


def save(path: Path, results: Results, options: Options) -> bool:
    """Write a baseline completely or not at all; return whether anything changed.

    A file with the same content is left untouched, including the date in its first line.

    Args:
        path: the file.
        results: cases to store.
        options: options of the plan; paths in them are stored relative to the file.

    Raises:
        BaselineError: the file cannot be written; an existing one is intact.
    """
    path = path.resolve()
    folder = path.parent
    stored = moved(options, folder, reading=False)
    plan = {"source": SOURCE, "options": stored.as_plan(), "cases": len(results.cases)}
    run = msgspec.structs.replace(
        results.run, argv=[], plan=plan, environment=_trimmed(results.run.environment), limits={}, committed_at=None
    )
    rows = sorted(map(_row, results.cases.values()), key=_order)
    if path.exists() and _equal(path, run, rows):
        return False
    try:
        write_bytes(path, b"".join(to_json(_short(line)) + b"\n" for line in (run, *rows)))
    except OSError as error:
        raise BaselineError(f"cannot write {path}: {error.strerror}; the existing file is unchanged") from None
    return True


def check_replaceable(path: Path) -> Baseline | None:
    """Return the baseline that an update would replace, or None if there is no file yet.

    Raises:
        BaselineError: the file was not written by ``save``.
    """
    if os.path.isdir(path):
        raise BaselineError(f"{path}: a folder; --update needs the name of a file")
    before = None
    if os.path.exists(path):  # an impossible file name fails when it is written
        try:
            before = load(path)
        except BaselineError as error:
            advice = REWRITE if error.replaceable else "name another file"
            raise BaselineError(error.problem, advice) from None
        except NothingInCommonError:
            raise BaselineError(f"{path}: contains no counters of models", "name another file") from None
        if not before.written_by_save:
            raise BaselineError(f"{path}: contains times, which --update would delete; name another file")
    return before


def check_writable(path: Path) -> None:
    """Check that ``save`` can write a file, and leave no trace. Raises BaselineError."""
    try:
        check_file(path)
    except OSError as error:
        raise BaselineError(f"{path}: cannot be written ({error.strerror}); name another file") from None


def _counted(row: Case) -> bool:
    return any(getattr(row, name) is not None for name in COMPARED)


def _row(case: Case) -> Case:
    """Return a case without its times, and without verification figures, which depend on rounding."""
    timed = ("median_s", "ci95_s", "range_s", "cold_s", "stopped_by", "verified", "why_unknown")
    counts = {"workers": 0, "samples": 0, "outliers": 0, "unstable": False}
    return msgspec.structs.replace(case, **dict.fromkeys(timed), **counts)


def _short(line: Line) -> dict[str, Any]:
    """Return a line without the fields at their default, which reading restores."""
    facts = msgspec.to_builtins(line)
    silent = dict(zip(reversed(line.__struct_fields__), reversed(line.__struct_defaults__), strict=False))
    return {k: v for k, v in facts.items() if k not in silent or v != silent[k]}


def _options(path: Path, run: Run) -> Options | None:
    """Return the options of a plan, or None if it has none. Raises BaselineError if they are not those of models."""
    options = run.plan.get("options", {})
    if "kernels" in options:
        raise BaselineError(f"{path}: contains kernels", "name a baseline of models")
    if "options" not in run.plan:
        return None
    try:
        return msgspec.convert(options, Options)
    except msgspec.ValidationError as error:
        ours = run.plan.get("source") == SOURCE
        problem = f"{path}: this version of arbench does not know its options ({on_one_line(error)})"
        raise BaselineError(problem, REWRITE if ours else "name another file", replaceable=ours) from None


def _promised(results: Results) -> int:
    """Return the number of cases in the plan. Raises ResultsError where arbench did not write it."""
    count = results.run.plan.get("cases")
    return count if isinstance(count, int) else len(planned(results))


def _order(case: Case) -> tuple[Any, ...]:
    return (
        case.model,
        case.preset,
        case.op,
        case.method,
        case.backend,
        case.device,
        case.dtype,
        case.batch,
        case.n,
    )


def _trimmed(environment: Mapping[str, Any]) -> dict[str, Any]:
    return {
        part: {name: facts[name] for name in names if name in facts}
        for part, names in _KEPT.items()
        if (facts := environment.get(part))
    }


def _equal(path: Path, run: Run, rows: list[Any]) -> bool:
    """Return whether a file already contains these lines, apart from their date."""
    try:
        there = read_stored(path)
    except ResultsError:
        return False
    facts = ("schema", "seed", "plan", "environment")
    same = all(getattr(there.run, name) == getattr(run, name) for name in facts)
    return same and list(there.cases.values()) == rows
