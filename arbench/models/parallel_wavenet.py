"""The Parallel WaveNet student: inverse autoregressive flows, which sample in one pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from arbench.backends.compiling import compilable
from arbench.distributions import Logistic
from arbench.models.base import Claim, Context, Source, lecun_normal_
from arbench.models.events import audio
from arbench.models.layers.affine_flow import compose
from arbench.models.layers.dilated import DilatedStack, GateOffsets, StackState


class Flow(nn.Module):
    """One flow: mean and log-scale of position t from its input before t.

    A scalar enters a 1x1 convolution, then a stack without skip connections; ReLU, 1x1, ReLU, 1x1 follow.
    """

    def __init__(self, *, residual: int, generator: torch.Generator, **stack: Any) -> None:
        super().__init__()
        self.inputs = nn.Parameter(lecun_normal_(torch.empty(residual), 1, generator))
        self.stack = DilatedStack(residual=residual, skip=0, generator=generator, **stack)
        layers = len(self.stack.dilations)
        weight = lecun_normal_(torch.empty(residual, residual), residual * layers, generator)
        self.hidden = nn.Parameter(weight)
        self.hidden_bias = nn.Parameter(torch.zeros(residual))
        self.out = nn.Parameter(lecun_normal_(torch.empty(residual, 2), residual, generator, 0.1))
        self.out_bias = nn.Parameter(torch.zeros(2))

    def _head(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.relu(x) @ self.hidden + self.hidden_bias
        mean, log_scale = (torch.relu(hidden) @ self.out + self.out_bias).unbind(-1)
        return mean, log_scale

    def forward(self, past: Tensor, affine: GateOffsets) -> tuple[Tensor, Tensor]:
        """Return mean and log-scale, (B, N) each, from the input (B, N) shifted by one."""
        return self._head(self.stack(past.unsqueeze(-1) * self.inputs, affine))

    def extend(self, state: StackState, past: Tensor, affine: GateOffsets) -> tuple[Tensor, Tensor]:
        """Return what ``forward`` does, for the next positions alone."""
        inputs = past.unsqueeze(-1) * self.inputs
        if past.shape[1] == 1:
            mean, log_scale = self.stack.advance(state, inputs[:, 0], affine, self._step)
            return mean.unsqueeze(1), log_scale.unsqueeze(1)
        return self._head(self.stack.extend(state, inputs, affine))

    @compilable()
    def _step(self, x: Tensor, past: list[list[Tensor]], offsets: Tensor) -> tuple[tuple[Tensor, Tensor], list[Tensor]]:
        out, inputs = self.stack.step(x, past, offsets)
        return self._head(out), inputs


def shift(x: Tensor) -> Tensor:
    """Shift x (B, N) one position later, with a zero first."""
    return pad(x[:, :-1], (1, 0))


@dataclass
class _State:
    codes: list[GateOffsets] = field(metadata={"constant": True})
    stacks: list[StackState]
    last: list[tuple[Tensor, Tensor]]
    """Each flow's mean and log-scale (B, 1) at the previous position."""


class ParallelWaveNet(audio.AudioSource, Source):
    """An element is one audio sample; the network reads past *noise*, so sampling takes one pass.

    Flow i maps z_i = z_(i-1) exp(s_i) + m_i with m_i, s_i functions of z_(i-1) before t; given the noise
    before t, x_t is logistic with the composed mean and scale. Scoring its own samples, whose noise is
    known, is free; to score other audio the noise must be found first, step by step or by fixed-point
    iteration.

    Presets:
        paper: 4 flows of 10, 10, 10 and 30 layers, cycles of 10, kernel 3, 64 channels, no skip
            connections; 24 kHz; mel frames at 200 Hz stand in for the linguistic features.
        student: 4 flows of 10 layers, cycles of 10, kernel 3, 32 channels, for speech at 16 kHz with the mel
            conditioning of ``wavenet:teacher``: an hour on one core distils it.
        tiny: for tests.

    Source: van den Oord et al., *Parallel WaveNet: Fast High-Fidelity Speech Synthesis*, 2017, section 4.
    Weights start with variance 1/fan_in, biases at zero, the last layer of each flow at a tenth of that
    scale, so that a flow starts near the identity and can be inverted.

    Args:
        flows: layers of each flow.
        cycle: see ``DilatedStack``.
        kernel: see ``DilatedStack``.
        residual: see ``DilatedStack``.
        gate: see ``DilatedStack``.
        local: see ``DilatedStack``.
        hop: see ``DilatedStack``.
        classes: see ``DilatedStack``.
        rate_hz: sampling rate of the audio.
        seed: seed of the initial weights.
    """

    family = "flow"
    citation = "van den Oord et al. 2017, arXiv:1711.10433"
    feeds = "z"
    default_preset = "paper"
    presets = {
        "paper": dict(
            flows=(10, 10, 10, 30),
            cycle=10,
            kernel=3,
            residual=64,
            gate=64,
            local=80,
            hop=120,
            classes=5,
            rate_hz=24000.0,
        ),
        "student": dict(
            flows=(10, 10, 10, 10),
            cycle=10,
            kernel=3,
            residual=32,
            gate=32,
            local=80,
            hop=256,
            rate_hz=16000.0,
        ),
        "tiny": dict(flows=(2, 3), cycle=2, kernel=2, residual=5, gate=4, local=3, hop=3, rate_hz=16000.0),
    }
    claims = {
        ("sample", "parallel"): Claim("1", "N"),
        ("score", "own_samples"): Claim("1", "N"),
        ("score", "inversion"): Claim("N", "N"),
        ("score", "inversion_fixed_point"): Claim("<= N", "<= N^2"),
        ("score", "inversion_blocks"): Claim("<= N", "<= N^2"),
    }

    def __init__(
        self,
        *,
        flows: Sequence[int],
        cycle: int,
        kernel: int,
        residual: int,
        gate: int,
        local: int = 0,
        hop: int = 1,
        classes: int = 0,
        rate_hz: float = 24000.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        self.rate_hz, self.local, self.classes, self.hop = rate_hz, local, classes, hop
        self.alphabets = {"global": classes} if classes else {}
        self.distribution = Logistic()
        self.cell = audio.CELL
        self.flows = nn.ModuleList(
            Flow(
                layers=layers,
                cycle=cycle,
                kernel=kernel,
                residual=residual,
                gate=gate,
                local=local,
                hop=hop,
                classes=classes,
                generator=g,
            )
            for layers in flows
        )

    def _flows(self) -> list[Flow]:
        return [flow for flow in self.flows if isinstance(flow, Flow)]

    @torch.no_grad()
    def scale_to(self, deviation: float) -> None:
        """Scale the last flow so that draws begin with about this standard deviation.

        A logistic of scale 1 has the standard deviation pi / sqrt(3).
        """
        last, scale = self._flows()[-1], deviation * 3**0.5 / math.pi
        last.out[:, 0] *= scale
        last.out_bias[1] = math.log(scale)

    def encode(self, context: Context, n: int) -> list[GateOffsets]:
        """Return each flow's projected conditioning."""
        return [flow.stack.encode(context) for flow in self._flows()]

    def start(self, batch: int, n: int, code: list[GateOffsets]) -> _State:
        """Return the state before the first element."""
        flows = self._flows()
        zero = flows[0].inputs.new_zeros(batch, 1)
        return _State(code, [flow.stack.start(batch) for flow in flows], [(zero, zero)] * len(flows))

    def extend(self, state: _State, f: Tensor, g0: int, g1: int) -> tuple[Tensor, _State]:
        """Return the parameters of elements g0 .. g1-1 and the advanced state."""
        past = f[:, g0 - 1 : g1 - 1] if g0 else shift(f[:, :g1])
        composed = None
        for i, flow in enumerate(self._flows()):
            mean, log_scale = flow.extend(state.stacks[i], past, state.codes[i])
            composed = compose(composed, mean, log_scale)
            before = [
                torch.cat([old, new[:, :-1]], dim=1) for old, new in zip(state.last[i], (mean, log_scale), strict=True)
            ]
            past = past * before[1].exp() + before[0]
            state.last[i] = mean[:, -1:], log_scale[:, -1:]
        assert composed is not None
        return torch.stack(composed, dim=-1), state

    def forward(self, f: Tensor, code: list[GateOffsets]) -> Tensor:
        """Return the parameters (B, N, P) of all elements in one parallel pass."""
        z, composed = f, None
        for flow, affine in zip(self._flows(), code, strict=True):
            mean, log_scale = flow(shift(z), affine)
            composed = compose(composed, mean, log_scale)
            z = z * log_scale.exp() + mean
        assert composed is not None
        return torch.stack(composed, dim=-1)

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return clips of real speech with their conditioning."""
        return self.clips(n, rows, seed, data)

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        """Read the user's recording at the rate of the preset."""
        return audio.load(path, config["rate_hz"])
