"""The roofline of a model: the FLOPs per second that its methods reach, over their FLOPs per byte."""

from __future__ import annotations

from matplotlib.figure import Figure

from arbench.report.figures.roofline import Mark, ceilings, draw_roofs, roof_axes, roof_handles
from arbench.report.figures.style import SCREEN, Form, handle, legend_columns, new_figure, styled
from arbench.report.figures.tags import tag, tag_legend
from arbench.report.labels import SharedSettings, method_key, model_label, of_models, shorten
from arbench.report.models.curves import label_of, looks_of
from arbench.report.rates.roofs import per_second
from arbench.report.table import order
from arbench.results import Case, Results

_LONGEST = 60
"""Characters of a legend's label."""
_SMALL, _LARGE = 3.0, 8.0
"""Sizes of the marks of the smallest and the largest N."""


def model_roofline(results: Results, model: str, form: Form = SCREEN) -> Figure | None:
    """Return a model's roofline: a line for each method, from its smallest N to its largest, and the limits.

    Work and bytes are the counted ones. Bytes are all that the tensor operations read and write, part of which caches
    serve, so that a mark may stand above the line of the memory. A native loop counts what it has to read: the weights,
    once for each element.

    Args:
        results: what was measured.
        model: as `arbench.report.labels.model_label` gives it.
        form: the sizes of the figure.

    Returns:
        None where no timed case of the model has known work and bytes, or no limit was measured.
    """
    same = [case for case in order(of_models(results)) if model_label(case) == model]
    marks = {case.id: mark for case in same if (mark := _mark(case)) is not None}
    shown = [case for case in same if case.id in marks]
    tops = ceilings(results, list(dict.fromkeys(case.dtype for case in shown)))
    if not shown or not tops:
        return None
    shared = SharedSettings(results)
    looks = looks_of(results, model, shared, form)
    lines: dict[str, list[Case]] = {}
    for case in shown:
        lines.setdefault(label_of(case, shared), []).append(case)
    sizes = sorted({case.n for case in shown})
    with styled(form=form):
        handles = [handle(looks[label], shorten(label, _LONGEST), form.scale) for label in lines]
        handles += roof_handles(tops, form.scale)
        columns = legend_columns((str(one.get_label()) for one in handles), form.column / form.scale, 3)
        figure = new_figure(form.column, form.height + 0.2 * form.scale * -(-len(handles) // columns))
        axes = figure.subplots()
        roof_axes(axes, list(marks.values()), tops)
        draw_roofs(axes, tops, form.scale)
        for label, cases in lines.items():
            look = looks[label]
            x, y = zip(*(marks[case.id] for case in sorted(cases, key=lambda case: case.n)), strict=True)
            joined = axes.plot(x, y, color=look.color, ls=look.style, lw=1.0 * form.scale, alpha=0.6, zorder=2)
            tag(joined, method_key(cases[0]))
            for case in cases:
                share = sizes.index(case.n) / (len(sizes) - 1) if len(sizes) > 1 else 0.6
                drawn = axes.plot(
                    *marks[case.id],
                    color=look.color,
                    marker=look.marker,
                    fillstyle="none" if case.unstable else look.fill,
                    ms=(_SMALL + (_LARGE - _SMALL) * share) * form.scale,
                    zorder=3,
                )
                tag(drawn, method_key(case), case.id)
        axes.set_ylabel("reached, FLOP per second")
        legend = figure.legend(handles=handles, loc="outside lower center", ncols=columns)
        tag_legend(legend, [method_key(cases[0]) for cases in lines.values()])
    return figure


def _mark(case: Case) -> Mark | None:
    step = (case.verified or {}).get("step_bytes")
    moved = case.bytes if step is None else step * case.n
    rate = per_second(case, case.flops) if case.status == "ok" else None
    return None if not moved or not case.flops or rate is None else (case.flops / moved, rate)
