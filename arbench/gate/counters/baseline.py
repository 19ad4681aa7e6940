"""The baseline of the exact gate: a results file of which only what a gate compares is kept.

One ``run`` line and one short ``case`` line a case, without times, in an order of their own: a change of one
counter is one line in a diff. The plan in the run line says how many cases there are, so a file that was cut
short is noticed. A file of ``arbench run``, or of pytest-benchmark where it holds counters, serves as well;
only ``save`` writes baselines.
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
from arbench.bench.options import Options, PlanError, recorded_options
from arbench.gate.counters.portable import moved
from arbench.results import Case, Line, Results, ResultsError, Run
from arbench.stored import read_stored

SOURCE = "baseline"
"""What stands as ``plan["source"]`` in a file that ``save`` wrote."""
COUNTERS = ("depth", "nfe", "flops", "ops", "bytes", "peak_bytes")
_KEPT = {"cpu": ("model", "capability"), "gpu": ("name",), "versions": ("python", "torch", "cuda", "triton")}
"""Facts on which a counter may depend."""


class BaselineError(Exception):
    """A file that is no baseline, or cannot be written as one; the message is one line for the user."""


class NothingInCommonError(Exception):
    """A sound file with nothing in it to compare with; the message is one line for the user."""


@dataclass(frozen=True)
class Baseline:
    """What is compared with.

    Args:
        rows: cases of models, by id.
        options: what it was asked; None where it has no plan.
    """

    path: Path
    run: Run
    rows: Mapping[str, Case]
    options: Options | None

    @property
    def written_by_save(self) -> bool:
        """Whether it is a baseline, and no other file that serves as one."""
        return self.run.plan.get("source") == SOURCE


def load(path: Path) -> Baseline:
    """Reads a baseline, or a file that serves as one.

    Raises:
        BaselineError: it is missing, cut short, of another schema, of kernels, or no such file at all.
        NothingInCommonError: it holds no counters of models.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a torn line is refused below if it was a case's
            results = read_stored(path)
        run, options = results.run, None
        if "options" in run.plan:
            if not isinstance(run.plan["options"], dict):
                raise BaselineError(f"{path}: its plan is not arbench's")
            options = recorded_options(run)
            promised = _promised(results)
        else:
            promised = len(results.cases)
    except PlanError as error:
        what = "is of kernels" if "kernels" in run.plan["options"] else f"is of another arbench ({error})"
        raise BaselineError(f"{path}: {what}; a baseline is of models") from None
    except ResultsError as error:
        hint = "" if os.path.exists(path) else "; --update makes it"
        text = str(error) if str(error).startswith(str(path)) else f"{path}: {error}"
        raise BaselineError(f"{text}{hint}") from None
    if len(results.cases) != promised:
        raise BaselineError(f"{path}: not whole: it holds {len(results.cases)} of the {promised} cases of its plan")
    rows = {case.id: case for case in results.cases.values() if case.op in ("score", "sample")}
    if not any(_counted(row) for row in rows.values()):
        raise NothingInCommonError(f"{path}: holds no counters of models; there is nothing to compare with")
    if run.plan.get("source") == SOURCE and options is not None:
        options = moved(options, path.resolve().parent, reading=True)
    return Baseline(path, run, rows, options)


def save(path: Path, results: Results, options: Options) -> bool:
    """Writes a baseline, whole or not at all; returns whether anything changed.

    A file that says the same is left untouched, to the date in its first line.

    Args:
        options: what was asked, with paths as seen from here; they are stored as seen from the file.

    Raises:
        BaselineError: it cannot be written; what was there before is intact.
    """
    path = path.resolve()
    folder = path.parent
    stored = moved(options, folder, reading=False)
    plan = {"source": SOURCE, "options": stored.as_plan(), "cases": len(results.cases)}
    run = msgspec.structs.replace(
        results.run, argv=[], plan=plan, environment=_trimmed(results.run.environment), limits={}
    )
    rows = sorted(map(_row, results.cases.values()), key=_order)
    if path.exists() and _says(path, run, rows):
        return False
    beside = _beside(path)
    try:
        with beside.open("xb") as file:
            for line in (run, *rows):
                file.write(msgspec.json.encode(_short(line)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        raise BaselineError(f"cannot write {path}: {error.strerror}; it is as it was") from None
    finally:
        beside.unlink(missing_ok=True)
    return True


def check_replaceable(path: Path) -> Baseline | None:
    """What an update would replace; None where there is nothing yet.

    Raises:
        BaselineError: what is there is no baseline that ``save`` wrote.
    """
    if os.path.isdir(path):
        raise BaselineError(f"{path}: a folder; --update writes a file")
    before = None
    if os.path.exists(path):  # a name that no file can have is found out when it is written
        try:
            before = load(path)
        except (BaselineError, NothingInCommonError) as error:
            raise BaselineError(f"{error}; --update replaces nothing but a baseline: remove it first") from None
        if not before.written_by_save:
            raise BaselineError(f"{path}: not written by --update, which would lose its times; name another file")
    return before


def check_writable(path: Path) -> None:
    """Refuses a place where ``save`` could not write. Raises BaselineError."""
    try:
        beside = _beside(path.resolve())
        beside.parent.mkdir(parents=True, exist_ok=True)
        beside.touch()
        beside.unlink()
    except OSError as error:
        raise BaselineError(f"{path}: cannot be written ({error.strerror})") from None


def _beside(path: Path) -> Path:
    """Where the file is written before it takes its place."""
    return path.with_name(f".{path.name}.{os.getpid()}")


def _counted(row: Case) -> bool:
    return any(getattr(row, name) is not None for name in COUNTERS)


def _row(case: Case) -> Case:
    """The case without its times, and without the figures of its verification, which rounding moves."""
    timed = ("median_s", "ci95_s", "range_s", "cold_s", "stopped_by", "verified", "why_unknown")
    counts = {"workers": 0, "samples": 0, "outliers": 0, "unstable": False}
    return msgspec.structs.replace(case, **dict.fromkeys(timed), **counts)


def _short(line: Line) -> dict[str, Any]:
    """A line without what it does not state: absent reads as unknown."""
    facts = msgspec.to_builtins(line)
    silent = dict(zip(reversed(line.__struct_fields__), reversed(line.__struct_defaults__), strict=False))
    return {k: v for k, v in facts.items() if k not in silent or v != silent[k]}


def _promised(results: Results) -> int:
    """How many cases the plan speaks of. Raises ResultsError where it is not arbench's."""
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


def _says(path: Path, run: Run, rows: list[Any]) -> bool:
    """Whether a file holds these lines already, whenever they were found."""
    try:
        there = read_stored(path)
    except ResultsError:
        return False
    facts = ("schema", "seed", "plan", "environment")
    same = all(getattr(there.run, name) == getattr(run, name) for name in facts)
    return same and list(there.cases.values()) == rows
