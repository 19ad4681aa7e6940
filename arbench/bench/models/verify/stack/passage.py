"""The passage of values through a stack in float64, with autograd's log-determinants.

Only the map of each layer is taken from the model: neither what its package says of its log-determinant, nor how it
inverts the map.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from arbench.bench.dtypes import DTYPES
from arbench.bench.models.evidence import EXACT
from arbench.bench.models.judge import Judge, judge_of
from arbench.bench.models.oracle.change_of_variables import log_det, refined, slopes
from arbench.bench.models.precision import Rounded
from arbench.models.layers.stacks import Layer, Maps, Stack

SHAKEN = 3
"""Number of passages with other rounding errors, from which their effect is known."""
SURE = 8.0
"""Share of what a package allows itself where it inverts that values are moved by: that is a bound, where rounding
errors are chance."""

Moved = Callable[[Tensor, float], Tensor]
"""Returns values between two layers as other rounding would leave them, given the absolute error of an inversion."""


@dataclass(frozen=True)
class Passage:
    """Values on the way through a stack.

    Attributes:
        values: values (B, N) at the start, between the layers, and at the end.
        log_dets: log |det dz/dx| (B,) of each layer; zeros where they were not asked for.
        sizes: sum (B,) of the magnitudes of what each layer's log-determinant is the sum of.
    """

    values: Sequence[Tensor]
    log_dets: Sequence[Tensor] = ()
    sizes: Sequence[Tensor] = ()

    @property
    def end(self) -> Tensor:
        """The values (B, N) at the end."""
        return self.values[-1]


def carry(
    twin: Stack,
    layers: Sequence[Layer],
    y: Tensor,
    to: Literal["x", "z"] = "z",
    dets: bool = False,
    moved: Moved | None = None,
    drawn: bool = False,
) -> Passage:
    """Carry values through layers.

    Args:
        twin: the model in float64.
        layers: layers of it, from the event to the base elements.
        y: values (B, N) on the other side, float64.
        to: side to carry them to: "z" is that of the base elements.
        dets: whether to compute log-determinants.
        moved: moves values between layers.
        drawn: whether the values come from a draw: what has inverted then are the layers that are one pass here.
    """
    values, log_dets, sizes, before = [y], [], [], 0.0
    for layer in layers if to == "z" else reversed(layers):
        y = values[-1]
        loops = layer.reads == to
        if moved is not None:
            y = moved(y, layer.tolerance if drawn and not loops else before)
        before = layer.tolerance if loops and not drawn else 0.0
        y, total, size = _through(twin, layer, y, to, dets)
        values.append(y)
        log_dets.append(total)
        sizes.append(size)
    return Passage(values, log_dets, sizes)


def _through(twin: Stack, layer: Layer, y: Tensor, to: str, dets: bool) -> tuple[Tensor, Tensor, Tensor]:
    none = torch.zeros_like(y[:, 0])
    if layer.taken is not None:
        return y[:, layer.taken if layer.reads != to else layer.taken.argsort()], none, none
    if layer.reads != to:
        r, maps = y, twin(y, layer)
        end = maps.forward(r)[0].detach()
    else:
        r, maps = inverted(twin, layer, y)
        end = r
    if not dets:
        return end, none, none
    sign = 1 if layer.reads == "x" else -1
    if layer.rank is None:
        total = log_det(lambda rows: maps.forward(rows)[0], r)
        return end, sign * total, total.abs()
    logs = slopes(lambda rows: maps.forward(rows)[0], r)[1].abs().log()
    return end, sign * logs.sum(1), logs.abs().sum(1)


def inverted(twin: Stack, layer: Layer, w: Tensor) -> tuple[Tensor, Maps]:
    """Return r (B, N) with m(r) = w in float64, and its maps, however near the layer's own inverse comes to it."""
    for refine in (False, True):
        r = torch.zeros_like(w)
        for place in range(layer.places):
            maps = twin(r, layer)
            found = maps.inverse(w)
            if refine:
                found = refined(lambda rows, maps=maps: maps.forward(rows)[0], found, w)  # type: ignore[misc]
            r = found if layer.rank is None else torch.where(layer.rank.eq(place), found, r)
        if bool(((maps.forward(r)[0] - w).abs() <= EXACT * (1 + w.abs())).all()):
            break
    return r, maps


def with_errors(run: Callable[[Moved | None], Passage], dtype: str) -> tuple[Passage, list[Passage]]:
    """Return the exact passage of values, and others with the errors that a dtype makes.

    Every result of one of them is rounded; values between the layers are moved by a unit of rounding in the rest, and
    by what the package allows itself where it inverts.

    Args:
        run: makes the passage; moves values as it is told.
        dtype: the dtype.
    """
    exact, others = run(None), []
    if dtype != "float64":
        with Rounded(DTYPES[dtype]):
            others.append(run(None))
    eps = torch.finfo(DTYPES[dtype]).eps
    for seed in range(SHAKEN):
        generator = torch.Generator().manual_seed(seed)

        def moved(y: Tensor, tolerance: float, generator: torch.Generator = generator) -> Tensor:
            signs = torch.randint(2, y.shape, generator=generator).to(y) * 2 - 1
            return y + signs * (eps * y.abs() + tolerance / SURE)

        others.append(run(moved))
    return exact, others


def log_prob(twin: Stack, judge: Judge, passage: Passage) -> Tensor:
    """Return the log-density (B,) of events: that of their base elements, and autograd's log-determinants."""
    z = passage.end
    params = twin.base(z.shape[1]).double().expand(len(z), -1, -1)
    return judge.log_prob(params, z).sum(1) + torch.stack(list(passage.log_dets)).sum(0)


def exact_log_prob(twin: Stack, x: Tensor) -> Tensor:
    """Return the log-density (B,) of events (B, N), with autograd's log-determinants, from a model in float64."""
    layers = twin.layers(x.shape[1])
    return log_prob(twin, judge_of(twin.distribution), carry(twin, layers, x, dets=True))
