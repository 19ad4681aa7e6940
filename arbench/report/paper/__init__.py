"""Figures, tables, captions and references for a paper, from a results file alone."""

from __future__ import annotations

from pathlib import Path

from arbench.border.whole import write_bytes, write_text
from arbench.report.drawings import draw
from arbench.report.figures.style import PAPER
from arbench.report.kernels.tables import kernel_tables
from arbench.report.labels import model_label, of_kernels, of_models
from arbench.report.paper import latex
from arbench.report.paper.captions import of_figure, of_table
from arbench.report.paper.citation import bibtex
from arbench.report.table import Table, model_tables, order
from arbench.results import Case, Results

__all__ = ["render_paper"]

_WIDTH = 88
"""Characters of a line of a table: optional columns that do not fit are left out."""


def render_paper(results: Results, folder: str | Path, sha256: str) -> list[Path]:
    """Write figures as PDF and SVG, ``figures.tex``, ``tables.tex``, ``captions.txt`` and ``references.bib``.

    ``figures.tex`` and ``tables.tex`` have floats with captions and labels, to include or to copy from; PDF files have
    their fonts inside, as TrueType; SVG files have text as outlines.

    Args:
        results: as `arbench.results.read` returns it.
        folder: created if missing; files of the same names are replaced.
        sha256: digest of the results file, in hexadecimal digits.

    Returns:
        The files written; none where there is neither a figure nor a table.

    Raises:
        OSError: the folder cannot be written.
    """
    drawings, tables = draw(results, PAPER), _tables(results)
    if not drawings and not tables:
        return []
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths, captions = [], []
    needs = f"% Needs in the preamble: {latex.PACKAGES}"
    figures, tabulars = [needs, ""], [needs, ""]
    for one in drawings:
        caption = of_figure(one, results)
        wide = one.figure.get_figwidth() > PAPER.column
        markup = caption.write(latex.escape, latex.code)
        figures += latex.figure(f"{one.name}.pdf", markup, f"fig:{one.name}", wide)
        captions += [f"{one.name}: {caption}", ""]
        vector, page = folder / f"{one.name}.svg", folder / f"{one.name}.pdf"
        write_text(vector, one.svg)
        write_bytes(page, one.pdf)
        paths += [vector, page]
    for number, (table, cases) in enumerate(tables, start=1):
        caption = of_table(table.title, table.gist or table.notes, cases, results)
        tabulars += latex.table(table, caption.write(latex.escape, latex.code), f"tab:arbench-{number}")
        captions += [f"table {number}: {caption}", ""]
    texts = {
        "figures.tex": "\n".join(figures),
        "tables.tex": "\n".join(tabulars),
        "captions.txt": "\n".join(captions),
        "references.bib": bibtex(results, sha256),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
        paths.append(folder / name)
    return paths


def _tables(results: Results) -> list[tuple[Table, list[Case]]]:
    """Return the tables of models and of kernels that have rows, each with the cases that it is about."""
    models = dict.fromkeys(model_label(case) for case in order(of_models(results)))
    found = [
        (table, [case for case in of_models(results) if model_label(case) == model])
        for model, table in zip(models, model_tables(results, _WIDTH), strict=True)
    ]
    found += [(table, of_kernels(results)) for table in kernel_tables(results, _WIDTH)]
    return [(table, cases) for table, cases in found if table.rows]
