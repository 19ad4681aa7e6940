"""The report as one HTML page that needs nothing else: styles and figures inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from arbench.report import facts
from arbench.report.drawings import BATCHES, KERNELS, MAP, Drawing
from arbench.report.figures.style import inline
from arbench.report.gaps import gaps
from arbench.report.kernels.tables import kernel_rows, kernel_tables
from arbench.report.labels import GROWTH, STATUS, STATUS_MEANING, Settings, model_label
from arbench.report.models.batches import batch_table
from arbench.report.models.taxonomy import taxonomy
from arbench.report.models.verdicts import Headline, Sentence, headlines, sentences
from arbench.report.table import Table, model_tables, order, rows
from arbench.results import Results

_WIDTH = 1000
"""Characters: a page scrolls, so no column need be spared."""


@dataclass(frozen=True)
class Chapter:
    """All that a page says of one model."""

    headline: Headline
    claims: Sequence[Sentence]
    measured: Sequence[Sentence]
    figures: Sequence[tuple[str, Markup]]
    table: Table


def environment() -> Environment:
    """Jinja over this package's templates; HTML is escaped, an undefined name is an error."""
    return Environment(
        loader=PackageLoader("arbench", "report"),
        autoescape=lambda name: name is not None and name.endswith((".html.j2", ".css")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(results: Results, drawings: Sequence[Drawing]) -> str:
    """The page's HTML.

    Args:
        results: what was measured; any of it may be missing.
        drawings: as `arbench.report.drawings.draw` makes them from the same results.
    """
    said = sentences(results)
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            run=results.run,
            growth=GROWTH,
            settings=Settings(results).common,
            gaps=gaps(results),
            tally=tally(said),
            map=next((_figure(one) for one in drawings if one.name == MAP), None),
            taxonomy=taxonomy(results),
            batches=batch_table(results),
            batch_figure=next((_figure(one) for one in drawings if one.name == BATCHES), None),
            chapters=chapters(results, said, drawings),
            kernels=kernel_tables(results, _WIDTH),
            kernel_figures={d.name: _figure(d) for d in drawings if d.name in KERNELS},
            tables=[table for table in (rows(results), kernel_rows(results)) if table.rows],
            troubles=troubles(results),
            command=facts.command(results.run),
            environment=facts.environment(results.run),
            limits=facts.limits(results.run),
            workers=sorted({case.workers for case in results.cases.values() if case.workers}),
        )
    )


def chapters(results: Results, said: Sequence[Sentence], drawings: Sequence[Drawing]) -> list[Chapter]:
    """One chapter a model, in the order of the table."""
    return [
        Chapter(
            headline=head,
            claims=[one for one in said if one.model == head.model and one.verdict],
            measured=[one for one in said if one.model == head.model and not one.verdict],
            figures=[(d.caption, _figure(d)) for d in drawings if d.model == head.model],
            table=table,
        )
        for head, table in zip(headlines(results), model_tables(results, _WIDTH), strict=True)
    ]


def tally(said: Sequence[Sentence]) -> dict[str, int]:
    """How many claims hold, fail and are undecided; those there are none of left out."""
    counts = {v: sum(one.verdict == v for one in said) for v in ("holds", "fails", "undecided")}
    return {verdict: count for verdict, count in counts.items() if count}


def troubles(results: Results) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """(status, what it means, [(case, its error)]) of every status that occurs but ok and checked."""
    settings = Settings(results)
    found = []
    for status, meaning in STATUS_MEANING.items():
        cases = [case for case in order(results.cases.values()) if case.status == status]
        if cases and status != "checked":
            listed = [
                (
                    f"{model_label(case)} {case.op} {settings.method(case)}, N = {case.n:,}",
                    case.error or "no more is known",
                )
                for case in cases
            ]
            found.append((STATUS[status], meaning, listed))
    return found


def _figure(drawing: Drawing) -> Markup:
    return Markup(inline(drawing.svg, drawing.name, str(escape(drawing.caption))))
