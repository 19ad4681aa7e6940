"""The check of ``arbench.testing.assert_exact``: that of ``arbench verify``, in this process and of objects too."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from arbench.api.measured import _checked, _methods, _named, _placed
from arbench.bench.dtypes import DTYPES, by_name
from arbench.bench.job import Job, Planned
from arbench.bench.models.few import Few
from arbench.bench.options import Options, PlanError
from arbench.bench.plan import Plan, planning
from arbench.bench.workers.checker import checks
from arbench.bench.workers.checking import Checks
from arbench.border.naming import with_setting
from arbench.distributions import Distribution
from arbench.methods import registry as methods_registry
from arbench.models import ModelError, Source, WeightsError
from arbench.models.registry import GIVEN, Chosen
from arbench.own.raised import one_line
from arbench.report.models.verify import Correctness, correctness, lines
from arbench.results import Verification

WIDTH = 110
"""Characters of a line of the message."""
DTYPE = "float32"
"""Data type of what has none of its own."""
FURTHER = "float64"
"""Data type in which is checked too, where there is time."""


@dataclass(frozen=True)
class Built(Chosen):
    """A model of the user's that is built already: ``build`` returns a copy with its present weights."""

    model: Source | None = None

    def build(
        self,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        weights: Path | None = None,
        backend: str = "eager",
    ) -> Source:
        """Return a copy in evaluation mode; see ``Chosen.build``."""
        assert self.model is not None
        if weights is not None:
            raise ModelError(f"{self.name} has weights of its own; leave out weights")
        found, draft = self._copied(self.model, dtype, device), self.model.draft
        if draft is not None:
            object.__setattr__(found, "draft", self._copied(draft, dtype, device))
        return found.use(backend)

    def trained_draft(self) -> None:
        """Return nothing: the weights of the draft are what they are."""

    def _copied(self, model: Source, dtype: torch.dtype, device: torch.device | str) -> Source:
        try:
            memo = {id(one.grad): None for one in model.parameters() if one.grad is not None}
            found = copy.deepcopy(model, memo)
        except Exception as error:  # the user's class may refuse in any way
            raise ModelError(f"{self.name} cannot be copied ({one_line(error)}); pass its class") from error
        return found.to(device, dtype).eval().requires_grad_(False)


def checked(model: Any, *, law: str | None, device: Any, options: dict[str, Any]) -> Correctness:
    """Check a model in this process; see ``arbench.testing.assert_exact`` for the arguments.

    Raises:
        PlanError: an argument is wrong, or the model cannot be built.
    """
    functions: dict[str, Any] = {}
    given: dict[str, Any] = {}
    dtype, own_device = _own(model)
    device = device if device is not None else own_device
    wanted = by_name(options.pop("dtype"))
    options = _checked({**options, "methods": _methods(options["methods"], functions), "device": str(device)})
    spec = model if isinstance(model, str) else _given(model, law, given)
    spec = spec if law is None else with_setting(spec, f"law={law}")
    first = wanted or dtype
    dtypes = [first] if wanted or first == FURTHER else [first, FURTHER]
    plan_options = Options(models=[spec], dtype=first, threads=torch.get_num_threads(), **options)
    with _alone(str(device)), _registered(given, functions):
        try:
            found = _run(plan_options, dtypes)
        except (ModelError, WeightsError) as error:
            raise PlanError(str(error)) from error
    rows = found.rows()
    return correctness(found.cases[0].spec, rows, native=found.native, lacking=[*found.lacking.items()], asserting=True)


def said(found: Correctness) -> str:
    """Return the message of an assertion."""
    return "\n".join(lines(found, WIDTH))


def _own(model: Any) -> tuple[str, str]:
    """Return the data type and device of an object, or those of what has none."""
    if not isinstance(model, torch.nn.Module):
        return DTYPE, "cpu"
    first = next((one for one in model.parameters() if one.is_floating_point()), torch.empty(0))
    names = {kind: name for name, kind in DTYPES.items()}
    return names.get(first.dtype, DTYPE), str(first.device)


def _given(model: Any, law: str | None, given: dict[str, Any]) -> str:
    """Return what messages call a model that the user passed, and add it under this name. Raises PlanError."""
    if not isinstance(model, Source):
        return _named(model, law, given)
    kind = type(model)
    if law is not None:
        raise PlanError(f"{kind.__name__} has a law of its own; leave out law")
    if not isinstance(getattr(model, "distribution", None), Distribution):
        raise PlanError(f"{kind.__name__} sets no self.distribution; set one of arbench.distributions")
    name = _placed(kind.__name__, kind.__module__)
    given[name] = Built(name, name, "", kind, {}, model=model)
    return name


@contextmanager
def _registered(given: dict[str, Any], functions: dict[str, Any]) -> Iterator[None]:
    """Let models and methods be named like this in this process. Raises PlanError if one is named already."""
    for name in given:
        if name in GIVEN:
            raise PlanError(f"another thread measures {name} in this process; wait until it is done")
    GIVEN.update(given)
    methods_registry.GIVEN.update(functions)
    try:
        yield
    finally:
        for name in given:
            del GIVEN[name]
        for name in functions:
            methods_registry.GIVEN.pop(name, None)


@contextmanager
def _alone(device: str) -> Iterator[None]:
    """Leave the random state, the gradient mode and the flags of PyTorch as they are."""
    flag = torch.backends.cudnn.allow_tf32
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
            yield
    finally:
        torch.backends.cudnn.allow_tf32 = flag


def _run(options: Options, dtypes: list[str]) -> Checks:
    """Plan and verify."""
    began, few, found = time.monotonic(), Few(dtypes), Checks()
    steps = planning(options, None, few)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            plan: Plan = end.value
            break
    found.take(Planned(plan.cases, plan.models, lacking=plan.lacking, native=few.native))
    job = Job("check", [], options.seed, options.threads, **options.worker_facts())
    for message in checks(job, plan.cases, few.spare):
        if isinstance(message.line, Verification):
            found.lines[message.line.case] = message.line
    found.seconds = time.monotonic() - began
    return found
