"""Every figure of a report."""

from __future__ import annotations

from arbench.border.naming import file_name
from arbench.report.figures.drawing import Drawing
from arbench.report.kernels.fractions import fractions
from arbench.report.kernels.roofline import roofline
from arbench.report.labels import model_label, of_models
from arbench.report.models.batches import batch_figure
from arbench.report.models.curves import curves
from arbench.report.models.frontier_figure import frontier_figure
from arbench.report.models.map import growth_map
from arbench.report.table import order
from arbench.results import Results

MAP, BATCHES, FRONTIER, FRACTIONS, ROOFLINE = "map", "batches", "frontier", "fractions", "roofline"
_OVERVIEW = {
    MAP: (growth_map, "growth of scoring depth against growth of sampling depth"),
    BATCHES: (batch_figure, "time per element over batch size"),
    FRONTIER: (frontier_figure, "quality on held-out data against seconds per element, sampling and scoring"),
}
KERNEL_FIGURES = {
    FRACTIONS: (fractions, "kernels: fraction of the machine's limit"),
    ROOFLINE: (roofline, "kernels: roofline"),
}
"""The functions that draw the figures of kernels, with their captions."""
_CURVES = {"seconds": "time over N", "depth": "depth over N"}


def draw(results: Results) -> list[Drawing]:
    """Return every figure that has values: map, batches, time and depth over N of each model, kernels."""
    drawings = []
    for name, (make, caption) in _OVERVIEW.items():
        if (figure := make(results)) is not None:
            drawings.append(Drawing(name, caption, figure))
    models = dict.fromkeys(model_label(case) for case in order(of_models(results)))
    for model, name in zip(models, _names(models), strict=True):
        for metric, caption in _CURVES.items():
            if (figure := curves(results, model, metric)) is not None:
                drawings.append(Drawing(f"{name}-{metric}", f"{model}: {caption}", figure, model))
    for name, (make, caption) in KERNEL_FIGURES.items():
        if (figure := make(results)) is not None:
            drawings.append(Drawing(name, caption, figure))
    return drawings


def _names(models: dict[str, None]) -> list[str]:
    """Return a file name for each model, all different."""
    names: list[str] = []
    for model in models:
        names.append(file_name(model, {*_OVERVIEW, *KERNEL_FIGURES, *names}, "model"))
    return names
