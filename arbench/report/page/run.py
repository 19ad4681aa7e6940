"""The page of one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from arbench.border.printable import printable
from arbench.report import facts
from arbench.report.drawings import BATCHES, FRONTIER, KERNEL_FIGURES, MAP, WITH_BARS
from arbench.report.figures.drawing import Drawing, Picture
from arbench.report.gaps import gaps
from arbench.report.headline import headline
from arbench.report.html import framed
from arbench.report.kernels.tables import kernel_rows, kernel_tables
from arbench.report.labels import GROWTH, STATUS, STATUS_MEANING, SharedSettings, base_name, model_label, of_models
from arbench.report.models.answer import Answer, answers
from arbench.report.models.batches import batch_table
from arbench.report.models.frontier import frontier_table
from arbench.report.models.language import language_table
from arbench.report.models.passes import passes_table
from arbench.report.models.profiles import NOTE, OPENS, Told, differences
from arbench.report.models.profiles import profiles as in_words
from arbench.report.models.remarks import failures
from arbench.report.models.samples import Exhibition
from arbench.report.models.taxonomy import taxonomy
from arbench.report.models.verdicts import Headline, Sentence, headlines, sentences
from arbench.report.page.details import anchors, details
from arbench.report.page.switches import Switch, switches
from arbench.report.seals import seal_line
from arbench.report.table import Table, model_tables, order, rows
from arbench.report.templates import environment
from arbench.results import Results

_WIDTH = 1000
"""Characters per line: a page scrolls, so tables keep all columns."""
BARS = "Bars are 95% intervals over workers, or the range over fewer than six workers."
"""The meaning of bars, for figures that have some."""
_NONE = Exhibition()


@dataclass(frozen=True)
class Chapter:
    """The part of a page on one model.

    Attributes:
        headline: the most important facts.
        claims: sentences with a verdict.
        measured: sentences without one.
        figures: those of the model.
        answer: sentences that say what sampling costs beside scoring; that on the depths only where one is unknown.
        table: the methods side by side at one N.
    """

    headline: Headline
    claims: Sequence[Sentence]
    measured: Sequence[Sentence]
    figures: Sequence[Picture]
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
    shown = switches([results])
    one = contents(results, drawings, samples, shown, profiles)
    return framed("page.html.j2", growth=GROWTH, shown=shown, one=one)


def contents(
    results: Results,
    drawings: Sequence[Drawing],
    samples: Exhibition,
    shown: Sequence[Switch],
    profiles: Sequence[Told] = (),
    prefix: str = "",
) -> dict[str, Any]:
    """Return what a page shows of one run.

    Args:
        results: what was measured.
        drawings: its figures; their names differ from those of the page's other runs.
        samples: the samples that lie beside the results.
        shown: the switches of the page.
        profiles: the profiles of the results in words.
        prefix: beginning of the ids of this run's parts.
    """
    statements = sentences(results)
    places = anchors(results, prefix)

    def figure(drawing: Drawing) -> Picture:
        bars = BARS if drawing.name.removeprefix(prefix).endswith(WITH_BARS) else ""
        return drawing.picture(places.get, bars)

    def found(name: str) -> Picture | None:
        return next((figure(one) for one in drawings if one.name == prefix + name), None)

    return dict(
        prefix=prefix,
        places=places,
        run=results.run,
        settings=SharedSettings(results).of_all,
        gaps=gaps(results),
        seals=seal_line(results),
        tally=tally(statements),
        methods=list(dict.fromkeys(base_name(case.method) for case in order(of_models(results)))),
        map=found(MAP),
        taxonomy=taxonomy(results),
        frontier=frontier_table(results),
        frontier_figure=found(FRONTIER),
        exhibition=samples,
        samples_shown=bool(samples.exhibits or samples.commands or samples.problems),
        profiles=profiles,
        differences=differences(results),
        profiles_note=NOTE,
        traces_note=OPENS,
        batches=batch_table(results),
        batch_figure=found(BATCHES),
        language=language_table(results),
        passes=passes_table(results),
        chapters=chapters(results, statements, drawings, figure),
        kernels=kernel_tables(results, _WIDTH),
        kernel_figures=[one for one in map(found, KERNEL_FIGURES) if one is not None],
        tables=[table for table in (rows(results), kernel_rows(results)) if table.rows],
        details=details(results, places, {one.name: one.color for one in shown}),
        troubles=troubles(results),
        command=facts.command(results.run),
        environment=facts.environment(results.run),
        limits=facts.limits(results.run),
        workers=sorted({case.workers for case in results.cases.values() if case.workers}),
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


def chapters(
    results: Results,
    statements: Sequence[Sentence],
    drawings: Sequence[Drawing],
    figure: Callable[[Drawing], Picture],
) -> list[Chapter]:
    """Return one chapter per model, in the order of the table."""
    return [
        Chapter(
            headline=head,
            answer=_without_depths(answer, head),
            claims=[one for one in statements if one.model == head.model and one.verdict],
            measured=[one for one in statements if one.model == head.model and not one.verdict],
            figures=[figure(d) for d in drawings if d.model == head.model],
            table=table,
        )
        for head, answer, table in zip(headlines(results), answers(results), model_tables(results, _WIDTH), strict=True)
    ]


def _without_depths(answer: Answer, head: Headline) -> Sequence[str]:
    """Return the sentences, without that on the depths where these stand beside it."""
    return answer.sentences[:-1] if head.score and head.sample and head.text else answer.sentences


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
