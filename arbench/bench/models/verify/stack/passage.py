"""The passage of events through a stack to its base elements, in float64, with autograd's log-determinants.

Only the map of each layer is taken from the model: neither what its package says of its log-determinant, nor how it
inverts the map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from arbench.bench.dtypes import DTYPES
from arbench.bench.models.evidence import EXACT
from arbench.bench.models.judge import Judge
from arbench.bench.models.oracle.change_of_variables import log_det, refined, slopes
from arbench.bench.models.precision import Rounded
from arbench.models.stacks import Layer, Maps, Stack

SHAKEN = 3
"""Number of passages with other rounding errors, from which their effect is known."""

Moved = Callable[[Tensor, float], Tensor]
"""Returns values between two layers as other rounding would leave them, given the absolute error of an inversion."""


@dataclass(frozen=True)
class Passage:
    """Values on the way of events x (B, N) to the base elements, the first at the event.

    Attributes:
        values: values between the layers, and at both ends (B, N).
        log_dets: log |det dz/dx| (B,) of each layer; empty where they were not asked for.
        sizes: sum (B,) of the magnitudes of what each layer's log-determinant is the sum of.
    """

    values: Sequence[Tensor]
    log_dets: Sequence[Tensor]
    sizes: Sequence[Tensor]

    @property
    def z(self) -> Tensor:
        """The base elements (B, N)."""
        return self.values[-1]


def to_base(twin: Stack, layers: Sequence[Layer], x: Tensor, dets: bool, moved: Moved | None = None) -> Passage:
    """Carry events to the base elements.

    Args:
        twin: the model in float64.
        layers: its layers.
        x: events (B, N), float64.
        dets: whether to compute log-determinants.
        moved: moves values between layers.
    """
    values, log_dets, sizes = [x], [], []
    for number, layer in enumerate(layers):
        y = values[-1]
        if moved is not None:
            before = layers[number - 1].tolerance if number and layers[number - 1].reads == "z" else 0.0
            y = moved(y, max(before, layer.tolerance if layer.reads == "x" else 0.0))
        y, total, size = _through(twin, layer, y, dets)
        values.append(y)
        log_dets.append(total)
        sizes.append(size)
    return Passage(values, log_dets, sizes)


def _through(twin: Stack, layer: Layer, y: Tensor, dets: bool) -> tuple[Tensor, Tensor, Tensor]:
    none = torch.zeros_like(y[:, 0])
    sign = 1 if layer.reads == "x" else -1
    if layer.taken is not None:
        return y[:, layer.taken if sign > 0 else layer.taken.argsort()], none, none
    if layer.reads == "x":
        r, maps = y, twin(y, layer)
    else:
        r, maps = inverted(twin, layer, y)
    w = maps.forward(r)[0].detach()
    if not dets:
        return w if sign > 0 else r, none, none
    if layer.rank is None:
        total = log_det(lambda rows: maps.forward(rows)[0], r)
        return w if sign > 0 else r, sign * total, total.abs()
    logs = slopes(lambda rows: maps.forward(rows)[0], r)[1].abs().log()
    return w if sign > 0 else r, sign * logs.sum(1), logs.abs().sum(1)


def inverted(twin: Stack, layer: Layer, w: Tensor) -> tuple[Tensor, Maps]:
    """Return r (B, N) with m(r) = w in float64, and its maps, however near the layer's own inverse comes to it."""
    for refine in (False, True):
        r = torch.zeros_like(w)
        for place in range(layer.places):
            maps = twin(r, layer)
            found = maps.inverse(w)
            if refine:
                found = refined(lambda rows, maps=maps: maps.forward(rows)[0], found, w)  # type: ignore[misc]
            r = found if layer.places == 1 else torch.where(layer.rank == place, found, r)
        if bool(((maps.forward(r)[0] - w).abs() <= EXACT * (1 + w.abs())).all()):
            break
    return r, maps


def with_errors(
    twin: Stack, layers: Sequence[Layer], x: Tensor, dtype: str, dets: bool
) -> tuple[Passage, list[Passage]]:
    """Return the exact passage of events, and others with the errors that a dtype makes.

    Every result of one of them is rounded; values between the layers are moved by a unit of rounding in the rest, and
    by what the package allows itself where it inverts.
    """
    exact = to_base(twin, layers, x, dets)
    others = []
    if dtype != "float64":
        with Rounded(DTYPES[dtype]):
            others.append(to_base(twin, layers, x, dets))
    eps = torch.finfo(DTYPES[dtype]).eps
    for seed in range(SHAKEN):
        generator = torch.Generator().manual_seed(seed)

        def moved(y: Tensor, tolerance: float, generator: torch.Generator = generator) -> Tensor:
            signs = torch.randint(2, y.shape, generator=generator).to(y) * 2 - 1
            return y + signs * (eps * y.abs() + tolerance)

        others.append(to_base(twin, layers, x, dets, moved))
    return exact, others


def log_prob(twin: Stack, judge: Judge, passage: Passage) -> Tensor:
    """Return the log-density (B,) of events: that of their base elements, and autograd's log-determinants."""
    params = twin.base(passage.z.shape[1]).double().expand(len(passage.z), -1, -1)
    return judge.log_prob(params, passage.z).sum(1) + torch.stack(list(passage.log_dets)).sum(0)
