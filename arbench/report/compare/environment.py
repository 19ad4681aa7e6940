"""The differences between two environments that change how long a call takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_COMPLETE = ("gpu", "threads")
"""Parts that are always recorded in full, so an entry that one side lacks is a difference."""
_PARTS = ("cpu", "torch", "versions", *_COMPLETE)
_IGNORED = {
    "cpu.frequency_mhz",
    "cpu.memory_bytes",
    "gpu.clock_sm_mhz",
    "gpu.temperature_c",
    "gpu.memory_bytes",
    "threads.variables.OMP_NUM_THREADS",
    "threads.variables.MKL_NUM_THREADS",
    "versions.arbench",
}
"""Entries that fluctuate, make no call slower or repeat another entry; also arbench's version, which may be
the change under comparison."""
_DRIVER = "gpu.driver"
"""Compared as text: older files store a number for a version of two parts."""


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Return what differs, in words: ``cpu.model (Example 1, Example 2)``.

    Entries of the CPU and of versions that only one side knows do not count.

    Args:
        a: ``run.environment`` of one run.
        b: ``run.environment`` of the other run.
    """
    found = []
    for part in _PARTS:
        if part not in a or part not in b:
            continue
        one, other = dict(_flat(a[part], part)), dict(_flat(b[part], part))
        names = one.keys() | other.keys() if part in _COMPLETE else one.keys() & other.keys()
        found += [
            f"{name} ({_text(one.get(name))}, {_text(other.get(name))})"
            for name in sorted(names - _IGNORED)
            if one.get(name) != other.get(name)
        ]
    return found


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for inner, each in value.items():
            yield from _flat(each, f"{name}.{inner}")
    else:
        yield name, str(value) if name == _DRIVER and value is not None else value


def _text(value: object) -> str:
    return "none" if value is None else str(value)
