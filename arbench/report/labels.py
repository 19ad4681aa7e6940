"""The words a reader sees for the names in a results file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from arbench.results import Case, Op, Results

OPS = {"score": "scoring", "sample": "sampling", "forward": "forward", "backward": "backward"}
METRICS = {
    "depth": "depth",
    "work": "work",
    "seconds": "time",
    "nfe": "network evaluations",
    "ops": "tensor operations",
    "weights": "number of parameters",
}
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
    "checked": "its answer is right; here it runs in an interpreter, whose time says nothing",
    "inexact": "its output broke the exactness it states; it was not timed",
    "oom": "it ran out of memory and was set aside; the others went on",
    "timeout": "it did not answer in time; its worker was ended and the others went on",
    "error": "it raised an error or its worker died; the others went on",
    "over_budget": "it was predicted to take longer than the budget and was not timed",
}
EXACTNESS = {"pointwise": "exact", "distribution": "exact in law", "approximate": "approximate"}
COUNT_SOURCE = {
    "counted": "counted",
    "extrapolated": "extrapolated",
    "formula": "formula",
    "none": "not counted",
}
OWN = {"own_samples"}
"""Methods that score only what the model itself has just drawn: no answer for outside data."""

OPS_OF_KERNELS = ("forward", "backward")

_SETTINGS = ("device", "dtype", "backend", "batch")
_SETTINGS_OF_KERNELS = ("device", "dtype")
"""The backend always stands with who implements a kernel, the batch in its configuration."""


class Keyed(Protocol):
    """What a case and a fit have in common."""

    @property
    def op(self) -> Op: ...

    @property
    def model(self) -> str: ...
    @property
    def preset(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def backend(self) -> str: ...


def is_kernel(keyed: Keyed) -> bool:
    """Whether a line is of a kernel, not of a model."""
    return keyed.op in OPS_OF_KERNELS


def of_models(results: Results) -> list[Case]:
    """The cases of models."""
    return [case for case in results.cases.values() if not is_kernel(case)]


def of_kernels(results: Results) -> list[Case]:
    """The cases of kernels."""
    return [case for case in results.cases.values() if is_kernel(case)]


class Named(Protocol):
    """What has a model's name."""

    @property
    def model(self) -> str: ...
    @property
    def preset(self) -> str: ...


def model_label(keyed: Named) -> str:
    """``wavenet:nv``; a user's class without presets keeps its bare name."""
    return f"{keyed.model}:{keyed.preset}" if keyed.preset else keyed.model


def claim_label(claimed: str) -> str:
    """A claim as O(.): ``<= N`` becomes ``at most O(N)``."""
    name = claimed.removeprefix("<=").strip()
    bound = "at most " if claimed.startswith("<=") else ""
    return bound + GROWTH.get(name, name)


def span_label(sizes: list[int]) -> str:
    """``5 sizes, 256 to 4,096``."""
    if len(sizes) == 1:
        return f"1 size, {sizes[0]:,}"
    return f"{len(sizes)} sizes, {min(sizes):,} to {max(sizes):,}"


def numbers(values: list[int]) -> str:
    """``256, 512 and 1,024``."""
    words = [f"{value:,}" for value in sorted(values)]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def shorten(text: str, most: int) -> str:
    """``text``, its middle left out where it is longer than ``most`` characters."""
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


class Settings:
    """Which of device, dtype, backend and batch are common to a run, and which tell cases apart."""

    def __init__(self, results: Results) -> None:
        self._models = _seen(of_models(results), _SETTINGS)
        self._kernels = _seen(of_kernels(results), _SETTINGS_OF_KERNELS)

    @property
    def common(self) -> str:
        """What all cases share: ``cpu · float32 · eager · batch 1``."""
        if self._models and self._kernels:
            return " · ".join(word for word in _shared(self._models) if word in _shared(self._kernels))
        return self.of_models or self.of_kernels

    @property
    def of_models(self) -> str:
        """What all cases of models share."""
        return " · ".join(_shared(self._models))

    @property
    def of_kernels(self) -> str:
        """What all cases of kernels share: ``cpu · float32``."""
        return " · ".join(_shared(self._kernels))

    def method(self, keyed: Keyed) -> str:
        """The method, with every setting that is not common: ``cached · numba``; without a batch, one event.

        Of a kernel: who implements it, on what: ``torch · compile``.
        """
        seen = self._kernels if is_kernel(keyed) else self._models
        varying = [name for name, values in seen.items() if len(values) > 1]
        names = ["backend", *varying] if is_kernel(keyed) else varying
        words = [_word(name, str(getattr(keyed, name))) for name in names]
        return " · ".join([keyed.method, *(word for word in words if word != "batch 1")])


def _seen(cases: Iterable[Case], names: Iterable[str]) -> dict[str, list[str]]:
    known = list(cases)
    return {name: sorted({str(getattr(case, name)) for case in known}) for name in names if known}


def _shared(seen: dict[str, list[str]]) -> list[str]:
    return [_word(name, values[0]) for name, values in seen.items() if len(values) == 1]


def _word(name: str, value: str) -> str:
    return f"batch {value}" if name == "batch" else value
