"""Causes, other than the code, for which counters of two environments may differ.

Counters count the operations that the code requests from PyTorch, so they do not depend on the machine, its load or
its threads. But

- another minor version of torch may use other operations or more of them: every counter may differ except the number
  of network evaluations, which torch does not influence;
- a method whose path depends on values (Jacobi iteration, guessing ahead) may need another number of passes where the
  last bit of a number differs: on another CPU or GPU, with another torch, seed, data or weights. It is counted in
  float64, so this is rare;
- on a GPU the peak memory includes the workspaces of libraries, which differ between GPUs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from arbench.bench.case import CaseKey
from arbench.bench.options import Options

INPUTS = ("seed", "data", "weights")


class Causes:
    """Differences between the two sides other than the code.

    Args:
        before: environment of the old side, as ``arbench.meters.environment`` returns it; a fact that either side
            lacks counts as different.
        after: environment of the new side.
        options_before: options of the old run; None where unknown.
        options_after: options of the new run.
    """

    def __init__(
        self,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        options_before: Options | None,
        options_after: Options,
    ) -> None:
        self._torch = _differs("torch", *(_torch(facts) for facts in (before, after)))
        self._cpu = _differs("CPU", *(_fact(facts, "cpu", "model") for facts in (before, after)))
        level = _differs("CPU capability", *(_fact(facts, "cpu", "capability") for facts in (before, after)))
        self._cpu = self._cpu or level
        self._gpu = _differs("GPU", *(_fact(facts, "gpu", "name") for facts in (before, after)))
        names = INPUTS if options_before is not None else ()
        other = [n for n in names if _input(options_before, n) != _input(options_after, n)]
        self._inputs = f"different {' and '.join(other)}" if other else None

    def of(self, case: CaseKey, metric: str) -> str | None:
        """Return why this counter of a case may differ, in words; None where only the code can be the cause."""
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
