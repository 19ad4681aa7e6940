"""The observations of a history, and their places in the order of commits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import pandas as pd

from arbench.report.labels import OPS, interval_of, is_kernel, model_label
from arbench.report.metrics import Metric
from arbench.report.passed import why_none
from arbench.report.table import order
from arbench.results import Case, Results, Run

DIGITS = 12
"""Digits of a commit's hash that identify it."""


class Positioned(Protocol):
    """The position of a commit, as in ``arbench.git.Commit``."""

    @property
    def rank(self) -> int:
        """Position in topological order: parents before children."""

    @property
    def time(self) -> float:
        """Commit time, Unix seconds."""


def commit_of(run: Run) -> str | None:
    """Return the first 12 digits of the commit of a run; None where it is unknown."""
    return (run.git or "").removesuffix("+")[:DIGITS] or None


def machine_of(run: Run, device: str) -> str:
    """Return the machine within which times are comparable: ``AMD EPYC, 1 thread, torch 2.13``.

    It consists of processor or GPU, threads, torch's major and minor version, and the program that measured
    if it was not arbench.
    """
    facts = run.environment
    gpu = _within(facts, "gpu", "name")
    chip = gpu if device.startswith("cuda") and gpu else _within(facts, "cpu", "model")
    threads = _within(run.plan, "options", "threads") or _within(facts, "threads", "torch")
    torch = str(_within(facts, "versions", "torch") or "").partition("+")[0]
    words = [str(chip or "unknown processor")]
    if threads:
        words.append(f"{threads} thread{'s' if threads != 1 else ''}")
    if torch:
        words.append(f"torch {'.'.join(torch.split('.')[:2])}")
    if source := run.plan.get("source"):
        words.append(str(source))
    return ", ".join(words)


def observations(
    files: Iterable[Results],
    metric: Metric,
    keep: Callable[[Case], bool] = lambda case: True,
    passed: list[tuple[str, str]] | None = None,
) -> pd.DataFrame:
    """Return one row per value.

    Columns: ``file`` (a number), ``commit`` (12 digits or None), ``dirty``, ``time`` of the measurement and ``made``,
    that of the commit (both UTC or NaT), ``machine`` (empty for exact metrics), ``case``, ``label``, ``group``,
    ``value``, ``low``, ``high``.

    Args:
        files: results, in any order.
        metric: the metric; `Metric.value` decides which cases have one.
        keep: returns whether to include a case.
        passed: receives the id of each case to include that has no value, with the reason.
    """
    rows: list[dict[str, Any]] = []
    cases: dict[str, Case] = {}
    for number, results in enumerate(files):
        run = results.run
        for case in results.cases.values():
            if not keep(case):
                continue
            value = metric.value(case)
            if value is None:
                if passed is not None:
                    passed.append((case.id, why_none(metric, case)))
                continue
            cases.setdefault(case.id, case)
            ends = (None if metric.exact else interval_of(case)) or (value, value)
            rows.append(
                {
                    "file": number,
                    "commit": commit_of(run),
                    "dirty": (run.git or "").endswith("+"),
                    "time": _time(run.started_at),
                    "made": _time(run.committed_at or ""),
                    "case": case.id,
                    "machine": "" if metric.exact else machine_of(run, case.device),
                    "value": value,
                    "low": ends[0],
                    "high": ends[1],
                }
            )
    columns = ["file", "commit", "dirty", "time", "made", "case", "machine", "value", "low", "high"]
    found = pd.DataFrame(rows, columns=columns)
    for name in ("time", "made"):
        found[name] = pd.to_datetime(found[name], utc=True)
    found["label"] = found["case"].map(_labels(cases.values()))
    found["group"] = found["case"].map({name: _group(case) for name, case in cases.items()})
    rank = {case.id: number for number, case in enumerate(order(cases.values()))}
    return found.sort_values("case", key=lambda names: names.map(rank), kind="stable", ignore_index=True)


def places(found: pd.DataFrame, commits: Mapping[str, Positioned] | None = None) -> pd.DataFrame:
    """Return the places of observations in order: ``place``, ``commit``, ``dirty``, ``time`` and ``marked``.

    Files of the same clean commit share a place; a file from a modified or unknown tree has its own.

    Args:
        found: as `observations` returns them; gains a column ``place``.
        commits: the order of commits from git; by default the times of the commits give the order, or those of the
            measurements where a file does not say when its commit was made. A file from a modified or unknown tree
            follows the last commit made before its own commit, or before it was measured where that is unknown.
    """
    alone = found["dirty"] | found["commit"].isna()
    found["key"] = found["commit"].where(~alone, "file " + found["file"].astype(str))
    known = {} if commits is None else commits
    each = found.groupby("key", sort=False).agg(
        commit=("commit", "first"), dirty=("dirty", "first"), time=("time", "min"), made=("made", "min")
    )
    if not known and mixed_clocks(found):
        each["made"] = pd.NaT
    earliest = pd.Timestamp(0, tz="UTC")
    ranks, ats, times, marked = [], [], [], []
    for key, row in each.iterrows():
        own = row["time"] if pd.isna(row["made"]) else row["made"]
        at = earliest if pd.isna(own) else own
        commit = known.get(str(key))
        before = [one.rank for one in known.values() if one.time <= at.timestamp()]
        ranks.append(float(commit.rank) if commit else max(before, default=-1) + 0.5)
        ats.append(at)
        times.append(pd.Timestamp(commit.time, unit="s", tz="UTC") if commit else own)
        marked.append(str(key).startswith("file ") or bool(known and commit is None))
    each["measured"] = each["time"].fillna(earliest)
    each = each.assign(rank=ranks, at=ats, time=pd.to_datetime(times, utc=True), marked=marked)
    each = each.sort_values([*(["rank"] if known else []), "at", "dirty", "measured"], kind="stable")
    each["place"] = range(len(each))
    found["place"] = found["key"].map(each["place"])
    return each.reset_index()[["place", "commit", "dirty", "time", "marked"]]


def mixed_clocks(found: pd.DataFrame) -> bool:
    """Return whether some observations of commits say when the commit was made and others do not."""
    unknown = found.loc[found["commit"].notna(), "made"].isna()
    return bool(unknown.any() and not unknown.all())


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _within(facts: Mapping[str, Any], *names: str) -> Any:
    found: Any = facts
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _group(case: Case) -> str:
    """Return the group of a case, which shares a figure: ``wavenet:nv scoring``; empty for foreign suites."""
    return f"{case.model if is_kernel(case) else model_label(case)} {OPS[case.op]}" if case.backend else ""


def _labels(cases: Iterable[Case]) -> dict[str, str]:
    """Return ``cached, N = 32`` by id, with the settings that vary; a case of a foreign suite keeps its id."""
    known = list(cases)
    names = ("backend", "device", "dtype", "batch")
    varying = [name for name in names if len({getattr(case, name) for case in known if case.backend}) > 1]
    found = {}
    for case in known:
        words = [f"batch {case.batch}" if name == "batch" else getattr(case, name) for name in varying]
        size = case.preset if is_kernel(case) else f"N = {case.n:,}"
        found[case.id] = ", ".join([case.method, *words, size]) if case.backend else case.id
    return found
