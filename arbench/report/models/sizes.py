"""Sentences on models that take only some sizes: they fail alike at all others."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from arbench.report.labels import model_label, of_models
from arbench.results import Case, Results

_OF_CODE = ("AttributeError", "ImportError", "ModuleNotFoundError", "NameError", "NotImplementedError", "TypeError")
"""Errors of code that no size would mend, unless another size has none."""


def size_hints(results: Results) -> list[str]:
    """Return a sentence for each model that fails alike at every size but some."""
    models: dict[str, list[Case]] = defaultdict(list)
    for case in of_models(results):
        models[model_label(case)].append(case)
    return [hint for model, cases in models.items() if (hint := _hint(model, cases)) is not None]


def _hint(model: str, cases: list[Case]) -> str | None:
    failed = [case for case in cases if case.status == "error" and case.error]
    wrong = {case.n for case in failed}
    right = {case.n for case in cases} - wrong
    if not failed or len({alike(case.error or "") for case in failed}) > 1:
        return None
    if any(case.status == "ok" and case.n in wrong for case in cases):  # a method fails there, not the model
        return None
    error = min(failed, key=lambda case: case.n).error or ""
    if not right and (len(wrong) < 2 or error.startswith(_OF_CODE)):
        return None
    where = f"at N = {_listed(wrong)}, and not at {_listed(right)}" if right else "at every N"
    return f"{model} fails alike {where}. If it takes only some sizes, list them: `ladder` in its class, or --n."


def alike(error: str) -> str:
    """Return an error without its numbers, which may be those of a size, but with the line that raised it."""
    text, place = re.fullmatch(r"(.*?)(\([^()]*:\d+\))?", error, re.DOTALL).groups()  # type: ignore[union-attr]
    return re.sub(r"\d+", "#", text) + (place or "")


def _listed(sizes: Iterable[int]) -> str:
    *most, last = (f"{n:,}" for n in sorted(sizes))
    return f"{', '.join(most)} and {last}" if most else last
