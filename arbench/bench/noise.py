"""The timing noise of this machine: scatter of the ratio of two equal pieces of work, which should be 1."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from arbench.meters import Clock

Workload = Callable[[], Any]


@dataclass(frozen=True)
class Trial:
    """Ratios of equal code, one per instance, for two ways of timing."""

    apart: list[float]
    """Ratios of medians, with one side timed after the other."""
    in_turns: list[float]
    """Medians of the ratios of pairs, with both sides timed call by call in random order."""
    call_s: float
    """Median duration of a call, in seconds."""

    @staticmethod
    def scatter(ratios: list[float]) -> float:
        """Return the relative standard deviation of ratios."""
        return float(np.std(np.log(ratios), ddof=1))

    @staticmethod
    def worst(ratios: list[float]) -> float:
        """Return the largest relative deviation of ratios from 1."""
        return float(np.abs(np.log(ratios)).max())


def aa_trial(build: Callable[[], Workload], clock: Clock, instances: int, pairs: int, seed: int = 0) -> Trial:
    """Time two equal sides in both ways; each instance takes the ways in random order.

    Args:
        build: builds one side in fresh memory.
        clock: clock of the device that the sides run on.
        instances: number of ratios per way, at least 2.
        pairs: number of calls of each side per instance, at least 1.
        seed: seed of the order.

    Raises:
        ValueError: there are fewer than 2 instances or 1 pair.
    """
    if instances < 2 or pairs < 1:
        raise ValueError(f"needs at least 2 instances and 1 pair, got {instances} and {pairs}")
    rng = random.Random(seed)
    apart, in_turns, calls = [], [], []
    for _ in range(instances):
        ways = [_apart, _in_turns]
        rng.shuffle(ways)
        for way in ways:
            a, b = build(), build()
            a()
            b()
            times = way(a, b, clock, pairs, rng)
            calls.extend(times[0] + times[1])
            if way is _apart:
                apart.append(median(times[0]) / median(times[1]))
            else:
                in_turns.append(median(x / y for x, y in zip(*times, strict=True)))
    return Trial(apart, in_turns, median(calls))


Times = tuple[list[float], list[float]]


def _apart(a: Workload, b: Workload, clock: Clock, pairs: int, rng: random.Random) -> Times:
    return [clock.time(a) for _ in range(pairs)], [clock.time(b) for _ in range(pairs)]


def _in_turns(a: Workload, b: Workload, clock: Clock, pairs: int, rng: random.Random) -> Times:
    first, second = [], []
    for _ in range(pairs):
        if rng.random() < 0.5:
            first.append(clock.time(a))
            second.append(clock.time(b))
        else:
            second.append(clock.time(b))
            first.append(clock.time(a))
    return first, second


def scorer(device: str = "cpu", n: int = 64, seed: int = 0) -> Callable[[], Workload]:
    """Return a function that builds a workload: ``wavenet:nv`` scoring ``n`` samples in one pass."""
    import torch

    from arbench.bench.models.setup import ModelSetup, run
    from arbench.bench.plan import Options, make_plan

    options = Options(models=["wavenet:nv"], ops=["score"], methods=["parallel"], n=[n], device=device, seed=seed)
    case = make_plan(options).cases[0]
    setup = ModelSetup(case.spec, case.dtype, case.device, seed)

    def build() -> Workload:
        source = setup.build()
        task = setup.task(source, case)

        def call() -> Any:
            with torch.no_grad():
                return run(source, case, task)

        return call

    return build
