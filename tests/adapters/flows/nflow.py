"""Flows of nflows as users make them, and the faults to plant in them."""

import torch
from nflows.distributions import DiagonalNormal, StandardNormal
from nflows.flows import Flow, MaskedAutoregressiveFlow
from nflows.transforms import (
    ActNorm,
    CompositeTransform,
    InverseTransform,
    LULinear,
    MaskedAffineAutoregressiveTransform,
    MaskedPiecewiseRationalQuadraticAutoregressiveTransform,
    RandomPermutation,
)


def both_ways(features=6):
    """Layers that read events, one that reads noise, and one that mixes all features."""
    layers = [
        ActNorm(features),
        MaskedPiecewiseRationalQuadraticAutoregressiveTransform(features, 24, tails="linear", tail_bound=3.0),
        RandomPermutation(features),
        InverseTransform(MaskedAffineAutoregressiveTransform(features, 24)),
        LULinear(features),
    ]
    return Flow(CompositeTransform(layers), StandardNormal([features]))


def one_order(features=6):
    """All layers take the features in one order, and the base is learnt."""
    layers = [MaskedAffineAutoregressiveTransform(features, 16) for _ in range(2)]
    return Flow(CompositeTransform(layers), DiagonalNormal([features]))


def pictures():
    """Return a flow of events that are no vectors."""
    return Flow(ActNorm(2), StandardNormal([2, 2, 2]))


def maf(edit, layer=MaskedAffineAutoregressiveTransform):
    flow = Flow(CompositeTransform([layer(8, 24), layer(8, 24)]), StandardNormal([8]))
    edit(flow._transform._transforms[1])
    return flow


def leaks():
    """Mask out nothing in the first product of the second layer."""
    return maf(lambda layer: layer.autoregressive_net.initial_layer.mask.fill_(1.0))


class HalfTransform(MaskedAffineAutoregressiveTransform):
    def _elementwise_forward(self, inputs, params):
        outputs, log_det = super()._elementwise_forward(inputs, params)
        return outputs, log_det / 2


def half():
    """Return half of the log-determinants."""
    return maf(lambda layer: None, HalfTransform)


class EarlyTransform(MaskedAffineAutoregressiveTransform):
    def inverse(self, inputs, context=None):
        outputs = torch.zeros_like(inputs)
        for _ in range(inputs.shape[1] // 2):
            outputs, log_det = self._elementwise_inverse(inputs, self.autoregressive_net(outputs, context))
        return outputs, log_det


def early():
    """Invert in half of the passes."""
    return maf(lambda layer: None, EarlyTransform)


class Shifted(MaskedAutoregressiveFlow):
    def _log_prob(self, inputs, context):
        noise, log_det = self._transform(inputs, context=context)
        return self._distribution.log_prob(noise) - log_det


def wrong_sum():
    """Subtract the log-determinant of the whole flow."""
    return Shifted(8, 16, 2, 1)
