"""A bigram, and the same one with a fault in each class."""

import torch
from torch import nn

from arbench.distributions import Categorical
from arbench.models import Source


class Sound(Source):
    element = "symbol"
    presets = {"tiny": {}}
    claims = {}

    def __init__(self, seed=0):
        super().__init__()
        self.distribution = Categorical(16)
        generator = torch.Generator().manual_seed(seed)
        self.embedding = nn.Parameter(torch.randn(17, 8, generator=generator))
        self.out = nn.Parameter(torch.randn(8, 16, generator=generator))

    def observe(self, n, rows, seed, data=None):
        draw = [torch.Generator().manual_seed(seed * 65537 + row) for row in rows]
        return torch.stack([torch.randint(16, (n,), generator=g) for g in draw]), {}

    def logits(self, before):
        return self.embedding[before] @ self.out

    def forward(self, f, code):
        return self.logits(nn.functional.pad(f[:, :-1] + 1, (1, 0)))

    def start(self, batch, n, code):
        return None

    def extend(self, state, f, g0, g1):
        before = f[:, max(g0 - 1, 0) : g1 - 1] + 1
        return self.logits(before if g0 else nn.functional.pad(before, (1, 0))), state


class Stated(Sound):  # what came before is read from a state: the symbol before g
    def start(self, batch, n, code):
        return torch.zeros(batch, 1, dtype=torch.long)

    def extend(self, state, f, g0, g1):
        known = f[:, max(g0 - 1, 0) : g1 - 1] + 1
        before = known if g0 else torch.cat([state, known], 1)
        return self.logits(before), before[:, -1:]


class Stale(Stated):  # it is never brought up to date
    def extend(self, state, f, g0, g1):
        return self.logits(torch.cat([state, f[:, g0 : g1 - 1] + 1], 1)), state


class Losing(Stated):
    def extend(self, state, f, g0, g1):
        state = torch.zeros(len(f), 1, dtype=torch.long) if state is None else state
        return super().logits(torch.cat([state, f[:, g0 : g1 - 1] + 1], 1)), None


class Shifted(Sound):  # its position falls behind from the second step on
    def start(self, batch, n, code):
        return {"position": 0}

    def extend(self, state, f, g0, g1):
        at = state["position"]
        before = nn.functional.pad(f + 1, (1, 0))[:, at : at + g1 - g0]
        return self.logits(before), {"position": g1 if g0 == 0 else g1 - 1}


class Cramped(Shifted):  # its state has room for two events
    def start(self, batch, n, code):
        if batch > 2:
            raise RuntimeError("room for 2 events")
        return super().start(batch, n, code)


class Peeking(Sound):
    def extend(self, state, f, g0, g1):
        return self.logits(f[:, g0:g1] + 1), state


class Undefined(Sound):
    def extend(self, state, f, g0, g1):
        return super().extend(state, f, g0, g1)[0] * float("nan"), state


class Drawing(Sound):
    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return params + torch.randn_like(params), state


class Torn(Sound):
    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return params + (g1 - g0), state


class Looping(Sound):
    def extend(self, state, f, g0, g1):
        first, state = super().extend(state, f, g0, g0 + 1)
        return first.repeat(1, g1 - g0, 1), state


class Unmasked(Sound):
    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return params + (g1 - g0 > 1), state


class Ahead(Sound):
    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return torch.cat([params[:, :1], params[:, 1:].flip(1)], 1), state


class Behind(Shifted):  # its position moves on by one, however many elements a call is for
    def extend(self, state, f, g0, g1):
        return super().extend(state, f, g0, g1)[0], {"position": g0 + 1}


class Same(Sound):
    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return params + 1, state


class Calling(Stated):
    def forward(self, f, code):
        return self.extend(self.start(len(f), f.shape[1], code), f, 0, f.shape[1])[0]

    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return params + (g1 - g0 == 1), state


class Leaking(Sound):
    def forward(self, f, code):
        return super().forward(f, code) + f.to(self.out.dtype).mean(1)[:, None, None]


class Raising(Sound):
    def extend(self, state, f, g0, g1):
        if g0:
            raise ValueError("no")
        return super().extend(state, f, g0, g1)


class Unborn(Sound):
    def start(self, batch, n, code):
        raise ValueError("no")


class Single(Sound):
    def extend(self, state, f, g0, g1):
        if g1 - g0 > 1:
            raise NotImplementedError
        return super().extend(state, f, g0, g1)


class Flat(Sound):
    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return params[:, 0], state


class Alone(Sound):
    def extend(self, state, f, g0, g1):
        return super().extend(state, f, g0, g1)[0]


class Last(Sound):
    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return params[:, -1:], state


class Late(Sound):
    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return params + (g0 == 80 and g1 == 81), state


class Lately(Sound):
    def extend(self, state, f, g0, g1):
        if g0 == 80 and g1 == 81:
            raise ValueError("no")
        return super().extend(state, f, g0, g1)
