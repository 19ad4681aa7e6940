"""Verification of noise: it has its law's standard distribution, and nothing in it repeats or follows from the rest.

The tests see uniforms that the oracle's own distribution function recovers from the noise; ranks where there is no
oracle. About 32,768 numbers of four rows and four other seeds are tested beside those of the run, so that the power
does not depend on its size; what both contain must be the same. Where an element has up to 256 values, these are found
with probability above 0.999: 12 values that repeat or mirror others; a correlation of 0.12 between elements at one
distance, in a row or in neighbouring ones, and of 0.33 in any two rows or seeds; a distribution function that is off by
0.07; an end of which the last 0.5% is missing. Right noise fails with a probability below 1e-6.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from arbench.bench.inexact import InexactError
from arbench.bench.models.chances import chances
from arbench.bench.models.judge import Judge
from arbench.methods import Task
from arbench.models import Source

ROWS = 4
"""Number of rows whose noise is compared."""
OTHER_SEEDS = (1, 2, 2**16, 2**40)
"""Distances of the other seeds from the run's. A user's law may know seeds of 32 bits only."""
OWN_SEEDS = (1, 2, 2**16, 2**20)
"""The same for a law without an oracle."""
NUMBERS = 4096
"""Numbers of each row and seed."""
MOST = 2**16
"""Numbers of the run that are tested; of more, evenly spaced values of each element."""
COLUMNS = 64
"""Values of an element that are compared with each other."""
SURPRISE = 7.0
"""Largest correlation, in standard deviations."""
DISTANCE = 4.0
"""Largest distance of distribution functions, times the root of the number of values (Kolmogorov, Smirnov)."""
REPEATED = 4
"""Repeated values that chance may give."""
TAIL = 20
"""Values that chance may leave out at an end, with probability exp(-20)."""

_known: WeakKeyDictionary[Source, dict[Any, Tensor]] = WeakKeyDictionary()


def verify_noise(source: Source, judge: Judge, task: Task, seed: int) -> dict[str, Any]:
    """Check the noise of a run, and the law's noise at other rows and seeds.

    Args:
        source: the model.
        judge: judge of its law.
        task: the run's input, with noise (B, N, K).
        seed: seed of the run.

    Returns:
        Facts for the results file: ``noise_tested``, how many numbers.

    Raises:
        InexactError: the noise is not what it should be.
    """
    assert task.noise is not None
    noise, oracle = task.noise, judge.oracle
    if oracle is not None and noise.shape[-1] != oracle.noise_width:
        raise InexactError(f"an element has {noise.shape[-1]} noise values; its law takes {oracle.noise_width}")
    every = noise_of(source, judge, seed)
    sample = every[:ROWS]
    rows, elements = min(len(noise), ROWS), min(noise.shape[1], sample.shape[1])
    if not torch.equal(noise[:rows, :elements], sample[:rows, :elements].to(noise)):
        raise InexactError("the run's noise is not that of its seed, rows and elements")
    used = _uniform(judge, noise)
    _independent(used, oracle is not None)
    if task.chance is not None:
        _independent(_some(task.chance, _columns(task.chance)).double(), True)
        _unrelated(judge, source, task.chance, seed)
        if oracle is not None:
            _unrepeated(torch.cat([_uniform(judge, sample[:1]).flatten(), task.chance[0].flatten()[:NUMBERS].cpu()]))
    return {"noise_tested": used.numel() + every.numel()}


def noise_of(source: Source, judge: Judge, seed: int) -> Tensor:
    """Return the law's noise (rows and seeds, elements, K) in float64, made and tested once for a model."""
    kept = _known.setdefault(source, {})
    if seed not in kept:
        noise = source.distribution.noise
        elements = range(max(NUMBERS // source.distribution.noise_width, 4))
        others = (noise(seed + more, range(1), elements) for more in (OTHER_SEEDS if judge.oracle else OWN_SEEDS))
        made = torch.cat([noise(seed, range(ROWS), elements), *others])
        u = _uniform(judge, made)
        _independent(u, judge.oracle is not None)
        if judge.oracle is not None:
            every = torch.arange(made.shape[-1])
            _unrepeated(u if made.numel() > MOST else judge.oracle.uniforms(made, every))
            _reaches(u)
        kept[seed] = made
    return kept[seed]


def _columns(noise: Tensor) -> Tensor:
    """Return which values of each element are tested: all of few, evenly spaced ones of many."""
    rows, elements, width = noise.shape
    count = min(max(MOST // (rows * elements), 2), COLUMNS, width)
    return torch.linspace(0, width - 1, count).long().to(noise.device)


def _some(noise: Tensor, columns: Tensor) -> Tensor:
    """Return the values (B, N, C) that are tested: of the first rows and elements, where there are too many."""
    elements = min(noise.shape[1], MOST // len(columns))
    rows = max(MOST // (elements * len(columns)), 1)
    return noise[:rows, :elements, columns]


def _uniform(judge: Judge, noise: Tensor) -> Tensor:
    """Return uniforms (B, N, C) that the noise, where it is right, was made from; or ranks."""
    columns = _columns(noise)
    some = _some(noise, columns).double()
    if judge.oracle is not None:
        return judge.oracle.uniforms(some, columns)
    flat = some.flatten(0, 1)
    ranks = flat.argsort(dim=0, stable=True).argsort(dim=0)
    return ((ranks + 0.5) / len(flat)).view(some.shape)


def _independent(u: Tensor, known: bool) -> None:
    """Check uniforms (B, N, C) of one run, row after row: their distribution, if known, and their correlations."""
    if not bool((u.isfinite() & (u >= 0) & (u <= 1)).all()):
        raise InexactError("noise is not finite")
    if known:
        for values, what in ((u, "noise"), (u[..., -1], "the last noise value of an element")):
            if (distance := _distance(values)) > DISTANCE:
                raise InexactError(
                    f"{what} does not follow its standard distribution: {distance:.3g} times the distance of "
                    f"distribution functions that is usual, allowed {DISTANCE:g}"
                )
    _uncorrelated((u.flatten(0, 1) - 0.5) * 12**0.5)
    _uncorrelated(((u.flatten(0, 1) - 0.5).abs() - 0.25) * 48**0.5)  # values may follow from each other by size alone


def _unrelated(judge: Judge, source: Source, used: Tensor, seed: int) -> None:
    """Check that the uniforms (B, N, 1 + K) of a method are their seed's, and do not follow from the law's noise."""
    if not torch.equal(used.cpu(), chances(seed, range(len(used)), range(used.shape[1]), source.distribution)):
        raise InexactError("the uniforms by which a method accepts are not those of its seed, rows and elements")
    if judge.oracle is None:
        return
    noise = _uniform(judge, noise_of(source, judge, seed)[:ROWS])
    chance = chances(seed, range(ROWS), range(noise.shape[1]), source.distribution).to(noise)
    _independent(torch.cat([noise, chance[..., :COLUMNS]], -1), True)


def _uncorrelated(v: Tensor) -> None:
    """Check the correlations of values (elements, C) of mean 0 and variance 1, across elements and within each."""
    count, width = v.shape
    power = torch.fft.rfft(v, n=2 * count, dim=0).abs().square().sum(1)
    pairs = width * torch.arange(count, 1, -1, device=v.device) - width
    apart = torch.fft.irfft(power, n=2 * count)[1:count] / pairs.sqrt()
    if len(apart) and float(apart.abs().max()) > SURPRISE:
        at = int(apart.abs().argmax())
        raise InexactError(
            f"noise follows from the noise {at + 1} elements before: correlation {float(apart[at]):.3g} standard "
            f"deviations off, allowed {SURPRISE:g}"
        )
    within = (v.T @ v / count**0.5).fill_diagonal_(0)
    if float(within.abs().max()) > SURPRISE:
        raise InexactError(
            f"two noise values of an element follow from each other: correlation {float(within.abs().max()):.3g} "
            f"standard deviations off, allowed {SURPRISE:g}"
        )


def _distance(u: Tensor) -> float:
    """Return the distance of uniforms from their distribution function, times the root of their number."""
    ranked = u.flatten().sort().values
    count = len(ranked)
    steps = torch.arange(count + 1, dtype=ranked.dtype, device=u.device) / count
    return float(torch.maximum(steps[1:] - ranked, ranked - steps[:-1]).max()) * count**0.5


def _unrepeated(u: Tensor) -> None:
    """Check that hardly a uniform equals another, or mirrors it."""
    folded = ((u.flatten() - 0.5).abs() * 2**34).round().sort().values
    if (repeated := int((folded[1:] == folded[:-1]).sum())) > REPEATED:
        raise InexactError(f"{repeated} noise values repeat others, allowed {REPEATED}")


def _reaches(u: Tensor) -> None:
    """Check that uniforms come near both of their ends."""
    gap = max(float(u.min()), 1 - float(u.max())) * u.numel()
    if not gap <= TAIL:
        raise InexactError(f"noise has no tail: {gap:.3g} of {u.numel()} values are missing beyond its last")
