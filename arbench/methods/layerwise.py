"""Scoring and sampling of a stack of invertible layers, layer by layer.

A layer carries values in one pass to the side that its network does not read. To the side that it reads it is inverted:
place by place of its order, or by Jacobi iteration. An evaluation of the network of one layer is one evaluation (nfe).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from arbench.methods.base import Method, Outcome, Task
from arbench.models import Source
from arbench.models.layers.stacks import Layer, Maps, Stack

Inversion = Callable[[Stack, Layer, Tensor], tuple[Tensor, Maps]]
"""Returns r (B, N) with m(r) = w, and the maps that r implies."""


def place_by_place(source: Stack, layer: Layer, w: Tensor) -> tuple[Tensor, Maps]:
    """Invert a layer: an evaluation of its network for each place of its order, of which it keeps that place."""
    r = torch.zeros_like(w)
    for place in range(layer.places):
        maps = source(r, layer)
        found = maps.inverse(w)
        r = found if layer.rank is None else torch.where(layer.rank.eq(place), found, r)
    return r, maps


def jacobi(source: Stack, layer: Layer, w: Tensor) -> tuple[Tensor, Maps]:
    """Invert a layer at all places at once, until nothing changes: at most once for each place of its order.

    Guesses that are not finite are set to zero, as in ``fixed_point`` of a single factorisation.

    Source: Song et al., *Accelerating Feedforward Computation via Parallel Nonlinear Equation Solving*, 2021.
    """
    r = torch.zeros_like(w)
    for place in range(layer.places):
        maps = source(r, layer)
        found = maps.inverse(w)
        if place + 1 < layer.places:
            found = torch.where(found.isfinite(), found, 0)
        if torch.equal(found, r):
            break
        r = found
    return r, maps


def carried(
    source: Stack, layer: Layer, y: Tensor, to: Literal["x", "z"], invert: Inversion = place_by_place
) -> tuple[Tensor, Tensor]:
    """Carry values through a layer.

    Args:
        source: the stack.
        layer: the layer.
        y: values (B, N) on one side.
        to: the other side: "z" is that of the base elements.
        invert: algorithm where the network reads that side.

    Returns:
        The values (B, N) on that side, and log |det dz/dx| (B,) of the layer.
    """
    if layer.reads != to:
        w, log_det = source(y, layer).forward(y)
    else:
        w, maps = invert(source, layer, y)
        log_det = maps.forward(w)[1]
    return w, log_det if layer.reads == "x" else -log_det


def _scoring(invert: Inversion) -> Callable[[Source, Task], Outcome]:
    def score(source: Source, task: Task) -> Outcome:
        assert isinstance(source, Stack)
        assert task.x is not None
        y, total = task.x, torch.zeros_like(task.x[:, 0])
        for layer in source.encode(task.context, task.n):
            y, log_det = carried(source, layer, y, "z", invert)
            total = total + log_det
        return Outcome(task.x, task.x, log_prob=total + of_base(source, y))

    return score


def of_base(source: Stack, z: Tensor) -> Tensor:
    """Return the log-density (B,) of base elements (B, N)."""
    params = source.base(z.shape[1]).expand(len(z), -1, -1)
    return source.distribution.log_prob(params, z).sum(1)


def drawn_base(source: Stack, noise: Tensor) -> Tensor:
    """Return the base elements (B, N) that standard noise (B, N, K) draws."""
    return source.distribution.draw(source.base(noise.shape[1]).expand(len(noise), -1, -1), noise)


def _sampling(invert: Inversion) -> Callable[[Source, Task], Outcome]:
    def sample(source: Source, task: Task) -> Outcome:
        assert isinstance(source, Stack)
        assert task.noise is not None
        if task.given is not None:
            raise ValueError("elements cannot be given to a stack of layers")
        y = drawn_base(source, task.noise)
        for layer in reversed(source.encode(task.context, task.n)):
            y = source(y, layer).forward(y)[0] if layer.reads == "z" else invert(source, layer, y)[0]
        return Outcome(y, y)

    return sample


def own_samples(source: Source, task: Task) -> Outcome:
    """Compute log P(x) of the model's own samples, whose known noise makes inversion unnecessary."""
    assert isinstance(source, Stack)
    assert task.x is not None
    assert task.noise is not None
    y = drawn_base(source, task.noise)
    total = of_base(source, y)
    for layer in reversed(source.encode(task.context, task.n)):
        y, log_det = carried(source, layer, y, "x")
        total = total + log_det
    return Outcome(task.x, task.x, log_prob=total)


def _one_pass(side: Literal["x", "z"]) -> Callable[[Source | type[Source]], str | None]:
    """Return what keeps a stack from being carried to a side in one pass."""

    def lacks(source: Source | type[Source]) -> str | None:
        if not isinstance(source, Stack) or not (names := source.loops(side)):
            return None
        reads = {"x": "events", "z": "noise"}[side]
        return f"needs layers that are one pass this way, and {names} reads {reads}: it has to be inverted"

    return lacks


def _looping(side: Literal["x", "z"]) -> Callable[[Source | type[Source]], str | None]:
    """Return what makes inversion of a stack needless on the way to a side."""

    def lacks(source: Source | type[Source]) -> str | None:
        if not isinstance(source, Stack) or source.loops(side):
            return None
        return "has nothing to invert: this way every layer is one pass, so take parallel"

    return lacks


LAYERS_SCORE = Method(
    "parallel",
    "score",
    "layers",
    _scoring(place_by_place),
    "one pass through every layer",
    reference=True,
    lacks=_one_pass("z"),
)
LAYERS_INVERSION = Method(
    "inversion",
    "score",
    "layers",
    _scoring(place_by_place),
    "finds the noise layer by layer, one evaluation of a layer per element",
    reference=True,
    lacks=_looping("z"),
)
LAYERS_INVERSION_FIXED_POINT = Method(
    "inversion_fixed_point",
    "score",
    "layers",
    _scoring(jacobi),
    "finds the noise layer by layer, by Jacobi iteration",
    data_dependent=True,
    lacks=_looping("z"),
)
LAYERS_OWN_SAMPLES = Method(
    "own_samples",
    "score",
    "layers",
    own_samples,
    "one pass through every layer; only for samples whose noise is known",
    lacks=lambda source: _one_pass("x")(source) or _looping("z")(source),
)
LAYERWISE = Method(
    "layerwise",
    "sample",
    "layers",
    _sampling(place_by_place),
    "inverts layer by layer, one evaluation of a layer per element",
    reference=True,
    lacks=_looping("x"),
)
LAYERS_FIXED_POINT = Method(
    "fixed_point",
    "sample",
    "layers",
    _sampling(jacobi),
    "inverts layer by layer, each by Jacobi iteration",
    data_dependent=True,
    lacks=_looping("x"),
)
LAYERS_SAMPLE = Method(
    "parallel",
    "sample",
    "layers",
    _sampling(place_by_place),
    "one pass through every layer",
    reference=True,
    lacks=_one_pass("x"),
)
LAYER_METHODS = (
    LAYERS_SCORE,
    LAYERS_INVERSION,
    LAYERS_INVERSION_FIXED_POINT,
    LAYERS_OWN_SAMPLES,
    LAYERWISE,
    LAYERS_FIXED_POINT,
    LAYERS_SAMPLE,
)
"""The methods of stacks, in the order of the tables."""
