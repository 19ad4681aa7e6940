"""The command that measures one case of a run."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from arbench.report.labels import is_kernel
from arbench.results import Case, Run, with_preset

_SAME = ("model", "preset", "op", "method", "backend", "device", "dtype", "batch", "n")
_DEFAULTS: dict[str, Any] = {
    "batch": 1,
    "device": "cpu",
    "dtype": "float32",
    "backend": "eager",
    "threads": 1,
    "seed": 0,
    "workers": 6,
    "target_ci": 0.05,
    "timeout": 120.0,
}
"""Defaults of options, which a command need not state."""
_INPUTS = ("batch", "device", "dtype", "backend", "data", "weights", "seed")
_TIMING = ("threads", "workers", "rounds", "budget", "target_ci", "timeout")
_BUDGETS = {"run": 30.0, "kernels": 120.0}
"""Default of ``--budget``, seconds, by command."""
_PEER = "peer:"


@dataclass(frozen=True)
class Command:
    """A command line that measures a case.

    Attributes:
        text: the command, quoted for a shell.
        alone: whether it measures nothing else.
    """

    text: str
    alone: bool


def case_command(case: Case, run: Run) -> Command | None:
    """Return the command that measures ``case`` with the settings of its run; None for a run that had no command.

    The command line selects kernels and passes, but neither sizes nor implementations, and adds peers to our methods:
    there the command measures other cases too.
    """
    if not run.argv:
        return None
    options: dict[str, Any] = {**run.plan.get("options", {})}
    if is_kernel(case):
        words = ["kernels", "--kernel", case.model, "--op", case.op]
        words += _others(options, ("device", "dtype", "seed", *_TIMING), "kernels")
        return Command(shlex.join(["arbench", *words]), alone=False)
    planned = _planned(case, run)
    spec = str(planned.get("spec") or with_preset(case.model, case.preset))
    method = str(planned.get("method_spec") or case.method)
    peer = method.startswith(_PEER)
    by = ["--peer", method.removeprefix(_PEER)] if peer else ["--method", method]
    settings = {**options, **{name: getattr(case, name) for name in ("batch", "device", "dtype", "backend")}}
    words = ["run", "--model", spec, "--op", case.op, *by, "--n", str(case.n)]
    return Command(shlex.join(["arbench", *words, *_others(settings, (*_INPUTS, *_TIMING), "run")]), alone=not peer)


def _planned(case: Case, run: Run) -> dict[str, Any]:
    """Return the entry of the plan that became the case; empty where the file has none."""
    planned = run.plan.get("cases")
    wanted = {name: getattr(case, name) for name in _SAME}
    entries = planned if isinstance(planned, list) else []
    return next((one for one in entries if all(one.get(name) == value for name, value in wanted.items())), {})


def _others(options: dict[str, Any], names: Iterable[str], command: str) -> list[str]:
    """Return the options that differ from their defaults."""
    defaults = {**_DEFAULTS, "budget": _BUDGETS[command]}
    given = {name: options.get(name) for name in names}
    return [
        word
        for name, value in given.items()
        if value is not None and value != defaults.get(name)
        for word in (f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value))
    ]
