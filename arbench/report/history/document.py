"""A measure over commits: its steps as a table, a page, data and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from arbench.report.drawings import save
from arbench.report.history.figures import draw
from arbench.report.history.points import MEASURES
from arbench.report.history.series import History, Series, history
from arbench.report.history.table import lines, markdown, table

__all__ = ["MEASURES", "History", "Series", "document", "frame", "history", "lines", "table", "write"]

SCHEMA = 1


def frame(found: History) -> pd.DataFrame:
    """One row a point: ``case``, ``machine``, ``place``, ``commit``, ``dirty``, ``time``, ``value``, ``low``,
    ``high``, ``count``, ``level``, and ``step`` (relative change where a level begins)."""
    parts = []
    for one in found.series:
        part = one.points.merge(found.places, on="place")
        part.insert(0, "case", one.case)
        part.insert(1, "machine", one.machine)
        part["level"] = [
            next(level for first, last, level in one.levels() if first <= place <= last) for place in part["place"]
        ]
        changes = {step.index: step.change for step in one.steps}
        part["step"] = [changes.get(index) for index in range(len(part))]
        parts.append(part.drop(columns="differ"))
    return pd.concat(parts, ignore_index=True)


def document(found: History) -> dict[str, Any]:
    """The same as plain data: ``schema``, ``measure``, ``commits`` and ``series`` with points and steps."""
    commits = [
        {
            "commit": None if pd.isna(row["commit"]) else row["commit"],
            "dirty": bool(row["dirty"]),
            "time": None if pd.isna(row["time"]) else row["time"].isoformat(),
            "marked": bool(row["marked"]),
        }
        for _, row in found.places.iterrows()
    ]
    series = [
        {
            "case": one.case,
            "machine": one.machine or None,
            "points": one.points.drop(columns="differ").to_dict("records"),
            "steps": [
                {
                    "place": int(one.points["place"].iloc[step.index]),
                    "before": step.before,
                    "after": step.after,
                    "change": step.change,
                    "p": step.p,
                }
                for step in one.steps
            ],
            "too_short": one.short,
        }
        for one in found.series
    ]
    return {
        "schema": SCHEMA,
        "measure": found.name,
        "exact": found.measure.exact,
        "ordered_by": "git" if found.ordered else "time",
        "commits": commits,
        "series": series,
    }


def write(found: History, folder: Path) -> list[Path]:
    """Writes ``history.md``, ``history.csv``, ``history.json`` and the figures; the page first.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawings = draw(found)
    page, values, data = (folder / f"history.{kind}" for kind in ("md", "csv", "json"))
    images = [f"![{one.caption}](figures/{one.name}.svg)" for one in drawings]
    page.write_text("\n".join([*markdown(table(found)), "", *images, ""]), encoding="utf-8")
    frame(found).to_csv(values, index=False)
    data.write_bytes(msgspec.json.format(msgspec.json.encode(document(found)), indent=1) + b"\n")
    return [page, values, data, *save(drawings, folder / "figures")]
