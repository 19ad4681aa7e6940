"""A history as a table of steps."""

from __future__ import annotations

import pandas as pd

from arbench.report.history.series import History
from arbench.report.metrics import Metric
from arbench.report.passed import passed_over
from arbench.report.quantities import NONE, Column
from arbench.report.table import Table
from arbench.stats import format_si
from arbench.stats.steps import Step, least_length


def table(found: History) -> Table:
    """Return one row per step, with notes on the series without steps."""
    several = len(found.machines) > 1
    columns = [
        Column("case", number=False),
        *([Column("machine", number=False)] if several else []),
        Column("from commit", number=False),
        Column("date", number=False),
        Column("before"),
        Column("after"),
        Column("change", number=False),
        *([] if found.metric.exact else [Column("p")]),
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
                    *_both(step, found.metric),
                    change_text(step, found.metric),
                    *([] if found.metric.exact else [_p(step)]),
                ]
            )
    return Table(_title(found), columns, rows, notes(found))


def lines(shown: Table) -> list[str]:
    """Return the table for a terminal; without any step, its title and notes."""
    return shown.lines() if shown.rows else [shown.title, *shown.notes]


def letter(found: History, machine: str) -> str:
    """Return a short name of a machine: A, B, ..."""
    return _letters(found.machines.index(machine)) if machine else NONE


def _letters(number: int) -> str:
    return (_letters(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def commit_text(place: pd.Series) -> str:
    """Return ``0123456789ab``, with ``+`` where the tree had uncommitted changes."""
    return NONE if pd.isna(place["commit"]) else str(place["commit"]) + ("+" if place["dirty"] else "")


def date_text(place: pd.Series) -> str:
    """Return ``2026-01-31 09:30``, UTC."""
    return NONE if pd.isna(place["time"]) else f"{place['time']:%Y-%m-%d %H:%M}"


def change_text(step: Step, metric: Metric) -> str:
    """Return ``5.2% slower``, or ``3 more`` where the level before was 0."""
    word = metric.words[0] if step.after > step.before else metric.words[1]
    if step.change is None:
        return f"{step.after:,.0f} {word}"
    size = abs(step.change) * 100
    return f"{size:,.0f}% {word}" if size >= 9.95 else f"{size:.2g}% {word}"


def _both(step: Step, metric: Metric) -> tuple[str, str]:
    """Return both levels, with the digits that tell them apart."""
    if metric.exact:
        return f"{step.before:,.0f}", f"{step.after:,.0f}"
    half = abs(step.after - step.before) / 5
    before, after = (format_si(v, metric.unit, (v - half, v + half)) for v in (step.before, step.after))
    return before, after


def _p(step: Step) -> str:
    return NONE if step.p is None else f"{step.p:.1g}"


def _title(found: History) -> str:
    dates = found.places["time"].dropna()
    days = list(dict.fromkeys(f"{day:%Y-%m-%d}" for day in (dates.min(), dates.max()) if len(dates)))
    when = f", {' to '.join(days)}" if days else ""
    count = len(found.places)
    return f"Steps of {found.metric.title} over {count} commit{'s' if count != 1 else ''}{when}"


def notes(found: History) -> list[str]:
    """Return notes on series without steps, machines, marked places, and how steps were found."""
    lines = []
    short = sum(one.short for one in found.series)
    without = sum(not one.steps and not one.short for one in found.series)
    total = len(found.series)
    if without:
        lines.append(f"No step in {without} of {total} series.")
    if short:
        lines.append(
            f"Too few commits in {short} of {total} series: telling a step from noise takes at least {least_length()}."
        )
    if len(found.places) == 1:
        lines.append(
            "There are no figures of one commit: measure further ones with the same arbench run, each into a folder of "
            "its own, and give all folders to arbench history; arbench report shows the values of one."
        )
    if found.metric.exact:
        lines.append("Counted, not timed: every change is a step, and all machines form one series.")
    else:
        lines += [
            f"{letter(found, machine)}: {machine}" if len(found.machines) > 1 else f"Machine: {machine}"
            for machine in found.machines
        ]
        if len(found.machines) > 1:
            lines.append("Times are compared only within a machine.")
        lines.append("p: chance of such a step in noise alone; shown up to 0.01, adjusted for the number of cases.")
    differ = sum(bool(one.points["differ"].any()) for one in found.series)
    if differ:
        lines.append(f"In {differ} of {total} series the files of a commit disagree: the median is shown.")
    changed, unknown = found.places["dirty"].sum(), found.places["marked"].sum()
    if found.ordered and unknown:
        lines.append(f"{unknown} placed by time: modified trees (+), or commits that git does not know.")
    elif changed:
        lines.append(f"+: modified tree, with uncommitted changes ({changed}).")
    if found.measured:
        lines.append(
            "Ordered by the time of measurement, since some files do not say when their commit was made; --repo orders "
            "by commit."
        )
    if (line := passed_over(found.passed)) is not None:
        lines.append(f"{line}.")
    return [*lines, *found.seals]
