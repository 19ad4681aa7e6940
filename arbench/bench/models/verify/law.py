"""Verification of a law: its probabilities are its oracle's and sum to one; without an oracle, it agrees with itself.

What is judged is the law that the run measures, on the run's own parameters, dtype and backend.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor

from arbench.bench.dtypes import DTYPES
from arbench.bench.inexact import InexactError
from arbench.bench.models.evidence import EXACT, Evidence, first_difference
from arbench.bench.models.judge import Judge, spread_over
from arbench.bench.models.oracle import Oracle
from arbench.bench.models.self_consistency import agrees_with_itself
from arbench.bench.models.verify.noise import noise_of
from arbench.distributions import Distribution
from arbench.methods import Outcome
from arbench.models import Source

BUDGET = 2**16
"""Number of parameters that the law is given to compare it at other elements than those of the run: of as many of the
run's elements as fit, one at least, at every level (at all places of a quadrature)."""
MOST = 2**21
"""Number of parameters of one element at every level beyond which some levels are tried, not all."""
TRIED = 64
"""Number of levels tried at random where there are too many, beside the ends."""
ROUNDINGS = 8
"""Largest difference of log-probabilities from the oracle's, in roundings of everything that they are computed from."""

_summed: WeakKeyDictionary[Source, float] = WeakKeyDictionary()
"""``law_sum`` of each model's last case with a sum: levels over the budget are summed in the first case alone."""
_probed: WeakSet[Source] = WeakSet()
"""Models of which levels that are too many have been probed: that takes long, and shows in one case what it does in
all."""


def verify_law(source: Source, judge: Judge, proof: Evidence, outcome: Outcome, seed: int) -> dict[str, Any]:
    """Check the law of a model on the parameters of a run.

    Args:
        source: the model.
        judge: judge of its law.
        proof: parameters that the run's feed implies.
        outcome: the run's events.
        seed: seed of the run.

    Returns:
        Facts for the results file: ``law``, who judged it; ``law_sum``, the largest difference of a sum, or an
        integral, from one (of wide alphabets in the model's first case), or None where there are too many levels; with
        an oracle, ``law_difference``, the largest of a log-probability from the oracle's, and ``law_tried``, how many
        were compared.

    Raises:
        InexactError: the law is wrong.
    """
    law, oracle = source.distribution, judge.oracle
    with torch.no_grad():
        if oracle is None:
            return {"law": judge.name, **agrees_with_itself(law, proof.params, seed)}
        if proof.params.shape[-1] != oracle.width:
            raise InexactError(f"an element has {proof.params.shape[-1]} parameters; its law takes {oracle.width}")
        _, worst, _ = _compared(law, judge, proof.params, outcome.x)
        sums = _integral(law, judge, proof.params) if oracle.levels is None else _sum(source, judge, proof.params)
        if oracle.levels is None:
            _inverse(source, oracle, proof.params, outcome.x)
    whole, other, tried = sums
    return {
        "law": judge.name,
        "law_sum": whole,
        "law_difference": max(worst, other),
        "law_tried": tried + outcome.x.numel(),
    }


def verify_draws(source: Source, judge: Judge, proof: Evidence, dtype: str, seed: int) -> dict[str, Any]:
    """Check a law's draws, under more noise than the run's, from parameters of the run.

    A run has too few elements to show each fault of a law: this draws from 32,768 noise values.

    Raises:
        InexactError: a draw is another than the oracle's under the same noise.
    """
    if judge.oracle is None:
        return {}
    z = noise_of(source, judge, seed).flatten(0, 1).to(proof.params)[None]
    flat = proof.params.flatten(0, -2)
    params = flat[torch.linspace(0, len(flat) - 1, z.shape[1]).long()][None]
    eps = torch.finfo(DTYPES[dtype]).eps
    size = params.double().abs().amax(-1).clamp_min(1)
    with torch.no_grad():
        mine, wanted = source.distribution.draw(params, z), judge.draw(params, z)
        margin = judge.margin(params, z)
        if judge.oracle.levels is None:
            step = (judge.draw(params, z.double() + 1) - wanted).abs()
            allowed = ROUNDINGS * eps * (size + wanted.abs() + size * step * (1 + z.double().abs().amax(-1)))
            wrong = ~((mine.double() - wanted).abs() <= allowed)
        else:
            wrong = mine != wanted
    near = margin < 4 * ROUNDINGS * eps * size
    if bool((wrong & ~near).any()):
        _, at = first_difference(wrong & ~near)
        raise InexactError(
            f"the law draws {mine[0, at].item():.6g}, by its definition {wanted[0, at].item():.6g} of the same noise",
            differing=int((wrong & ~near).sum()),
        )
    return {"law_drawn": mine.numel()}


def _compared(law: Distribution, judge: Judge, params: Tensor, x: Tensor) -> tuple[Tensor, float, Tensor]:
    """Return the law's log-probabilities, their largest difference from the oracle's, and what was allowed."""
    found = law.log_prob(params, x)
    if found.shape != x.shape:
        raise InexactError(f"the law's log-probabilities are {tuple(found.shape)}, elements {tuple(x.shape)}")
    wanted = judge.log_prob(params, x)
    allowed = ROUNDINGS * judge.rounding(params, x, found.dtype, wanted)
    if found.dtype == torch.float64:
        allowed = torch.maximum(allowed, EXACT * (1 + wanted.abs()))
    mine = found.double()
    difference = (mine - wanted).abs().where(mine != wanted, 0)
    wrong = ~(difference <= allowed)
    if wrong.any():
        row, at = first_difference(wrong)
        raise InexactError(
            f"the law gives log-probability {float(mine[row, at]):.6g} to {x[row, at].item():g}; by its definition it "
            f"is {float(wanted[row, at]):.6g}, allowed {float(allowed[row, at]):.3g}",
            differing=int(wrong.sum()),
        )
    return mine, float(difference.max()), allowed


def _elements(params: Tensor, each: int) -> Tensor:
    """Return the parameters (E, P) of as many elements as the budget allows, evenly spaced, one at least."""
    flat = params.flatten(0, -2)
    count = min(max(BUDGET // each, 1), len(flat))
    return flat[torch.linspace(0, len(flat) - 1, count + 1).long()[:count] if count < len(flat) else slice(None)]


def _sum(source: Source, judge: Judge, params: Tensor) -> tuple[float | None, float, int]:
    """Return the largest difference of a sum from one, that of a log-probability from the oracle's, and how many."""
    law, oracle = source.distribution, judge.oracle
    assert oracle is not None
    assert oracle.levels is not None
    size = oracle.levels * oracle.width
    every = size <= BUDGET or (size <= MOST and source not in _summed)
    if not every and source in _probed:
        return _summed.get(source), 0.0, 0
    levels = torch.arange(oracle.levels) if every else oracle.probes(TRIED, torch.Generator().manual_seed(0))
    chosen = _elements(params, len(levels) * oracle.width)
    mine, worst, allowed = _compared(law, judge, *spread_over(chosen, levels))
    if every:
        _summed[source] = _one(mine.exp(), allowed)
    else:
        _probed.add(source)
    return _summed.get(source), worst, mine.numel()


def _integral(law: Distribution, judge: Judge, params: Tensor) -> tuple[float, float, int]:
    assert judge.oracle is not None
    places = judge.oracle.quadrature(params[:1, 0].double())[0].shape[-1]
    chosen = _elements(params, places * judge.oracle.width)
    x, weights = judge.oracle.quadrature(chosen.double())
    kind = torch.promote_types(params.dtype, torch.float32)
    rounded = x.to(kind)
    spread = chosen[:, None].expand(*x.shape, -1).contiguous()
    mine, worst, allowed = _compared(law, judge, spread, rounded)
    moved = (judge.log_prob(spread, rounded) - judge.log_prob(spread, x)).abs()  # where rounding of x took it
    return _one(mine.exp() * weights, allowed + moved), worst, mine.numel()


def _one(parts: Tensor, allowed: Tensor) -> float:
    """Return the largest difference of a sum of probabilities from one."""
    off = (parts.sum(-1) - 1).abs()
    limit = 1e-6 + (parts * allowed.clamp_max(1)).sum(-1) * 2
    if not bool((off <= limit).all()):
        raise InexactError(f"the probabilities of an element sum to 1 within {float(off.max()):.3g} only")
    return float(off.max())


def _inverse(source: Source, oracle: Oracle, params: Tensor, x: Tensor) -> None:
    """Check the noise that a law finds for an element, and its log-determinant, in units that rounding explains."""
    wanted = oracle.invert(params.double(), x.double())
    if wanted is None or (source.feeds == "x" and params.dtype not in (torch.float32, torch.float64)):
        return
    found = source.distribution.invert(params, x)
    scale = wanted[1].exp()
    sizes = (
        (wanted[0].abs() * (1 + wanted[1].abs()).unsqueeze(-1))
        + ((1 + x.double().abs() + params.double().abs().amax(-1)) * scale).unsqueeze(-1),
        1 + wanted[1].abs(),
    )
    for mine, right, size, name in zip(found, wanted, sizes, ("noise", "log-determinant"), strict=True):
        allowed = ROUNDINGS * torch.finfo(mine.dtype).eps * size
        wrong = ~((mine.double() - right).abs() <= allowed)
        if mine.shape != right.shape or wrong.any():
            raise InexactError(f"the law's inverse gives another {name} than its definition")
