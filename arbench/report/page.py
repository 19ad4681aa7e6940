"""The report as one HTML page that needs no other file: styles and figures are inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from arbench.border.printable import printable
from arbench.report import facts
from arbench.report.drawings import BATCHES, FRONTIER, KERNEL_FIGURES, MAP
from arbench.report.figures.drawing import Drawing
from arbench.report.gaps import gaps
from arbench.report.headline import headline
from arbench.report.kernels.tables import kernel_rows, kernel_tables
from arbench.report.labels import GROWTH, STATUS, STATUS_MEANING, SharedSettings, model_label
from arbench.report.models.answer import answers
from arbench.report.models.batches import batch_table
from arbench.report.models.frontier import frontier_table
from arbench.report.models.passes import passes_table
from arbench.report.models.profiles import NOTE, OPENS, Told, differences
from arbench.report.models.profiles import profiles as in_words
from arbench.report.models.remarks import failures
from arbench.report.models.samples import Exhibition
from arbench.report.models.taxonomy import taxonomy
from arbench.report.models.verdicts import Headline, Sentence, headlines, sentences
from arbench.report.seals import seal_line
from arbench.report.table import Table, model_tables, order, rows
from arbench.report.templates import environment
from arbench.results import Results

_WIDTH = 1000
"""Characters per line: a page scrolls, so tables keep all columns."""
_NONE = Exhibition()


@dataclass(frozen=True)
class Chapter:
    """The part of a page on one model.

    Attributes:
        headline: the most important facts.
        claims: sentences with a verdict.
        measured: sentences without one.
        figures: captions and SVG markup.
        answer: sentences that say what sampling costs beside scoring, and the depths of both.
        table: the methods side by side at one N.
    """

    headline: Headline
    claims: Sequence[Sentence]
    measured: Sequence[Sentence]
    figures: Sequence[tuple[str, Markup]]
    answer: Sequence[str]
    table: Table


def page(
    results: Results, drawings: Sequence[Drawing], samples: Exhibition = _NONE, profiles: Sequence[Told] = ()
) -> str:
    """Return the page's HTML.

    Args:
        results: what was measured; any part may be missing.
        drawings: the figures of the same results, as `arbench.report.drawings.draw` returns them.
        samples: the samples that lie beside them.
        profiles: the profiles of the results in words.
    """
    statements = sentences(results)
    tables = [table for table in (rows(results), kernel_rows(results)) if table.rows]
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            run=results.run,
            streams=any(case.first_s for case in results.cases.values()),
            growth=GROWTH,
            settings=SharedSettings(results).of_all,
            gaps=gaps(results),
            seals=seal_line(results),
            tally=tally(statements),
            map=next((_figure(one) for one in drawings if one.name == MAP), None),
            taxonomy=taxonomy(results),
            frontier=frontier_table(results),
            frontier_figure=next((_figure(one) for one in drawings if one.name == FRONTIER), None),
            exhibition=samples,
            samples_shown=bool(samples.exhibits or samples.commands or samples.problems),
            profiles=profiles,
            differences=differences(results),
            profiles_note=NOTE,
            traces_note=OPENS,
            batches=batch_table(results),
            batch_figure=next((_figure(one) for one in drawings if one.name == BATCHES), None),
            passes=passes_table(results),
            chapters=chapters(results, statements, drawings),
            kernels=kernel_tables(results, _WIDTH),
            kernel_figures={d.name: _figure(d) for d in drawings if d.name in KERNEL_FIGURES},
            tables=tables,
            headings={column.title for table in tables for column in table.columns},
            troubles=troubles(results),
            command=facts.command(results.run),
            environment=facts.environment(results.run),
            limits=facts.limits(results.run),
            workers=sorted({case.workers for case in results.cases.values() if case.workers}),
        )
    )


def cell(results: Results) -> str:
    """Return HTML for the output of a notebook's cell: what is missing or failed, answers, tables, verdicts."""
    claims = [one for one in sentences(results) if one.verdict]
    template = environment().get_template("cell.html.j2")
    return printable(
        template.render(
            answers=answers(results),
            tables=headline(results, _WIDTH),
            claims=claims,
            gaps=[*gaps(results), *failures(results)],
            profiles=in_words(results),
        )
    )


def chapters(results: Results, statements: Sequence[Sentence], drawings: Sequence[Drawing]) -> list[Chapter]:
    """Return one chapter per model, in the order of the table."""
    return [
        Chapter(
            headline=head,
            answer=answer.sentences,
            claims=[one for one in statements if one.model == head.model and one.verdict],
            measured=[one for one in statements if one.model == head.model and not one.verdict],
            figures=[(d.caption, _figure(d)) for d in drawings if d.model == head.model],
            table=table,
        )
        for head, answer, table in zip(headlines(results), answers(results), model_tables(results, _WIDTH), strict=True)
    ]


def tally(statements: Sequence[Sentence]) -> dict[str, int]:
    """Return the number of claims by verdict, without verdicts that do not occur."""
    counts = {v: sum(one.verdict == v for one in statements) for v in ("holds", "fails", "undecided")}
    return {verdict: count for verdict, count in counts.items() if count}


def troubles(results: Results) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return (status, its meaning, [(case, its error)]) for every status that occurs but ok and checked."""
    shared = SharedSettings(results)
    found = []
    for status, meaning in STATUS_MEANING.items():
        cases = [case for case in order(results.cases.values()) if case.status == status]
        if cases and status != "checked":
            listed = [
                (
                    f"{model_label(case)} {case.op} {shared.method_label(case)}, N = {case.n:,}",
                    case.error or "no details are known",
                )
                for case in cases
            ]
            found.append((STATUS[status], meaning, listed))
    return found


def _figure(drawing: Drawing) -> Markup:
    return Markup(drawing.markup())
