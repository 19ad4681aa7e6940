"""The steps of a history in words."""

from __future__ import annotations

import pandas as pd

from arbench.report.cells import NONE, Column
from arbench.report.history.points import Measure
from arbench.report.history.series import History
from arbench.report.table import Table
from arbench.stats import format_si
from arbench.stats.steps import Step, least_length


def table(found: History) -> Table:
    """One row a step, and what to know of the rest."""
    several = len(found.machines) > 1
    columns = [
        Column("case", number=False),
        *([Column("machine", number=False)] if several else []),
        Column("from commit", number=False),
        Column("date", number=False),
        Column("before"),
        Column("after"),
        Column("change", number=False),
        *([] if found.measure.exact else [Column("p")]),
    ]
    rows = []
    for one in found.series:
        for step in one.steps:
            place = found.places.iloc[int(one.points["place"].iloc[step.index])]
            rows.append(
                [
                    one.name,
                    *([letter(found, one.machine)] if several else []),
                    commit_text(place),
                    date_text(place),
                    *_both(step, found.measure),
                    change_text(step, found.measure),
                    *([] if found.measure.exact else [_p(step)]),
                ]
            )
    return Table(_title(found), columns, rows, notes(found))


def lines(shown: Table) -> list[str]:
    """The table for a terminal; without a step, what there is to say of that."""
    return shown.lines() if shown.rows else [shown.title, *shown.notes]


def letter(found: History, machine: str) -> str:
    """A short name of a machine: A, B, ..."""
    return _letters(found.machines.index(machine)) if machine else NONE


def _letters(number: int) -> str:
    return (_letters(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def commit_text(place: pd.Series) -> str:
    """``0123456789ab``, with ``+`` where the tree was changed."""
    return NONE if pd.isna(place["commit"]) else str(place["commit"]) + ("+" if place["dirty"] else "")


def date_text(place: pd.Series) -> str:
    """``2026-01-31 09:30``, UTC."""
    return NONE if pd.isna(place["time"]) else f"{place['time']:%Y-%m-%d %H:%M}"


def change_text(step: Step, measure: Measure) -> str:
    """``5.2% slower``; ``3 more`` where there was nothing before."""
    word = measure.words[0] if step.after > step.before else measure.words[1]
    if step.change is None:
        return f"{step.after:,.0f} {word}"
    size = abs(step.change) * 100
    return f"{size:,.0f}% {word}" if size >= 9.95 else f"{size:.2g}% {word}"


def _both(step: Step, measure: Measure) -> tuple[str, str]:
    """The levels, with the digits that tell them apart."""
    if measure.exact:
        return f"{step.before:,.0f}", f"{step.after:,.0f}"
    half = abs(step.after - step.before) / 5
    before, after = (format_si(v, measure.unit, (v - half, v + half)) for v in (step.before, step.after))
    return before, after


def _p(step: Step) -> str:
    return NONE if step.p is None else f"{step.p:.1g}"


def _title(found: History) -> str:
    dates = found.places["time"].dropna()
    days = list(dict.fromkeys(f"{day:%Y-%m-%d}" for day in (dates.min(), dates.max()) if len(dates)))
    when = f", {' to '.join(days)}" if days else ""
    count = len(found.places)
    return f"Steps of {found.measure.title} over {count} commit{'s' if count != 1 else ''}{when}"


def notes(found: History) -> list[str]:
    """One line each: what has no step, machines, what is marked, how steps were found."""
    lines = []
    short = sum(one.short for one in found.series)
    without = sum(not one.steps and not one.short for one in found.series)
    total = len(found.series)
    if without:
        lines.append(f"No step in {without} of {total} series.")
    if short:
        lines.append(f"Too few commits in {short} of {total} series: {least_length()} can tell a step from noise.")
    if found.measure.exact:
        lines.append("Counted, not timed: every change is a step, and all machines are one series.")
    else:
        lines += [
            f"{letter(found, machine)}: {machine}" if len(found.machines) > 1 else f"Machine: {machine}"
            for machine in found.machines
        ]
        if len(found.machines) > 1:
            lines.append("Times are compared within a machine only.")
        lines.append("p: chance of such a step in noise alone; shown up to 0.01, all cases together.")
    differ = sum(bool(one.points["differ"].any()) for one in found.series)
    if differ:
        lines.append(f"Not the same in all files of a commit in {differ} of {total} series: the median.")
    changed, unknown = found.places["dirty"].sum(), found.places["marked"].sum()
    if found.ordered and unknown:
        lines.append(f"{unknown} placed by time: the tree was changed (+), or git does not know the commit.")
    elif changed:
        lines.append(f"+: the tree was changed since that commit ({changed}).")
    return lines


def markdown(shown: Table) -> list[str]:
    """The table as lines of markdown."""
    lines = [f"# {shown.title}", ""]
    if shown.rows:
        heads = [column.heading for column in shown.columns]
        rules = ["---:" if column.number else "---" for column in shown.columns]
        cells = [[cell.replace("|", "\\|") for cell in row] for row in shown.rows]
        lines += ["| " + " | ".join(row) + " |" for row in (heads, rules, *cells)] + [""]
    return lines + [f"- {note}" for note in shown.notes]
