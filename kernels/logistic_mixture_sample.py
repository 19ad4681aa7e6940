"""Draws from a discretized mixture of logistics with given noise, and their log-probability, in one read."""

from __future__ import annotations

import math

import torch
import triton
from torch import Tensor

from arbench.backends import BACKENDS
from arbench.kernels.core.calls import as_given
from arbench.kernels.core.launch import empty, launch
from arbench.kernels.core.rows import rows_of
from arbench.kernels.core.spec import Config, Cost, Inputs, Kernel, Op, choose, normal, with_noise
from arbench.kernels.mixture import eager
from arbench.kernels.mixture.inputs import random_params
from arbench.kernels.mixture.parameters import LOG_SCALE_CEILING, LOG_SCALE_FLOOR, check, result_dtype, width
from arbench.kernels.mixture.sample_programs import logistic_mixture_sample_kernel
from arbench.kernels.mixture.tiles import constants, is_dense, tile, vectorised

NAME = "logistic_mixture_sample"


def _triton(params: Tensor, noise: Tensor, levels: int, components: int, channels: int) -> tuple[Tensor, Tensor]:
    shape = params.shape[:-1]
    x = empty(shape if channels == 1 else (*shape, channels), torch.int64, params.device)
    out = empty(shape, result_dtype(params), params.device)
    found = rows_of(NAME, params[..., 0], noise[..., 0], x if channels == 1 else x[..., 0], out)
    params_strides, noise_strides, x_strides, out_strides = found.strides
    tiles = tile(params, components, channels)
    launch(
        logistic_mixture_sample_kernel,
        (triton.cdiv(found.count, tiles["BLOCK_ROWS"]),),
        params,
        noise,
        x,
        out,
        found.count,
        *found.inner,
        *params_strides,
        params.stride(-1),
        *noise_strides,
        noise.stride(-1),
        *x_strides,
        1,
        *out_strides,
        DENSE=is_dense(found, 0, params),
        **constants(levels, components, channels),
        **tiles,
    )
    return x, out


def _numba(params: Tensor, noise: Tensor, levels: int, components: int, channels: int) -> tuple[Tensor, Tensor]:
    from arbench.kernels.core import numba_rows
    from arbench.kernels.mixture import numba_mixture
    from arbench.kernels.samplers.draws import DISCRETISED, Law, draw_rows

    numba_rows.check(NAME, params=params, noise=noise)
    shape = params.shape[:-1]
    x = empty(shape if channels == 1 else (*shape, channels), torch.int64, params.device)
    law = Law(DISCRETISED, levels, components, LOG_SCALE_FLOOR, LOG_SCALE_CEILING)
    (memory, starts), (z, noise_starts) = numba_rows.flat(params), numba_rows.flat(noise)
    of_each, rows = params.shape[-1], len(starts)
    given = (law, memory, starts, of_each, z, noise_starts, x.view(rows, channels).numpy())
    numba_rows.over_rows(draw_rows, rows, of_each, *given)
    return x, numba_mixture.log_prob(params, x, levels, components, channels)


def _eager(params: Tensor, noise: Tensor, levels: int, components: int, channels: int) -> tuple[Tensor, Tensor]:
    x = eager.draw(params, noise, levels, components, channels)
    return x, eager.log_prob(params, x, levels, components, channels)


@as_given
@torch.no_grad()
def logistic_mixture_sample(
    params: Tensor,
    noise: Tensor,
    *,
    levels: int,
    components: int,
    channels: int = 1,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw levels from a discretized mixture of logistics, and return them with their log-probability in nats.

    The component is the arg-max of logits plus Gumbel noise, the first of equal ones. The level is the nearest
    to mean + scale * (logistic noise), halves to the even one, clamped to the first and last level; its
    distribution is that of ``logistic_mixture_log_prob``. With three channels the mean of g depends on the
    rounded r, and that of b on the rounded r and g. Not differentiable.

    Args:
        params: (..., P) of any strides, as in ``logistic_mixture_log_prob``.
        noise: (..., K + C): K standard Gumbel numbers, then a standard logistic number for each channel; of
            the parameters' dtype, or float32 for half precision.
        levels: number of levels, 2 to 2^24.
        components: number of components, K.
        channels: number of channels C, 1 or 3.
        backend: "eager", "triton" or "numba" (float32 and float64 on the CPU, contiguous along the last axis,
            as many threads as ``torch.get_num_threads()``); by default Triton for a tensor on a GPU.

    Returns:
        int64 levels (...,) or, with three channels, (..., 3); log-probabilities (...,), float64 for float64
        parameters and float32 otherwise. A row with NaN among its parameters has log-probability NaN and some
        levels all the same, the same on every backend: NaN is the highest score of a component, and rounds to 0.

    Raises:
        ValueError: sizes or devices do not fit; more than three axes of rows do not merge (Triton); a last axis is
            not contiguous (Numba).
        TypeError: params or noise are not floating-point, of different dtypes, or in half precision (Numba).

    Source: Salimans et al., *PixelCNN++*, 2017, sections 2.1 and 2.2.
    """
    check(NAME, params, levels, components, channels)
    with_noise(NAME, noise, params=params)
    expected = (*params.shape[:-1], components + channels)
    if noise.shape != expected:
        raise ValueError(
            f"{NAME}: noise must have shape {expected} for params of shape {tuple(params.shape)}, "
            f"not {tuple(noise.shape)}"
        )
    run = {"eager": _eager, "triton": _triton, "numba": _numba}[choose(NAME, backend, params, BACKENDS)]
    return run(params, noise, levels, components, channels)


def _inputs(
    *,
    dtype: torch.dtype,
    device: torch.device | str,
    generator: torch.Generator | None = None,
    rows: int,
    components: int = 10,
    levels: int = 256,
    channels: int = 1,
    layout: str = "rows",
) -> Inputs:
    shape = (rows, components + channels)
    u = normal(shape, torch.float64, device, generator).mul(math.sqrt(0.5)).erfc() / 2
    gumbel, logistic = -(-u[:, :components].log()).log(), u[:, components:].logit()
    return {
        "params": random_params(rows, components, channels, layout, dtype, device, generator),
        "noise": torch.cat([gumbel, logistic], dim=1).to(dtype),
        "levels": levels,
        "components": components,
        "channels": channels,
    }


def _near_ties(inputs: Inputs, dtype: torch.dtype) -> Tensor:
    """Return the rows where the two best components, or a value and the border of its bin, are close together.

    In plain PyTorch, rounding errors add up to at most 3 units in the last place of a value's size, the sum of
    the magnitudes of its terms; exponentials on a GPU add a few units.
    """
    params, noise, levels = inputs["params"], inputs["noise"], inputs["levels"]
    components, channels = inputs["components"], inputs["channels"]
    slack = 8 * torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps
    near = params.new_zeros(params.shape[:-1], dtype=torch.bool)
    if components > 1:
        best = (params[..., :components] + noise[..., :components]).topk(2, dim=-1).values
        near = best[..., 0] - best[..., 1] <= slack * (1 + best[..., 0].abs())
    value, size = eager.continuous(params, noise, levels, components, channels)
    inside = value.clamp(0, levels - 1)
    border = (inside - 0.5).round().clamp(0, levels - 2) + 0.5
    return near | ((value - border).abs() <= slack * size).any(-1)


def _cost(op: Op, inputs: Inputs) -> Cost:
    params, noise, channels = inputs["params"], inputs["noise"], inputs["channels"]
    rows = math.prod(params.shape[:-1])
    moved = rows * (8 * channels + result_dtype(params).itemsize)
    per_component = 9 + 35 * channels + (27 if channels == 3 else 0)
    return Cost(params.nbytes + noise.nbytes + moved, rows * inputs["components"] * per_component)


def _dims(config: Config) -> tuple[int, int]:
    return config["rows"], width(config.get("components", 10), config.get("channels", 1))


LOGISTIC_MIXTURE_SAMPLE = Kernel(
    name=NAME,
    summary="a draw from a discretized mixture of logistics, and its log-probability",
    call=logistic_mixture_sample,
    inputs=_inputs,
    cost=_cost,
    formula={"forward": "bytes = R ((P + K + C) s + 8 C + 4), FLOPs = R K (9 + 35 C), or 122 R K with three channels"},
    matrix=[
        dict(rows=4096, components=10),
        dict(rows=4096, components=10, levels=65536, layout="columns"),
        dict(rows=4096, components=10, channels=3),
    ],
    checks=[
        dict(rows=151, components=10),
        dict(rows=9, components=13, layout="columns"),
        dict(rows=67, components=10, channels=3),
        dict(rows=2, components=1, levels=2),
    ],
    sizes={
        "cpu": [dict(rows=16000, components=10, levels=65536)],
        "cuda": [
            dict(rows=2**23, components=10, levels=65536),
            dict(rows=2**21, components=10, channels=3),
        ],
    },
    dims=_dims,
    element="parameter",
    backends=BACKENDS,
    near_ties=_near_ties,
    vectorised=vectorised,
)
"""See ``logistic_mixture_sample``."""
