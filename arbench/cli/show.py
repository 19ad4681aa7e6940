"""Output of a finished run: the table, a verdict for each claim, and the paths of what was written."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from arbench.border.printable import to_json
from arbench.report import Sentence, brief, headline, headlines, render, seal_line, sentences
from arbench.results import FILE_NAME, Results

MARKS = {"holds": "✓", "fails": "✗", "undecided": "?"}
MANY = 6
"""Largest number of models with a table each; more are summarised by the taxonomy and by failing claims."""


def show(results: Results, folder: Path, as_json: bool, file: Path | None = None) -> None:
    """Print the results, then render their report.

    Args:
        results: a run, finished or not.
        folder: folder for the report.
        as_json: whether to print the rows as JSON lines instead of the table.
        file: the results file; by default the one in the folder.
    """
    if as_json:
        for line in (*results.cases.values(), *results.ratios.values(), *results.fits.values()):
            click.echo(to_json(line).decode())
    else:
        _show_tables(results)
        click.echo(f"\nseals    {seal_line(results)}\nresults  {file or folder / FILE_NAME}")
    try:
        written = render(results, folder)
    except OSError as error:
        raise click.ClickException(
            f"cannot write the report into {folder}: {error.strerror}; the results are intact: "
            f"render them with arbench report {file or folder / FILE_NAME} --out DIR"
        ) from None
    if not as_json:
        click.echo(f"report   {written[0]}")


def _show_tables(results: Results) -> None:
    width = max(80, min(shutil.get_terminal_size().columns, 120))
    heads, claims = headlines(results), [one for one in sentences(results) if one.verdict is not None]
    taxonomy = brief(results, max(width, 110))
    if taxonomy is None or len(heads) <= MANY:
        for table in headline(results, width):
            click.echo("\n" + "\n".join(table.lines()))
        _show_claims(claims)
        click.echo()
        for one in heads:
            click.echo(f"{one.model}: {one.text}")
            for detail in one.details:
                click.echo(f"  {detail}")
    else:
        _show_claims([one for one in claims if one.verdict != "holds"])
    if taxonomy is not None:
        click.echo("\n" + "\n".join(taxonomy.lines()))
        click.echo(_tally(claims))


def _show_claims(claims: list[Sentence]) -> None:
    if claims:
        click.echo()
    for one in claims:
        if one.verdict is not None:
            click.echo(f"  {MARKS[one.verdict]} {one.line}")


def _tally(claims: list[Sentence]) -> str:
    """Return a sentence: ``Of 52 claims 51 hold, 1 fails, 0 are undecided``."""
    counts = {verdict: sum(one.verdict == verdict for one in claims) for verdict in MARKS}
    fails = "fails" if counts["fails"] == 1 else "fail"
    held = f"Of {len(claims)} claims {counts['holds']} hold, {counts['fails']} {fails}"
    return f"{held}, {counts['undecided']} are undecided."
