"""Options of a time check: the models, kernels and sizes that both versions are to time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from arbench.bench.kernels.plan import find
from arbench.bench.options import Options, check_device, check_numbers, check_seed, check_texts
from arbench.bench.suite import EACH, entries, suite_options

DEFAULT_SUITE = "timing"
_SHARED = ("device", "dtype", "backend", "seed", "data", "weights")


def model_options(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return fields of ``Options``, one mapping for each model; by default those of the suite ``timing``.

    Fields at their default are left out, since an older version may not know them.

    Args:
        given: fields of ``Options`` that the user set.

    Raises:
        PlanError: there is no such suite, or it has no such model.
    """
    if "models" in given and "suite" not in given:
        options = replace(Options(), **given)
    else:
        options = replace(suite_options(given.get("suite", DEFAULT_SUITE)), **given)
    check_texts(options)
    check_numbers(options)
    check_device(options.device, options.dtype)
    shared = {name: getattr(options, name) for name in _SHARED}
    shared = {name: value for name, value in shared.items() if value != getattr(Options(), name)}
    return [
        {
            "models": [entry.model],
            **{name: list(value) for name in EACH if (value := getattr(entry, name))},
            **shared,
        }
        for entry in entries(options)
    ]


def kernel_options(names: Sequence[str], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return fields of ``KernelOptions``, one mapping for each kernel.

    Args:
        names: names of kernels.
        given: fields of ``Options`` that the user set; those that kernels share are kept.

    Raises:
        PlanError: this version has no such kernel, or this machine no such device.
    """
    find(names)
    check_seed(given.get("seed", 0))
    check_device(given.get("device", "cpu"), given.get("dtype", "float32"))
    shared = {name: given[name] for name in ("ops", "device", "dtype", "seed") if name in given}
    return [{"kernels": [name], "compiled": 0, **shared} for name in names]
