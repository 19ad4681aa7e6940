"""The map: growth of scoring depth against growth of sampling depth, for all models at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from arbench.report.figures.style import FAINT, INK, RULE, SCREEN, Form, new_figure, styled
from arbench.report.labels import GROWTH, SharedSettings, shorten
from arbench.report.models.verdicts import Headline, depth_fits, headlines
from arbench.results import OWN_SAMPLES, Fit, Results

_ALWAYS = ("1", "log N", "sqrt N", "N")
_WIDE, _NARROW = 2.85, 0.95
"""Least width of a column with a model, and width of a column without one, inches."""
_LETTER, _LONGEST = 0.08, 60
"""Mean width of a character, inches, at most; characters of the longest label."""
_LINE, _BETWEEN, _PAD, _CAPTION = 0.16, 0.08, 0.14, 0.24
_LOW = 0.5
_BEST, _OTHER = INK, FAINT
"""Colours of the marks of models; the others are those of methods."""
_CORNERS = {
    ("1", "1"): "both in a few steps",
    ("N", "1"): "fast to score, slow to sample",
    ("1", "N"): "fast to sample, slow to score",
    ("N", "N"): "both step by step",
}


MANY = 8
"""With more models than this, cells list names alone, the presets of a model together."""


@dataclass(frozen=True)
class Place:
    """A mark on the map.

    Attributes:
        sample: growth class of sampling depth.
        score: growth class of scoring depth.
        lines: its label.
        small: false for a model by its best methods, true with one of them replaced by another.
    """

    sample: str
    score: str
    lines: tuple[str, ...]
    small: bool = False

    @property
    def height(self) -> float:
        """The height of its label, inches."""
        return _LINE * len(self.lines) + _BETWEEN


def places(results: Results) -> list[Place]:
    """Return the marks of every model with a fitted depth of both jobs, each followed by its other methods.

    With more than ``MANY`` models, the marks have names alone.
    """
    shared = SharedSettings(results)
    found = []
    known = headlines(results)
    if len(known) > MANY:
        return _names(known)
    for headline in known:
        score, sample = headline.score, headline.sample
        if score is None or sample is None:
            continue
        x, y = sample.fit.fitted or "1", score.fit.fitted or "1"
        lines = (
            headline.model,
            f"score {score.method}, sample {sample.method}",
            _depths(score.fit, sample.fit, results),
        )
        found.append(Place(x, y, tuple(filter(None, lines))))
        others: dict[tuple[str, str], list[str]] = {}
        for op in ("score", "sample"):
            for fit in depth_fits(results, headline.model, op):
                cell = (x, fit.fitted or "1") if op == "score" else (fit.fitted or "1", y)
                if cell != (x, y):
                    others.setdefault(cell, []).append(_other(fit, shared))
        for cell, methods in others.items():
            found.append(Place(*cell, (headline.model, *methods), small=True))
    return found


def _names(known: list[Headline]) -> list[Place]:
    """Return ``wavenet: tiny, nv`` for each model and cell of its presets."""
    presets: dict[tuple[str, str, str], list[str]] = {}
    for headline in known:
        if headline.score is not None and headline.sample is not None:
            cell = headline.sample.fit.fitted or "1", headline.score.fit.fitted or "1"
            fit = headline.score.fit
            presets.setdefault((*cell, fit.model), []).append(fit.preset)
    return [Place(x, y, (f"{model}: {', '.join(names)}",)) for (x, y, model), names in presets.items()]


def _other(fit: Fit, shared: SharedSettings) -> str:
    condition = ""
    if fit.method == OWN_SAMPLES:
        condition = ", own samples only"
    elif (fit.claimed or "").startswith("<="):
        condition = ", on this data"
    return f"{fit.op} {shared.method_label(fit)}{condition}"


def _depths(score: Fit, sample: Fit, results: Results) -> str:
    """Return both depths at the largest N where both are known."""
    y, x = ({**_by_size(fit), **_by_case(fit, results)} for fit in (score, sample))
    common = y.keys() & x.keys()
    if not common:
        return ""
    n = max(common)
    return f"depth {y[n]:,.0f} and {x[n]:,.0f} at N = {n:,}"


def _by_size(fit: Fit) -> dict[int, float]:
    return dict(zip(fit.sizes, fit.values, strict=True))


def _by_case(fit: Fit, results: Results) -> dict[int, float]:
    cases = (case for case in results.cases.values() if case.key == fit.key)
    return {case.n: case.depth for case in cases if case.depth is not None}


def growth_map(results: Results, form: Form = SCREEN) -> Figure | None:
    """Return the map, or None where no model has a fitted depth of both jobs.

    A cell is a pair of growth classes. The marks in a cell are listed below each other, so that no label
    covers another. Cells on the diagonal, where both jobs grow alike, are shaded. A map that is wider than the page
    shrinks, text included.
    """
    marks = places(results)
    if not marks:
        return None
    used = {mark.sample for mark in marks} | {mark.score for mark in marks}
    classes = [name for name in GROWTH if name in _ALWAYS or name in used]
    widths = [_width([m for m in marks if m.sample == name]) for name in classes]
    heights = [_height(name, marks, classes) for name in classes]
    wide, high = sum(widths) + 1.1, sum(heights) + 1.25
    form = replace(form, scale=min(form.scale, form.page / wide))
    with styled(form=form):
        figure = new_figure(wide * form.scale, high * form.scale)
        axes = figure.subplots()
        axes.set_xlim(0, sum(widths))
        axes.set_ylim(0, sum(heights))
        left = 0.0
        for x, width in zip(classes, widths, strict=True):
            bottom = 0.0
            for y, height in zip(classes, heights, strict=True):
                inside = [mark for mark in marks if (mark.sample, mark.score) == (x, y)]
                _cell(axes, left, bottom, width, height, inside, x == y, _CORNERS.get((x, y)), form.scale)
                bottom += height
            left += width
        _frame(axes, classes, widths, heights, any(mark.small for mark in marks), form.scale)
    return figure


def _width(marks: list[Place]) -> float:
    """Return the width that the longest label of a column needs, inches."""
    if not marks:
        return _NARROW
    longest = max(len(shorten(line, _LONGEST)) for mark in marks for line in mark.lines)
    return max(_WIDE, 0.45 + _LETTER * longest)


def _height(score: str, marks: list[Place], classes: list[str]) -> float:
    """Return the height that the fullest cell of a row needs, inches."""
    columns = [sum(m.height for m in marks if (m.sample, m.score) == (sample, score)) for sample in classes]
    captioned = any(y == score for _, y in _CORNERS)
    return max(_LOW, max(columns) + _PAD + _CAPTION * captioned)


def _cell(
    axes: Axes,
    left: float,
    bottom: float,
    width: float,
    height: float,
    marks: list[Place],
    diagonal: bool,
    caption: str | None,
    scale: float,
) -> None:
    shade = RULE if diagonal else "none"
    axes.add_patch(Rectangle((left, bottom), width, height, fc=shade, ec="none", alpha=0.35))
    axes.add_patch(Rectangle((left, bottom), width, height, fc="none", ec=RULE, lw=0.8 * scale))
    if caption and width >= _WIDE:
        axes.text(left + 0.12, bottom + 0.1, caption, color=FAINT, fontsize=8 * scale, style="italic")
    top = bottom + height - _PAD
    for mark in sorted(marks, key=lambda mark: mark.small):
        middle = top - 0.09
        if mark.small:
            axes.plot(left + 0.17, middle, "D", color=_OTHER, ms=6 * scale, clip_on=False)
        else:
            axes.plot(left + 0.17, middle, "o", color=_BEST, ms=9 * scale, clip_on=False)
        for i, line in enumerate(mark.lines):
            first = i == 0
            axes.text(
                left + 0.34,
                middle - _LINE * i,
                shorten(line, _LONGEST),
                va="center",
                color=INK if first else FAINT,
                fontsize=(9 if first else 8) * scale,
                weight="bold" if first and not mark.small else "normal",
            )
        top -= mark.height


def _frame(
    axes: Axes, classes: list[str], widths: list[float], heights: list[float], others: bool, scale: float
) -> None:
    def centres(lengths: list[float]) -> list[float]:
        return [sum(lengths[:i]) + length / 2 for i, length in enumerate(lengths)]

    labels = [GROWTH[name] for name in classes]
    axes.set_xticks(centres(widths), labels)
    axes.set_yticks(centres(heights), labels)
    axes.tick_params(length=0, labelsize=10 * scale)
    axes.set_xlabel("depth of sampling grows as →")
    axes.set_ylabel("depth of scoring grows as →")
    for spine in axes.spines.values():
        spine.set_visible(False)
    marks = [
        ("o", 9, _BEST, "a model by the methods whose depth grows slowest"),
        ("D", 6, _OTHER, "the same with another method"),
    ]
    handles = [
        Line2D([], [], ls="none", marker=marker, ms=size * scale, color=color, label=label)
        for marker, size, color, label in marks[: 1 + others]
    ]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
