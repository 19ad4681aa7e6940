"""Output of a finished run: the answer, what was verified, what failed, where the report is; then the tables."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from arbench.border.printable import to_json
from arbench.cli.errors import LostError
from arbench.cli.terminal import terminal_width, wrapped
from arbench.report import (
    Sentence,
    Table,
    answers,
    brief,
    headline,
    headlines,
    remarks,
    render,
    seal_line,
    sentences,
    size_hints,
)
from arbench.results import FILE_NAME, Results

LEAST = 112
"""Characters of a line of the taxonomy, at least: it has a row for each model and may be wider than the terminal."""
MARKS = {"holds": "✓", "fails": "✗", "undecided": "?"}
MANY = 6
"""Largest number of models with an answer and a table each; more are summarised by the taxonomy."""


def show(results: Results, folder: Path, as_json: bool, file: Path | None = None, details: bool = False) -> None:
    """Print the results and render their report.

    Args:
        results: a run, finished or not.
        folder: folder for the report.
        as_json: whether to print the rows as JSON lines instead of the answer.
        file: the results file; by default the one in the folder.
        details: whether to print the notes of the tables, every verdict and every speed too.
    """
    file = file or folder / FILE_NAME
    written: list[Path] = []
    failed: OSError | None = None
    try:
        written = render(results, folder)
    except OSError as error:  # what was measured is shown all the same
        failed = error
    if as_json:
        rows = (results.cases, results.ratios, results.slowdowns, results.fits)
        for line in (line for lines in rows for line in lines.values()):
            click.echo(to_json(line).decode())
    else:
        paths = [f"report   {written[0]}"] if written else []
        place = quote(str(file.parent if file.name == FILE_NAME else file))
        _show_results(results, [*paths, f"results  {file}"], f"arbench report {place} --details", details)
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
    if few:
        for answer in models:
            click.echo(answer.model)
            _say(answer.sentences, width)
    _say([*remarks(results), *size_hints(results)], width, "")
    _show_claims([one for one in sentences(results) if one.verdict in ("fails", "undecided")], width)
    click.echo("\n".join(paths))
    _say([f"seals    {seal_line(results)}"], width, "")
    if few:
        for table in headline(results, width):
            _show_table(table, width, details or not models)
    if taxonomy is not None:
        _show_table(taxonomy, width, True)
    if details:
        _show_details(results, width)
    elif models:
        click.echo(f"for every verdict, note and speed: {more}")


def _say(lines: list[str] | tuple[str, ...], width: int, indent: str = "  ") -> None:
    for line in lines:
        click.echo(wrapped(line, indent, width=width))


def _show_table(table: Table, width: int, details: bool) -> None:
    lines = table.lines()
    body = len(lines) - len(table.notes)
    click.echo("\n" + "\n".join(lines[:body]))
    _say([note for note in table.notes if details or note[0] in "*[("], max(width, max(map(len, lines[:body]))), "")


def _show_details(results: Results, width: int) -> None:
    claims = [one for one in sentences(results) if one.verdict is not None]
    if claims:
        click.echo("\nEvery claim")
        _show_claims(claims, width)
    for one in headlines(results):
        click.echo(f"\n{one.model}")
        _say(one.details, width)


def _show_claims(claims: list[Sentence], width: int) -> None:
    for one in claims:
        if one.verdict is not None:
            _say([f"{MARKS[one.verdict]} {one.line}"], width)
