"""Log-probability under a mixture of logistics on a CPU, compiled by Numba, by the formulas of the programs.

Some rows at a time are turned on their side, so that a vector instruction works on one component of many
rows: ten components do not fill vectors. There they stay in the nearest cache; PyTorch writes and reads some
twenty arrays of their size. At (16000, 30) and 65,536 levels in float32, one thread of a server's core takes
1.1 ms against 5.8.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import njit

from arbench.kernels.cpu import compiled, exp, flat, over_rows
from arbench.kernels.launch import empty
from arbench.kernels.logistic_mixture import LOG_SCALE_FLOOR

ROWS = 64
"""Turned at a time: 30 numbers of each take 7.5 KiB."""


@njit(error_model="numpy", forceinline=True)
def _times_bins(u, log_scale, edge, linear, factor, rows, log_bins):
    """Multiplies masses exp(linear) * factor by those of bins, see ``logistic_mixture_bins.bin_mass``."""
    number = u.dtype.type
    zero, half, one = number(0), number(0.5), number(1)
    floor, log2 = number(LOG_SCALE_FLOOR), number(math.log(2))
    c1, c2, c3, c4, c5, c6, c7 = (
        number(1 / 6), number(1 / 120), number(1 / 5040), number(1 / 362880), number(1 / 39916800),
        number(1 / 6227020800), number(1 / 1307674368000),
    )  # fmt: skip
    for i in range(rows):
        e = -(log_scale[i] if log_scale[i] > floor else floor) - log_bins
        v = exp(-abs(e))
        v = v if e < zero else one / v
        distance = abs(u[i])
        side = distance if edge[i] == zero else edge[i] * u[i]
        d = side - one
        near = exp(-abs(d) * v)
        rest = exp(-(one + (distance if distance < one else one)) * v)
        rest = rest if edge[i] == zero else zero
        both = near * rest
        far = both if d >= zero else rest
        gap = rest if d >= zero else both
        w = v * v
        series = one + w * (c1 + w * (c2 + w * (c3 + w * (c4 + w * (c5 + w * (c6 + w * c7))))))
        narrow = v < (half if edge[i] == zero else zero)
        shape = series if narrow else one - gap
        linear[i] += ((e + log2) - v if narrow else zero) - (d if d > zero else zero) * v
        factor[i] *= shape / ((one + near) * (one + far))


@compiled("contract")
def log_probs(memory, starts, x, bins, log_bins, k, channels, out, begin, end):
    """Of rows ``begin`` to ``end``; parameters lie at ``starts`` in flat memory, levels x are (R, C)."""
    number = memory.dtype.type
    zero, one = number(0), number(1)
    width = 3 * k if channels == 1 else 10 * k
    params = np.zeros((width, ROWS), memory.dtype)
    level = np.zeros((channels, ROWS), memory.dtype)  # from the middle, in half bins
    edge = np.zeros((channels, ROWS), memory.dtype)  # -1 of the first bin, 1 of the last
    unknown = np.zeros(ROWS, np.bool_)
    linear, factor = np.zeros((k, ROWS), memory.dtype), np.zeros((k, ROWS), memory.dtype)
    one_each = np.zeros((5, ROWS), memory.dtype)
    u, top, best, total, mass = one_each[0], one_each[1], one_each[2], one_each[3], one_each[4]
    for base in range(begin, end, ROWS):
        rows = min(ROWS, end - base)
        for i in range(rows):
            row = memory[starts[base + i] : starts[base + i] + width]
            for j in range(width):
                params[j, i] = row[j]
            for c in range(channels):
                level[c, i] = 2 * x[base + i, c] - bins
                edge[c, i] = (x[base + i, c] == bins) - number(x[base + i, c] == 0)
        unknown[:] = False
        for j in range(width):
            for i in range(ROWS):
                unknown[i] |= params[j, i] != params[j, i]
        for j in range(7 * k, width):  # tanh of the coefficients
            for i in range(ROWS):
                e = exp(number(-2) * abs(params[j, i]))
                t = (one - e) / (one + e)
                params[j, i] = t if params[j, i] > zero else -t
        for j in range(k):
            for i in range(ROWS):
                linear[j, i] = params[j, i]
                factor[j, i] = one
            for c in range(channels):
                mean = params[(1 + c) * k + j]
                for i in range(ROWS):
                    u[i] = level[c, i] - mean[i] * number(bins)
                for before in range(c):
                    weight = params[(6 + c + before) * k + j]
                    for i in range(ROWS):
                        u[i] -= weight[i] * level[before, i]
                log_scale = params[(1 + channels + c) * k + j]
                _times_bins(u, log_scale, edge[c], linear[j], factor[j], ROWS, number(log_bins))
        top[:], best[:], total[:], mass[:] = params[0], linear[0], zero, zero
        for j in range(1, k):
            for i in range(ROWS):
                top[i] = params[j, i] if params[j, i] > top[i] else top[i]
                best[i] = linear[j, i] if linear[j, i] > best[i] else best[i]
        for j in range(k):
            for i in range(ROWS):
                total[i] += exp(params[j, i] - top[i])
                mass[i] += factor[j, i] * exp(linear[j, i] - best[i])
        for i in range(rows):
            log_prob = (best[i] - top[i]) + math.log(mass[i] / total[i])
            out[base + i] = np.nan if unknown[i] else log_prob


def log_prob(params: torch.Tensor, x: torch.Tensor, levels: int, components: int, channels: int) -> Any:
    """``logistic_mixture_log_prob`` of float32 or float64 parameters whose last axis has no gaps."""
    out = empty(params.shape[:-1], params.dtype, params.device)
    memory, starts = flat(params)
    rows, width = len(starts), params.shape[-1]
    over_rows(
        log_probs, rows, width, memory, starts, x.reshape(rows, channels).numpy(), levels - 1,
        math.log(levels - 1), components, channels, out.view(-1).numpy(),
    )  # fmt: skip
    return out
