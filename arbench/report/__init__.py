"""Pages, summaries, tables and figures of results; a results file is all they need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arbench.border.whole import write_text
from arbench.report.headline import headline
from arbench.report.kernels.tables import kernel_rows
from arbench.report.models.answer import Answer, answers
from arbench.report.models.frontier import frontier_table
from arbench.report.models.passes import has_trained, passes_table
from arbench.report.models.profiles import Told, differences, profiles
from arbench.report.models.remarks import failures, remarks
from arbench.report.models.sizes import size_hints
from arbench.report.models.taxonomy import brief, taxonomy
from arbench.report.models.verdicts import Headline, Sentence, headlines, sentences
from arbench.report.rates.speed import OVER
from arbench.report.seals import seal_line
from arbench.report.table import Table, frame, rows
from arbench.results import Results

if TYPE_CHECKING:
    from arbench.report.page import cell

__all__ = [
    "OVER",
    "Answer",
    "Headline",
    "Sentence",
    "Table",
    "Told",
    "answers",
    "brief",
    "cell",
    "differences",
    "failures",
    "frame",
    "frontier_table",
    "has_trained",
    "headline",
    "headlines",
    "kernel_rows",
    "passes_table",
    "profiles",
    "remarks",
    "render",
    "render_several",
    "rows",
    "seal_line",
    "sentences",
    "size_hints",
    "taxonomy",
]


def __getattr__(name: str) -> Any:
    # on demand: a page imports Matplotlib, which takes a second and which no verdict needs
    if name == "cell":
        from arbench.report.page import cell

        return cell
    raise AttributeError(f"module 'arbench.report' has no attribute {name!r}")


def render(results: Results, folder: str | Path, beside: str | Path | None = None) -> list[Path]:
    """Write ``report.html``, ``summary.md`` and ``figures/*.svg`` and ``*.png``.

    An interrupted run is rendered too; the page says at the top what is missing.

    Args:
        results: as `arbench.results.read` returns it.
        folder: created if missing; files of the same names are replaced.
        beside: folder of the results, in whose folder ``samples`` the samples of models lie, each in a folder that
            ``arbench sample`` wrote, and in ``profiles`` the traces of profiles; by default ``folder``.

    Returns:
        The files written, the page first.

    Raises:
        OSError: the folder cannot be written.
    """
    from arbench.report.drawings import draw
    from arbench.report.figures.drawing import save
    from arbench.report.models.samples import exhibition
    from arbench.report.page import page
    from arbench.report.summary import summary

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drawings = draw(results)
    html, markdown = folder / "report.html", folder / "summary.md"
    beside = Path(folder if beside is None else beside)
    samples = exhibition(results, beside, folder)
    told = profiles(results, beside, folder)
    write_text(html, page(results, drawings, samples, told))
    write_text(markdown, summary(results, drawings, samples, told))
    return [html, markdown, *save(drawings, folder / "figures")]


def render_several(runs: Mapping[str, tuple[Results, Path]], folder: str | Path) -> list[Path]:
    """Write ``report.html``, one page of several runs: answers and maps, what they share, then each run whole.

    Args:
        runs: results, and the folder that they lie in, by label; the others are compared with the first. Samples are
            found as `render` finds them.
        folder: created if missing; a file of the same name is replaced.

    Returns:
        The files written.

    Raises:
        OSError: the folder cannot be written.
    """
    from arbench.report.drawings import draw
    from arbench.report.models.samples import exhibition
    from arbench.report.page import Shown, pages

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = [results for results, _ in runs.values()]
    shown = {
        label: Shown(
            results, draw(results, page=files), exhibition(results, beside, folder), profiles(results, beside, folder)
        )
        for label, (results, beside) in runs.items()
    }
    html = folder / "report.html"
    write_text(html, pages(shown))
    return [html]
