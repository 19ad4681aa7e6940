"""minGRU: a recurrence linear in its state, so that a scan computes all of it at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, logsigmoid, pad, rms_norm

from arbench.distributions import Categorical
from arbench.models.base import Claim, Context, Source, at_most, lecun_normal_
from arbench.models.events.text import TextSource
from arbench.models.layers.recurrent import begun


def log_positive(x: Tensor) -> Tensor:
    """log g(x), where g(x) = x + 0.5 from zero on and sigmoid(x) below (Feng et al., appendix B)."""
    return torch.where(x >= 0, torch.log(torch.relu(x) + 0.5), logsigmoid(x))


def positive(x: Tensor) -> Tensor:
    """g(x) itself."""
    return torch.where(x >= 0, x + 0.5, x.sigmoid())


def scan(gate: Tensor, candidate: Tensor, before: Tensor | None) -> Tensor:
    """h_t = (1 - z_t) h_{t-1} + z_t g(candidate_t) for all t at once, in logarithms; z is sigmoid(gate).

    log h_t = A_t + logcumsumexp(log(z g) - A)_t with A the running sum of log(1 - z): two prefix scans.
    A grows with t, so the relative error of h is up to about t times the dtype's, 1e-4 of a float32 at
    t = 1,024. Half precision, which would leave no digit of it, is scanned in float32.

    Args:
        gate, candidate: (B, M, H).
        before: h (B, H) before the first of them; None for zero.

    Source: Heinsen, *Efficient Parallelization of a Ubiquitous Sequential Computation*, 2023.
    """
    narrow, wide = gate.dtype, torch.promote_types(gate.dtype, torch.float32)
    gate, candidate = gate.to(wide), candidate.to(wide)
    keep = logsigmoid(-gate).cumsum(1)  # softplus is linear from 20 on, which is 2e-9 off
    new = log_positive(candidate) + logsigmoid(gate) - keep
    if before is None:
        return (keep + new.logcumsumexp(1)).exp().to(narrow)
    summed = torch.cat([before.to(wide).log().unsqueeze(1), new], dim=1).logcumsumexp(1)
    return (keep + summed[:, 1:]).exp().to(narrow)


@dataclass
class _State:
    hidden: list[Tensor | None]
    """Each layer's h (B, H); None at the beginning. Replaced, never written to."""
    rings: list[list[Tensor]]
    """Each layer's last kernel - 1 inputs of the convolution, oldest first: (B, D). Replaced likewise."""

    def copied(self) -> _State:
        return _State(list(self.hidden), [list(ring) for ring in self.rings])


class Layer(nn.Module):
    """x += conv(x); x += W h(norm x); x += MLP(norm x); h of minGRU, the convolution where there is one.

    The convolution is causal, depthwise, and followed by a product; the norm is RMSNorm; the MLP has one
    hidden layer of 4 D and a GELU.
    """

    def __init__(self, width: int, hidden: int, kernel: int, generator: torch.Generator) -> None:
        super().__init__()
        self.kernel = kernel

        def weight(*shape: int, fan_in: int) -> nn.Parameter:
            return nn.Parameter(lecun_normal_(torch.empty(shape), fan_in, generator))

        self.taps = weight(kernel, width, fan_in=kernel) if kernel else None
        self.conv = weight(width, width, fan_in=width) if kernel else None
        self.taps_bias = nn.Parameter(torch.zeros(width)) if kernel else None
        self.conv_bias = nn.Parameter(torch.zeros(width)) if kernel else None
        self.norm = nn.Parameter(torch.ones(width))
        self.gates = weight(width, 2 * hidden, fan_in=width)
        self.out = weight(hidden, width, fan_in=hidden)
        self.mlp_norm = nn.Parameter(torch.ones(width))
        self.up = weight(width, 4 * width, fan_in=width)
        self.up_bias = nn.Parameter(torch.zeros(4 * width))
        self.down = weight(4 * width, width, fan_in=4 * width)
        self.down_bias = nn.Parameter(torch.zeros(width))

    def _convolved(self, x: Tensor, past: Sequence[Tensor] | None) -> Tensor:
        """The convolution's (B, M, D), ``past`` its kernel - 1 inputs before, zeros where None."""
        assert self.taps is not None
        assert self.taps_bias is not None
        assert self.conv is not None
        assert self.conv_bias is not None
        m = x.shape[1]
        if past is None:
            padded = pad(x, (0, 0, self.kernel - 1, 0))
        else:
            padded = torch.cat([torch.stack(list(past), dim=1), x], dim=1) if past else x
        windows = torch.stack([padded[:, k : k + m] for k in range(self.kernel)], dim=-2)
        return ((windows * self.taps).sum(-2) + self.taps_bias) @ self.conv + self.conv_bias

    def _mlp(self, x: Tensor) -> Tensor:
        inner = gelu(rms_norm(x, x.shape[-1:], self.mlp_norm) @ self.up + self.up_bias)
        return x + inner @ self.down + self.down_bias

    def forward(
        self, x: Tensor, before: Tensor | None = None, past: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Outputs (B, M, D) of inputs (B, M, D); h (B, H) at the end, and the convolution's last inputs."""
        ring: list[Tensor] = []
        if self.kernel:
            if past is not None:
                ring = [*past, *x.unbind(1)][x.shape[1] :]
            x = x + self._convolved(x, past)
        candidate, gate = (rms_norm(x, x.shape[-1:], self.norm) @ self.gates).chunk(2, dim=-1)
        if x.shape[1] > 1:
            h = scan(gate, candidate, before)
        else:
            new = positive(candidate)
            h = gate.sigmoid() * new if before is None else torch.lerp(before.unsqueeze(1), new, gate.sigmoid())
        return self._mlp(x + h @ self.out), h[:, -1], ring


class MinGRU(TextSource, Source):
    """An element is a byte; scored in O(log N) by two scans a layer, drawn in N steps.

    The byte before, embedded, goes through layers of a causal convolution (where there is one), minGRU and
    MLP, each with a residual connection, and RMSNorm before the last two. Position 0 sees a vector of its
    own. h_t = (1 - z_t) h_{t-1} + z_t g(W x_t), and neither z nor the candidate reads h: that is what a scan
    needs.

    Presets:
        shakespeare: the character model of the source: 3 layers of width 384, minGRU twice as wide, a
            convolution of 4; over bytes where the source had 65 characters.
        enwik8: the public implementation's (lucidrains/minGRU-pytorch) over bytes: 6 layers of width 512,
            minGRU 1.5 times as wide, no convolution; 19.9 million parameters.
        small: 2 layers of width 96.
        tiny, tiny_conv: for tests.

    Source: Feng et al., *Were RNNs All We Needed?*, 2024, section 3.1 and appendix B, in logarithms; the
    order of a layer's parts and where the norms stand are the public implementation's. Weights start with
    variance 1/fan_in, embeddings with 1, biases at zero, norms at one; dropout is left out.

    Args:
        layers: one behind the other.
        width: D.
        expansion: of minGRU's state over D.
        kernel: taps of the convolution; 0 for none.
        levels: of an element.
        seed: of the initial weights.
    """

    family = "scan"
    citation = "Feng et al. 2024, arXiv:2410.01201"
    remark = "The scan works in logarithms that grow with N: in float32 its error grows with them."
    default_preset = "small"
    presets = {
        "shakespeare": dict(layers=3, width=384, expansion=2.0, kernel=4, levels=256),
        "enwik8": dict(layers=6, width=512, expansion=1.5, kernel=0, levels=256),
        "small": dict(layers=2, width=96, expansion=1.5, kernel=4, levels=256),
        "tiny": dict(layers=2, width=6, expansion=1.5, kernel=0, levels=4),
        "tiny_conv": dict(layers=2, width=5, expansion=2.0, kernel=4, levels=3),
    }
    claims = {
        ("score", "parallel"): Claim("log N", "N"),
        ("score", "sequential"): Claim("N", "N"),
        ("sample", "naive"): Claim("N log N", "N^2"),
        ("sample", "cached"): Claim("N", "N"),
        ("sample", "speculative"): Claim("<= N log N", "<= N^2"),
        ("sample", "rejection"): Claim("<= N log N", "<= N^2"),
        **at_most("N log N", "N^2"),
    }

    count_ladder = (8, 12, 16, 24, 32, 48)
    """From 8 on the scans are the longer way through a layer."""

    def __init__(self, *, layers: int, width: int, expansion: float, kernel: int, levels: int, seed: int = 0) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        self.levels = levels
        self.distribution = Categorical(levels)
        hidden = int(expansion * width)
        if hidden < 1:
            raise ValueError(f"the state has a unit at least, got {expansion:g} of {width}")
        self.embedding = nn.Parameter(lecun_normal_(torch.empty(levels + 1, width), 1, g))
        self.layers = nn.ModuleList(Layer(width, hidden, kernel, g) for _ in range(layers))
        self.norm = nn.Parameter(torch.ones(width))
        self.out = nn.Parameter(lecun_normal_(torch.empty(width, levels), width, g))

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**config, "layers": 1, "width": max(config["width"] // 2, 4)}

    def _layers(self) -> list[Layer]:
        return cast(list[Layer], list(self.layers))

    def _head(self, x: Tensor) -> Tensor:
        return rms_norm(x, x.shape[-1:], self.norm) @ self.out

    def forward(self, f: Tensor, code: Context) -> Tensor:
        x = begun(self.embedding, f[:, :-1], first=True)
        for layer in self._layers():
            x, _, _ = layer(x)
        return self._head(x)

    def start(self, batch: int, n: int, code: Context) -> _State:
        zero = self.embedding.new_zeros(batch, self.embedding.shape[1])
        layers = self._layers()
        return _State([None] * len(layers), [[zero] * max(layer.kernel - 1, 0) for layer in layers])

    def extend(self, state: _State, f: Tensor, g0: int, g1: int) -> tuple[Tensor, _State]:
        x = begun(self.embedding, f[:, max(g0 - 1, 0) : g1 - 1], first=g0 == 0)
        for i, layer in enumerate(self._layers()):
            x, state.hidden[i], state.rings[i] = layer(x, state.hidden[i], state.rings[i])
        return self._head(x), state

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        return self.passages(n, rows, seed, data), {}
