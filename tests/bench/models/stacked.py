"""A stack of affine layers whose orders alternate, and the faults to plant in it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from arbench.distributions import Normal
from arbench.methods import Method, Outcome
from arbench.methods.layerwise import drawn_base
from arbench.models.layers.stacks import Layer, Maps, Stack


class Affine(Stack):
    """Layers w = r exp(s) + m, with m and s functions of the elements before in the layer's order."""

    presets = {"tiny": {}, "inverse": {"reads": "z"}, "one_order": {"alternate": False}, "mixed": {"reads": "xz"}}
    count_ladder = ladder = (4, 8, 12, 16, 24)

    def __init__(self, *, layers=3, reads="x", alternate=True, most=24, seed=0):
        super().__init__()
        self.distribution = Normal(log_scale_floor=-torch.inf)
        g = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(layers, 2, most, most, generator=g) / most**0.5)
        self.reads = [reads[i % len(reads)] for i in range(layers)]
        self.alternate = alternate

    def observe(self, n, rows, seed, data=None):
        g = [torch.Generator().manual_seed(seed * 65537 + row) for row in rows]
        return torch.stack([torch.randn(n, generator=one) for one in g]), {}

    def base(self, n):
        return self.weight.new_tensor([0.5, 0.25]).expand(n, 2)

    def layers(self, n):
        return [self.layer(i, n) for i in range(len(self.reads))]

    def rank(self, i, n):
        return torch.arange(n).flip(0) if self.alternate and i % 2 else torch.arange(n)

    def mask(self, i, n):
        rank = self.rank(i, n)
        return rank[:, None] > rank

    def layer(self, i, n):
        def maps(r):
            m, s = torch.tanh(torch.einsum("kij,bj->kbi", self.weight[i, :, :n, :n] * self.mask(i, n), r))
            return Maps(lambda u: (u * s.exp() + m, self.log_det(i, s)), lambda w: (w - m) * (-s).exp())

        return Layer(f"Affine{i}", maps, self.rank(i, n), self.reads[i])

    def log_det(self, i, s):
        return s.sum(1)


class Leaks(Affine):
    """The second layer reads the first element of the event everywhere, the last of its order."""

    def mask(self, i, n):
        mask = super().mask(i, n)
        mask[:, 0] |= i == 1
        return mask


class ReadsItself(Affine):
    """The maps of the last layer depend on the element that they map."""

    def mask(self, i, n):
        return super().mask(i, n) | (torch.eye(n, dtype=torch.bool) if i == 2 else torch.zeros(n, n, dtype=torch.bool))


class Half(Affine):
    """The second layer says half of its log-determinant."""

    def log_det(self, i, s):
        return s.sum(1) / 2 if i == 1 else s.sum(1)


class WrongInverse(Affine):
    """The first layer inverts the map of an element nearly."""

    def layer(self, i, n):
        known = super().layer(i, n)

        def maps(r):
            right = known.maps(r)
            return replace(right, inverse=lambda w: right.inverse(w) + 1e-3)

        return replace(known, maps=maps) if i == 0 else known


class Mixes(Affine):
    """Between its layers there is one that mixes all elements, and one that permutes them."""

    def layers(self, n):
        turn = torch.linalg.qr(self.weight[0, 0, :n, :n].double()).Q.to(self.weight)
        rotates = Layer("Rotation", lambda r: Maps(lambda u: (u @ turn, u.new_zeros(len(u))), lambda w: w @ turn.T))
        taken = torch.arange(n).roll(1)
        moves = Layer(
            "Roll",
            lambda r: Maps(lambda u: (u[:, taken], u.new_zeros(len(u))), lambda w: w[:, taken.argsort()]),
            taken=taken,
        )
        first, *others = super().layers(n)
        return [first, rotates, moves, *others]


def after(most):
    """Return a method that inverts each layer by so many evaluations."""

    def sample(source, task):
        y = drawn_base(source, task.noise)
        for layer in reversed(source.layers(task.n)):
            r = torch.zeros_like(y)
            for _ in range(most):
                r = source(r, layer).inverse(y)
            y = r
        return Outcome(y, y)

    return Method(f"after_{most}", "sample", "layers", sample, "a few evaluations of each layer")


after_1, after_4, after_7, after_8 = map(after, (1, 4, 7, 8))
