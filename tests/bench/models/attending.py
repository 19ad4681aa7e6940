"""A layer of attention with a cache of keys and values, and the same one with a fault in each class."""

import ctypes
import time

import torch
from torch import nn

from arbench.distributions import Categorical
from arbench.models import Source


class Right(Source):
    element = "symbol"
    presets = {"tiny": {}}

    def __init__(self, width=16, levels=50, most=256, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.distribution = Categorical(levels)
        self.token, self.place = nn.Embedding(levels + 1, width), nn.Embedding(most, width)
        self.qkv, self.head = nn.Linear(width, 3 * width), nn.Linear(width, levels)
        self.dropout = nn.Dropout(0.1)

    def observe(self, n, rows, seed, data=None):
        draw = [torch.Generator().manual_seed(seed * 65537 + row) for row in rows]
        return torch.stack([torch.randint(self.distribution.levels, (n,), generator=g) for g in draw]), {}

    def before(self, f):
        return nn.functional.pad(f, (1, 0), value=self.distribution.levels)[:, :-1]

    def forward(self, f, code):
        x = self.token(self.before(f)) + self.place.weight[: f.shape[1]]
        q, k, v = self.qkv(x).chunk(3, -1)
        mask = torch.ones(f.shape[1], f.shape[1], dtype=torch.bool).tril()
        return self.head(self.dropout(x + nn.functional.scaled_dot_product_attention(q, k, v, mask)))

    def start(self, batch, n, code):
        empty = self.place.weight.new_zeros(batch, 0, self.place.weight.shape[1])
        return empty, empty

    def places(self, g0, g1, cached):
        return self.place.weight[g0:g1]

    def kept(self, k, v):
        return k, v

    def extend(self, state, f, g0, g1):
        before = nn.functional.pad(f, (1, 0), value=self.distribution.levels)[:, g0:g1]
        x = self.token(before) + self.places(g0, g1, state[0].shape[1])
        q, k, v = self.qkv(x).chunk(3, -1)
        k, v = torch.cat([state[0], k], 1), torch.cat([state[1], v], 1)
        mask = torch.ones(g1 - g0, k.shape[1], dtype=torch.bool).tril(k.shape[1] - (g1 - g0))
        return self.head(x + nn.functional.scaled_dot_product_attention(q, k, v, mask)), self.kept(k, v)


class Leaking(Right):
    def forward(self, f, code):
        return super().forward(f, code) + 1e-3 * f.roll(-1, 1)[..., None]


class LeakingRarely(Right):
    def forward(self, f, code):
        return super().forward(f, code) + 1e-3 * (f.roll(-1, 1) == 43)[..., None]


class LeakingOnce(Right):  # at one place alone
    def forward(self, f, code):
        params = super().forward(f, code).clone()
        params[:, 3] += 1e-3 * f[:, 4:5]
        return params


class Forgetful(Right):
    def forward(self, f, code):
        return super().forward(torch.zeros_like(f), code)


class Dropping(Right):  # its cache has eight entries
    def kept(self, k, v):
        return k[:, -8:], v[:, -8:]


class Drifting(Right):  # positions run ahead of the cache by one
    def places(self, g0, g1, cached):
        first = g0 + (cached > 0)
        return self.place.weight[first : first + g1 - g0]


class Stale(Right):
    def extend(self, state, f, g0, g1):
        return super().extend(state, f, g0, g1)[0], state


class Mixing(Right):  # rows after the first read the first
    def forward(self, f, code):
        params = super().forward(f, code)
        return params + 1e-6 * (params - params[:1])


class MixingStates(Right):
    def kept(self, k, v):
        return k, v.flip(0)


class Undefined(Right):
    def forward(self, f, code):
        params = super().forward(f, code).clone()
        params[:, 5] *= float("nan")
        return params


class Random(Right):
    def forward(self, f, code):
        return nn.functional.dropout(super().forward(f, code), 0.1, training=True)


class Raising(Right):
    def forward(self, f, code):
        raise IndexError("no such position")


class RaisingInSteps(Right):
    def extend(self, state, f, g0, g1):
        raise IndexError("no such position")


class Unnormalised(Categorical):
    def log_prob(self, params, x):
        return params.gather(-1, x.unsqueeze(-1)).squeeze(-1)


class Lawless(Right):
    def __init__(self, seed=0):
        super().__init__(seed=seed)
        self.distribution = Unnormalised(50)


class Hanging(Right):
    def forward(self, f, code):
        while f.shape[1] > 8:
            time.sleep(1)
        return super().forward(f, code)


def draw(model, noise):
    """Draw symbol by symbol."""
    x = torch.zeros(noise.shape[:2], dtype=torch.long)
    for i in range(noise.shape[1]):
        x[:, i] = (model(x, None)[:, i] + noise[:, i]).argmax(-1)
    return x


def planted(model, noise):
    x = draw(model, noise)
    x[0, 7] = (x[0, 7] + 1) % 50
    return x


def hanging(model, noise):
    while True:
        time.sleep(1)


def crashing(model, noise):
    return ctypes.string_at(0)
