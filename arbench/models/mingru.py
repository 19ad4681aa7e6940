"""minGRU: a recurrence that is linear in its state, so a scan computes all states at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, logsigmoid, pad, rms_norm

from arbench.backends import COMPILE
from arbench.backends.compiling import compilable, sized, steady
from arbench.distributions import Categorical
from arbench.models.base import Claim, Context, Source, at_most, lecun_normal_
from arbench.models.events.text import TextSource
from arbench.models.layers.recurrent import begun


def log_positive(x: Tensor) -> Tensor:
    """Return log g(x), where g(x) = x + 0.5 for x >= 0, sigmoid(x) otherwise (Feng et al., appendix B)."""
    return torch.where(x >= 0, torch.log(torch.relu(x) + 0.5), logsigmoid(x))


def positive(x: Tensor) -> Tensor:
    """Return g(x), defined in ``log_positive``."""
    return torch.where(x >= 0, x + 0.5, x.sigmoid())


def scan(gate: Tensor, candidate: Tensor, before: Tensor | None) -> Tensor:
    """Compute h_t = (1 - z_t) h_{t-1} + z_t g(candidate_t) for all t at once, with z = sigmoid(gate).

    The computation is in logarithms: log h_t = A_t + logcumsumexp(log(z g) - A)_t, where A is the running sum
    of log(1 - z): two prefix scans. A grows with t, so the relative error of h is up to about t times the
    dtype's: 1e-4 for float32 at t = 1,024. Half precision would leave no correct digit, so it is scanned in
    float32.

    Source: Heinsen, *Efficient Parallelization of a Ubiquitous Sequential Computation*, 2023.

    Args:
        gate: (B, M, H).
        candidate: (B, M, H).
        before: h (B, H) before the first position; None for zero.

    Returns:
        h (B, M, H).
    """
    narrow, wide = gate.dtype, torch.promote_types(gate.dtype, torch.float32)
    gate, candidate = gate.to(wide), candidate.to(wide)
    keep = logsigmoid(-gate).cumsum(1)  # softplus is linear above 20, an error of 2e-9
    new = log_positive(candidate) + logsigmoid(gate) - keep
    if before is None:
        return (keep + new.logcumsumexp(1)).exp().to(narrow)
    summed = torch.cat([before.to(wide).log().unsqueeze(1), new], dim=1).logcumsumexp(1)
    return (keep + summed[:, 1:]).exp().to(narrow)


@dataclass
class _State:
    hidden: list[Tensor | None]
    """Each layer's h (B, H), None before the first element; replaced, never written to."""
    rings: list[list[Tensor]]
    """Each layer's last kernel - 1 inputs (B, D) of the convolution, oldest first; replaced likewise."""

    def copied(self) -> _State:
        """Return a copy to step from: tensors are replaced, never written to."""
        return _State(list(self.hidden), [list(ring) for ring in self.rings])


def _last(past: Sequence[Tensor], x: Tensor) -> list[Tensor]:
    """Return as many of the last inputs (B, D) as there are in ``past``, after the inputs x (B, M, D)."""
    m, kept = x.shape[1], len(past)
    return [*past[m:], *(x[:, i - kept] for i in range(max(kept - m, 0), kept))]


class MinGRULayer(nn.Module):
    """A layer: x += conv(x), if there is a convolution; x += W h(norm x), h of minGRU; x += MLP(norm x).

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
        """Return the convolution (B, M, D), given its previous kernel - 1 inputs ``past``; None for zeros."""
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
        """Return outputs (B, M, D), the final h (B, H) and the convolution's last inputs, given x (B, M, D)."""
        ring: list[Tensor] = []
        if self.kernel:
            if past is not None:
                ring = _last(past, x)
            x = x + self._convolved(x, past)
        candidate, gate = (rms_norm(x, x.shape[-1:], self.norm) @ self.gates).chunk(2, dim=-1)
        if x.shape[1] > 1:
            h = scan(gate, candidate, before)
        else:
            new = positive(candidate)
            h = gate.sigmoid() * new if before is None else torch.lerp(before.unsqueeze(1), new, gate.sigmoid())
        return self._mlp(x + h @ self.out), h[:, -1], ring


class MinGRU(TextSource, Source):
    """An element is a byte; scoring takes O(log N) depth by two scans a layer, sampling N steps.

    The embedding of the previous byte goes through layers of a causal convolution (optional), minGRU and MLP,
    each with a residual connection, and RMSNorm before the last two. Position 0 reads a learned vector.
    h_t = (1 - z_t) h_{t-1} + z_t g(W x_t), and neither z nor the candidate reads h, so a scan can compute it.

    Presets:
        shakespeare: the publication's character model: 3 layers of width 384, minGRU twice as wide, a
            convolution of 4; over bytes, where the publication has 65 characters.
        enwik8: the public implementation's (lucidrains/minGRU-pytorch) over bytes: 6 layers of width 512,
            minGRU 1.5 times as wide, no convolution; 19.9 million parameters.
        small: 2 layers of width 96.
        tiny, tiny_conv: for tests.

    Source: Feng et al., *Were RNNs All We Needed?*, 2024, section 3.1 and appendix B, in logarithms; the
    order of a layer's parts and the places of the norms are the public implementation's. Weights start with
    variance 1/fan_in, embeddings with 1, biases at zero, norms at one; dropout is left out.

    Args:
        layers: number of layers.
        width: D, the width of the residual stream.
        expansion: width of minGRU's state relative to D.
        kernel: taps of the convolution; 0 for none.
        levels: values of an element.
        seed: seed of the initial weights.

    Raises:
        ValueError: the state would have no unit.
    """

    family = "scan"
    citation = "Feng et al. 2024, arXiv:2410.01201"
    remark = "The scan works on logarithms that grow with N, and its float32 error grows with them."
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
    """Sizes from 8, where the scans become the longest path through a layer."""

    def __init__(self, *, layers: int, width: int, expansion: float, kernel: int, levels: int, seed: int = 0) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        self.levels = levels
        self.distribution = Categorical(levels)
        hidden = int(expansion * width)
        if hidden < 1:
            raise ValueError(f"expansion {expansion:g} of width {width} leaves the state without a unit; raise either")
        self.embedding = nn.Parameter(lecun_normal_(torch.empty(levels + 1, width), 1, g))
        self.layers = nn.ModuleList(MinGRULayer(width, hidden, kernel, g) for _ in range(layers))
        self.norm = nn.Parameter(torch.ones(width))
        self.out = nn.Parameter(lecun_normal_(torch.empty(width, levels), width, g))

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the configuration of a smaller model that guesses for this one."""
        return {**config, "layers": 1, "width": max(config["width"] // 2, 4)}

    def _layers(self) -> list[MinGRULayer]:
        return cast(list[MinGRULayer], list(self.layers))

    def _head(self, x: Tensor) -> Tensor:
        return rms_norm(x, x.shape[-1:], self.norm) @ self.out

    def forward(self, f: Tensor, code: Context) -> Tensor:
        """Return the parameters (B, N, P) of all elements by two scans a layer."""
        x = begun(self.embedding, f[:, :-1], first=True)
        for layer in self._layers():
            x, _, _ = layer(x)
        return self._head(x)

    def start(self, batch: int, n: int, code: Context) -> _State:
        """Return the state before the first element."""
        layers = self._layers()
        zero = self.embedding.new_zeros(batch, self.embedding.shape[1])
        zeros = iter(self.repeated(zero, sum(layer.kernel for layer in layers)))
        return _State([None] * len(layers), [[next(zeros) for _ in range(1, layer.kernel)] for layer in layers])

    def extend(self, state: _State, f: Tensor, g0: int, g1: int) -> tuple[Tensor, _State]:
        """Return the parameters of elements g0 .. g1-1 and the advanced state."""
        x = begun(self.embedding, f[:, max(g0 - 1, 0) : g1 - 1], first=g0 == 0)
        again = self.backend == COMPILE and g1 - g0 > 1
        params = self._run(sized(x, 1) if again else x, state.hidden, state.rings)
        if again:
            state.hidden = [h if h is None else steady(h) for h in state.hidden]
            state.rings = [[steady(x) for x in ring] for ring in state.rings]
        return params, state

    @compilable()
    def _run(self, x: Tensor, hidden: list[Tensor | None], rings: list[list[Tensor]]) -> Tensor:
        """Return the parameters (B, M, P) from inputs x (B, M, D), and replace what is in the state's lists."""
        for i, layer in enumerate(self._layers()):
            x, hidden[i], rings[i] = layer(x, hidden[i], rings[i])
        return self._head(x)

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return passages of real text; there is no context."""
        return self.passages(n, rows, seed, data), {}
