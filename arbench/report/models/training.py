"""The curve of a training run: bits per element over steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from arbench.report.figures.drawing import Drawing
from arbench.report.figures.style import SERIES_LOOKS, new_figure, styled


def curve(lines: Sequence[Mapping[str, Any]], title: str, unit: str) -> Drawing:
    """Return the loss and the validation quality of a run over its steps.

    Args:
        lines: evaluations in order, each with ``step``, ``loss`` and ``quality``.
        title: name of the model.
        unit: unit of loss and quality, such as "bits per byte".
    """
    with styled():
        figure: Figure = new_figure(6.0, 3.6)
        axes = figure.subplots()
        steps = [line["step"] for line in lines]
        for key, label, (color, marker) in (
            ("loss", "training, mean since the mark before", SERIES_LOOKS[0]),
            ("quality", "validation, averaged weights", SERIES_LOOKS[1]),
        ):
            values = [line[key] for line in lines]
            axes.plot(steps, values, color=color, marker=marker, markersize=3, linewidth=1.2, label=label)
        lowest = min(line["quality"] for line in lines)
        top = sorted(line[key] for line in lines for key in ("loss", "quality"))[int(1.8 * len(lines))]
        axes.set_ylim(bottom=min(lowest, min(line["loss"] for line in lines)) - 0.05, top=top + 0.05)
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.set_ylabel(unit)
        axes.legend()
    best = min(lines, key=lambda line: line["quality"])
    caption = f"{title}: {unit} over steps; the best validation, {best['quality']:.3f}, is at step {best['step']:,}."
    return Drawing("curve", caption, figure)
