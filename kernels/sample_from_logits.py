"""Draws from softmax(logits / temperature) by the Gumbel arg-max, in one reading of the logits.

A draw is arg-max(logits / temperature + Gumbel noise) (Gumbel, 1954; Maddison, Tarlow and Minka, *A\\*
Sampling*, 2014); its log-probability needs the same logits, so that one pass gives both: a running maximum
and sum of exponentials, and a running best score. Noise that is not given comes from Philox by
(seed, offset + row, class), see ``arbench.kernels.core.philox``; there scores of one tile are compared as
softmax(j) / exponential(j), whose logarithm is the score, which saves a logarithm a class.
Half precision is computed in float32.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from arbench.backends import BACKENDS
from arbench.kernels.core.launch import empty, launch
from arbench.kernels.core.philox import class_words, exponentials, gumbel
from arbench.kernels.core.rows import row_block, row_offset, rows_of, widen
from arbench.kernels.core.spec import Config, Cost, Inputs, Kernel, Op, choose, floating, integer, normal

SINGLE_BLOCK_WIDTH = 4096
"""Widest row that a program keeps in registers."""
ONLINE_WARPS = 8
"""Warps of a program for a wider row; it loads 16 logits a thread at a time, in tiles of 16 bytes a thread."""
GREEDY, GIVEN, PHILOX = (tl.constexpr(i) for i in range(3))
"""Where the noise comes from: no noise, memory, or the generator."""
NAME = "sample_from_logits"


@triton.jit(do_not_specialize=["seed", "offset"])
def sample_single_block_kernel(
    x,
    noise,
    index,
    log_prob,
    seed,
    offset,
    inverse_temperature,
    rows,
    width,
    size_1,
    size_2,
    x_stride_0,
    x_stride_1,
    x_stride_2,
    x_stride_v,
    noise_stride_0,
    noise_stride_1,
    noise_stride_2,
    noise_stride_v,
    NOISE: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_V: tl.constexpr,
):
    row, m_row = row_block(rows, BLOCK_ROWS)
    o_v = tl.arange(0, BLOCK_V)
    mask = m_row[:, None] & (o_v < width)[None, :]  # (BLOCK_ROWS, BLOCK_V)
    # Load the logits and shift them by their maximum.
    p_x = x + row_offset(row, size_1, size_2, x_stride_0, x_stride_1, x_stride_2)  # (BLOCK_ROWS,)
    b_x = tl.load(p_x[:, None] + o_v.to(tl.int64)[None, :] * x_stride_v, mask=mask, other=float("-inf"))
    b_x = widen(b_x) * inverse_temperature
    row_max = tl.max(b_x, 1)
    finite_max = tl.where(row_max == float("-inf"), 0.0, row_max)
    b_exp = tl.exp(b_x - finite_max[:, None])
    # Add the noise; the draw is the first class of the highest score.
    if NOISE == PHILOX:
        word = class_words(seed, (row + offset)[:, None], tl.arange(0, BLOCK_V // 4)[None, :])
        score = b_exp / exponentials(word, b_exp)
    elif NOISE == GIVEN:
        p_noise = noise + row_offset(row, size_1, size_2, noise_stride_0, noise_stride_1, noise_stride_2)[:, None]
        b_noise = tl.load(p_noise + o_v.to(tl.int64)[None, :] * noise_stride_v, mask=mask, other=0.0)
        score = b_x + widen(b_noise)
    else:
        score = b_x
    score = tl.where(score == score, score, float("inf"))
    best = tl.max(score, 1)
    drawn = tl.min(tl.where(score == best[:, None], o_v[None, :], width), 1)
    # The log-probability of the draw.
    b_drawn = widen(tl.load(p_x + drawn.to(tl.int64) * x_stride_v, mask=m_row, other=0.0))
    b_log_prob = b_drawn * inverse_temperature - row_max
    if NOISE == GREEDY:
        b_log_prob -= b_log_prob
    else:
        b_log_prob -= tl.log(tl.sum(b_exp, 1))
    tl.store(index + row, drawn.to(tl.int64), mask=m_row)
    tl.store(log_prob + row, b_log_prob, mask=m_row)


@triton.jit(do_not_specialize=["seed", "offset"])
def sample_online_kernel(
    x,
    noise,
    index,
    log_prob,
    seed,
    offset,
    inverse_temperature,
    width,
    size_1,
    size_2,
    x_stride_0,
    x_stride_1,
    x_stride_2,
    x_stride_v,
    noise_stride_0,
    noise_stride_1,
    noise_stride_2,
    noise_stride_v,
    NOISE: tl.constexpr,
    TILES: tl.constexpr,
    BLOCK_V: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    x += row_offset(row, size_1, size_2, x_stride_0, x_stride_1, x_stride_2)
    if NOISE == GIVEN:
        noise += row_offset(row, size_1, size_2, noise_stride_0, noise_stride_1, noise_stride_2)
    tile = tl.arange(0, TILES)[:, None] * BLOCK_V
    lane = tile + tl.arange(0, BLOCK_V)[None, :]  # (TILES, BLOCK_V)
    philox_block = tile // 4 + tl.arange(0, BLOCK_V // 4)[None, :]  # (TILES, BLOCK_V / 4)
    # Keep maximum, sum of exponentials, best score and its class for each lane.
    lane_max = tl.full((BLOCK_V,), float("-inf"), log_prob.dtype.element_ty)
    lane_best = lane_max
    lane_sum = tl.zeros_like(lane_max)
    lane_drawn = tl.zeros((BLOCK_V,), tl.int32)
    for start in range(0, width, TILES * BLOCK_V):
        o_v = start + lane
        b_x = tl.load(x + o_v.to(tl.int64) * x_stride_v, mask=o_v < width, other=float("-inf"))
        b_x = widen(b_x) * inverse_temperature
        if NOISE != GREEDY:
            new_max = tl.maximum(lane_max, tl.max(b_x, 0))
            finite_max = tl.where(new_max == float("-inf"), 0.0, new_max)
            b_exp = tl.exp(b_x - finite_max[None, :])
            lane_sum = lane_sum * tl.exp(lane_max - finite_max) + tl.sum(b_exp, 0)
            if NOISE == PHILOX:  # scores are relative to the lane's maximum, so huge logits keep their noise
                lane_best = tl.where(lane_best == float("inf"), lane_best, lane_best + (lane_max - finite_max))
            lane_max = new_max
        if NOISE == PHILOX:
            word = class_words(seed, row + offset + tl.zeros((1, 1), tl.int64), start // 4 + philox_block)
            score = b_exp / exponentials(word, b_exp)
        elif NOISE == GIVEN:
            b_noise = tl.load(noise + o_v.to(tl.int64) * noise_stride_v, mask=o_v < width, other=0.0)
            score = b_x + widen(b_noise)
        else:
            score = b_x
        score = tl.where(score == score, score, float("inf"))
        tile_best = tl.max(score, 0)
        tile_drawn = tl.min(tl.where(score == tile_best[None, :], o_v, width), 0)
        if NOISE == PHILOX:
            tile_best = tl.log(tile_best)
        lane_drawn = tl.where(tile_best > lane_best, tile_drawn, lane_drawn)
        lane_best = tl.maximum(lane_best, tile_best)
    # Combine the lanes.
    row_max = tl.max(lane_max, 0)
    finite_max = tl.where(row_max == float("-inf"), 0.0, row_max)
    if NOISE == PHILOX:
        lane_best = tl.where(lane_best == float("inf"), lane_best, lane_best + (lane_max - finite_max))
    drawn = tl.min(tl.where(lane_best == tl.max(lane_best, 0), lane_drawn, width), 0).to(tl.int64)
    # The log-probability of the draw.
    b_log_prob = widen(tl.load(x + drawn * x_stride_v)) * inverse_temperature
    if NOISE == GREEDY:
        b_log_prob -= b_log_prob
    else:
        b_log_prob = b_log_prob - row_max - tl.log(tl.sum(lane_sum * tl.exp(lane_max - finite_max), 0))
    tl.store(index + row, drawn)
    tl.store(log_prob + row, b_log_prob)


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
    below = x - top.masked_fill(top.isinf(), 0)  # the noise of huge logits would be rounded away
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
    from arbench.kernels.core import numba_rows as cpu

    if noise is None:
        raise ValueError(f"{NAME}: the Numba path needs given noise and a temperature above 0")
    cpu.demand(NAME, logits=logits, noise=noise)
    shape, width = logits.shape[:-1], logits.shape[-1]
    index = empty(shape, torch.int64, logits.device)
    totals, log_prob = (empty(shape, logits.dtype, logits.device) for _ in range(2))
    (x, starts), (z, noise_starts) = cpu.flat(logits), cpu.flat(noise)
    outs = [out.view(-1).numpy() for out in (index, totals, log_prob)]
    given = (x, width, starts, z, noise_starts, x.dtype.type(inverse))
    cpu.over_rows(cpu.draws, len(starts), width, *given, *outs)
    return index, log_prob.sub_(totals.log_())


def _computed(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def sample_from_logits(
    logits: Tensor,
    noise: Tensor | None = None,
    *,
    seed: int | None = None,
    offset: int = 0,
    temperature: float = 1.0,
    backend: str | None = None,
) -> tuple[Tensor, Tensor]:
    """A class of each row, drawn from softmax(logits / temperature), and its log-probability there.

    Equivalent to ``(logits / temperature + noise).argmax(-1)``, ties to the first, and
    ``(logits / temperature).log_softmax(-1)`` at that place, both in float32 for half precision. Logits are
    multiplied by 1 / temperature as a float32. Nothing is differentiated.

    Args:
        logits: (..., V), of any strides; float64, float32, float16 or bfloat16.
        noise: (..., V), standard Gumbel numbers, finite, of the logits' dtype.
        seed: instead of noise, from 0 to 2^64 - 1. Row r of the logits, counted in row-major order, and
            class j have their own number, a function of (seed, offset + r, j) alone: a batch drawn in parts,
            each with the offset of its first row, gives the same draws, and so does any backend but for
            rounding.
        offset: rows drawn with this seed before, from 0 up.
        temperature: 0 takes the most likely class, the first of several, with log-probability 0, that of what
            is certain, and needs neither noise nor seed.
        backend: "eager", "triton" or "numba" (float32 and float64 on the CPU, given noise, last axes
            without gaps, as many threads as ``torch.get_num_threads()``); by the device without it.

    Returns:
        Indices (...), int64, and log-probabilities (...), float64 for float64 and float32 otherwise. A class
        of logit -inf is drawn only where all are: index 0, log-probability NaN. A row with NaN or +inf has
        log-probability NaN, and the place of one of those as its index.

    Raises:
        ValueError: an empty alphabet; noise and a seed, or neither; a temperature that is neither 0 nor a
            number from 1e-30 to 1e30; a seed or an offset out of range; noise of another shape or device;
            more than three leading axes that strides do not merge (Triton); a last axis with gaps, no noise
            or temperature 0 (Numba).
        TypeError: not floating-point, noise of another dtype, a seed or an offset that is no integer, or half
            precision (Numba).
    """
    floating(NAME, logits=logits, noise=noise)
    if logits.dim() == 0:
        raise ValueError(f"{NAME}: logits need an axis, and have none")
    if logits.shape[-1] == 0:
        raise ValueError(f"{NAME}: an empty alphabet: logits of shape {tuple(logits.shape)}")
    if noise is not None and noise.shape != logits.shape:
        raise ValueError(f"{NAME}: noise is {tuple(noise.shape)}, logits {tuple(logits.shape)}; they must be alike")
    if temperature != 0 and not 1e-30 <= temperature <= 1e30:
        raise ValueError(f"{NAME}: temperature must be 0 or from 1e-30 to 1e30, not {temperature}")
    if noise is not None and seed is not None:
        raise ValueError(f"{NAME}: noise or a seed, not both")
    if temperature != 0 and noise is None and seed is None:
        raise ValueError(f"{NAME}: needs noise or a seed, except at temperature 0")
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
    told = 1e-12 if dtype == torch.float64 else 1e-5
    return best[..., 0] - best[..., 1] <= told * (1 + best[..., 0].abs())


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
    formula={"forward": "bytes = R V s (2 R V s with given noise) + 12 R, FLOPs = 8 R V"},
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
