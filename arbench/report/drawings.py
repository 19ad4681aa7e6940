"""Every figure of a report, with its caption and what to see in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from matplotlib.figure import Figure

from arbench.border.naming import file_name
from arbench.report.figures.drawing import Drawing
from arbench.report.figures.style import SCREEN, Form
from arbench.report.kernels.fractions import fractions
from arbench.report.kernels.roofline import roofline
from arbench.report.labels import model_label, of_kernels, of_models
from arbench.report.models.batches import batch_figure
from arbench.report.models.curves import curves
from arbench.report.models.frontier_figure import frontier_figure
from arbench.report.models.map import growth_map
from arbench.report.models.roofline import model_roofline
from arbench.report.models.split import time_split
from arbench.report.table import order
from arbench.results import Results

MAP, BATCHES, FRONTIER, FRACTIONS, ROOFLINE = "map", "batches", "frontier", "fractions", "roofline"
SECONDS, DEPTH, SPLIT = "seconds", "depth", "split"
"""Ends of the names of a model's figures, behind a hyphen; they have a roofline too."""
WITH_BARS = (f"-{SECONDS}", BATCHES, FRACTIONS)
"""Ends of the names of figures that show intervals as bars."""
_LIMITS = (
    "Lines are the limits that this run measured: bandwidth rises to the left, the fastest matrix product is flat to "
    "the right. "
)
_OVERVIEW = {
    MAP: (
        growth_map,
        "growth of scoring depth against growth of sampling depth",
        "Each model stands where the depths of its exact methods grow, of each job by the method whose depth grows "
        "slowest, which need not be the fastest: to the right, sampling needs more steps one after another with N; "
        "upwards, scoring does. In shaded cells both grow alike. A method that only claims a "
        "bound is placed where its depth on this data puts it.",
    ),
    BATCHES: (
        batch_figure,
        "time per element over batch size",
        "A line that falls shows that more events at once cost less each; where it turns flat, the machine is full. "
        "Time per element is that of a call over the elements of all its events.",
    ),
    FRONTIER: (
        frontier_figure,
        "quality on held-out data against seconds per element, sampling and scoring",
        "Better models are lower, faster ones are to the left. No other model beats those on the line in both; an "
        "arrow leads from a teacher to the model distilled from it. Each has the time of its fastest method, at the N "
        "at which the most of them were timed.",
    ),
}
KERNEL_FIGURES = {
    FRACTIONS: (
        fractions,
        "kernels: fraction of the machine's limit",
        "A mark at 100% takes the least time in which this machine can move the bytes and do the arithmetic; the "
        "distance to that line is what is left to gain. Hollow marks are unstable times.",
    ),
    ROOFLINE: (
        roofline,
        "kernels: roofline",
        f"{_LIMITS}A kernel's mark below the rising line is limited by memory; the distance to the line is what is "
        "left to gain. A working set that fits a cache may stand above the line of the memory. Marks above each other "
        "are implementations or sizes of one kernel.",
    ),
}
"""The functions that draw the figures of kernels, with their captions and what to see in them."""
_OF_A_MODEL: dict[str, tuple[Callable[[Results, str, Form], Figure | None], str, str]] = {
    SECONDS: (
        lambda results, model, form: curves(results, model, "seconds", form),
        "time over N",
        "On these axes time that is proportional to N rises by a decade for each decade of N; flat beginnings are "
        "costs that do not grow. Hollow marks are unstable times, lines are fits.",
    ),
    DEPTH: (
        lambda results, model, form: curves(results, model, "depth", form),
        "depth over N",
        "A flat line is a method whose steps can all run at once, however long the event is; a rising one waits for "
        "its own results. Marks are cases, lines are fits.",
    ),
    ROOFLINE: (
        model_roofline,
        "roofline",
        f"{_LIMITS}Each line is a method from its smallest N to its largest (larger marks). A method far below the "
        "limits waits for something else: the start of small operations, or the step before. Bytes are all that the "
        "operations read and write; caches serve a part of them, so a mark may stand above the line of the memory.",
    ),
    SPLIT: (
        time_split,
        "where the time of a call goes",
        "Each bar is a call, from a trace that was made after all timing. Much time outside operators, or in their "
        "fixed cost, means many small operations, which fusing or a larger batch makes cheaper; operators slower than "
        "their limit are work for better kernels; arithmetic and memory are the least that this machine needs.",
    ),
}
"""The functions that draw the figures of a model, by the end of their names."""


def draw(results: Results, form: Form = SCREEN, page: Iterable[Results] = ()) -> list[Drawing]:
    """Return every figure that has values: map, batches, frontier, those of each model, kernels.

    Args:
        results: what was measured.
        form: the sizes of the figures.
        page: all runs of the page, where there are several: a method has one look on all of it.
    """
    drawings = []
    runs = [results, *page]
    form = replace(
        form,
        methods=frozenset(case.method for run in runs for case in of_models(run)),
        implementations=frozenset((case.method, case.backend) for run in runs for case in of_kernels(run)),
    )
    for name, (make, caption, see) in _OVERVIEW.items():
        if (figure := make(results, form)) is not None:
            drawings.append(Drawing(name, caption, figure, None, see, form))
    models = dict.fromkeys(model_label(case) for case in order(of_models(results)))
    for model, name in zip(models, _names(models), strict=True):
        for kind, (make_one, caption, see) in _OF_A_MODEL.items():
            if (figure := make_one(results, model, form)) is not None:
                drawings.append(Drawing(f"{name}-{kind}", f"{model}: {caption}", figure, model, see, form))
    for name, (make, caption, see) in KERNEL_FIGURES.items():
        if (figure := make(results, form)) is not None:
            drawings.append(Drawing(name, caption, figure, None, see, form))
    return drawings


def _names(models: dict[str, None]) -> list[str]:
    """Return a file name for each model, all different."""
    names: list[str] = []
    for model in models:
        names.append(file_name(model, {*_OVERVIEW, *KERNEL_FIGURES, *names}, "model"))
    return names
