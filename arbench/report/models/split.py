"""The figure of where the time of a call goes, from the profiles of a run."""

from __future__ import annotations

from typing import Any

import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, PercentFormatter

from arbench.report.figures.palette import LIGHT_TONES
from arbench.report.figures.style import INK, SCREEN, Form, legend_columns, new_figure, styled
from arbench.report.figures.tags import tag
from arbench.report.labels import SharedSettings, method_key, model_label, shorten
from arbench.report.models.curves import label_of
from arbench.report.models.profiles import OUTSIDE, PARTS
from arbench.report.table import order
from arbench.results import Profile, Results
from arbench.stats import format_si

_LONGEST = 44
"""Characters of the label of a bar."""
_UNSEEN, _WHOLE = "Python or code that no trace shows", "operators, not divided"
_FILLS = {
    **dict.fromkeys(OUTSIDE.values(), ("tone-1", "")),
    _UNSEEN: ("tone-1", "///"),
    PARTS["fixed_s"]: ("tone-2", ""),
    PARTS["slower_s"]: ("tone-3", ""),
    PARTS["arithmetic_s"]: ("tone-4", ""),
    PARTS["memory_s"]: ("tone-5", ""),
    _WHOLE: ("tone-2", "..."),
}
"""Tone and hatching of the parts of a call, in the order in which they are drawn; colours are those of methods."""
_BAR = 0.3
"""Height of a bar with what is between two, inches."""


def time_split(results: Results, model: str, form: Form = SCREEN) -> Figure | None:
    """Return the figure: a bar for each profiled case of a model, divided by where its time goes.

    Args:
        results: what was measured.
        model: as `arbench.report.labels.model_label` gives it.
        form: the sizes of the figure.

    Returns:
        None where no case of the model was profiled.
    """
    same = [case for case in order(results.cases.values()) if model_label(case) == model]
    shown = [(case, results.profiles[case.id]) for case in same if case.id in results.profiles]
    if not shown:
        return None
    shared = SharedSettings(results)
    used = {words for _, line in shown for words in parts(line)}
    drawn = [words for words in _FILLS if words in used]
    columns = legend_columns(drawn, form.column / form.scale, 3)
    with styled(form=form):
        figure = new_figure(form.column, form.scale * (_BAR * len(shown) + 0.9 + 0.22 * -(-len(drawn) // columns)))
        axes = figure.subplots()
        for place, (case, line) in enumerate(shown):
            left = 0.0
            for words, seconds in parts(line).items():
                share = seconds / line.seconds
                bar = axes.barh(place, share, left=left, height=0.7, **_look(words, form.scale))
                tag(bar, method_key(case), case.id)
                left += share
            axes.text(
                1.01,
                place,
                format_si(line.seconds, "s"),
                transform=axes.get_yaxis_transform(),
                va="center",
                fontsize=9 * form.scale,
                color=INK,
            )
        labels = [shorten(f"{label_of(case, shared)}, N = {case.n:,}", _LONGEST) for case, _ in shown]
        axes.set_yticks(range(len(shown)), labels)
        axes.set(xlim=(0, 1), ylim=(len(shown) - 0.5, -0.5), xlabel="of the time of a call")
        axes.xaxis.set_major_locator(FixedLocator([0, 0.25, 0.5, 0.75, 1]))
        axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
        axes.tick_params(axis="y", length=0)
        sns.despine(ax=axes, left=True)
        handles = [axes.barh(0, 0, label=words, **_look(words, form.scale)) for words in drawn]
        figure.legend(handles=handles, loc="outside lower center", ncols=columns)
    return figure


def _look(words: str, scale: float) -> dict[str, Any]:
    tone, hatch = _FILLS[words]
    return {"facecolor": LIGHT_TONES[tone], "edgecolor": INK, "linewidth": 0.6 * scale, "hatch": hatch}


def parts(line: Profile) -> dict[str, float]:
    """Return the seconds of each part of a call that is known, by its words; together they are the call."""
    outside = _UNSEEN if line.outside == "unseen" else OUTSIDE[line.outside]
    divided = {words: getattr(line, name) for name, words in PARTS.items() if name != "outside_s"}
    inside = {_WHOLE: line.operators_s} if None in divided.values() else divided
    return {words: seconds for words, seconds in {outside: line.outside_s, **inside}.items() if seconds}
