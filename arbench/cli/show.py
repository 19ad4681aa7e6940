"""Output of a finished run: the answer, what was verified, what failed, where the report is; then the tables."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

import click

from arbench.border.gallery import FOLDER, LINES
from arbench.border.printable import to_json
from arbench.cli.errors import LostError
from arbench.cli.terminal import terminal_width, wrapped
from arbench.report import (
    OVER,
    Sentence,
    Table,
    answers,
    brief,
    differences,
    frontier_table,
    has_trained,
    headline,
    headlines,
    passes_table,
    profiles,
    remarks,
    render,
    seal_line,
    sentences,
    size_hints,
)
from arbench.report.models.undecided import doubtful
from arbench.report.table import HIDDEN
from arbench.results import FILE_NAME, Results

LEAST = 112
"""Characters of a line of the taxonomy, at least: it has a row for each model and may be wider than the terminal."""
WHOLE = 240
"""Characters of a line of a table with ``--details``, at most: it keeps its columns, however wide the terminal is."""
MARKS = {"holds": "✓", "fails": "✗", "undecided": "?"}
PROMPT = 2
"""Lines of a terminal that the command and the next prompt take."""
TRACES = "profiles"
"""Folder of the traces, in that of the run."""
MANY = 6
"""Largest number of models with an answer and a table each; more are summarised by the taxonomy."""


def show(results: Results, folder: Path, as_json: bool, file: Path | None = None, details: bool = False) -> None:
    """Print the results and render their report.

    Args:
        results: a run, finished or not.
        folder: folder for the report.
        as_json: whether to print the rows as JSON lines instead of the answer.
        file: the results file, where it is not the one that a run has just written into the folder.
        details: whether to print the notes of the tables, every verdict and every speed too.
    """
    was_read, file = file is not None, file or folder / FILE_NAME
    written: list[Path] = []
    failed: OSError | None = None
    try:
        written = render(results, folder, file.parent)
    except OSError as error:  # what was measured is shown all the same
        failed = error
    if as_json:
        rows = (results.cases, results.ratios, results.slowdowns, results.fits, results.profiles)
        for line in (line for lines in rows for line in lines.values()):
            click.echo(to_json(line).decode())
    else:
        paths = [f"report   {written[0]}"] if written else []
        place = quote(str(file.parent if file.name == FILE_NAME else file))
        paths.append(f"results  {file}")
        if any((file.parent / FOLDER).glob(f"*/{LINES}")):
            paths.append(f"samples  {file.parent / FOLDER}")
        if any((file.parent / line.file).exists() for line in results.profiles.values() if line.file):
            paths.append(f"traces   {file.parent / TRACES} (for ui.perfetto.dev or chrome://tracing)")
        if was_read or details or not results.integrity.intact:
            paths += _filled([f"seals    {seal_line(results)}"], terminal_width(), "")
        if was_read and results.integrity.sealed and not _finished(results) and file.name == FILE_NAME:
            command = "kernels" if "kernels" in results.run.plan.get("options", {}) else "run"
            paths.append(f"resume   arbench {command} --resume --out {place}")
        _show_results(results, paths, f"arbench report {place} --details", details)
    if failed is not None:
        raise LostError(
            f"cannot write the report into {folder}: {failed.strerror}; the results are intact: "
            f"render them with arbench report {quote(str(file))} --out DIR"
        ) from None


def _show_results(results: Results, paths: list[str], more: str, details: bool) -> None:
    """Print the answers, what was verified and failed, and the paths; then tables, and with ``details`` all the rest.

    Args:
        results: a run.
        paths: lines on what was written.
        more: the command that shows the details.
        details: whether to show them now.
    """
    width = terminal_width()
    taxonomy = brief(results, max(width, LEAST))
    models = answers(results)
    few = taxonomy is None or len(models) <= MANY
    opening: list[str] = []
    if few:
        for answer in models:
            opening += [answer.model, *_filled(answer.sentences, width)]
    opening += _filled(packed([*remarks(results), *size_hints(results)], width), width, "")
    doubts = doubtful(results)
    opening += _claims(doubts.told, width)
    listed = "listed below" if details else "--details lists them"
    opening += _filled([f"{MARKS['undecided']} {several.line}; {listed}" for several in doubts.gathered], width)
    opening += paths
    if models and not details:
        opening.append(f"details  {more}")
    tables = [
        _table(one, width, details or not models)
        for one in (headline(results, WHOLE if details else width) if few else [])
    ]
    passes = passes_table(results) if details or has_trained(results) else None
    frontier = frontier_table(results)
    if frontier is not None:
        tables.append(_table(frontier, width, True))
    if passes is not None:
        tables.append(_table(passes, width, True))
    if taxonomy is not None:
        tables.append(_table(taxonomy, width, True))
    lines = [*opening, *(line for table in tables for line in ("", *table))]
    if sys.stdout.isatty() and len(tables) == 1 and len(lines) == shutil.get_terminal_size().lines - PROMPT + 1:
        lines.remove("")  # then all of it can be seen at once
    told = profiles(results)
    if told:
        lines += ["", "Where the time goes"]
        for one in told:
            first, *others = one.lines
            lines += [*_filled([first], width), *_filled(others, width, "    ")]
        lines += _filled(differences(results, of_methods=details), width)
    click.echo("\n".join(lines))
    if details:
        _show_details(results, width)


def _finished(results: Results) -> bool:
    """Return whether a run came to its end, not only to a seal."""
    rows = results.cases.values()
    planned = results.run.plan.get("cases")
    missing = isinstance(planned, list) and len(planned) > len(rows)
    return results.integrity.intact and not missing and all(row.stopped_by != "interrupted" for row in rows)


def packed(lines: list[str], width: int) -> list[str]:
    """Return the lines, with two that follow each other on one where they fit."""
    found: list[str] = []
    for line in lines:
        if found and len(found[-1]) + 1 + len(line) <= width:
            found[-1] += f" {line}"
        else:
            found.append(line)
    return found


def _filled(lines: list[str] | tuple[str, ...], width: int, indent: str = "  ") -> list[str]:
    return [line for text in lines for line in wrapped(text, indent, width=width).splitlines()]


def _table(table: Table, width: int, details: bool) -> list[str]:
    lines = table.lines()
    body = lines[: len(lines) - len(table.notes)]
    notes = [note for note in table.notes if details or note.startswith(("*", "[", "(", OVER, HIDDEN))]
    return [*body, *_filled(notes, width, "")]


def _show_details(results: Results, width: int) -> None:
    claims = [one for one in sentences(results) if one.verdict is not None]
    if claims:
        click.echo("\n".join(["", "Every claim", *_claims(claims, width)]))
    for one in headlines(results):
        click.echo("\n".join(["", one.model, *_filled(one.details, width)]))


def _claims(claims: Sequence[Sentence], width: int) -> list[str]:
    return _filled([f"{MARKS[one.verdict]} {one.line}" for one in claims if one.verdict is not None], width)
