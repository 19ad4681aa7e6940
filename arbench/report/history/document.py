"""A history as a page, as data and as files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from arbench.border.printable import to_json
from arbench.border.spreadsheet import to_csv
from arbench.border.whole import write_text
from arbench.report.figures.drawing import Drawing, save
from arbench.report.history.figures import draw
from arbench.report.history.series import History, Series
from arbench.report.history.table import table
from arbench.report.html import framed
from arbench.report.markdown import escape, grid

SCHEMA = 2
"""Version of the JSON document; version 1 called the metric ``measure``, a key that stays until the next release."""


def frame(found: History) -> pd.DataFrame:
    """Return one row per point.

    Columns: ``case``, ``machine``, ``place``, ``commit``, ``dirty``, ``time``, ``value``, ``low``, ``high``,
    ``count``, ``level``, and ``step``, the relative change where a level begins.
    """
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
    """Return the history as plain data.

    Keys: ``schema``, ``metric``, ``ordered_by``, ``commits``, ``series`` of points and steps, and ``passed_over``.
    ``measure`` is the old name of ``metric``.
    """
    return {
        "schema": SCHEMA,
        "metric": found.metric.name,
        "measure": found.metric.name,
        "exact": found.metric.exact,
        "ordered_by": "git" if found.ordered else "time",
        "commits": [_commit(place) for _, place in found.places.iterrows()],
        "series": [_series(one) for one in found.series],
        "passed_over": [
            {"case": case, "reason": reason, "count": count} for (case, reason), count in Counter(found.passed).items()
        ],
    }


def web_page(found: History, drawings: Iterable[Drawing]) -> str:
    """Return the whole history as an HTML page that needs no other file."""
    return framed(
        "history.html.j2",
        metric=found.metric.title,
        table=table(found),
        figures=[one.picture() for one in drawings],
    )


def write(found: History, folder: Path) -> list[Path]:
    """Write ``history.html``, ``.md``, ``.csv`` and ``.json``, and the figures; return their paths, the page first.

    Args:
        found: the history.
        folder: created if missing.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawings = draw(found)
    html, page, values, data = (folder / f"history.{kind}" for kind in ("html", "md", "csv", "json"))
    images = [f"![{escape(one.caption)}](figures/{one.name}.svg)\n\n{escape(one.see)}\n" for one in drawings]
    write_text(html, web_page(found, drawings))
    write_text(page, "\n".join([*grid(table(found), level=1), *images]).rstrip("\n") + "\n")
    write_text(values, to_csv(frame(found)))
    write_text(data, msgspec.json.format(to_json(document(found)), indent=1).decode() + "\n")
    return [html, page, values, data, *save(drawings, folder / "figures")]


def _commit(place: pd.Series) -> dict[str, Any]:
    return {
        "commit": None if pd.isna(place["commit"]) else place["commit"],
        "dirty": bool(place["dirty"]),
        "time": None if pd.isna(place["time"]) else place["time"].isoformat(),
        "marked": bool(place["marked"]),
    }


def _series(one: Series) -> dict[str, Any]:
    return {
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
