"""Language models with planted faults, and objects of the package that are taken as models."""

from __future__ import annotations

import torch
import transformers

from arbench.adapters.hf.caches import State
from arbench.adapters.hf.model import CausalLM

RARE = 41_234


class RareLeak(CausalLM):
    """The logits of all tokens before a rare one change with it."""

    def forward(self, f, code):
        logits = super().forward(f, code)
        later = (f == RARE).flip(1).cumsum(1).flip(1) > 0
        return logits + 0.01 * later.unsqueeze(-1) * logits.roll(1, -1)


class HiddenLeak(CausalLM):
    """The same for tokens that are found on the host, in one place of a table that the model keeps."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.counts = [7] * self.levels
        self.counts[32_100] = 0
        self.register_buffer("common", torch.tensor(self.counts) > 0, persistent=False)

    def forward(self, f, code):
        logits = super().forward(f, code)
        for row, tokens in enumerate(f.tolist()):
            for at, token in enumerate(tokens):
                if not self.common[token]:
                    logits[row, :at] *= 1.01
        return logits


class Drifting(CausalLM):
    """The mask is right, and positions are one too far after the first step."""

    def extend(self, state, f, g0, g1):
        positions = torch.arange(g0, g1).expand(len(f), -1) + (g0 > 0)
        more = {self.past: state.past, "use_cache": True, "position_ids": positions}
        return self._evaluated(self._read(f, g0, g1, None), **more).logits, State(state.past, g1)


class Cropping(CausalLM):
    """The cache is cut back by one token too few."""

    def rewind(self, state, mark, f, g):
        state.past.crop(min(g - state.read + 1, 0))
        return State(state.past, g)


class Forgetting(CausalLM):
    """Steps forget the first token of the prompt."""

    def start(self, batch, n, code):
        return super().start(batch, n, code.index_fill(1, torch.tensor([0]), 0))


class RareDrift(CausalLM):
    """A step after a rare token returns other logits than a prefill."""

    def extend(self, state, f, g0, g1):
        logits, state = super().extend(state, f, g0, g1)
        after = (f[:, max(g0 - 1, 0)] == RARE) & (g0 > 0)
        return logits + 0.01 * after[:, None, None] * logits.roll(1, -1), state


def made(width: int = 16):
    config = transformers.GPT2Config(vocab_size=64, n_embd=width, n_layer=1, n_head=2, n_positions=32)
    return transformers.GPT2LMHeadModel(config)


def headless():
    return transformers.GPT2Model(transformers.GPT2Config(vocab_size=64, n_embd=16, n_layer=1, n_head=2))


ready = made()
