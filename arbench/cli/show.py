"""What a finished run prints: the table, a verdict per claim, where everything lies."""

from __future__ import annotations

import shutil
from pathlib import Path

import click
import msgspec

from arbench.report import headline, headlines, render, sentences
from arbench.results import FILE_NAME, Results

MARKS = {"holds": "✓", "fails": "✗", "undecided": "?"}


def show(results: Results, folder: Path, as_json: bool, file: Path | None = None) -> None:
    """Prints the results and renders their report into ``folder``."""
    try:
        written = render(results, folder)
    except OSError as error:
        raise click.ClickException(
            f"cannot write the report into {folder}: {error.strerror}; the results are intact"
        ) from None
    if as_json:
        for line in (*results.cases.values(), *results.ratios.values(), *results.fits.values()):
            click.echo(msgspec.json.encode(line).decode())
        return
    width = max(80, min(shutil.get_terminal_size().columns, 120))
    for table in headline(results, width):
        click.echo("\n" + "\n".join(table.lines()))
    said = sentences(results)
    if said:
        click.echo()
    for sentence in said:
        if sentence.verdict is not None:
            click.echo(f"  {MARKS[sentence.verdict]} {sentence.line}")
    click.echo()
    for one in headlines(results):
        click.echo(f"{one.model}: {one.text}")
        for detail in one.details:
            click.echo(f"  {detail}")
    click.echo(f"\nresults  {file or folder / FILE_NAME}\nreport   {written[0]}")
