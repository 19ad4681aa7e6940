"""Jacobi iteration: re-evaluate all positions at once until nothing changes."""

from __future__ import annotations

import torch

from arbench.methods.base import Method, Outcome, Task, Unknown
from arbench.models import Source


def fixed_point(source: Source, task: Task) -> Outcome:
    """Iterates f = rule(forward(f)) from zeros, at most once a group: then the last is exact.

    Pass k fixes at least the first k groups, so the result is that of the step-by-step loop. Guesses that
    are not finite are set to zero: a later infinity times a masked zero would spoil an *earlier* output.

    Source: Song et al., *Accelerating Feedforward Computation via Parallel Nonlinear Equation Solving*, 2021.
    """
    unknown = Unknown(source, task)
    code = source.encode(task.context, task.n)
    known = unknown.bounds[unknown.first]
    for _ in range(unknown.first, unknown.groups):
        params = source(unknown.f, code)
        guess = unknown.rule(params[:, known:], known, task.n)
        if guess.is_floating_point():
            guess = torch.where(guess.isfinite(), guess, 0)
        guess = torch.cat([unknown.f[:, :known], guess], dim=1)
        settled = torch.equal(guess, unknown.f)
        unknown.f = guess
        if settled:
            return unknown.outcome(params)
    # the last pass may have changed the last group's feed, never a parameter
    return unknown.outcome(params if unknown.groups > unknown.first else source(unknown.f, code))


FIXED_POINT = Method(
    "fixed_point",
    "sample",
    "x",
    fixed_point,
    "Jacobi iteration over the whole event",
    data_dependent=True,
)
INVERSION_FIXED_POINT = Method(
    "inversion_fixed_point", "score", "z", fixed_point, "finds the noise by Jacobi iteration",
    data_dependent=True,
)  # fmt: skip
