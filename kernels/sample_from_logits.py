r"""Draws from softmax(logits / temperature) by the Gumbel arg-max, in one reading of the logits.

A draw is arg-max(logits / temperature + Gumbel noise) (Gumbel, 1954; Maddison, Tarlow and Minka, *A\*
Sampling*, 2014). Its log-probability needs the same logits, so one pass computes both: a running maximum and sum
of exponentials, and a running best score. Noise that is not given comes from Philox, addressed by
(seed, offset + row, class); see ``arbench.kernels.core.philox``. Then the scores within a tile are compared as
softmax(j) / exponential(j), whose logarithm is the score: this saves a logarithm per class.
Half precision is computed in float32.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import triton
from torch import Tensor

from arbench.backends import BACKENDS
from arbench.kernels.core.calls import as_given
from arbench.kernels.core.launch import empty, launch
from arbench.kernels.core.philox import gumbel
from arbench.kernels.core.rows import rows_of
from arbench.kernels.core.spec import Config, Cost, Inputs, Kernel, Op, choose, integer, normal, with_noise
from arbench.kernels.logits.sample_programs import (
    GIVEN,
    GREEDY,
    PHILOX,
    sample_online_kernel,
    sample_single_block_kernel,
)

SINGLE_BLOCK_WIDTH = 4096
"""Widest row that a program keeps in registers."""
ONLINE_WARPS = 8
"""Warps of a program for a wider row; it loads 16 logits a thread at a time, in tiles of 16 bytes a thread."""
NAME = "sample_from_logits"


def _triton(
    logits: Tensor, noise: Tensor | None, seed: int | None, offset: int, inverse_temperature: float
) -> tuple[Tensor, Tensor]:
    shape, width = logits.shape[:-1], logits.shape[-1]
    index = empty(shape, torch.int64, logits.device)
    log_prob = empty(shape, _computed(logits), logits.device)
    found = rows_of(NAME, logits[..., 0], logits[..., 0] if noise is None else noise[..., 0])
    x_strides, noise_strides = found.strides
    noise_stride_v = 0 if noise is None else noise.stride(-1)
    strides = (*found.inner, *x_strides, logits.stride(-1), *noise_strides, noise_stride_v)
    source = GIVEN if noise is not None else PHILOX if seed is not None else GREEDY
    key = 0 if seed is None else seed - (seed >> 63 << 64)  # two's complement: programs take signed 64 bits
    given = (logits, noise, index, log_prob, key, offset, inverse_temperature)
    if width > SINGLE_BLOCK_WIDTH:
        launch(
            sample_online_kernel,
            (found.count,),
            *given,
            width,
            *strides,
            NOISE=source.value,
            TILES=logits.itemsize,
            BLOCK_V=ONLINE_WARPS * 512 // logits.itemsize,
            num_warps=ONLINE_WARPS,
        )
        return index, log_prob
    block = max(triton.next_power_of_2(width), 4)
    rows = max(1, 1024 // block)
    launch(
        sample_single_block_kernel,
        (triton.cdiv(found.count, rows),),
        *given,
        found.count,
        width,
        *strides,
        NOISE=source.value,
        BLOCK_ROWS=rows,
        BLOCK_V=block,
        num_warps=max(block // 512, 1),
    )
    return index, log_prob


def _scores(x: Tensor, noise: Tensor | None, seed: int | None, offset: int) -> Tensor:
    if noise is not None:
        return x + noise
    if seed is None:
        return x
    rows = offset + torch.arange(math.prod(x.shape[:-1]), device=x.device)
    top = x.masked_fill(x.isnan(), -math.inf).amax(-1, keepdim=True)
    below = x - top.masked_fill(top.isinf(), 0)  # adding noise to huge logits would round it away
    return below + gumbel(seed, rows, x.shape[-1], x.dtype).view(x.shape)


def _eager(
    logits: Tensor, noise: Tensor | None, seed: int | None, offset: int, inverse: float
) -> tuple[Tensor, Tensor]:
    x = logits.detach().to(_computed(logits))
    x = x if inverse == 1 else x * inverse
    index = _scores(x, None if noise is None else noise.detach(), seed, offset).argmax(-1, keepdim=True)
    if noise is None and seed is None:
        log_prob = x.gather(-1, index) - x.gather(-1, index)
    else:
        log_prob = x.log_softmax(-1).gather(-1, index)
    return index.squeeze(-1), log_prob.squeeze(-1)


def _numba(
    logits: Tensor, noise: Tensor | None, seed: int | None, offset: int, inverse: float
) -> tuple[Tensor, Tensor]:
    from arbench.kernels.core import numba_rows

    if noise is None:
        raise ValueError(f"{NAME}: the Numba backend needs noise and a temperature above 0")
    numba_rows.check(NAME, logits=logits, noise=noise)
    shape, width = logits.shape[:-1], logits.shape[-1]
    index = empty(shape, torch.int64, logits.device)
    totals, log_prob = (empty(shape, logits.dtype, logits.device) for _ in range(2))
    (x, starts), (z, noise_starts) = numba_rows.flat(logits), numba_rows.flat(noise)
    outs = [out.view(-1).numpy() for out in (index, totals, log_prob)]
    given = (x, width, starts, z, noise_starts, x.dtype.type(inverse))
    numba_rows.over_rows(numba_rows.draws, len(starts), width, *given, *outs)
    return index, log_prob.sub_(totals.log_())


def _computed(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


@as_given
def sample_from_logits(
    logits: Tensor,
    noise: Tensor | None = None,
    *,
    seed: int | None = None,
    offset: int = 0,
    temperature: float = 1.0,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw a class from softmax(logits / temperature) for each row, and return it with its log-probability.

    Equivalent to ``(logits / temperature + noise).argmax(-1)``, the first of equal scores, and
    ``(logits / temperature).log_softmax(-1)`` at that index, both in float32 for half precision. Logits are
    multiplied by 1 / temperature, rounded to float32. Not differentiable.

    Args:
        logits: (..., V), of any strides; float64, float32, float16 or bfloat16.
        noise: (..., V), finite standard Gumbel numbers of the logits' dtype, or float32 for half precision.
        seed: replaces noise, from 0 to 2^64 - 1. The noise of row r, in row-major order, and class j is a
            function of (seed, offset + r, j) alone. Parts of a batch, each drawn with the offset of its first
            row, therefore give the same draws as the whole, and so does every backend, up to rounding.
        offset: number of rows already drawn with this seed.
        temperature: 0 takes the most likely class, the first of several, with log-probability 0; it needs
            neither noise nor seed.
        backend: "eager", "triton" or "numba" (float32 and float64 on the CPU, given noise, contiguous along the
            last axis, as many threads as ``torch.get_num_threads()``); by default Triton for a tensor on a GPU.

    Returns:
        Indices (...), int64, and log-probabilities (...), float64 for float64 logits and float32 otherwise. A
        class with logit -inf is drawn only if all are -inf: index 0, log-probability NaN. A row with NaN or
        +inf has log-probability NaN and the index of one of these.

    Raises:
        ValueError: V is 0; noise and a seed, or neither; a temperature that is neither 0 nor from 1e-30 to
            1e30; a seed or an offset out of range; noise of another shape or device; more than three leading
            axes that do not merge (Triton); a last axis that is not contiguous, no noise, or temperature 0
            (Numba).
        TypeError: logits that are not floating-point, noise of another dtype, a seed or an offset that is not
            an integer, or half precision (Numba).
    """
    with_noise(NAME, noise, logits=logits)
    if logits.dim() == 0:
        raise ValueError(f"{NAME}: logits are a scalar; they need at least one axis")
    if logits.shape[-1] == 0:
        raise ValueError(
            f"{NAME}: logits of shape {tuple(logits.shape)} have no classes; the last axis must not be empty"
        )
    if noise is not None and noise.shape != logits.shape:
        raise ValueError(f"{NAME}: noise must be {tuple(logits.shape)} like the logits, not {tuple(noise.shape)}")
    if temperature != 0 and not 1e-30 <= temperature <= 1e30:
        raise ValueError(f"{NAME}: temperature must be 0 or from 1e-30 to 1e30, not {temperature}")
    if noise is not None and seed is not None:
        raise ValueError(f"{NAME}: noise and a seed exclude each other; pass one")
    if temperature != 0 and noise is None and seed is None:
        raise ValueError(f"{NAME}: there is no noise; pass noise or a seed, or temperature=0")
    seed = None if seed is None else integer(NAME, "seed", seed)
    offset = integer(NAME, "offset", offset)
    if seed is not None and not 0 <= seed < 2**64:
        raise ValueError(f"{NAME}: seed must be from 0 to 2^64 - 1, not {seed}")
    if not 0 <= offset < 2**62:
        raise ValueError(f"{NAME}: offset must be from 0 to 2^62 - 1, not {offset}")
    run = {"eager": _eager, "triton": _triton, "numba": _numba}[choose(NAME, backend, logits, BACKENDS)]
    if temperature == 0:
        return run(logits, None, None, 0, 1.0)
    return run(logits, noise, seed, offset, float(np.float32(1 / temperature)))


def _inputs(
    *,
    dtype: torch.dtype,
    device: torch.device | str,
    generator: torch.Generator | None = None,
    rows: int,
    width: int,
    noise: str = "philox",
    temperature: float = 1.0,
) -> Inputs:
    made: Inputs = {"logits": normal((rows, width), dtype, device, generator), "temperature": temperature}
    if noise == "philox":
        return {**made, "seed": 17}
    u = normal((rows, width), torch.float64, device, generator).mul(math.sqrt(0.5)).erfc() / 2
    return {**made, "noise": (-(-u.log()).log()).to(dtype)}


def _near_ties(inputs: Inputs, dtype: torch.dtype) -> Tensor:
    x, temperature = inputs["logits"], inputs["temperature"]
    if x.shape[-1] == 1:
        return torch.zeros(x.shape[:-1], dtype=torch.bool, device=x.device)
    if temperature == 0:
        best = x.topk(2).values
    else:
        noise, seed = inputs.get("noise"), inputs.get("seed")
        best = _scores(x / temperature, noise, seed, inputs.get("offset", 0)).topk(2).values
    resolution = 1e-12 if dtype == torch.float64 else 1e-5
    return best[..., 0] - best[..., 1] <= resolution * (1 + best[..., 0].abs())


def _cost(op: Op, inputs: Inputs) -> Cost:
    x, noise = inputs["logits"], inputs.get("noise")
    rows = x.numel() // x.shape[-1]
    read = x.nbytes + (0 if noise is None else noise.nbytes)
    return Cost(read + rows * (8 + _computed(x).itemsize), 8 * x.numel())


def _dims(config: Config) -> tuple[int, int]:
    return config["rows"], config["width"]


SAMPLE_FROM_LOGITS = Kernel(
    name=NAME,
    summary="a draw from softmax(logits / temperature), and its log-probability",
    call=sample_from_logits,
    inputs=_inputs,
    cost=_cost,
    formula={"forward": "bytes = R V s + 12 R, or 2 R V s + 12 R with given noise, FLOPs = 8 R V"},
    matrix=[
        *(dict(rows=4096, width=w) for w in (16, 256, 1000, 4096, 262144)),
        *(dict(rows=4096, width=w, noise="given") for w in (256, 262144)),
        dict(rows=4096, width=262144, temperature=0.0),
    ],
    checks=[
        dict(rows=3, width=129, temperature=0.7),
        dict(rows=5, width=16, noise="given"),
        dict(rows=2, width=33, temperature=0.0),
    ],
    sizes={
        "cpu": [dict(rows=16000, width=256, noise="given")],
        "cuda": [
            *(dict(rows=2**28 // w, width=w, noise="philox") for w in (256, 4096, 32768, 262144)),
            dict(rows=2**20, width=256, noise="given"),
        ],
    },
    dims=_dims,
    element="logit",
    backends=BACKENDS,
    near_ties=_near_ties,
    vectorised=lambda program, config: config["width"] % 256 == 0,
)
"""See ``sample_from_logits``."""
