"""Which facts of two runs' environments differ, of those that change how long a call takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_WHOLE = ("gpu", "threads")
"""Parts in which a fact that one side lacks differs; of other parts a side may only know less."""
_PARTS = ("cpu", "torch", "versions", *_WHOLE)
_ASIDE = {
    "cpu.frequency_mhz",
    "cpu.memory_bytes",
    "gpu.clock_sm_mhz",
    "gpu.temperature_c",
    "gpu.memory_bytes",
    "threads.variables.OMP_NUM_THREADS",
    "threads.variables.MKL_NUM_THREADS",
    "versions.arbench",
}
"""What changes by itself, makes no call slower, or is told by another fact; and arbench's own version, which
may be what is compared."""


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """What differs, in words: ``cpu.model (Example 1, Example 2)``. What only one side knows does not count.

    Args:
        a: ``run.environment`` of one run.
        b: of another.
    """
    found = []
    for part in _PARTS:
        if part not in a or part not in b:
            continue
        one, other = dict(_flat(a[part], part)), dict(_flat(b[part], part))
        names = one.keys() | other.keys() if part in _WHOLE else one.keys() & other.keys()
        found += [
            f"{name} ({_text(one.get(name))}, {_text(other.get(name))})"
            for name in sorted(names - _ASIDE)
            if one.get(name) != other.get(name)
        ]
    return found


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for inner, each in value.items():
            yield from _flat(each, f"{name}.{inner}")
    else:
        yield name, value


def _text(value: object) -> str:
    return "none" if value is None else str(value)
