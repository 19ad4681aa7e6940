"""From what a user asks to the list of cases, with everything that can be wrong found before any work."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from arbench.bench.case import CaseKey
from arbench.bench.settings import DTYPES
from arbench.data import DataError
from arbench.methods import METHODS, methods_for
from arbench.models import Chosen, ModelError, Source, WeightsError, did_you_mean, resolve
from arbench.results import Run
from arbench.stats.claims import parse

MOST = 4096
"""Of workers, rounds and threads."""
LONGEST_S = 1e6
BACKENDS = ("eager", "triton", "numba")


class PlanError(Exception):
    """A question that cannot be asked; the message is one line for the user."""


Asked = TypeVar("Asked", bound="Measuring")


@dataclass(frozen=True)
class Measuring:
    """What every run is asked, whatever it measures.

    Args:
        ops: of those there are; all without any.
        device: 'cpu' or 'cuda', 'cuda:1', ...
        dtype: 'float64', 'float32', 'float16' or 'bfloat16'.
        threads: of torch, within an operation. One by default: steps are too small to share, and on a shared
            machine intervals are several times narrower.
        target_ci: relative width of the 95% interval at which a case needs no more workers.
        budget: seconds of timing for each model, or for all kernels.
        workers: fresh processes to time in, at least; more while budget remains and they help.
        rounds: fixed number of rounds in each of exactly ``workers`` workers; by default the budget rules.
        timeout: seconds after which one step of one case counts as hung.
        seed: of weights, noise, data and order.
    """

    ops: Sequence[str] = ()
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1
    target_ci: float = 0.05
    budget: float = 30.0
    workers: int = 6
    rounds: int | None = None
    timeout: float = 120.0
    seed: int = 0

    def as_plan(self) -> dict[str, Any]:
        """As plain JSON data."""
        return {k: list(v) if isinstance(v, tuple | list) else v for k, v in asdict(self).items()}

    def worker_facts(self) -> dict[str, Any]:
        """What a worker is told beside its cases: fields of ``job.Job``."""
        return {}


@dataclass(frozen=True)
class Options(Measuring):
    """What a run of models is asked to do. Empty lists mean everything that fits.

    Args:
        models: NAME[:PRESET], path.py:Class[:PRESET] or package.module:Class[:PRESET].
        methods: names.
        n: elements of an event; each model's own ladder by default.
        batch: events at once.
        backend: what runs the kernels within the models: 'eager' (plain PyTorch), 'triton' or 'numba'.
        count_budget: seconds that counting one method's ladder, operation by operation, may take.
        data: the user's own data; what ships by default.
        weights: safetensors file; random weights by default.
    """

    models: Sequence[str] = ("wavenet",)
    methods: Sequence[str] = ()
    n: Sequence[int] = ()
    batch: Sequence[int] = (1,)
    backend: str = "eager"
    count_budget: float = 8.0
    data: str | None = None
    weights: str | None = None

    def worker_facts(self) -> dict[str, Any]:
        return {"weights": self.weights, "data": self.data, "count_budget_s": self.count_budget}


def recorded_options(run: Run) -> Options:
    """What the run of a results file was asked. Raises PlanError where its plan is not of models."""
    if "kernels" in run.plan.get("options", {}):
        raise PlanError("the results file is of kernels; go on with: arbench kernels --resume")
    return converted(run, Options)


def converted(run: Run, kind: type[Asked]) -> Asked:
    """What the run of a results file was asked. Raises PlanError where its plan is not arbench's."""
    try:
        return msgspec.convert(run.plan["options"], kind)
    except (KeyError, msgspec.ValidationError) as error:
        raise PlanError(f"the plan in the results file cannot be resumed: {error}") from None


@dataclass(frozen=True)
class Plan:
    """The cases of a run, and what was asked."""

    options: Measuring
    cases: list[CaseKey] = field(default_factory=list)

    def settings(self) -> list[tuple[str, str, str]]:
        """Model, device and dtype of each group of cases that one worker holds."""
        return list(dict.fromkeys(case.setting for case in self.cases))


def make_plan(options: Options) -> Plan:
    """Checks the options against the models, and lists the cases.

    Raises:
        PlanError: anything is wrong; nothing was measured or written.
    """
    check_numbers(options)
    check_device(options.device, options.dtype)
    check_backend(options.backend, options.device)
    known = list(dict.fromkeys(m.name for m in METHODS))
    for name in options.methods:
        if name not in known:
            raise PlanError(f"unknown method '{name}'; {did_you_mean(name, known)}")
    for op in options.ops:
        if op not in ("score", "sample"):
            raise PlanError(f"unknown op '{op}'; {did_you_mean(op, ('score', 'sample'))}")
    if not options.models:
        raise PlanError("no model: say --model NAME")
    if options.weights is not None and len(set(options.models)) > 1:
        raise PlanError("--weights belongs to one model; run the others apart")
    cases = [case for spec in dict.fromkeys(options.models) for case in _cases(spec, options)]
    unique = {case.id: case for case in cases}
    for case in cases:
        if case.spec != unique[case.id].spec:
            raise PlanError(
                f"'{unique[case.id].spec}' and '{case.spec}' are both called {case.model}:{case.preset}; "
                "rename one"
            )
    return Plan(options, list(unique.values()))


def check_numbers(options: Measuring) -> None:
    """Refuses numbers that no run can have. Raises PlanError."""
    for name in ("n", "batch"):
        for value in getattr(options, name, ()):
            if value < 1:
                raise PlanError(f"--{name} must be at least 1, got {value}")
    for name in ("workers", "rounds", "threads"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise PlanError(f"--{name} must be at least 1, got {value}")
        if value is not None and value > MOST:
            raise PlanError(f"--{name} must be at most {MOST}, got {value}")
    for name in ("budget", "timeout", "count_budget"):
        if not getattr(options, name, 1.0) > 0:
            raise PlanError(f"--{name.replace('_', '-')} must be above 0 seconds")
        if getattr(options, name, 1.0) > LONGEST_S:
            raise PlanError(f"--{name.replace('_', '-')} must be at most {LONGEST_S:g} seconds")
    if not 0 < options.target_ci < 1:
        raise PlanError(f"--target-ci is a relative width between 0 and 1, got {options.target_ci}")
    if not 0 <= options.seed < 2**63:
        raise PlanError(f"--seed must lie in 0 .. 2^63 - 1, got {options.seed}")


def check_device(device: str, dtype: str) -> None:
    """Refuses a device that is not here, or an unknown dtype. Raises PlanError."""
    import torch

    if dtype not in DTYPES:
        raise PlanError(f"unknown dtype '{dtype}'; {did_you_mean(dtype, DTYPES)}")
    if device == "cpu":
        return
    if not re.fullmatch(r"cuda(:\d+)?", device):
        raise PlanError(f"unknown device '{device}'; there is: cpu, cuda, cuda:INDEX")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise PlanError(f"device '{device}': torch {torch.__version__} sees no CUDA device here; use cpu")
    if ":" in device and int(device.partition(":")[2]) >= count:
        raise PlanError(f"device '{device}': there are {count}, numbered from 0")


def check_backend(backend: str, device: str) -> None:
    """Refuses a backend that does not run models on a device. Raises PlanError."""
    if backend not in BACKENDS:
        raise PlanError(f"unknown backend '{backend}'; {did_you_mean(backend, BACKENDS)}")
    if backend == "triton" and device == "cpu":
        raise PlanError("backend 'triton' needs a CUDA device: --device cuda")
    if backend == "numba" and device != "cpu":
        raise PlanError("backend 'numba' runs on the CPU: --device cpu")


def _cases(spec: str, options: Options) -> list[CaseKey]:
    try:
        chosen = resolve(spec)
    except ModelError as error:
        raise PlanError(str(error)) from None
    with _answering(chosen):
        return _cases_of(chosen, options)


@contextmanager
def _answering(chosen: Chosen) -> Iterator[None]:
    """Makes one line of what a user's model raises; an error of arbench's own models stays as it is."""
    try:
        yield
    except PlanError:
        raise
    except Exception as error:
        if chosen.cls.__module__.startswith("arbench."):
            raise
        at = traceback.extract_tb(error.__traceback__)[-1]
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise PlanError(f"model '{chosen.spec}': {what} ({Path(at.filename).name}:{at.lineno})") from error


def _cases_of(chosen: Chosen, options: Options) -> list[CaseKey]:
    try:
        weights = Path(options.weights) if options.weights else None
        source = chosen.build(options.seed, DTYPES[options.dtype], "cpu", weights)
    except (ModelError, WeightsError) as error:
        raise PlanError(str(error)) from None
    sizes = list(dict.fromkeys(options.n or source.ladder))
    for n in sizes:
        try:
            source.schedule(n)
        except ValueError as error:
            raise PlanError(f"{chosen.name}:{chosen.preset}: {error}") from None
    _check_data(chosen, source, max(sizes), options)
    methods = [
        m
        for m in methods_for(source)
        if (not options.ops or m.op in options.ops) and (not options.methods or m.name in options.methods)
    ]
    if not methods:
        have = dict.fromkeys(f"{m.op} {m.name}" for m in methods_for(source))
        raise PlanError(f"model '{chosen.name}' has none of the methods asked for; it has: {', '.join(have)}")
    return [
        _case(chosen, source, method, batch, n, options)
        for method in methods
        for batch in dict.fromkeys(options.batch)
        for n in sorted(sizes)
    ]


def _case(chosen: Chosen, source: Source, method: Any, batch: int, n: int, options: Options) -> CaseKey:
    claim = source.claims.get((method.op, method.name))
    try:
        for stated in (claim.depth, claim.work) if claim else ():
            parse(stated)
    except ValueError as error:
        raise PlanError(f"model '{chosen.spec}' claims of {method.op} {method.name}: {error}") from None
    return CaseKey(
        spec=chosen.spec,
        model=chosen.name,
        preset=chosen.preset,
        op=method.op,
        method=method.name,
        backend=options.backend,
        device=options.device,
        dtype=options.dtype,
        batch=batch,
        n=n,
        element=source.element,
        weights=source.weights(n),
        exactness=method.exactness,
        rate_hz=source.rate_hz,
        claimed_depth=claim.depth if claim else None,
        claimed_work=claim.work if claim else None,
        reference=method.reference,
        data_dependent=method.data_dependent,
    )


def _check_data(chosen: Chosen, source: Source, n: int, options: Options) -> None:
    try:
        data = chosen.cls.load_data(options.data, chosen.config) if options.data else None
        source.observe(n, [0], options.seed, data)
    except (DataError, NotImplementedError) as error:
        raise PlanError(str(error)) from None
