"""Why counters of two environments may differ though the code does not.

A counter is what PyTorch is asked to do. So it does not depend on the machine, its load or its threads, but

- another minor version of torch may take other operations, or more of them: every counter may differ but for
  how often a method evaluates the network, which torch has no say in;
- a method whose path depends on values (Jacobi iteration, guessing ahead) may need another number of passes
  where the last bit of a number differs: on another CPU or GPU, under another torch, or of another seed, data
  or weights. It is counted in float64, so this is rare;
- on a GPU the peak memory holds what libraries take for themselves, which differs by GPU.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from arbench.bench.case import CaseKey
from arbench.bench.options import Options

INPUTS = ("seed", "data", "weights")


class Causes:
    """What besides the code differs between the two sides.

    Args:
        before, after: environments, as ``arbench.meters.environment`` has them; what one of them does not
            state counts as different.
        asked_before, asked_after: what either run was asked; None where it is not known.
    """

    def __init__(
        self,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        asked_before: Options | None,
        asked_after: Options,
    ) -> None:
        self._torch = _differs("torch", *(_torch(facts) for facts in (before, after)))
        self._cpu = _differs("CPU", *(_fact(facts, "cpu", "model") for facts in (before, after)))
        level = _differs("CPU capability", *(_fact(facts, "cpu", "capability") for facts in (before, after)))
        self._cpu = self._cpu or level
        self._gpu = _differs("GPU", *(_fact(facts, "gpu", "name") for facts in (before, after)))
        names = INPUTS if asked_before is not None else ()
        other = [n for n in names if _input(asked_before, n) != _input(asked_after, n)]
        self._inputs = f"another {' and '.join(other)}" if other else None

    def of(self, case: CaseKey, metric: str) -> str | None:
        """Why this counter of a case may differ, in words; None where only the code can be why."""
        found = []
        if metric != "nfe" or case.data_dependent:
            found.append(self._torch)
        if case.data_dependent:
            found += [self._cpu, self._inputs]
        if case.device != "cpu" and (case.data_dependent or metric == "peak_bytes"):
            found.append(self._gpu)
        return " and ".join(one for one in found if one) or None


def _torch(facts: Mapping[str, Any]) -> str | None:
    version = _fact(facts, "versions", "torch")
    return ".".join(version.split(".")[:2]) if version else None


def _fact(facts: Mapping[str, Any], part: str, name: str) -> Any:
    return (facts.get(part) or {}).get(name)


def _input(options: Any, name: str) -> Any:
    value = getattr(options, name)
    return os.path.realpath(value) if isinstance(value, str) else value


def _differs(what: str, before: Any, after: Any) -> str | None:
    if before == after and before is not None:
        return None
    return f"{what} {before or 'unknown'} before, {after or 'unknown'} now"
