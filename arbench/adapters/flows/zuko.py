"""Flows of zuko, https://github.com/probabilists/zuko."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from inspect import signature
from typing import Any
from weakref import WeakKeyDictionary

import torch
import zuko
from torch import Tensor, nn
from torch.distributions import ComposeTransform, Independent, Normal
from torch.distributions.transforms import _InverseTransform
from zuko import transforms as given
from zuko.flows import MaskedAutoregressiveTransform

from arbench.adapters.flows.model import Chained, Flow
from arbench.methods import Method, Outcome, Task
from arbench.methods.layerwise import drawn_base
from arbench.models import ModelError, Source
from arbench.models.layers.stacks import Layer, Maps

KINDS = ("MAF", "NSF", "SOSPF", "BPF", "NAF", "UNAF", "NICE", "RealNVP")
"""Classes of ``zuko.flows`` with normal base elements whose layers are inverted exactly."""
INVERSES = {"IAF": "MAF"}
"""Flows that invert the layers of others, and which these are."""
NOT = {
    "CNF": "solves a differential equation, and has no layers",
    "GF": "is inverted by bisection between -10 and 10 alone, which draws of random weights leave",
    "GMM": "is a mixture, and has no layers",
    "NCSF": "has uniform base elements; arbench draws normal ones",
}

_ALLOWED = float(signature(given.MonotonicTransform).parameters["eps"].default)
_tolerances: WeakKeyDictionary[nn.Module, float] = WeakKeyDictionary()


class _Kinds(dict[str, Mapping[str, Any]]):
    """Presets, which say why others are none."""

    def __contains__(self, name: object) -> bool:
        if name in NOT:
            raise ModelError(f"model 'zuko:{name}' {NOT[str(name)]}")
        return super().__contains__(name)


class Zuko(Flow):
    """A flow of zuko; an element is a feature.

    Presets are the classes of ``zuko.flows``, with their arguments as settings: ``zuko:NSF,features=16,transforms=5``.
    IAF is MAF with every layer inverted, so that the network reads noise; ``inverse=true`` inverts any other.

    Args:
        kind: class of ``zuko.flows``.
        inverse: whether to invert the layers.
        features: number of features; None for a flow for each N.
        seed: seed of random weights.
        **settings: arguments of the class.

    Raises:
        ModelError: a setting is wrong.
    """

    package = "zuko"
    citation = "Rozet et al., zuko, doi:10.5281/zenodo.7625672"
    default_preset = "MAF"
    presets = _Kinds(
        {kind: {"kind": kind, "features": None, "transforms": 3} for kind in KINDS}
        | {name: {"kind": kind, "features": None, "transforms": 3, "inverse": True} for name, kind in INVERSES.items()}
    )

    def __init__(
        self, *, kind: str = "MAF", inverse: bool = False, features: int | None = None, seed: int = 0, **settings: Any
    ) -> None:
        self._kind, self._inverse = kind, inverse
        super().__init__(features=features, seed=seed, **settings)

    @classmethod
    def own_methods(cls) -> Sequence[Method]:
        """Return zuko's own sampling and scoring."""
        return OWN

    def new(self, features: int, settings: Mapping[str, Any]) -> nn.Module:
        """Return a flow of zuko."""
        flow: nn.Module = getattr(zuko.flows, self._kind)(features=features, **settings)
        return zuko.lazy.Flow(flow.transform.inv, flow.base) if self._inverse else flow  # type: ignore[union-attr]

    def features_of(self, flow: nn.Module) -> int:
        """Return the number of features."""
        shape = _distribution(flow).base.event_shape
        if len(shape) != 1:
            raise ModelError(f"an event of the flow has the shape {tuple(shape)}; arbench takes vectors (features,)")
        return int(shape[0])

    def layers_of(self, flow: nn.Module) -> Sequence[Layer]:
        """Return the layers."""
        distribution = _distribution(flow)
        return list(_layers(distribution.transform, int(distribution.base.event_shape[-1])))

    def chain(self, flow: nn.Module) -> int:
        """Replace the networks of the autoregressive layers that have an order."""
        found = [one for one in flow.modules() if isinstance(one, MaskedAutoregressiveTransform)]
        ordered = [one for one in found if one.order is not None]
        for one in ordered:
            one.hyper = Chained(_rank(one.order), one.total)
        return len(ordered)

    def base_of(self, flow: nn.Module, n: int) -> Tensor:
        """Return mean and log-scale of the base elements."""
        base = _distribution(flow).base
        while isinstance(base, Independent):
            base = base.base_dist
        if not isinstance(base, Normal):
            raise ModelError(f"the flow's base is {type(base).__name__}; arbench draws normal base elements")
        return torch.stack([base.loc.expand(n), base.scale.log().expand(n)], dim=-1)


def _distribution(flow: nn.Module) -> Any:
    """Return the distribution that a flow without conditioning is. Raises ModelError if it is no flow."""
    found = flow(None)
    if not hasattr(found, "transform") or not hasattr(found, "base"):
        raise ModelError(f"{type(flow).__name__} makes a {type(found).__name__}, which has no transform and no base")
    return found


def _layers(transform: Any, n: int) -> Iterator[Layer]:
    """Yield the layers of a transform."""
    if isinstance(transform, given.ComposedTransform):
        for one in transform.transforms:
            yield from _layers(one, n)
    elif isinstance(transform, ComposeTransform):
        for one in transform.parts:
            yield from _layers(one, n)
    elif isinstance(transform, _InverseTransform):
        for layer in reversed(list(_layers(transform.inv, n))):
            yield replace(layer, reads="z" if layer.reads == "x" else "x")
    else:
        yield _layer(transform, n)


def _layer(transform: Any, n: int) -> Layer:
    if isinstance(transform, given.FreeFormJacobianTransform):
        raise ModelError("the flow solves a differential equation, and has no layers that arbench could invert")
    if isinstance(transform, given.PermutationTransform):
        return Layer("PermutationTransform", lambda r: _maps(transform), taken=transform.order)
    if isinstance(transform, given.AutoregressiveTransform):
        owner = getattr(getattr(transform.meta, "func", None), "__self__", None)
        order = getattr(owner, "order", None)
        if isinstance(owner, nn.Module) and order is not None:
            name = type(owner).__name__
            return Layer(
                name,
                lambda r: _maps(transform.meta(r)),
                _rank(order),
                inverse=lambda w: transform.inv(w),
                tolerance=_tolerance_of_elements(transform, owner, n),
            )
    name = type(getattr(transform, "base", transform)).__name__
    alone = isinstance(transform, given.DependentTransform) or transform.domain.event_dim == 0
    rank = torch.zeros(n, dtype=torch.long) if alone else None
    return Layer(name, lambda r: _maps(transform), rank, tolerance=_tolerance(transform))


def _rank(order: Tensor) -> Tensor:
    return order.unique(return_inverse=True)[1]


def _tolerance_of_elements(transform: Any, owner: Any, n: int) -> float:
    if owner not in _tolerances:
        like = next(owner.parameters(), owner.order.double())
        _tolerances[owner] = _tolerance(transform.meta(like.new_zeros(1, n)))
    return _tolerances[owner]


def _tolerance(transform: Any) -> float:
    """Return the absolute error that the inverse of a transform may have: that of its bisections, up to the package's.

    A transform that allows itself more is inverted wrongly, whatever it says.
    """
    if isinstance(transform, given.MonotonicTransform):
        return min(float(transform.eps), _ALLOWED)
    if isinstance(transform, given.ComposedTransform):
        return max(map(_tolerance, transform.transforms))
    inner = transform.base if isinstance(transform, given.DependentTransform) else getattr(transform, "inv", None)
    known = isinstance(transform, given.DependentTransform | _InverseTransform)
    return _tolerance(inner) if known else 0.0


def _maps(transform: Any) -> Maps:
    def forward(r: Tensor) -> tuple[Tensor, Tensor]:
        w, log_det = transform.call_and_ladj(r)
        if not r.requires_grad:  # derivatives that a transform takes itself leave a graph behind
            w, log_det = w.detach(), log_det.detach()
        return w, log_det.sum(-1) if log_det.dim() == r.dim() else log_det

    return Maps(forward, lambda w: transform.inv(w))


class _Given:
    """A base distribution whose draw is known."""

    has_rsample = True

    def __init__(self, z: Tensor) -> None:
        self._z = z

    def rsample(self, shape: Any = ()) -> Tensor:
        """Return the draw."""
        return self._z


def rsample(source: Source, task: Task) -> Outcome:
    """Sample by zuko's own ``rsample``, of base elements that our noise draws."""
    assert isinstance(source, Zuko)
    assert task.noise is not None
    distribution = _distribution(source.at(task.n))
    distribution.base = _Given(drawn_base(source, task.noise))
    with torch.no_grad():
        x = distribution.rsample((task.batch,)).detach()
    return Outcome(x, x)


def log_prob(source: Source, task: Task) -> Outcome:
    """Score by zuko's own ``log_prob``."""
    assert isinstance(source, Zuko)
    assert task.x is not None
    with torch.no_grad():
        found = _distribution(source.at(task.n)).log_prob(task.x).detach()
    return Outcome(task.x, task.x, log_prob=found)


OWN = (
    Method("zuko", "score", "layers", log_prob, "zuko's own log_prob", outside=True),
    Method("zuko", "sample", "layers", rsample, "zuko's own rsample, under our noise", outside=True),
)
"""Sampling and scoring by zuko itself."""
