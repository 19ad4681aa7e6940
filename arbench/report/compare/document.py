"""A comparison as a page, as markdown, as data and as files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from arbench.border.spreadsheet import to_csv
from arbench.border.whole import write_text
from arbench.report.compare.answer import answer
from arbench.report.compare.comparison import Comparison, Row
from arbench.report.compare.figures import draw
from arbench.report.compare.table import CaseNames, alone, changed_table, counted, tables
from arbench.report.figures.drawing import Drawing, save
from arbench.report.html import framed
from arbench.report.markdown import escape, grid
from arbench.stats.unpaired import UnpairedRatio

SCHEMA = 1
NAMED = 3
"""Cases of one file alone that are named at once."""
_WIDTH = 10_000
"""Characters per line: one table of all files."""


def frame(found: Comparison) -> pd.DataFrame:
    """Return one row per case and file, with every number as measured.

    Columns: ``id``, ``model``, ``preset``, ``op``, ``method``, ``backend``, ``device``, ``dtype``, ``batch``
    and ``n`` of the case; ``file`` (its label); ``status``, ``unstable``; ``metric``, ``value``, and ``low``
    and ``high`` of times; ``ratio`` over the first file with ``ratio_low``, ``ratio_high``, ``interval``
    ('ci95' or 'range', of the ratio), ``observations`` and ``observations_first``. Unknown values are missing.
    """
    return pd.DataFrame(_records(found))


def document(found: Comparison) -> dict[str, Any]:
    """Return the comparison as plain data.

    Keys: ``schema``, ``files``, ``metric``, ``rows`` (as in `frame`), ``changed``, ``counted``, ``alone``,
    ``warnings`` and ``notes``.
    """
    return {
        "schema": SCHEMA,
        "files": found.labels,
        "metric": found.metric.name,
        "rows": _records(found),
        "changed": [
            {"file": one.label, "id": one.case.id, "name": one.name, "before": one.before, "after": one.after}
            for one in found.changed
        ],
        "counted": found.counted,
        "alone": dict(found.alone),
        "warnings": found.warnings,
        "notes": found.notes,
    }


def markdown(found: Comparison, names: CaseNames, images: Iterable[tuple[str, str, str]] = ()) -> str:
    """Return the whole comparison as markdown.

    Args:
        found: the comparison.
        names: the names of its cases.
        images: caption, path and what to see, of each figure.
    """
    parts = [f"# {escape(', '.join(found.labels))}", ""]
    parts += [f"{escape(line)}\n" for line in answer(found, names)]
    parts += [f"> {escape(line)}\n" for line in found.warnings]
    for table in tables(found, names, _WIDTH):
        parts += grid(table)
    parts += [f"![{escape(caption)}]({path})\n\n{escape(see)}\n" for caption, path, see in images]
    if (changed := changed_table(found, names)) is not None:
        parts += grid(changed)
    parts += [f"- {escape(line)}" for line in (counted(found), *found.notes, *alone(found))]
    return "\n".join([*parts, ""])


def web_page(found: Comparison, names: CaseNames, drawings: Iterable[Drawing]) -> str:
    """Return the whole comparison as an HTML page that needs no other file.

    Args:
        found: the comparison.
        names: the names of its cases.
        drawings: its figures.
    """
    changed = changed_table(found, names)
    return framed(
        "compare.html.j2",
        labels=found.labels,
        metric=found.metric.title,
        warnings=found.warnings,
        tables=[*tables(found, names, _WIDTH), *([changed] if changed else [])],
        figures=[one.picture() for one in drawings],
        answer=answer(found, names),
        notes=[counted(found), *found.notes],
        alone=found.alone,
        named=NAMED,
    )


def write(found: Comparison, names: CaseNames, folder: Path) -> list[Path]:
    """Write ``compare.html``, ``compare.md``, ``compare.csv`` and the figures; return their paths, the page first.

    Args:
        found: the comparison.
        names: the names of its cases.
        folder: created if missing.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawings = draw(found, names)
    html, page, values = (folder / f"compare.{kind}" for kind in ("html", "md", "csv"))
    images = [(one.caption, f"figures/{one.name}.svg", one.see) for one in drawings]
    write_text(html, web_page(found, names, drawings))
    write_text(page, markdown(found, names, images))
    write_text(values, to_csv(frame(found)))
    return [html, page, values, *save(drawings, folder / "figures")]


def _records(found: Comparison) -> list[dict[str, Any]]:
    return [_record(row, label, found.metric.name) for row in found.rows for label in row.values]


def _record(row: Row, label: str, metric: str) -> dict[str, Any]:
    names = ("id", "model", "preset", "op", "method", "backend", "device", "dtype", "batch", "n")
    value = row.values[label]
    low, high = value.interval or (None, None)
    return {
        **{name: getattr(row.case, name) for name in names},
        "file": label,
        "status": value.case.status,
        "unstable": value.case.unstable,
        "metric": metric,
        "value": value.value,
        "low": low,
        "high": high,
        **_ratio(value.ratio),
    }


def _ratio(ratio: UnpairedRatio | None) -> dict[str, Any]:
    low, high = (ratio.ci95 or ratio.range if ratio else None) or (None, None)
    mine, first = ratio.observations if ratio else (None, None)
    return {
        "ratio": ratio.ratio if ratio else None,
        "ratio_low": low,
        "ratio_high": high,
        "interval": None if ratio is None or low is None else "ci95" if ratio.ci95 else "range",
        "observations": mine,
        "observations_first": first,
    }
