"""The parameters that a feed implies, in the measured dtype and in float64."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor

from arbench.bench.dtypes import as_float64
from arbench.methods import Task
from arbench.models import Source

EXACT = 1e-10
"""Largest difference between two float64 computations of the same number, over 1 + its size."""


@dataclass
class Evidence:
    """Parameters implied by a feed (B, N), each (B, N, ...).

    Steps run on plain PyTorch whatever backend ``forward`` runs on, and in half precision they round more often
    than a fused kernel does. Tolerances therefore follow the larger of both errors.

    Attributes:
        params: in the measured dtype, on the measured backend.
        exact: in float64.
        plain: in the measured dtype on plain PyTorch; ``params`` itself where that is measured.
        nudged: in float64, of weights that are off by as much as the measured dtype rounds.
    """

    params: Tensor
    exact: Tensor
    plain: Tensor
    nudged: Tensor

    @property
    def rounding(self) -> float:
        """Largest change of a parameter that the dtype's rounding of the weights causes."""
        return float((self.nudged - self.exact).abs().max())

    @property
    def own_error(self) -> Tensor:
        """Largest difference of a parameter from float64's, per element (B, N)."""
        return (self.params.double() - self.exact).abs().amax(-1)

    @property
    def error(self) -> Tensor:
        """The larger of ``own_error`` and that of plain PyTorch, per element (B, N)."""
        return torch.maximum(self.own_error, (self.plain.double() - self.exact).abs().amax(-1))


def evidence(source: Source, twin: Source, f: Tensor, task: Task) -> Evidence:
    """Return the parameters of one parallel forward over a feed (B, N), in both dtypes."""
    params = source(f, source.encode(task.context, task.n))
    context = as_float64(dict(task.context))
    exact = twin(as_float64(f), twin.encode(context, task.n))
    with nudged(twin, params.dtype):
        off = twin(as_float64(f), twin.encode(context, task.n))
    backend = source.backend
    if backend == "eager":
        return Evidence(params, exact, params, off)
    try:
        plain = source.use("eager")(f, source.encode(task.context, task.n))
    finally:
        source.use(backend)
    return Evidence(params, exact, plain, off)


@contextmanager
def nudged(twin: Source, dtype: torch.dtype) -> Iterator[None]:
    """Change the weights of a float64 model by random amounts as large as the rounding errors of a dtype."""
    weights = [one for one in chain(twin.parameters(), twin.buffers()) if one.is_floating_point()]
    before = [one.detach().clone() for one in weights]
    generator = torch.Generator().manual_seed(0)
    try:
        for one in weights:  # in place, so that a layer which keeps something derived from its weights notices
            part = torch.rand(one.shape, generator=generator, dtype=torch.float64).to(one.device) - 0.5
            one.mul_(1 + torch.finfo(dtype).eps * part)
        yield
    finally:
        for one, kept in zip(weights, before, strict=True):
            one.copy_(kept)


def first_difference(mask: Tensor) -> list[int]:
    """Return [row, element] of the first element that a mask (B, N, ...) marks in any row."""
    flat = mask.flatten(2).any(-1) if mask.dim() > 2 else mask
    at = flat.any(0).nonzero()[0, 0]
    return [int(flat[:, at].nonzero()[0, 0]), int(at)]
