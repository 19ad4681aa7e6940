"""Flows of nflows, https://github.com/bayesiains/nflows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import nflows.distributions as bases
import nflows.flows
import nflows.transforms as given
import torch
from nflows.transforms.autoregressive import AutoregressiveTransform
from torch import Tensor, nn

from arbench.adapters.flows.model import Chained, Flow
from arbench.methods import Method, Outcome, Task
from arbench.methods.layerwise import drawn_base
from arbench.models import ModelError, Source
from arbench.models.layers.stacks import Layer, Maps

MAF = {"features": None, "hidden_features": 64, "num_layers": 3, "num_blocks_per_layer": 2}
ALONE = (
    given.ActNorm,
    given.BatchNorm,
    given.CompositeCDFTransform,
    given.IdentityTransform,
    given.LeakyReLU,
    given.Logit,
    given.LogTanh,
    given.PiecewiseRationalQuadraticCDF,
    given.PointwiseAffineTransform,
    given.Sigmoid,
    given.Tanh,
)
"""Transforms that map each feature alone."""


class NFlows(Flow):
    """A flow of nflows; an element is a feature.

    Presets are the classes of ``nflows.flows``, with their arguments as settings, and IAF, which is
    MaskedAutoregressiveFlow with every layer inverted, so that the network reads noise.

    Args:
        kind: class of ``nflows.flows``.
        inverse: whether to invert the layers.
        features: number of features; None for a flow for each N.
        seed: seed of random weights.
        **settings: arguments of the class.

    Raises:
        ModelError: a setting is wrong.
    """

    package = "nflows"
    citation = "Durkan et al., nflows, doi:10.5281/zenodo.4296287"
    default_preset = "MaskedAutoregressiveFlow"
    presets = {
        "MaskedAutoregressiveFlow": {"kind": "MaskedAutoregressiveFlow", **MAF},
        "IAF": {"kind": "MaskedAutoregressiveFlow", "inverse": True, **MAF},
        "SimpleRealNVP": {"kind": "SimpleRealNVP", **MAF},
    }

    def __init__(
        self,
        *,
        kind: str = "MaskedAutoregressiveFlow",
        inverse: bool = False,
        features: int | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        self._kind, self._inverse = kind, inverse
        super().__init__(features=features, seed=seed, **settings)

    @classmethod
    def own_methods(cls) -> Sequence[Method]:
        """Return the sampling and scoring of nflows itself."""
        return OWN

    def new(self, features: int, settings: Mapping[str, Any]) -> nn.Module:
        """Return a flow of nflows."""
        flow: nn.Module = getattr(nflows.flows, self._kind)(features=features, **settings)
        if not self._inverse:
            return flow
        return nflows.flows.Flow(given.InverseTransform(flow._transform), flow._distribution)

    def features_of(self, flow: nn.Module) -> int:
        """Return the number of features."""
        base = _base(flow)
        if len(base._shape) != 1:
            raise ModelError(f"an event of the flow has the shape {tuple(base._shape)}; arbench takes vectors")
        return int(base._shape[0])

    def layers_of(self, flow: nn.Module) -> Sequence[Layer]:
        """Return the layers."""
        return list(_layers(flow._transform, self.features_of(flow)))

    def chain(self, flow: nn.Module) -> int:
        """Replace the networks of the autoregressive layers."""
        found = [one for one in flow.modules() if isinstance(one, AutoregressiveTransform)]
        for one in found:
            one.autoregressive_net = Chained(torch.arange(self.features_of(flow)), one._output_dim_multiplier())
        return len(found)

    def base_of(self, flow: nn.Module, n: int) -> Tensor:
        """Return mean and log-scale of the base elements."""
        base = _base(flow)
        if isinstance(base, bases.DiagonalNormal):
            return torch.stack([base.mean_[0], base.log_std_[0]], dim=-1)
        return torch.zeros(n, 2, dtype=base._log_z.dtype, device=base._log_z.device)


def _base(flow: nn.Module) -> Any:
    """Return the base distribution of a flow. Raises ModelError if it is not normal."""
    base = flow._distribution
    if not isinstance(base, bases.StandardNormal | bases.DiagonalNormal):
        raise ModelError(f"the flow's base is {type(base).__name__}; arbench draws normal base elements")
    return base


def _layers(transform: Any, n: int) -> Iterator[Layer]:
    """Yield the layers of a transform."""
    if isinstance(transform, given.CompositeTransform):
        for one in transform._transforms:
            yield from _layers(one, n)
    elif isinstance(transform, given.InverseTransform):
        for layer in reversed(list(_layers(transform._transform, n))):
            yield replace(layer, reads="z" if layer.reads == "x" else "x")
    else:
        yield _layer(transform, n)


def _layer(transform: Any, n: int) -> Layer:
    name = type(transform).__name__
    if isinstance(transform, given.Permutation):
        return Layer(name, lambda r: _maps(transform), taken=transform._permutation)
    if isinstance(transform, AutoregressiveTransform):
        return Layer(name, lambda r: _of_elements(transform, r), torch.arange(n), inverse=_inverse_of(transform))
    if isinstance(transform, ALONE):
        return Layer(name, lambda r: _maps(transform), torch.zeros(n, dtype=torch.long))
    return Layer(name, lambda r: _maps(transform))


def _inverse_of(transform: Any) -> Any:
    return lambda w: transform.inverse(w)[0]


def _maps(transform: Any) -> Maps:
    return Maps(transform, _inverse_of(transform))


def _of_elements(transform: Any, r: Tensor) -> Maps:
    """Return the maps of the elements of an autoregressive transform, whose network reads r (B, N)."""
    params = transform.autoregressive_net(r, None)
    return Maps(
        lambda values: transform._elementwise_forward(values, params),
        lambda values: transform._elementwise_inverse(values, params)[0],
    )


class _Given(nn.Module):
    """A base distribution whose draw is known."""

    def __init__(self, z: Tensor) -> None:
        super().__init__()
        self._z = z

    def sample(self, count: int, context: Any = None) -> Tensor:
        """Return the draw."""
        return self._z


def sample(source: Source, task: Task) -> Outcome:
    """Sample by the flow's own ``sample``, of base elements that our noise draws."""
    assert isinstance(source, NFlows)
    assert task.noise is not None
    flow: Any = source.at(task.n)
    drawing = flow.__new__(type(flow))
    drawing.__dict__ = {
        **flow.__dict__,
        "_modules": {**flow._modules, "_distribution": _Given(drawn_base(source, task.noise))},
    }
    with torch.no_grad():
        x = drawing.sample(task.batch)
    return Outcome(x, x)


def log_prob(source: Source, task: Task) -> Outcome:
    """Score by the flow's own ``log_prob``."""
    assert isinstance(source, NFlows)
    assert task.x is not None
    flow: Any = source.at(task.n)
    with torch.no_grad():
        return Outcome(task.x, task.x, log_prob=flow.log_prob(task.x))


OWN = (
    Method("nflows", "score", "layers", log_prob, "nflows' own log_prob", outside=True),
    Method("nflows", "sample", "layers", sample, "nflows' own sample, under our noise", outside=True),
)
"""Sampling and scoring by nflows itself."""
