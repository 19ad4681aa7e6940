"""What a timing check asks of both versions: the models and sizes that a user or a suite names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from arbench.bench.kernels.plan import find
from arbench.bench.options import Options, check_device, check_numbers
from arbench.bench.suite import EACH, entries, suite_options

DEFAULT_SUITE = "timing"
_SHARED = ("device", "dtype", "backend", "seed", "data", "weights")


def asked(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Fields of ``Options``, one mapping for each model that is asked of; the suite ``timing`` by default.

    A field that is as ``Options`` has it is left out, for an older version may not know it.

    Args:
        given: fields of ``Options`` that the user gave.

    Raises:
        PlanError: there is no such suite, or it has no such model.
    """
    if "models" in given and "suite" not in given:
        options = replace(Options(), **given)
    else:
        options = replace(suite_options(given.get("suite", DEFAULT_SUITE)), **given)
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


def asked_of_kernels(names: Sequence[str], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Fields of ``KernelOptions``, one mapping for each kernel.

    Args:
        names: of kernels.
        given: fields of ``Options`` that the user gave; those that kernels have as well are kept.

    Raises:
        PlanError: there is no such kernel here, or no such device.
    """
    find(names)
    check_device(given.get("device", "cpu"), given.get("dtype", "float32"))
    shared = {name: given[name] for name in ("ops", "device", "dtype", "seed") if name in given}
    return [{"kernels": [name], "compiled": 0, **shared} for name in names]
