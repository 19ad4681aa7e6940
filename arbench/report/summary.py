"""The report in brief, as markdown."""

from __future__ import annotations

import re

from arbench.report import facts
from arbench.report.gaps import gaps
from arbench.report.kernels.tables import kernel_tables
from arbench.report.labels import Settings
from arbench.report.models.batches import batch_table
from arbench.report.models.taxonomy import taxonomy
from arbench.report.models.verdicts import ALL_METHODS, headlines, sentences
from arbench.report.page import environment
from arbench.report.table import model_tables
from arbench.results import Results

_WIDTH = 1000


def summary(results: Results, map_path: str | None = None, fractions_path: str | None = None) -> str:
    """The markdown.

    Args:
        results: what was measured; any of it may be missing.
        map_path: where the map's image stands, relative to the file; None leaves it out.
        fractions_path: the same of the kernels' fractions of the limit.
    """
    templates = environment()
    templates.filters["md"] = escape
    return templates.get_template("summary.md.j2").render(
        run=results.run,
        settings=Settings(results).common,
        gaps=gaps(results),
        headlines=headlines(results),
        map=map_path,
        sentences=[one for one in sentences(results) if one.verdict or one.subject == ALL_METHODS],
        fractions=fractions_path,
        overview=[table for table in (taxonomy(results), batch_table(results)) if table],
        tables=model_tables(results, _WIDTH),
        kernels=kernel_tables(results, _WIDTH),
        command=facts.command(results.run).replace("\n", " "),
    )


def escape(text: object) -> str:
    """Text that markdown shows as it is: on one line, no markup, no HTML, no new table cell."""
    line = " ".join(str(text).split())
    return re.sub(r"([\\`*_<>|\[\]#&~])", r"\\\1", line)
