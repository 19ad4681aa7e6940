"""The words for the names in a results file."""

from __future__ import annotations

from collections.abc import Iterable

from arbench.border.printable import on_one_line
from arbench.results import Case, Keyed, Model, Ratio, Results, Slowdown, with_preset
from arbench.stats.digits import Interval

OPS = {"score": "scoring", "sample": "sampling", "forward": "forward", "backward": "backward"}
KERNEL_OPS = ("forward", "backward")
FIT_METRICS = {
    "depth": "depth",
    "work": "work",
    "seconds": "time",
    "nfe": "network evaluations",
    "ops": "tensor operations",
    "weights": "number of parameters",
}
"""The metrics of ``Fit`` lines, in the order of the sentences about them."""
GROWTH = {
    "1": "O(1)",
    "log N": "O(log N)",
    "sqrt N": "O(√N)",
    "N": "O(N)",
    "N log N": "O(N log N)",
    "N^2": "O(N²)",
    "N^3": "O(N³)",
}
STATUS = {
    "ok": "ok",
    "checked": "checked, not timed",
    "inexact": "inexact",
    "oom": "out of memory",
    "timeout": "timed out",
    "error": "failed",
    "over_budget": "over budget",
}
STATUS_MEANING = {
    "checked": "its result is right; it ran in Triton's interpreter, where times mean nothing",
    "inexact": "its result is not as exact as it claims, so it was not timed",
    "oom": "it ran out of memory and was skipped; the other cases went on",
    "timeout": "it did not respond in time; its worker was stopped and the other cases went on",
    "error": "it raised an error or its worker died; the other cases went on",
    "over_budget": "it was predicted to take longer than the budget and was not timed",
}
EXACTNESS = {"pointwise": "exact", "distribution": "exact in law", "approximate": "approximate"}
COUNT_SOURCE = {
    "counted": "counted",
    "extrapolated": "extrapolated",
    "formula": "formula",
    "none": "not counted",
}
DRAFTED = ("speculative", "rejection")
"""Sampling methods in which a smaller model guesses."""
DEPENDS_ON_WEIGHTS = ("fixed_point", "blocks", "forecast", *DRAFTED)
"""Sampling methods whose number of steps depends on the values drawn, and so on how far draws depend on the past."""
_MODEL_SETTINGS = ("device", "dtype", "backend", "batch")
_KERNEL_SETTINGS = ("device", "dtype")
"""A kernel's backend is always shown with its implementation, and its batch is part of its configuration."""


def is_kernel(line: Keyed) -> bool:
    """Return whether a line belongs to a kernel rather than to a model."""
    return line.op in KERNEL_OPS


def method_key(line: Keyed) -> str:
    """Return what a page's switch calls the method of a case: ``cached``, or ``torch · eager`` for a kernel."""
    return on_one_line(f"{line.method} · {line.backend}" if is_kernel(line) else line.method)


def base_name(method: str) -> str:
    """Return the name of a method without its settings: ``fused`` of ``fused,threads=2``."""
    return on_one_line(method.partition(",")[0])


def of_models(results: Results) -> list[Case]:
    """Return the cases of models."""
    return [case for case in results.cases.values() if not is_kernel(case)]


def of_kernels(results: Results) -> list[Case]:
    """Return the cases of kernels."""
    return [case for case in results.cases.values() if is_kernel(case)]


def model_label(line: Keyed | Model) -> str:
    """Return ``wavenet:nv``, or the bare name of a class without presets."""
    return on_one_line(with_preset(line.model, line.preset))


def claim_label(claimed: str) -> str:
    """Return a claim as O(.): ``at most O(N)`` for ``<= N``."""
    name = claimed.removeprefix("<=").strip()
    bound = "at most " if claimed.startswith("<=") else ""
    return bound + GROWTH.get(name, name)


def span_label(sizes: list[int]) -> str:
    """Return ``5 sizes, 256 to 4,096``."""
    if len(sizes) == 1:
        return f"1 size, {sizes[0]:,}"
    return f"{len(sizes)} sizes, {min(sizes):,} to {max(sizes):,}"


def numbers(values: list[int]) -> str:
    """Return ``256, 512 and 1,024``."""
    return listed(f"{value:,}" for value in sorted(values))


def listed(words: Iterable[str]) -> str:
    """Return ``naive, cached and fused``."""
    known = list(words)
    return " and ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known)


def shorten(text: str, most: int) -> str:
    """Return ``text`` with its middle replaced by an ellipsis where it is longer than ``most`` characters."""
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def rounded_weights(case: Case) -> str | None:
    """Return the dtype to which a case's weights were rounded: it is exact for that model; None if they were not."""
    found = (case.verified or {}).get("rounded_weights")
    return None if found is None else on_one_line(str(found))


class SharedSettings:
    """The settings (device, dtype, backend, batch) that all cases of a run share, and those that vary."""

    def __init__(self, results: Results) -> None:
        self._models = _values(of_models(results), _MODEL_SETTINGS)
        self._kernels = _values(of_kernels(results), _KERNEL_SETTINGS)

    @property
    def of_all(self) -> str:
        """The settings that all cases share: ``cpu · float32 · eager · batch 1``."""
        if self._models and self._kernels:
            return " · ".join(word for word in _shared(self._models) if word in _shared(self._kernels))
        return self.of_models or self.of_kernels

    @property
    def of_models(self) -> str:
        """The settings that all cases of models share."""
        return " · ".join(_shared(self._models))

    @property
    def of_kernels(self) -> str:
        """The settings that all cases of kernels share: ``cpu · float32``."""
        return " · ".join(_shared(self._kernels))

    def method_label(self, line: Keyed) -> str:
        """Return the method with every setting that varies: ``cached · numba``, and no batch for one event.

        For a kernel: the implementation and its backend, ``torch · compile``.
        """
        values = self._kernels if is_kernel(line) else self._models
        varying = [name for name, known in values.items() if len(known) > 1]
        names = ["backend", *varying] if is_kernel(line) else varying
        words = [_word(name, str(getattr(line, name))) for name in names]
        return on_one_line(" · ".join([line.method, *(word for word in words if word != "batch 1")]))


def _values(cases: Iterable[Case], names: Iterable[str]) -> dict[str, list[str]]:
    known = list(cases)
    return {name: sorted({str(getattr(case, name)) for case in known}) for name in names if known}


def _shared(values: dict[str, list[str]]) -> list[str]:
    return [_word(name, known[0]) for name, known in values.items() if len(known) == 1]


def _word(name: str, value: str) -> str:
    return f"batch {value}" if name == "batch" else value


def interval_of(line: Case | Ratio | Slowdown) -> Interval | None:
    """Return the 95% interval, or without one the range over workers."""
    if isinstance(line, Ratio | Slowdown):
        return line.ci95 or line.range
    return line.ci95_s or line.range_s
