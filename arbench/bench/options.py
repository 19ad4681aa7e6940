"""What a run is asked, and the refusal of what no run can be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import msgspec

from arbench.bench.dtypes import DTYPES
from arbench.results import Run
from arbench.suggest import did_you_mean

MOST = 4096
"""Of workers, rounds and threads."""
LONGEST_S = 1e6
BACKENDS = ("eager", "triton", "numba")


class PlanError(Exception):
    """Refusal of options that make no plan; the message is one line for the user.

    Attributes:
        absent: whether the options name something that does not exist, as opposed to something broken.
    """

    absent = False


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
    """What a run of models is asked to do. Other lists, when empty, mean everything that fits.

    Args:
        models: NAME[:PRESET], path.py:Class[:PRESET] or package.module:Class[:PRESET]; with a suite, those
            of its models that are kept. By default wavenet, or all of the suite's.
        suite: name of one that ships, or path of a TOML file: see ``arbench.bench.suite``. What is asked
            here besides holds for all of its models.
        methods: names.
        n: elements of an event; each model's own ladder by default.
        batch: events at once; 1 by default.
        backend: what runs the kernels within the models: 'eager' (plain PyTorch), 'triton' or 'numba'.
        count_budget: seconds that counting one method's ladder, operation by operation, may take.
        data: the user's own data; what ships by default.
        weights: safetensors file; random weights by default.
    """

    models: Sequence[str] | None = None
    suite: str | None = None
    methods: Sequence[str] = ()
    n: Sequence[int] = ()
    batch: Sequence[int] = ()
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
