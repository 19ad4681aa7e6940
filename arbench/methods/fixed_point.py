"""Jacobi iteration: all positions are evaluated at once until nothing changes, over the event or in blocks."""

from __future__ import annotations

import torch

from arbench.methods.ahead import Window
from arbench.methods.base import Method, Outcome, Task, Unknown, stepless
from arbench.models import Source


def fixed_point(source: Source, task: Task) -> Outcome:
    """Iterate f = rule(forward(f)) from zeros, at most once per group, after which the result is exact.

    Pass k fixes at least the first k groups, so the result equals that of the step-by-step loop. Guesses that are not
    finite are set to zero, because a later infinity times a masked zero would give NaN in an *earlier* output.

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
    # the last pass may change the feed of the last group, but no parameter
    return unknown.outcome(params if unknown.groups > unknown.first else source(unknown.f, code))


BLOCK = 16
"""Number of groups per block of ``blocks``."""


def blocks(source: Source, task: Task) -> Outcome:
    """Iterate within a block of ``BLOCK`` groups, block after block, with the past cached.

    This is Jacobi iteration inside blocks and Gauss-Seidel over blocks, with at most one evaluation per group.

    Source: Song et al., as in ``fixed_point``, section 4.3 (Jacobi-Gauss-Seidel).
    """
    window = Window(source, task, BLOCK)
    while not window.done:
        g0, g1 = window.at, window.end
        span = window.span(g0, g1)
        before, now, mark = 0, 0, None
        while now < g1 - g0:
            guess = window.f[:, span].clone()
            params, found, mark = window.evaluate(mark)
            # each pass fixes at least one more group, even if rounding changes later real elements
            before, now = now, max(now + 1, window.settled(found == guess, g1))
            window.accepted.append(now - before)
            if now < g1 - g0:
                finite = torch.where(found.isfinite(), found, 0) if found.is_floating_point() else found
                window.f[:, span] = finite
                window.state = source.rewind(window.state, mark, window.f, g0)
        window.advance(params, found, g1 - g0, mark)
    return window.outcome()


FIXED_POINT = Method(
    "fixed_point",
    "sample",
    "x",
    fixed_point,
    "Jacobi iteration over the whole event",
    data_dependent=True,
)
INVERSION_FIXED_POINT = Method(
    "inversion_fixed_point",
    "score",
    "z",
    fixed_point,
    "finds the noise by Jacobi iteration",
    data_dependent=True,
)
BLOCKS = Method(
    "blocks",
    "sample",
    "x",
    blocks,
    "Jacobi iteration in blocks of 16 with the past cached (Gauss-Seidel)",
    data_dependent=True,
    lacks=stepless,
)
INVERSION_BLOCKS = Method(
    "inversion_blocks",
    "score",
    "z",
    blocks,
    "finds the noise by Jacobi iteration in blocks of 16",
    data_dependent=True,
    lacks=stepless,
)
