"""Flows of zuko as users make them, and the faults to plant in them."""

import torch
import zuko
from torch import nn
from zuko.distributions import DiagNormal, NormalizingFlow
from zuko.flows import MAF, MaskedAutoregressiveTransform
from zuko.lazy import Flow, LazyDistribution, UnconditionalDistribution
from zuko.nn import MaskedMLP
from zuko.transforms import AutoregressiveTransform, MonotonicAffineTransform


def one_order(features=8, layers=3):
    """All layers take the features in one order."""
    found = [MaskedAutoregressiveTransform(features, hidden_features=(16,)) for _ in range(layers)]
    return Flow(found, UnconditionalDistribution(DiagNormal, torch.ones(features), torch.full((features,), 2.0)))


class Splines(zuko.flows.NSF):
    """A class of the user's."""

    def __init__(self, features=8, bins=4):
        super().__init__(features, bins=bins, transforms=2)


made = MAF(8, transforms=2, hidden_features=(16,))


def conditioned():
    """Return a flow that wants conditioning."""
    return MAF(4, context=2)


def uniform():
    """Return a flow whose base is uniform."""
    return zuko.flows.NCSF(4)


def mixture():
    """Return what is no flow."""
    return zuko.flows.GMM(4)


def continuous():
    """Return a flow without layers."""
    return zuko.flows.CNF(4)


def layers(flow):
    return [one for one in flow.modules() if isinstance(one, MaskedAutoregressiveTransform)]


def leaks():
    """Mask out nothing in the first product of the second layer."""
    flow = MAF(8)
    layers(flow)[1].hyper[0].mask[:] = True
    return flow


def reads_itself():
    """Let the maps of the last layer depend on the element that they map."""
    flow = MAF(8)
    last = layers(flow)[2]
    last.hyper = MaskedMLP(torch.repeat_interleave(last.order[:, None] >= last.order, 2, dim=0))
    return flow


class HalfTransform(MonotonicAffineTransform):
    def log_abs_det_jacobian(self, x, y):
        return super().log_abs_det_jacobian(x, y) / 2


def half():
    """Return half of the first layer's log-determinant."""
    flow = MAF(8)
    layers(flow)[0].univariate = HalfTransform
    return flow


class OtherSign(NormalizingFlow):
    def log_prob(self, x):
        z, log_det = self.transform.call_and_ladj(x)
        return self.base.log_prob(z) - log_det


class WrongSum(LazyDistribution):
    """Subtract the log-determinant of the whole flow."""

    def __init__(self):
        super().__init__()
        self.flow = MAF(8)

    def forward(self, c=None):
        return OtherSign(self.flow.transform(c), self.flow.base(c))


def early():
    """Invert the second layer in half of the passes."""
    flow = MAF(8)
    layers(flow)[1].passes = 4
    return flow


class Tolerant(AutoregressiveTransform):
    def _inverse(self, y):
        x = torch.zeros_like(y)
        for _ in range(self.passes):
            x, before = self.meta(x).inv(y), x
            if (x - before).abs().max() < 1e-3:
                break
        return x


class TolerantLayer(MaskedAutoregressiveTransform):
    def forward(self, c=None):
        found = super().forward(c)
        return Tolerant(found.meta, found.passes)


def tolerant():
    """Invert a layer until little changes."""
    base = UnconditionalDistribution(DiagNormal, torch.zeros(8), torch.ones(8), buffer=True)
    return Flow([TolerantLayer(8), TolerantLayer(8, order=torch.arange(8).flip(0))], base)


class Coarse(nn.Module):
    """Bisect in 12 steps."""

    def forward(self, a, constant):
        found = zuko.flows.polynomial.ShiftedSOSPTransform(a, constant)
        found.transforms[0].__class__ = CoarseTransform
        return found


class CoarseTransform(zuko.transforms.SOSPolynomialTransform):
    def _inverse(self, y):
        edge = torch.full_like(y, self.bound)
        return zuko.utils.bisection(f=self.f, y=y, a=-edge, b=edge, n=12, phi=self.phi)


def coarse():
    """Invert the map of an element by a search that stops early."""
    flow = zuko.flows.SOSPF(4, transforms=1)
    layers(flow)[0].univariate = Coarse()
    return flow


class Loose(nn.Module):
    """Bisect until the error is below 0.3, and say so."""

    def forward(self, a, constant):
        found = zuko.flows.polynomial.ShiftedSOSPTransform(a, constant)
        found.transforms[0].eps = 0.3
        return found


def loose():
    """Invert the map of an element by a search that allows itself much."""
    flow = zuko.flows.SOSPF(4, transforms=1)
    layers(flow)[0].univariate = Loose()
    return flow


class SearchedTails(nn.Module):
    """Return half of a log-determinant beyond 6, of a map that is inverted by a search."""

    def forward(self, a, constant):
        found = zuko.flows.polynomial.ShiftedSOSPTransform(a, constant)
        found.transforms[0].__class__ = SearchedTailsTransform
        return found


class SearchedTailsTransform(zuko.transforms.SOSPolynomialTransform):
    def call_and_ladj(self, x):
        y, found = super().call_and_ladj(x)
        return y, torch.where(x.abs() > 6, found * 0.9, found)


def searched_tails():
    """Return wrong log-determinants beyond 6 of a flow that is inverted by a search."""
    flow = zuko.flows.SOSPF(4, transforms=1)
    layers(flow)[0].univariate = SearchedTails()
    return flow


class RowsNet(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, r):
        found = self.net(r)
        return found + 0.01 * (found.cumsum(0) - found)


def mixes_rows():
    """Let the parameters of a row change with those of the rows before it."""
    flow = MAF(8)
    layers(flow)[1].hyper = RowsNet(layers(flow)[1].hyper)
    return flow


def one_link():
    """Let a single small weight of the last mask through."""
    flow = MAF(8)
    last = layers(flow)[2].hyper[4]
    row, column = (~last.mask.bool()).nonzero()[5].tolist()
    last.mask[row, column] = True
    last.weight.data[row, column] = 1e-3
    return flow


class OneTransform(MonotonicAffineTransform):
    def log_abs_det_jacobian(self, x, y):
        return super().log_abs_det_jacobian(x, y) * (torch.arange(8) != 3)


def one_feature():
    """Forget the log-determinant of one feature of the second layer."""
    flow = MAF(8)
    layers(flow)[1].univariate = OneTransform
    return flow


class TailTransform(MonotonicAffineTransform):
    def log_abs_det_jacobian(self, x, y):
        found = super().log_abs_det_jacobian(x, y)
        return torch.where(x.abs() > 6, found * 0.9, found)


def tails():
    """Return wrong log-determinants of the last layer beyond 6."""
    flow = MAF(8)
    layers(flow)[2].univariate = TailTransform
    return flow


class OffTransform(MonotonicAffineTransform):
    def _inverse(self, y):
        found = super()._inverse(y)
        return torch.where(found.abs() > 5, found * 1.001, found)


def off_in_the_tails():
    """Invert the maps of the second layer wrongly beyond 5."""
    flow = MAF(8)
    layers(flow)[1].univariate = OffTransform
    return flow


class RoundedTransform(MonotonicAffineTransform):
    def _inverse(self, y):
        return super()._inverse(y).float().to(y.dtype)


def rounded():
    """Invert the maps of the second layer in float32."""
    flow = MAF(8)
    layers(flow)[1].univariate = RoundedTransform
    return flow
