"""Laws: they sum to one, and draws follow them."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import integrate, stats
from torch import Tensor

from arbench.methods import Method, Task
from arbench.models import Source

from .sources import EXACT, by, chance, feed, job, once, repeated

DRAWS = 20_000
EVENTS_A_ROW = 50
"""Events that take their noise from one row: each row has a generator, and thousands of them take long to seed."""


def context_of_one(source: Source, n: int, times: int) -> dict[str, Tensor]:
    """Return one event's context for many."""
    return repeated(job(source, by(source, "sample"), n, range(1)).context, times)


def probabilities(source: Source, n: int) -> Tensor:
    """Return those of every event, in order of their digits."""

    def found() -> Tensor:
        levels = source.distribution.levels  # type: ignore[attr-defined]
        x = torch.cartesian_prod(*[torch.arange(levels)] * n)
        found = by(source, "score").run(source, Task(n, context_of_one(source, n, len(x)), x=x))
        assert found.log_prob is not None
        return found.log_prob.sum(1).exp()

    return once(source, ("probabilities", n), found)


def sums_to_one(source: Source, n: int) -> None:
    """The probabilities of all events sum to one."""
    assert abs(float(probabilities(source, n).sum()) - 1) <= 1e-6


def frequencies_agree(source: Source, method: Method, n: int) -> None:
    """Chi-squared of 20,000 draws: of whole events, and with more power of their beginnings."""
    levels = source.distribution.levels  # type: ignore[attr-defined]
    rows, elements = range(DRAWS // EVENTS_A_ROW), EVENTS_A_ROW * n
    noise = source.distribution.noise(11, rows, range(elements)).view(DRAWS, n, -1)
    more = chance(source, 11, rows, elements).view(DRAWS, n, -1) if method.chance else None
    x = method.run(source, Task(n, context_of_one(source, n, DRAWS), noise=noise, chance=more)).x
    whole = probabilities(source, n) * DRAWS
    for length in {1, n // 2, n}:
        place = torch.tensor([levels ** (length - 1 - i) for i in range(length)])
        seen = torch.bincount((x[:, :length] * place).sum(1), minlength=levels**length).double()
        observed, wanted = pooled(seen, whole.view(levels**length, -1).sum(1))
        assert stats.chisquare(observed, wanted).pvalue > 1e-4, length


def pooled(seen: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """Return both in bins of an expectation of 5 or more, the rarest events together."""
    expected, order = expected.sort()
    bin_of, filled, number = [], 0.0, 0
    for value in expected.tolist():
        bin_of.append(number)
        filled += value
        if filled >= 5:
            filled, number = 0.0, number + 1
    # what is left over at the end joins the last full bin
    index = torch.tensor(bin_of).clamp_max(number - 1)
    sums = [torch.zeros(number).double().index_add_(0, index, v) for v in (seen[order], expected)]
    return sums[0], sums[1] * (sums[0].sum() / sums[1].sum())


def conditionals_integrate_to_one(source: Source, n: int) -> None:
    """Each density integrates to 1, and up to a point to what ``cdf`` says there."""
    f, task = feed(source, n, range(1))
    params, law = source(f, source.encode(task.context, n)), source.distribution
    draws = torch.cat([law.draw(params[:, [at] * 512], law.noise(3, [0], range(512))) for at in range(n)]).sort().values
    centre, spread = draws.median(1).values, draws[:, 384] - draws[:, 128]

    def densities(t: float) -> NDArray[np.float64]:
        return (spread * law.log_prob(params, (centre + spread * t)[None]).exp())[0].numpy()

    parts = [integrate.quad_vec(densities, a, b, epsabs=1e-9, norm="max")[0] for a, b in pairwise(BREAKS)]
    assert np.abs(np.sum(parts, 0) - 1).max() <= 1e-6
    below = law.cdf(params, centre[None])[0].numpy()
    assert np.abs(np.sum(parts[: BREAKS.index(0)], 0) - below).max() <= 1e-6


BREAKS = (-60, -8, -2, 0, 2, 8, 60)
"""Where integrals are cut, in quartile ranges from the median."""


def transform_is_uniform(source: Source, method: Method, n: int) -> None:
    """The probability integral transform of 20,000 draws is uniform, and independent between elements.

    Uniform in each element (Kolmogorov-Smirnov), independent between any two (chi-squared on 10 x 10 cells).
    """
    law = source.distribution
    noise = law.noise(11, range(DRAWS // EVENTS_A_ROW), range(EVENTS_A_ROW * n)).view(DRAWS, n, -1)
    found = method.run(source, Task(n, context_of_one(source, n, DRAWS), noise=noise, record=True))
    assert found.params is not None
    u = law.cdf(found.params, found.x)
    assert u.min() > 0
    assert u.max() < 1
    for at in range(n):
        assert stats.kstest(u[:, at].numpy(), "uniform").pvalue > 1e-4, at
    cells = (u * 10).long()
    for i, j in combinations(range(n), 2):
        table = torch.bincount(cells[:, i] * 10 + cells[:, j], minlength=100)
        assert stats.chisquare(table.numpy()).pvalue > 1e-4, (i, j)


def log_determinant(source: Source, n: int) -> None:
    """Compare a flow with its whole Jacobian by autograd, at N up to 8."""
    for length in range(1, n + 1):
        z, task = feed(source, length, range(1))
        code = source.encode(task.context, length)

        def flow(z: Tensor, code: Any = code) -> Tensor:
            return source.distribution.draw(source(z, code), z.unsqueeze(-1))[0]

        with torch.enable_grad():
            jacobian = torch.autograd.functional.jacobian(flow, z)[:, 0]
        assert jacobian.triu(1).abs().max() == 0
        found = by(source, "score").run(source, Task(length, task.context, x=flow(z).unsqueeze(0)))
        assert (found.f - z).abs().max() <= EXACT
        _, determinant = source.distribution.invert(source(z, code), found.x)
        assert abs(float(determinant.sum() + jacobian.slogdet().logabsdet)) <= EXACT
        standard = source.distribution.log_prob(torch.zeros_like(source(z, code)), z)
        assert found.log_prob is not None
        assert abs(float((found.log_prob - standard).sum() + jacobian.slogdet().logabsdet)) <= EXACT
