"""The parameters that a feed implies, in the measured dtype and in float64."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from arbench.bench.dtypes import as_float64
from arbench.bench.inexact import InexactError
from arbench.bench.models.precision import Rounded
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
        rounding: largest change of a parameter where the result of every operation is rounded to the measured dtype.
    """

    params: Tensor
    exact: Tensor
    plain: Tensor
    rounding: float

    @property
    def own_error(self) -> Tensor:
        """Largest difference of a parameter from float64's, per element (B, N)."""
        return (self.params.double() - self.exact).abs().amax(-1)

    @property
    def error(self) -> Tensor:
        """The larger of ``own_error`` and that of plain PyTorch, per element (B, N)."""
        return torch.maximum(self.own_error, (self.plain.double() - self.exact).abs().amax(-1))


KEPT = 2
"""Evidence that is kept for each model: methods that are right draw the same event, and score the same one."""
_kept: WeakKeyDictionary[Source, dict[Any, Evidence]] = WeakKeyDictionary()


def evidence(source: Source, twin: Source, f: Tensor, task: Task) -> Evidence:
    """Return the parameters of one parallel forward over a feed (B, N), in both dtypes.

    Of the last feeds of a model it is known, as long as no weight changes.
    """
    tensors = (f, *(task.context[name] for name in sorted(task.context)))
    weights = tuple((one.data_ptr(), one._version) for one in source.parameters())
    key = tuple(map(_bits, tensors)), weights, source.backend, id(twin)
    known = _kept.setdefault(source, {})
    if key not in known:
        found = _evidence(source, twin, f, task)
        while len(known) >= KEPT:
            del known[next(iter(known))]
        known[key] = found
    return known[key]


def _bits(tensor: Tensor) -> tuple[Any, ...]:
    plain = tensor.detach().contiguous().cpu()
    digest = hashlib.blake2b(plain.view(torch.uint8).numpy().tobytes(), digest_size=16).digest()
    return str(plain.dtype), tuple(plain.shape), digest


def _evidence(source: Source, twin: Source, f: Tensor, task: Task) -> Evidence:
    params = source(f, source.encode(task.context, task.n))
    context = as_float64(dict(task.context))
    exact = twin(as_float64(f), twin.encode(context, task.n))
    rounding = 0.0
    if params.dtype != torch.float64:
        with Rounded(params.dtype):
            rounding = float((twin(as_float64(f), twin.encode(context, task.n)) - exact).abs().max())
    backend = source.backend
    if backend == "eager":
        return Evidence(params, exact, params, rounding)
    try:
        plain = source.use("eager")(f, source.encode(task.context, task.n))
    finally:
        source.use(backend)
    return Evidence(params, exact, plain, rounding)


def first_difference(mask: Tensor) -> list[int]:
    """Return [row, element] of the first element that a mask (B, N, ...) marks in any row."""
    flat = mask.flatten(2).any(-1) if mask.dim() > 2 else mask
    at = flat.any(0).nonzero()[0, 0]
    return [int(flat[:, at].nonzero()[0, 0]), int(at)]


def check_finite(params: Tensor) -> None:
    """Raise InexactError unless parameters (B, N, P) are finite; names the first element, since others follow it."""
    if not params.isfinite().all():
        where = first_difference(~params.isfinite())
        raise InexactError(
            f"the model's parameters are not finite: those of element {where[1]} of row {where[0]}; check its weights",
            first_difference=where,
        )
