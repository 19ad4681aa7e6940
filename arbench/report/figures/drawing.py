"""A named figure, and the files it is saved as."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup
from matplotlib.figure import Figure

from arbench.border.printable import printable
from arbench.border.whole import write_bytes, write_text
from arbench.report.figures.style import SCREEN, VARIABLES, Form, styled
from arbench.report.figures.tags import as_data

_PAPER = "#ffffff"
"""Background of the files."""
_PIXELS_PER_POINT = 4 / 3 * 1.1
"""Size of a figure on a page: a little more than its size in print."""


class Picture(NamedTuple):
    """A figure on a page.

    Attributes:
        svg: its markup.
        text: what stands below it.
        name: what a screen reader calls it.
    """

    svg: Markup
    text: str
    name: str


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure with its name and caption, rendered when ``svg``, ``png`` or ``pdf`` is first read.

    Attributes:
        name: file name without a suffix: letters, digits and hyphens.
        caption: one line of plain text.
        figure: the figure to render; do not change it after the first rendering.
        model: label of the only model shown; None where the figure shows several models, or kernels.
        see: a sentence on what to see in it; empty where the caption says enough.
        form: the sizes that it was made with.
    """

    name: str
    caption: str
    figure: Figure
    model: str | None = None
    see: str = ""
    form: Form = SCREEN

    @property
    def text(self) -> str:
        """The sentences below the figure: its caption, and what to see."""
        said = self.caption if self.model else self.caption[:1].upper() + self.caption[1:]
        return f"{said.rstrip('.')}. {self.see}".strip()

    @cached_property
    def svg(self) -> str:
        """The figure as SVG text with a white background; the same figure gives the same text.

        A viewer may be dark, and the ink is too. Its title is the caption, its description what to see. The ids inside
        derive from ``name``, so those of two figures differ.
        """
        with styled(self.name, self.form):
            vector = io.StringIO()
            self.figure.savefig(vector, format="svg", facecolor=_PAPER, metadata={"Date": None})
        self.figure.set_layout_engine("none")  # layout takes half of the time, and the PNG shares it
        body = printable(vector.getvalue())
        said = "".join(
            f"\n <{name}>{escape(printable(text))}</{name}>"
            for name, text in (("title", self.caption), ("desc", self.see))
            if text
        )
        end = body.index(">", body.index("<svg")) + 1
        return body[:end] + said + body[end:]

    @cached_property
    def png(self) -> bytes:
        """The figure as a PNG file with a white background; the same figure gives the same bytes."""
        _ = self.svg  # rendering it computes the layout
        with styled(self.name, self.form):
            raster = io.BytesIO()
            self.figure.savefig(raster, format="png", dpi=160, facecolor=_PAPER)
        return raster.getvalue()

    @cached_property
    def pdf(self) -> bytes:
        """The figure as a PDF file with its fonts inside; the same figure gives the same bytes."""
        _ = self.svg  # rendering it computes the layout
        known = {
            "Title": printable(self.caption),
            "Subject": printable(self.see),
            "Creator": "arbench",
            "CreationDate": None,
        }
        with styled(self.name, self.form):
            page = io.BytesIO()
            self.figure.savefig(page, format="pdf", metadata=known)
        return page.getvalue()

    def markup(self, anchor: Callable[[str], str | None] = lambda case: None) -> str:
        """Return the SVG as markup for a page: no prolog or paper, ids that start with ``name``, colours of the page.

        Parts that show a method or a case have it as ``data-`` attributes, see ``arbench.report.figures.tags``.

        Args:
            anchor: returns the id of the element of the page that explains a case; None where there is none.
        """
        body = self.svg[self.svg.index("<svg") :]
        # a title would cover, under the pointer, what a mark says
        body = re.sub(r"\s*<(title|desc|metadata)>.*?</\1>", "", body, flags=re.DOTALL)
        body = body.replace(f"fill: {_PAPER}", "fill: none", 1)  # the background is what is drawn first
        body = as_data(body, "tagged", anchor)
        body = re.sub(r'\bid="', f'id="{self.name}-', body)
        body = re.sub(r'href="#', f'href="#{self.name}-', body)
        body = re.sub(r"url\(#", f"url(#{self.name}-", body)
        for color, variable in VARIABLES.items():
            body = body.replace(color, variable)
        width = re.search(r'<svg [^>]*?\bwidth="([0-9.]+)pt"', body)
        assert width is not None
        size = f"--wide: {float(width[1]) * _PIXELS_PER_POINT:.0f}px"
        return body.replace(
            "<svg ", f'<svg role="img" aria-label="{escape(printable(self.caption))}" style="{size}" ', 1
        )

    def picture(self, anchor: Callable[[str], str | None] = lambda case: None, more: str = "") -> Picture:
        """Return the figure for a page.

        Args:
            anchor: as in `markup`.
            more: sentences to add to those below it.
        """
        return Picture(Markup(self.markup(anchor)), f"{self.text} {more}".strip(), printable(self.caption))


def save(drawings: Iterable[Drawing], folder: Path) -> list[Path]:
    """Write ``NAME.svg`` and ``NAME.png`` of each drawing into ``folder``, and return their paths.

    Args:
        drawings: what to save; names must differ.
        folder: created if missing.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for drawing in drawings:
        vector, raster = folder / f"{drawing.name}.svg", folder / f"{drawing.name}.png"
        write_text(vector, drawing.svg)
        write_bytes(raster, drawing.png)
        paths += [vector, raster]
    return paths
