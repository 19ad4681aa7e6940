"""Reader of stored measurements: a results file, the folder of a run, a baseline, or JSON of pytest-benchmark.

A row of pytest-benchmark comes from one process, so it has a median and no interval; a median that is not finite is
unknown. Rows of arbench's own suites become cases with the same ids as in ``arbench run``; rows of other suites keep
only their ``fullname``, since nothing else is known about them.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import msgspec

from arbench.bench.case import CaseKey
from arbench.border.printable import encodable_within, on_one_line
from arbench.files import require_regular
from arbench.results import SCHEMA, Case, CountSource, Results, ResultsError, Run, locate, read
from arbench.results.errors import NoFileError
from arbench.results.ranges import Natural

STORAGE = "pytest-benchmark"
"""Value of ``plan["source"]`` in a run that pytest-benchmark stored."""
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
"""A commit as pytest-benchmark stores it; outside a repository it stores a word instead."""
_PATTERN = "*/[0-9][0-9][0-9][0-9]_*.json"


class _Stats(msgspec.Struct):
    median: float | None
    """Seconds of one call; NaN, infinite or None where there is no such number."""
    rounds: int


class _Row(msgspec.Struct):
    fullname: str
    stats: _Stats
    extra_info: dict[str, Any] = {}


class _Stored(msgspec.Struct):
    benchmarks: list[_Row]
    machine_info: dict[str, Any]
    commit_info: dict[str, Any] | None = None
    datetime: str = ""
    version: str = ""


class _Counted(msgspec.Struct):
    """Facts that one of arbench's suites adds to the fields of its case."""

    depth: int | None = None
    nfe: int | None = None
    flops: int | None = None
    ops: int | None = None
    bytes: int | None = None
    peak_bytes: int | None = None
    count_source: CountSource | None = None
    why_unknown: str | None = None
    twin: str | None = None
    times: Natural = 1
    """Number of times that one call does the work of the case."""
    verified: str | None = None


def read_stored(path: Path) -> Results:
    """Read stored measurements of either format.

    Args:
        path: a results file, the folder of a run, a baseline (a ``run`` line and ``case`` lines), or a JSON file of
            pytest-benchmark: from ``--benchmark-json``, or ``.benchmarks/*/0001_*.json``.

    Raises:
        ResultsError: the file cannot be read or has neither format; one line.
    """
    file = locate(path)
    if file != path and not file.exists() and (several := sorted(path.glob(_PATTERN))):
        raise ResultsError(f"{path}: a folder of pytest-benchmark; name a file in it, such as {several[-1]}")
    try:
        require_regular(file)
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise NoFileError(f"{file}: {error.strerror}") from None
    except OSError as error:
        raise ResultsError(f"{file}: {error.strerror}") from None
    except ValueError as error:  # a path with a null character
        raise ResultsError(f"{file}: {error}") from None
    if not data.strip() or _is_line(data.partition(b"\n")[0]):
        return read(file)
    try:
        whole = encodable_within(json.loads(data))  # unlike msgspec it reads NaN, which pytest-benchmark writes
    except (ValueError, RecursionError) as error:
        raise ResultsError(
            f"{file}: neither a results file nor a complete JSON file of pytest-benchmark ({error})"
        ) from None
    if not isinstance(whole, dict) or "benchmarks" not in whole:
        raise ResultsError(f"{file}: neither a results file nor a JSON file of pytest-benchmark")
    try:
        return _converted(msgspec.convert(whole, _Stored))
    except (msgspec.ValidationError, ResultsError) as error:
        raise ResultsError(f"{file}: not the format of pytest-benchmark: {on_one_line(error)}") from None


def _is_line(raw: bytes) -> bool:
    """Return whether a file with this first line is a results file, valid or not."""
    try:
        first = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(first, dict) and "kind" in first


def _converted(stored: _Stored) -> Results:
    commit = stored.commit_info or {}
    known = _COMMIT.fullmatch(str(commit.get("id")))
    git = known[0][:12] + ("+" if commit.get("dirty") else "") if known else None
    made = commit.get("time")
    results = Results(
        Run(
            schema=SCHEMA,
            run_id=f"{STORAGE} {stored.datetime}".rstrip(),
            started_at=stored.datetime,
            argv=[],
            seed=0,
            git=git,
            plan={"source": STORAGE, "version": stored.version},
            environment=_environment(stored.machine_info),
            limits={},
            committed_at=made if known and isinstance(made, str) else None,
        )
    )
    for row in stored.benchmarks:
        case = msgspec.convert(msgspec.to_builtins(_case(row)), Case)  # within the ranges of a results file
        if case.id in results.cases:
            raise ResultsError(f"'{case.id}' occurs twice")
        results.add(case)
    return results


def _case(row: _Row) -> Case:
    info = row.extra_info
    median = row.stats.median
    if median is None or not math.isfinite(median):
        median = None
    elif not (median > 0 and row.stats.rounds > 0):
        raise ResultsError(f"'{row.fullname}' has no time")
    if not info.keys() >= {"spec", "model", "preset", "op", "method", "backend", "exactness"}:
        return Case(
            id=row.fullname,
            model=row.fullname,
            preset="",
            op="forward",
            method="",
            backend="",
            device="",
            dtype="",
            batch=1,
            n=1,
            element="",
            weights=0,
            status="ok",
            exactness="pointwise",
            median_s=median,
            workers=1,
            samples=row.stats.rounds,
        )
    key = msgspec.convert({k: v for k, v in info.items() if k in CaseKey.__struct_fields__}, CaseKey)
    found = msgspec.convert(info, _Counted)
    if found.times < 1:
        raise ResultsError(f"'{row.fullname}' has 'times' {found.times}; it must be at least 1")
    facts = {k: getattr(key, k) for k in CaseKey.__struct_fields__ if k in Case.__struct_fields__}
    counted = ("depth", "nfe", "flops", "ops", "bytes", "peak_bytes")
    counts = {name: getattr(found, name) for name in counted}
    known = any(value is not None for value in counts.values())
    return Case(
        id=key.id,
        status="ok",
        **facts,
        **counts,
        count_source=found.count_source or ("formula" if known else "none"),
        why_unknown=found.why_unknown,
        twin=found.twin,
        verified={"how": found.verified} if found.verified else None,
        median_s=None if median is None else median / found.times,
        workers=1,
        samples=row.stats.rounds,
    )


def _environment(machine: dict[str, Any]) -> dict[str, Any]:
    """Return facts about the machine as ``arbench.meters.environment`` does; arbench's own suites store them whole."""
    own = machine.get("arbench")
    if isinstance(own, dict):
        return own
    cpu = machine.get("cpu")
    cpu = cpu if isinstance(cpu, dict) else {}
    return {
        "cpu": {"model": cpu.get("brand_raw"), "logical_cores": cpu.get("count")},
        "versions": {"python": machine.get("python_version")},
        "os": {
            "system": machine.get("system"),
            "kernel": machine.get("release"),
            "machine": machine.get("machine"),
        },
    }
