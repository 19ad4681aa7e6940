"""A model to start from: each symbol is drawn given the few symbols before it.

Run it as it is, then replace the network and the data by your own:

    arbench run --model my_model.py:MyModel
"""

import torch
from torch import nn
from torch.nn import functional as F

from arbench.distributions import Categorical
from arbench.models import Claim, Source

SYMBOLS = 16
WINDOW = 4  # how many symbols the network looks back


class MyModel(Source):
    """A causal convolution over symbols."""

    element = "symbol"
    presets = {"tiny": {"width": 8}, "small": {"width": 64}}  # arguments of __init__, by name
    claims = {("score", "parallel"): Claim(depth="1", work="N"), ("sample", "cached"): Claim(depth="N", work="N")}

    def __init__(self, *, width=8, seed=0):
        super().__init__()
        self.distribution = Categorical(SYMBOLS)
        generator = torch.Generator().manual_seed(seed)
        self.embedding = nn.Parameter(torch.randn(SYMBOLS, width, generator=generator))
        self.weight = nn.Parameter(torch.randn(SYMBOLS, width, WINDOW, generator=generator) / width**0.5)

    def observe(self, n, rows, seed, data=None):
        """Return real events (B, N), one for each row, and their conditioning: here random symbols, and none."""
        generators = [torch.Generator().manual_seed(seed * 65537 + row) for row in rows]
        return torch.stack([torch.randint(SYMBOLS, (n,), generator=g) for g in generators]), {}

    def forward(self, f, code):
        """Return the logits (B, N, 16) of all symbols at once; those of symbol i depend on the symbols before i."""
        before = F.pad(self.embedding[f[:, :-1]], (0, 0, WINDOW, 0))
        return F.conv1d(before.transpose(1, 2), self.weight).transpose(1, 2)

    def start(self, batch, n, code):
        """Return the state before the first symbol: a window of the last symbols' embeddings, empty at first."""
        return self.embedding.new_zeros(batch, WINDOW, self.embedding.shape[1])

    def extend(self, state, f, g0, g1):
        """Return the logits (B, g1 - g0, 16) of symbols g0 .. g1-1, and the new state; read no symbol from g1-1 on."""
        new = self.embedding[f[:, max(g0 - 1, 0) : g1 - 1]]  # symbol g0-1 was not known when the state was made
        before = torch.cat([state, new], dim=1)
        logits = F.conv1d(before.transpose(1, 2), self.weight).transpose(1, 2)
        return logits[:, g0 - g1 :], before[:, -WINDOW:]
