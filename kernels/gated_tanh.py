"""The gate of a WaveNet layer, tanh(f) sigmoid(g), in one pass with two exponentials and one division a channel.

For CPUs only: native samplers are made of it; see ``arbench.kernels.samplers.gates``. On a GPU the gate is fused into
``causal_conv1d`` and ``wavenet_layer``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from arbench.kernels.core.calls import as_given
from arbench.kernels.core.launch import empty
from arbench.kernels.core.spec import Config, Cost, Inputs, Kernel, Op, choose, floating, normal

NAME = "gated_tanh"
BACKENDS = ("eager", "numba")


def _numba(a: Tensor) -> Tensor:
    from arbench.kernels.core import numba_rows
    from arbench.kernels.samplers.gates import gate_rows

    numba_rows.check(NAME, a=a)
    y = empty((*a.shape[:-1], a.shape[-1] // 2), a.dtype, a.device)
    if y.numel():
        memory, starts = numba_rows.flat(a)
        size, rows = y.shape[-1], len(starts)
        numba_rows.over_rows(gate_rows, rows, 2 * size, memory, starts, y.view(rows, size).numpy())
    return y


def _eager(a: Tensor) -> Tensor:
    f, g = a.chunk(2, dim=-1)
    if a.dtype in (torch.float32, torch.float64):
        return f.tanh() * g.sigmoid()
    return (f.float().tanh() * g.float().sigmoid()).to(a.dtype)


@as_given
@torch.no_grad()
def gated_tanh(a: Tensor, *, backend: str | None = None) -> Tensor:
    """Return tanh(f) sigmoid(g) for a = (f, g) along the last axis. Not differentiable.

    Args:
        a: (..., 2 G) of any strides; float64, float32, float16 or bfloat16, the last two computed in float32.
        backend: "eager" or "numba" (float32 and float64 on the CPU, contiguous along the last axis, as many threads as
            ``torch.get_num_threads()``); by default "eager".

    Returns:
        (..., G), of the dtype of ``a``, with an error of a few units of rounding of 1; NaN where f or g is NaN.

    Raises:
        ValueError: the last axis is odd or missing, or not contiguous (Numba).
        TypeError: ``a`` is not floating-point, or in half precision (Numba).

    Source: van den Oord et al., *WaveNet*, 2016, eq. 2.
    """
    floating(NAME, a=a)
    if a.dim() == 0 or a.shape[-1] % 2:
        raise ValueError(f"{NAME}: the last axis of a must be even, f then g; the shape is {tuple(a.shape)}")
    return (_eager if choose(NAME, backend, a, BACKENDS) == "eager" else _numba)(a)


def _inputs(
    *,
    dtype: torch.dtype,
    device: torch.device | str,
    generator: torch.Generator | None = None,
    rows: int,
    channels: int,
) -> Inputs:
    return {"a": normal((rows, 2 * channels), dtype, device, generator) * 2}


def _cost(op: Op, inputs: Inputs) -> Cost:
    a = inputs["a"]
    return Cost(a.nbytes // 2 * 3, 11 * (a.numel() // 2))


def _dims(config: Config) -> tuple[int, int]:
    return config["rows"], config["channels"]


GATED_TANH = Kernel(
    name=NAME,
    summary="the gate of a WaveNet layer, tanh(f) sigmoid(g)",
    call=gated_tanh,
    inputs=_inputs,
    cost=_cost,
    formula={"forward": "bytes = 3 R G s, FLOPs = 11 R G"},
    matrix=[],
    checks=[dict(rows=3, channels=37)],
    sizes={"cpu": [dict(rows=16000, channels=64), dict(rows=16, channels=256)], "cuda": []},
    dims=_dims,
    element="channel",
    backends=BACKENDS,
)
"""See ``gated_tanh``."""
