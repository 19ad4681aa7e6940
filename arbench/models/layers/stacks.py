"""Stacks of invertible layers: densities by change of variables, whose layers may take the elements in any order."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from arbench.models.base import Claim, Context, Source


@dataclass(frozen=True)
class Maps:
    """The map w = m(r) of a layer, with parameters that are computed already.

    In a layer that has an order this is one monotonic map of each element.

    Args:
        forward: returns w (B, N) and the layer's log |det dw/dr| (B,) from r (B, N).
        inverse: returns r (B, N) from w.
    """

    forward: Callable[[Tensor], tuple[Tensor, Tensor]]
    inverse: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Layer:
    """An invertible layer between the side that its network reads, r, and the other one, w.

    Args:
        name: what its package calls it.
        maps: evaluates the network on r (B, N), and returns its maps; those of an element depend on the elements of
            lower rank alone.
        rank: place (N,) of each element in the layer's order, from 0 on; equal places depend on the same elements. None
            for a layer without an order, whose ``Maps`` depend on nothing and are inverted in one call.
        reads: side of the layer that r is on: "x" is that of the events, "z" that of the noise.
        inverse: returns r from w by the package's own algorithm.
        taken: number of the element of r that each element of w is (N,), for a layer that only permutes; else None.
        tolerance: absolute error that the package allows itself where it inverts the map of an element.
    """

    name: str
    maps: Callable[[Tensor], Maps]
    rank: Tensor | None = None
    reads: Literal["x", "z"] = "x"
    inverse: Callable[[Tensor], Tensor] | None = None
    taken: Tensor | None = None
    tolerance: float = 0.0

    @property
    def places(self) -> int:
        """The number of places of its order: evaluations of the network that inversion takes."""
        return 1 if self.rank is None else int(self.rank.max()) + 1

    def loops_to(self, side: Literal["x", "z"]) -> bool:
        """Return whether values are carried to a side place by place, because the network reads that side."""
        return self.places > 1 and self.reads == side


class Stack(Source):
    """A density by change of variables: layers between the event x and base elements that are independent.

    Where the layers take the elements in different orders, no element follows from those before it alone: there is no
    factorisation, no ``extend`` and no ``cached``, and a layer whose network reads the side that is wanted is inverted
    place by place. ``forward`` evaluates the network of one layer.
    """

    feeds = "layers"
    steps = False
    claims = {
        ("score", "parallel"): Claim("1", "N"),
        ("score", "inversion"): Claim("N", "N^2"),
        ("score", "inversion_fixed_point"): Claim("<= N", "<= N^2"),
        ("score", "own_samples"): Claim("1", "N"),
        ("sample", "layerwise"): Claim("N", "N^2"),
        ("sample", "fixed_point"): Claim("<= N", "<= N^2"),
        ("sample", "parallel"): Claim("1", "N"),
    }
    element: ClassVar[str] = "feature"

    @abstractmethod
    def layers(self, n: int) -> Sequence[Layer]:
        """Return the layers for events of ``n`` elements, from the event to the base elements."""

    @abstractmethod
    def base(self, n: int) -> Tensor:
        """Return the parameters (n, P) of ``distribution`` that each base element has."""

    def chained(self, n: int) -> Stack | None:
        """Return a copy for ``n`` elements in which each depends strongly on the one before, to try inversions on.

        None, the default, where the networks of the layers cannot be replaced.
        """
        return None

    def loops(self, side: Literal["x", "z"]) -> str:
        """Return the first layer that has to be inverted to carry values to a side, as in ``layer 2 of 3``, or ``""``.

        "z" is the side of the base elements.
        """
        known = self.layers(min(self.ladder))
        found = (number for number, layer in enumerate(known, 1) if layer.loops_to(side))
        return next((f"layer {number} of {len(known)}" for number in found), "")

    def encode(self, context: Context, n: int) -> Sequence[Layer]:
        """Return the layers."""
        return self.layers(n)

    def forward(self, f: Tensor, code: Layer) -> Maps:  # type: ignore[override]
        """Return the maps of a layer, whose network reads f (B, N)."""
        return code.maps(f)

    def start(self, batch: int, n: int, code: Any) -> Any:
        """Refuse: there is no state.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(f"{type(self).__name__} has layers and no incremental step")

    def extend(self, state: Any, f: Tensor, g0: int, g1: int) -> tuple[Tensor, Any]:
        """Refuse, as ``start``."""
        raise NotImplementedError(f"{type(self).__name__} has layers and no incremental step")


def in_one_order(layers: Sequence[Layer]) -> bool:
    """Return whether all layers of a stack take the elements in one order, so that it is a single factorisation.

    A layer that permutes moves the order of those after it. One that has neither an order nor a permutation mixes all
    elements.
    """
    orders, moved = [], None  # element i of a layer is element moved[i] of the event
    for layer in layers:
        if layer.taken is not None:
            taken = layer.taken if layer.reads == "x" else layer.taken.argsort()
            moved = taken if moved is None else moved[taken]
        elif layer.rank is None:
            return False
        elif layer.places > 1:
            rank = layer.rank
            orders.append(rank if moved is None else torch.empty_like(rank).index_copy_(0, moved, rank))
    return all(torch.equal(order, orders[0]) for order in orders)
