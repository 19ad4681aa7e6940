"""Checks of a law that has no oracle: it sums to one, and its draws follow its own probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arbench.bench.inexact import InexactError
from arbench.distributions import Distribution

DRAWS = 4096
"""Number of draws of one element, where an element has up to 64 noise values; fewer of more."""
NUMBERS = 2**18
"""Number of noise values that they take."""
MOST = 2**21
"""Number of parameters at every level, beyond which an element's levels are neither summed nor compared, and which
decides how many elements of a finite law are summed."""
PLACES = 16
"""Number of elements whose draws are compared, and whose densities are integrated."""
PANELS = 512
"""Number of intervals between draws over which a density is integrated."""
CELLS = 64
"""Number of runs of neighbouring intervals in which draws are counted."""
CERTAIN = 1e-9
"""Smallest probability that draws which follow the law look as they do. With 4,096 draws a law that is off by 20% in
each of 64 cells, or by 14% in each of four, is found with probability above 0.99."""
WHOLE = 0.01
"""Largest difference of an integral from one."""


def agrees_with_itself(law: Distribution, params: Tensor, seed: int) -> dict[str, Any]:
    """Check that a law sums or integrates to one and that its draws follow it.

    A finite law is summed at every element, as far as ``MOST`` goes, else at evenly spaced ones; draws are compared
    and densities integrated at ``PLACES`` evenly spaced ones, the first and the last among them.

    Args:
        law: the law.
        params: parameters (B, N, P) of a run.
        seed: seed of the run.

    Returns:
        Facts for the results file: ``law_sum``, and ``law_draws``, the smallest probability of the draws.

    Raises:
        InexactError: the law contradicts itself.
    """
    flat = params.flatten(0, -2)
    sums, chances = [], []
    for at in _spaced(len(flat), PLACES):
        one = flat[at]
        drawn = _draws(law, one, seed + at)
        if law.finite:
            levels = getattr(law, "levels", None)
            if levels is None:
                raise InexactError("a finite law names the number of its values `levels`, so that they can be summed")
            if levels * len(one) > MOST:
                return {"law_sum": None, "law_draws": None}
            counts, expected, total, size = _levels(law, one, drawn, int(levels))
        else:
            counts, expected, total, size = _intervals(law, one, drawn, _draws(law, one, seed + at + 2**20))
        if not abs(total - 1) <= size:
            raise InexactError(f"the probabilities of an element sum to {total:.6g}, allowed 1 +- {size:.3g}")
        chance = _chi_squared(counts, expected, len(drawn))
        if not chance >= CERTAIN:
            raise InexactError(
                f"draws do not follow the law's own probabilities: their probability is {chance:.3g}, "
                f"allowed {CERTAIN:g}"
            )
        sums.append(abs(total - 1))
        chances.append(chance)
    if law.finite:
        sums.append(_every_sum(law, flat))
    return {"law_sum": max(sums), "law_draws": min(chances)}


def _spaced(count: int, most: int) -> list[int]:
    """Return up to ``most`` evenly spaced places of ``count``, the first and the last among them."""
    return sorted({round(one) for one in np.linspace(0, count - 1, min(count, most))})


def _every_sum(law: Distribution, flat: Tensor) -> float:
    """Return how far the sums of a finite law over its levels are from one, at most. Raises InexactError."""
    levels = int(law.levels)  # type: ignore[attr-defined]
    places = _spaced(len(flat), max(MOST // (levels * flat.shape[-1]), 1))
    some = flat[places]
    every = torch.arange(levels, device=flat.device).repeat(len(some))[None]
    logs = law.log_prob(some.repeat_interleave(levels, 0)[None], every).double().view(len(some), levels)
    off = (logs.exp().sum(1) - 1).abs()
    size = 8 * torch.finfo(flat.dtype).eps * (1 + (logs.abs().nan_to_num(posinf=0) * logs.exp()).sum(1))
    wrong = ~(off <= size.clamp(min=1e-6))
    if bool(wrong.any()):
        at = places[int(wrong.nonzero()[0])]
        total = float(logs[int(wrong.nonzero()[0])].exp().sum())
        raise InexactError(f"the probabilities of an element sum to {total:.6g}, allowed 1: element {at} of the batch")
    return float(off.max())


def _draws(law: Distribution, one: Tensor, seed: int) -> Tensor:
    count = min(max(NUMBERS // law.noise_width, 64), DRAWS)
    noise = law.noise(seed, [0], range(count), one.dtype, one.device)
    return law.draw(one.expand(1, count, -1).contiguous(), noise).flatten()


Cells = tuple[NDArray[np.float64], NDArray[np.float64], float, float]


def _levels(law: Distribution, one: Tensor, drawn: Tensor, levels: int) -> Cells:
    """Return draws and probabilities by level, the sum of the probabilities, and how far it may be from one."""
    if drawn.min() < 0 or drawn.max() >= levels:
        raise InexactError(f"the law drew {int(drawn.max())}; its values are 0 to {levels - 1}")
    every = torch.arange(levels, device=one.device)[None]
    logs = law.log_prob(one.expand(1, levels, -1).contiguous(), every)
    p = logs.double().exp().flatten().cpu().numpy()
    counts = torch.bincount(drawn, minlength=levels).cpu().numpy().astype(float)
    size = 8 * torch.finfo(logs.dtype).eps * (1 + float(logs.abs().nan_to_num(posinf=0).mul(logs.exp()).sum()))
    return counts, p, float(p.sum()), max(size, 1e-6)


def _intervals(law: Distribution, one: Tensor, drawn: Tensor, others: Tensor) -> Cells:
    """Return the same by intervals between some of other draws; Gauss-Legendre within, and in steps far outside."""
    ranked = others.double().sort().values
    inner = ranked[torch.linspace(0, len(ranked) - 1, PANELS + 1).long()].cpu().numpy()
    width = max(float(inner[-1] - inner[0]), 1e-30)
    beyond = width * np.concatenate([[0.01, 0.03], 0.1 * 2.0 ** np.arange(14)])
    edges = np.unique(np.concatenate([inner[0] - beyond[::-1], inner, inner[-1] + beyond]))
    t, w = np.polynomial.legendre.leggauss(10)
    half = np.diff(edges)[:, None] / 2
    x = torch.from_numpy((edges[:-1, None] + half) + half * t).to(one.device)
    kind = torch.promote_types(one.dtype, torch.float32)
    density = law.log_prob(one.expand(1, x.numel(), -1).contiguous(), x.flatten()[None].to(kind)).double().exp()
    p = (density.view(x.shape).cpu().numpy() * half * w).sum(1)
    counts = np.histogram(drawn.double().cpu().numpy(), edges)[0].astype(float)
    cells = np.minimum(np.cumsum(p) / max(p.sum(), 1e-300) * CELLS, CELLS - 1).astype(int)
    return np.bincount(cells, counts).astype(float), np.bincount(cells, p).astype(float), float(p.sum()), WHOLE


def _chi_squared(counts: NDArray[np.float64], expected: NDArray[np.float64], draws: int) -> float:
    """Return the probability of counts at least this unlikely, cells of few expected draws taken together."""
    from scipy.special import chdtrc, pdtrc  # most models have an oracle, and their workers need not wait for it

    missing = draws - counts.sum()  # beyond the outermost cells, where nothing is expected
    wanted = expected / expected.sum() * draws
    order = np.argsort(wanted)
    group = np.floor(np.cumsum(wanted[order]) / 10).astype(int)
    _, group = np.unique(group, return_inverse=True)
    seen, due = np.bincount(group, counts[order]), np.bincount(group, wanted[order])
    if len(due) > 1 and due[-1] < 10:
        seen[-2:-1] += seen[-1]
        due[-2:-1] += due[-1]
        seen, due = seen[:-1], due[:-1]
    beyond = float(pdtrc(missing - 1, 1e-3)) if missing else 1.0
    statistic = ((seen - due) ** 2 / np.maximum(due, 1e-12)).sum()
    return min(beyond, float(chdtrc(len(due) - 1, statistic)) if len(due) > 1 else 1.0)
