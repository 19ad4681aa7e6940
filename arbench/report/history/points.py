"""Results files to one value a commit: what a history is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import pandas as pd

from arbench.report.cells import interval_of
from arbench.report.labels import OPS, is_kernel, model_label
from arbench.report.table import order
from arbench.results import Case, Results, Run

DIGITS = 12
"""Of a commit, as a run records it."""


@dataclass(frozen=True)
class Measure:
    """One column of a results file, and how to speak of it."""

    field: str
    title: str
    unit: str = ""
    words: tuple[str, str] = ("more", "less")
    exact: bool = True
    tolerance: float = 0.0
    """Relative difference up to which an exact measure is the same."""


MEASURES = {
    "seconds": Measure("median_s", "time", "s", ("slower", "faster"), exact=False),
    "depth": Measure("depth", "depth"),
    "nfe": Measure("nfe", "network evaluations"),
    "flops": Measure("flops", "work", "FLOP"),
    "ops": Measure("ops", "tensor operations"),
    "bytes": Measure("bytes", "bytes moved", "B"),
    "peak_bytes": Measure("peak_bytes", "peak memory", "B", tolerance=0.05),
    "weights": Measure("weights", "parameters"),
}


class Placed(Protocol):
    """What is known of a commit: see ``arbench.git.Commit``."""

    @property
    def rank(self) -> int: ...
    @property
    def time(self) -> float: ...


def machine_of(run: Run, device: str) -> str:
    """What times may be compared within, in words: ``AMD EPYC, 1 thread, torch 2.13``.

    Processor or GPU, threads, torch's major and minor version, and who measured if not arbench.
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
    files: Iterable[Results], measure: Measure, keep: Callable[[Case], bool] = lambda case: True
) -> pd.DataFrame:
    """One row a value found: ``file`` (a number), ``commit`` (12 digits or None), ``dirty``, ``time`` (UTC
    or NaT), ``machine`` (empty for exact measures), ``case``, ``label``, ``group``, ``value``, ``low``,
    ``high``.

    Args:
        keep: which cases. Of those, times are taken from what is ok, counters from all but what is inexact.
    """
    rows: list[dict[str, Any]] = []
    cases: dict[str, Case] = {}
    for number, results in enumerate(files):
        run = results.run
        commit = (run.git or "").removesuffix("+")[:DIGITS] or None
        for case in results.cases.values():
            value = _value(case, measure)
            if value is None or not keep(case):
                continue
            cases.setdefault(case.id, case)
            ends = (interval_of(case) if measure.field == "median_s" else None) or (value, value)
            rows.append(
                {
                    "file": number,
                    "commit": commit,
                    "dirty": (run.git or "").endswith("+"),
                    "time": _time(run.started_at),
                    "case": case.id,
                    "machine": "" if measure.exact else machine_of(run, case.device),
                    "value": value,
                    "low": ends[0],
                    "high": ends[1],
                }
            )
    columns = ["file", "commit", "dirty", "time", "case", "machine", "value", "low", "high"]
    found = pd.DataFrame(rows, columns=columns)
    found["time"] = pd.to_datetime(found["time"], utc=True)
    found["label"] = found["case"].map(_labels(cases.values()))
    found["group"] = found["case"].map({name: _group(case) for name, case in cases.items()})
    rank = {case.id: number for number, case in enumerate(order(cases.values()))}
    return found.sort_values("case", key=lambda names: names.map(rank), kind="stable", ignore_index=True)


def places(found: pd.DataFrame, commits: Mapping[str, Placed] | None = None) -> pd.DataFrame:
    """Where observations stand, in order: ``place``, ``commit``, ``dirty``, ``time`` and ``marked``.

    Files of one clean commit share a place; of a changed or an unknown tree each has its own.

    Args:
        found: of `observations`; gains a column ``place``.
        commits: in the order of git, where it was asked; otherwise time orders. What git does not know, and
            what was changed, then stands behind the last commit made before it was measured.
    """
    alone = found["dirty"] | found["commit"].isna()
    found["key"] = found["commit"].where(~alone, "file " + found["file"].astype(str))
    known = {} if commits is None else commits
    each = found.groupby("key", sort=False).agg(
        commit=("commit", "first"), dirty=("dirty", "first"), time=("time", "min")
    )
    earliest = pd.Timestamp(0, tz="UTC")
    ranks, ats, times, marked = [], [], [], []
    for key, row in each.iterrows():
        measured = earliest if pd.isna(row["time"]) else row["time"]
        commit = known.get(str(key))
        before = [one.rank for one in known.values() if one.time <= measured.timestamp()]
        ranks.append(float(commit.rank) if commit else max(before, default=-1) + 0.5)
        ats.append(measured)
        times.append(pd.Timestamp(commit.time, unit="s", tz="UTC") if commit else row["time"])
        marked.append(str(key).startswith("file ") or bool(known and commit is None))
    each = each.assign(rank=ranks, at=ats, time=pd.to_datetime(times, utc=True), marked=marked)
    each = each.sort_values(["rank", "at"] if known else ["at"], kind="stable")
    each["place"] = range(len(each))
    found["place"] = found["key"].map(each["place"])
    return each.reset_index()[["place", "commit", "dirty", "time", "marked"]]


def _value(case: Case, measure: Measure) -> float | None:
    value = getattr(case, measure.field)
    if measure.field == "median_s":
        return value if case.status == "ok" and value and 0 < value < float("inf") else None
    return value if case.status != "inexact" and case.backend else None  # a foreign suite counts nothing


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
    """What stands in one figure: a model's scoring, say."""
    return f"{case.model if is_kernel(case) else model_label(case)} {OPS[case.op]}" if case.backend else ""


def _labels(cases: Iterable[Case]) -> dict[str, str]:
    """``cached, N = 32`` with what tells cases apart; a case of a foreign suite keeps its name."""
    known = list(cases)
    names = ("backend", "device", "dtype", "batch")
    varying = [name for name in names if len({getattr(case, name) for case in known if case.backend}) > 1]
    found = {}
    for case in known:
        words = [f"batch {case.batch}" if name == "batch" else getattr(case, name) for name in varying]
        size = case.preset if is_kernel(case) else f"N = {case.n:,}"
        found[case.id] = ", ".join([case.method, *words, size]) if case.backend else case.id
    return found
