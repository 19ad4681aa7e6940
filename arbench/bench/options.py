"""The options of a run, and checks that refuse impossible ones."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import msgspec

from arbench.backends import COMPILE, MODEL_BACKENDS
from arbench.border.printable import encodable, on_one_line
from arbench.border.suggest import did_you_mean
from arbench.results import Run

MOST = 4096
"""Largest number of workers, rounds and threads."""
LEAST_SECONDS, MOST_SECONDS = 1e-3, 1e6
"""Smallest and largest budget and timeout, in seconds."""
INDUCTOR = "TORCHINDUCTOR_CACHE_DIR"
"""Variable that names the folder in which torch.compile keeps its code."""
MOST_EVENTS = 2**40
"""Largest number of elements of an event, and of events at once."""


class PlanError(Exception):
    """Refusal of options that make no plan; the message is one line for the user.

    Attributes:
        absent: whether the options name something that does not exist, as opposed to something broken.
    """

    absent = False

    def __init__(self, why: str, absent: bool | None = None) -> None:
        super().__init__(why)
        if absent is not None:
            self.absent = absent


Kind = TypeVar("Kind", bound="Measuring")


@dataclass(frozen=True)
class Measuring:
    """Options of every run, of models or of kernels.

    Args:
        ops: operations to measure; all if empty.
        device: 'cpu', 'cuda', 'cuda:1', ...
        dtype: 'float64', 'float32', 'float16' or 'bfloat16'.
        threads: threads of torch within an operation. One by default: steps are too small to share, and on a
            shared machine one thread gives intervals that are several times narrower.
        target_ci: relative width of the 95% interval at which a case needs no more workers.
        budget: seconds of timing for each model, or for all kernels together.
        workers: smallest number of fresh processes to time in; more while they help and the budget allows.
        rounds: fixed number of rounds in each of exactly ``workers`` workers; None to let the budget decide.
        timeout: seconds after which one step of one case counts as hung.
        seed: seed of weights, noise, data and order.
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
        """Return the options as plain JSON data."""
        return {k: list(v) if isinstance(v, tuple | list) else v for k, v in asdict(self).items()}

    def worker_facts(self) -> dict[str, Any]:
        """Return the fields of ``job.Job`` that follow from the options alone."""
        return {}


@dataclass(frozen=True)
class Options(Measuring):
    """Options of a run of models; an empty list means everything that fits.

    Args:
        models: NAME[:PRESET], path.py:Class[:PRESET] or package.module:Class[:PRESET], with @WEIGHTS behind it for
            trained weights; with a suite, the models of it to keep. By default wavenet, or all models of the suite.
        suite: name of a suite that ships, or path of a TOML file: see ``arbench.bench.suite``. The other options
            apply to all of its models.
        methods: NAME, path.py:function or package.module:function, each with ,KEY=VALUE behind it for its settings.
        peers: NAME=PATH, each an adapter and a checkout of other people's repository; see ``arbench.methods.peers``.
        n: numbers of elements of an event; by default each model's own ladder.
        batch: numbers of events at once; by default 1.
        backend: backend of the models: 'eager' (plain PyTorch), 'compile' (under ``torch.compile``), 'triton' or
            'numba' (kernels of that language).
        count_budget: seconds for counting one method's ladder, operation by operation.
        data: path of the user's data; None for the data that ships.
        weights: safetensors file; None for random weights.
    """

    models: Sequence[str] | None = None
    suite: str | None = None
    methods: Sequence[str] = ()
    peers: Sequence[str] = ()
    n: Sequence[int] = ()
    batch: Sequence[int] = ()
    backend: str = "eager"
    count_budget: float = 8.0
    data: str | None = None
    weights: str | None = None

    def worker_facts(self) -> dict[str, Any]:
        """Return the fields of ``job.Job`` that follow from the options alone."""
        return {"weights": self.weights, "data": self.data, "count_budget_s": self.count_budget}


def recorded_options(run: Run) -> Options:
    """Return the options of a recorded run. Raises PlanError if it is not a run of models."""
    if "kernels" in run.plan.get("options", {}):
        raise PlanError("the results file is a run of kernels; continue it with: arbench kernels --resume")
    return converted(run, Options)


def converted(run: Run, kind: type[Kind]) -> Kind:
    """Return the options of a recorded run. Raises PlanError if its plan is not arbench's."""
    try:
        return msgspec.convert(run.plan["options"], kind)
    except (KeyError, msgspec.ValidationError) as error:
        raise PlanError(
            f"the plan in the results file cannot be resumed: {on_one_line(error)}; start another run"
        ) from None


def check_texts(options: Measuring) -> None:
    """Raise PlanError for names that no results file can store: those of paths that are not UTF-8."""
    for name, value in asdict(options).items():
        for text in value if isinstance(value, list | tuple) else [value]:
            if isinstance(text, str) and text != encodable(text):
                option = name.removesuffix("s") if isinstance(value, list | tuple) else name
                raise PlanError(f"--{option} {text}: not UTF-8, so no results file can name it; rename the file")


def check_numbers(options: Measuring) -> None:
    """Raise PlanError for numbers that no run can have."""
    for name in ("n", "batch"):
        check_sizes(f"--{name}", getattr(options, name, ()))
    for name in ("workers", "rounds", "threads"):
        value = getattr(options, name)
        if value is not None:
            check_between(f"--{name}", value, 1, MOST)
    for name in ("budget", "timeout", "count_budget"):
        if hasattr(options, name):
            check_seconds(f"--{name.replace('_', '-')}", getattr(options, name))
    if not 0 < options.target_ci < 1:
        raise PlanError(f"--target-ci must be a relative width between 0 and 1, got {options.target_ci}")
    check_seed(options.seed)


def check_sizes(name: str, values: Sequence[int]) -> None:
    """Raise PlanError for a number of elements or events that no run can have."""
    for value in values:
        check_between(name, value, 1, MOST_EVENTS)


def check_between(name: str, value: int, least: int, most: int) -> None:
    """Raise PlanError for an integer outside its limits."""
    if value < least:
        raise PlanError(f"{name} must be at least {least}, got {value}")
    if value > most:
        raise PlanError(f"{name} must be at most {most}, got {value}")


def check_seconds(name: str, value: float) -> None:
    """Raise PlanError for seconds that are no duration, in which nothing can be done, or that limit nothing."""
    if not value > 0:
        raise PlanError(f"{name} must be above 0 seconds")
    if value < LEAST_SECONDS:
        raise PlanError(f"{name} must be at least {LEAST_SECONDS:g} seconds, got {value:g}")
    if value > MOST_SECONDS:
        raise PlanError(f"{name} must be at most {MOST_SECONDS:g} seconds")


def check_seed(seed: int) -> None:
    """Raise PlanError for a seed that the generators do not take."""
    if not 0 <= seed < 2**63:
        raise PlanError(f"--seed must be between 0 and 2^63 - 1, got {seed}")


def check_device(device: str, dtype: str) -> None:
    """Raise PlanError for a device that this machine does not have, or an unknown dtype."""
    import torch

    from arbench.bench.dtypes import DTYPES

    if dtype not in DTYPES:
        raise PlanError(f"unknown dtype '{dtype}'; {did_you_mean(dtype, DTYPES)}")
    if device == "cpu":
        return
    if not re.fullmatch(r"cuda(:\d+)?", device):
        raise PlanError(f"unknown device '{device}'; use cpu, cuda or cuda:INDEX")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise PlanError(f"device '{device}': torch {torch.__version__} sees no CUDA device here; use cpu")
    if ":" in device and int(device.partition(":")[2]) >= count:
        raise PlanError(f"device '{device}': the CUDA devices here are numbered 0 to {count - 1}; use one of them")


def check_backend(backend: str, device: str) -> None:
    """Raise PlanError for a backend that cannot run models on a device."""
    if backend not in MODEL_BACKENDS:
        raise PlanError(f"unknown backend '{backend}'; {did_you_mean(backend, MODEL_BACKENDS)}")
    if backend == "triton" and device == "cpu":
        raise PlanError("backend 'triton' needs a CUDA device; add --device cuda")
    if backend == "numba" and device != "cpu":
        raise PlanError("backend 'numba' runs only on the CPU; use --device cpu")
    if backend == COMPILE and (missing := without_compiler()):
        raise PlanError(f"backend '{COMPILE}' needs a C++ compiler: {missing}")
    if backend == COMPILE and (why := without_place()):
        raise PlanError(f"backend '{COMPILE}' {why}; set {INDUCTOR} to a folder that can be written")


def without_compiler() -> str | None:
    """Return why torch.compile would find no C++ compiler here, and what to do; None if it finds one."""
    named = os.environ.get("CXX")
    if named and not shutil.which(named):
        return f"CXX names '{named}', which is not on the PATH; correct or unset CXX"
    if named or shutil.which("g++"):
        return None
    return "g++ is not on the PATH; install it, as with apt-get install g++, or set CXX"


def without_place() -> str | None:
    """Return why torch.compile could not keep its code, which it needs to run it; None if it can."""
    name = os.environ.get(INDUCTOR)
    if name is None:
        try:
            user = getpass.getuser()
        except (KeyError, ModuleNotFoundError, OSError):  # as PyTorch names the folder then
            user = f"uid_{os.getuid()}"
        name = os.path.join(tempfile.gettempdir(), f"torchinductor_{user}")
    folder = os.path.abspath(name)
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"keeps its code in {folder}, which cannot be written: {error.strerror}"
