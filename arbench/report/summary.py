"""The report in brief, as markdown."""

from __future__ import annotations

from collections.abc import Sequence

from arbench.report import facts
from arbench.report.drawings import BATCHES, FRONTIER, KERNEL_FIGURES, MAP, SECONDS, SPLIT
from arbench.report.figures.drawing import Drawing
from arbench.report.gaps import gaps
from arbench.report.kernels.tables import kernel_tables
from arbench.report.labels import SharedSettings
from arbench.report.models.answer import answers
from arbench.report.models.batches import batch_table
from arbench.report.models.frontier import frontier_table
from arbench.report.models.language import language_table
from arbench.report.models.passes import passes_table
from arbench.report.models.profiles import NOTE, OPENS, Told, differences
from arbench.report.models.remarks import remarks
from arbench.report.models.samples import Exhibition
from arbench.report.models.taxonomy import taxonomy
from arbench.report.models.undecided import doubtful
from arbench.report.models.verdicts import ALL_METHODS, sentences
from arbench.report.seals import seal_line
from arbench.report.table import model_tables
from arbench.report.templates import environment
from arbench.results import Results

_OVERVIEW = (taxonomy, frontier_table, batch_table, language_table, passes_table)
"""The functions that make tables of all models."""
_WIDTH = 1000
"""Characters per line: tables keep all columns."""
_NONE = Exhibition()


def summary(
    results: Results,
    drawings: Sequence[Drawing] = (),
    samples: Exhibition = _NONE,
    profiles: Sequence[Told] = (),
) -> str:
    """Return the markdown: the answers and figures first, the claims last.

    Args:
        results: what was measured; any part may be missing.
        drawings: its figures, whose files are in the folder ``figures`` beside it.
        samples: the samples that lie beside the results.
        profiles: the profiles of the results in words.
    """
    statements = sentences(results)
    named = {one.name: one for one in drawings}
    return (
        environment()
        .get_template("summary.md.j2")
        .render(
            run=results.run,
            streams=any(case.first_s for case in results.cases.values()),
            settings=SharedSettings(results).of_all,
            gaps=gaps(results, unstable=False),
            seals=seal_line(results),
            answers=answers(results),
            remarks=remarks(results),
            times=_of_models(drawings, SECONDS),
            splits=_of_models(drawings, SPLIT),
            map=named.get(MAP),
            figures=[named[name] for name in (FRONTIER, BATCHES) if name in named],
            doubtful=doubtful(results),
            held=[one for one in statements if one.verdict == "holds"],
            parameters=[one for one in statements if one.subject == ALL_METHODS],
            exhibition=samples,
            profiles=profiles,
            differences=differences(results),
            profiles_note=NOTE,
            traces_note=OPENS,
            of_kernels=[named[name] for name in KERNEL_FIGURES if name in named],
            overview=[table for make in _OVERVIEW if (table := make(results)) is not None],
            tables=model_tables(results, _WIDTH),
            kernels=kernel_tables(results, _WIDTH),
            command=facts.command(results.run).replace("\n", " "),
        )
    )


def _of_models(drawings: Sequence[Drawing], kind: str) -> dict[str, Drawing]:
    """Return the figures of one kind, by the label of their model."""
    return {one.model: one for one in drawings if one.model and one.name.endswith(f"-{kind}")}
