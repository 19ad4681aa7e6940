"""A model made ready to be measured: built, with its float64 twin, its data and its tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.distributions import uniforms
from arbench.methods import METHODS, Method, Outcome, Task
from arbench.models import Context, Source, resolve

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


def method_of(case: CaseKey, source: Source) -> Method:
    """The method that a case names, for this kind of model."""
    return next(m for m in METHODS if (m.op, m.name, m.feeds) == (case.op, case.method, source.feeds))


@dataclass
class Setting:
    """One model in one dtype on one device, and everything its cases run on.

    Args:
        spec: of the model.
        dtype, device: as in ``Options``.
        seed: of weights, noise and data.
        weights: safetensors file, or None for random weights.
        data: path of the user's data, or None.
        backend: what runs the kernels within: 'eager', 'triton' or 'numba'.
    """

    spec: str
    dtype: str
    device: str
    seed: int
    weights: str | None = None
    data: str | None = None
    backend: str = "eager"

    def __post_init__(self) -> None:
        self.chosen = resolve(self.spec)
        self.loaded = self.chosen.cls.load_data(self.data, self.chosen.config) if self.data else None

    def build(self, dtype: str | None = None) -> Source:
        """The model, anew in fresh memory."""
        weights = Path(self.weights) if self.weights else None
        more = {} if self.backend == "eager" else {"backend": self.backend}
        return self.chosen.build(self.seed, DTYPES[dtype or self.dtype], self.device, weights, **more)

    @property
    def eager(self) -> Setting:
        """The same on plain PyTorch, where every operation can be seen and counted."""
        return replace(self, backend="eager")

    def twin(self, source: Source) -> Source:
        """The model in float64 and on plain PyTorch, with the weights as ``source`` has rounded them."""
        other = self.eager.build("float64")
        other.load_state_dict({k: v.double() for k, v in source.state_dict().items()})
        return other

    def task(self, source: Source, case: CaseKey, record: bool = False) -> Task:
        """What the case runs on: noise made beforehand, real events, their conditioning.

        Rows are numbered from 0, so that a batch's first row is the single event of batch 1.
        """
        kind = DTYPES[self.dtype]
        rows = range(case.batch)
        x, context = source.observe(case.n, rows, self.seed, self.loaded)
        context = {k: _moved(v, self.device, kind) for k, v in context.items()}
        noise = source.distribution.noise(self.seed, rows, range(case.n), kind, self.device)
        if case.op == "sample":
            chance = None
            if method_of(case, source).chance:  # a stream of its own beside the noise
                width = 1 + source.distribution.noise_width
                chance = uniforms(self.seed + 2**63, rows, range(case.n), width).to(self.device)
            return Task(case.n, context, noise=noise, chance=chance, record=record)
        x = _moved(x, self.device, kind)
        if case.method == "own_samples":
            return Task(case.n, context, noise, self._own(source, case.n, context, noise))
        return Task(case.n, context, x=x)

    @staticmethod
    def _own(source: Source, n: int, context: Context, noise: Tensor) -> Tensor:
        with torch.no_grad():
            return source.distribution.draw(source(noise.squeeze(-1), source.encode(context, n)), noise)


def run(source: Source, case: CaseKey, task: Task) -> Outcome:
    """The call that is measured."""
    return method_of(case, source).run(source, task)


def _moved(value: Tensor, device: str, dtype: torch.dtype) -> Tensor:
    return value.to(device, dtype) if value.is_floating_point() else value.to(device)


def as_float64(value: Any) -> Any:
    """``value`` with floating-point tensors in float64, through the containers a task holds."""
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {k: as_float64(v) for k, v in value.items()}
    return value
