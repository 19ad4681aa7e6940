"""A flow of another package as a stack of layers, with one number of features or one flow for each number."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from arbench.distributions import Normal
from arbench.models import Context, ModelError
from arbench.models.layers.stacks import Layer, Stack, in_one_order
from arbench.own.raised import one_line

LADDER = (8, 16, 32, 64, 128)
"""Numbers of features to measure where none is given."""
STRENGTH = 3.0
"""Angle by which parameters of a ``Chained`` network turn with an element."""
ONE_ORDER = "Its layers take the features in one order"
ORDERS = "Its layers take the features in different orders, so none follows from those before it alone"
REMARK = (
    "{}: {} layer by layer, with an evaluation of a layer for each feature, so its depth is that of layers x "
    "features. There is no cached: the package's networks have no step for one feature."
)


class Chained(nn.Module):
    """A network of a layer whose parameters of each element depend strongly on one element of the place before.

    Args:
        rank: place (N,) of each element.
        width: number of parameters of an element.
    """

    def __init__(self, rank: Tensor, width: int) -> None:
        super().__init__()
        known = rank.tolist()
        before = [known.index(place - 1) if place else -1 for place in known]
        self.register_buffer("before", torch.tensor(before, device=rank.device), persistent=False)
        self._width = width

    def forward(self, r: Tensor, context: Tensor | None = None) -> Tensor:
        """Return parameters (.., N width) of elements (.., N), in [-1, 1]."""
        before = self.before
        assert isinstance(before, Tensor)
        first = torch.arange(len(before), device=r.device).unsqueeze(-1) + torch.arange(self._width, device=r.device)
        read = torch.where(before >= 0, r[..., before.clamp_min(0)], 0.0)
        return torch.sin(STRENGTH * read.unsqueeze(-1) + first).flatten(-2)


class Flow(Stack):
    """A flow of another package; a subclass for each package reads its layers.

    An element is a feature. A flow is built for one number of features, or, where that is not given, for each N that is
    measured, with the same settings. Events are standard normal numbers: what they are changes no time.

    Args:
        features: number of features; None for a flow for each N.
        seed: seed of random weights.
        **settings: arguments of what builds the flow.

    Raises:
        ModelError: a setting is wrong, or the flow cannot be carried through layer by layer.
    """

    package: ClassVar[str]
    made: ClassVar[Any] = None
    """A flow, a class of flows or a function that returns one, of the user's; None for those of the package."""

    def __init__(self, *, features: int | None = None, seed: int = 0, **settings: Any) -> None:
        super().__init__()
        if features is not None and (type(features) is not int or features < 1):
            raise ModelError(f"features is {features!r:.40}; give a whole number from 1 on")
        self.distribution = Normal(log_scale_floor=-torch.inf)
        self._settings, self._seed = settings, seed
        self._others: dict[int, nn.Module] = {}
        self.register_buffer("_like", torch.zeros(()), persistent=False)
        self.flow: nn.Module | None = None
        self.features: int | None = None
        if features is not None or type(self).made is not None:
            self.flow = self._built(features)
            self.features = self.features_of(self.flow)
            self.ladder = self.count_ladder = (self.features,)
        else:
            self.ladder = LADDER
        self._describe()

    @abstractmethod
    def new(self, features: int, settings: Mapping[str, Any]) -> nn.Module:
        """Return a flow of the package's with so many features."""

    @abstractmethod
    def features_of(self, flow: nn.Module) -> int:
        """Return the number of features of a flow. Raises ModelError if an event is no vector."""

    @abstractmethod
    def layers_of(self, flow: nn.Module) -> Sequence[Layer]:
        """Return the layers of a flow, from the event to the base elements."""

    @abstractmethod
    def base_of(self, flow: nn.Module, n: int) -> Tensor:
        """Return mean and log-scale (n, 2) of the base elements of a flow. Raises ModelError if they are not normal."""

    @abstractmethod
    def chain(self, flow: nn.Module) -> int:
        """Replace the networks of a flow's layers by ``Chained`` ones; return how many."""

    def chained(self, n: int) -> Stack | None:
        """Return a copy whose networks are replaced by ``Chained`` ones.

        None for a flow that is inverted by bisection: it is so between two bounds alone, which such a copy would leave.
        """
        if any(layer.tolerance for layer in self.layers(n)):
            return None
        other = copy.deepcopy(self)
        return other if self.chain(other.at(n)) else None

    def _describe(self) -> None:
        """Say what the layers mean for depth, after a first look at a flow, which fails if it wants conditioning."""
        n = self.features or min(self.ladder)
        flow = self.flow or self._built(n)
        try:
            with torch.no_grad():
                self.base_of(flow, n)
                layers = self.layers_of(flow)
                for layer in layers:
                    layer.maps(torch.zeros(2, n))
        except ModelError:
            raise
        except Exception as error:  # the user's code may raise anything
            raise ModelError(
                f"the flow cannot be evaluated on {n} features without conditioning ({one_line(error)}); arbench gives "
                "a flow no conditioning: build it with none"
            ) from None
        if any(layer.rank is None and layer.taken is None for layer in layers):
            self.claims = {}  # type: ignore[misc]  # of layers that no order describes nothing is claimed
        jobs = [job for job, side in (("sampling", "x"), ("scoring", "z")) if any(one.loops_to(side) for one in layers)]  # type: ignore[arg-type]
        if jobs:
            how = " and ".join(jobs) + (" goes" if len(jobs) == 1 else " go")
            order = ONE_ORDER if in_one_order(layers) else ORDERS
            self.remark = REMARK.format(order, how)  # type: ignore[misc]

    def _built(self, features: int | None) -> nn.Module:
        """Return a flow with random weights of the seed, or a copy of the user's."""
        made = type(self).made
        if isinstance(made, nn.Module):
            return copy.deepcopy(made)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            if made is None:
                assert features is not None
                return self.new(features, self._settings)
            size = {} if features is None else {"features": features}
            return made(**size, **self._settings)

    def at(self, n: int) -> nn.Module:
        """Return the flow of ``n`` features.

        Raises:
            ValueError: there is none.
        """
        if self.flow is not None:
            if n != self.features:
                raise ValueError(f"{self._only()}, got N = {n}")
            return self.flow
        if n not in self._others:
            like = self._like
            if like.dtype not in (torch.float32, torch.float64):  # a float64 twin would have other weights
                raise ValueError("in half precision a flow has one number of features; give it as features=N")
            self._others[n] = self._built(n).to(like).eval().requires_grad_(False)
            self.layers_of(self._others[n])  # what is looked at once for a flow is no part of a call
        return self._others[n]

    def _only(self) -> str:
        more = "" if type(self).made is not None else ", or leave features out for a flow of each N"
        return f"the flow has {self.features} features; choose --n {self.features}{more}"

    def schedule(self, n: int) -> Sequence[int]:
        """Return the bounds of the elements.

        Raises:
            ValueError: the flow has another number of features.
        """
        bounds = super().schedule(n)
        if self.features is not None and n != self.features:
            raise ValueError(f"{self._only()}, got N = {n}")
        return bounds

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return standard normal events (B, N), and no conditioning; the flow of ``n`` features is built."""
        self.at(n)
        draws = [torch.Generator().manual_seed(seed * 65537 + row) for row in rows]
        return torch.stack([torch.randn(n, generator=draw) for draw in draws]), {}

    def layers(self, n: int) -> Sequence[Layer]:
        """Return the layers for events of ``n`` features."""
        return self.layers_of(self.at(n))

    def base(self, n: int) -> Tensor:
        """Return mean and log-scale (n, 2) of the base elements."""
        return self.base_of(self.at(n), n)

    def weights(self, n: int) -> int:
        """Return the number of parameters of the flow of ``n`` features."""
        return sum(p.numel() for p in self.at(n).parameters())

    def longest(self, data: Any = None) -> int | None:
        """Return the number of features, where there is one."""
        return self.features
