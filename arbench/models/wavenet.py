"""WaveNet: audio samples, one by one, from a stack of dilated causal convolutions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from arbench.backends.compiling import compilable
from arbench.distributions import by_name
from arbench.distributions.native import KNOWN, native_law
from arbench.models.base import Claim, Context, NativeDraw, Source, at_most, lecun_normal_
from arbench.models.events import audio
from arbench.models.layers.dilated import DilatedStack, GateOffsets, StackState
from arbench.models.layers.packs import Packs

if TYPE_CHECKING:
    from arbench.kernels.samplers.shares import Weights


@dataclass
class _State:
    code: GateOffsets = field(metadata={"constant": True})
    stack: StackState


class WaveNet(audio.AudioSource, Source):
    """An element is one audio sample; N steps, each O(L) for L layers.

    The previous sample enters a 1x1 convolution, then the stack; the skip sum goes through ReLU, 1x1, ReLU,
    1x1 to the parameters. Position 0 reads zeros. With ``loss="softmax"`` an element is a mu-law class, which
    enters as an embedding, or as one number (``scalar``); with "discretized_logistic_mixture" it is a level of
    linear amplitude; with "gaussian", "gaussian_mixture", "logistic" and "logistic_mixture" it is a real
    amplitude, within [-1, 1] in real audio and unbounded in draws. Levels and amplitudes enter as one number.

    Presets:
        nv: 20 layers in 2 cycles, kernel 2, R=64, S=128, A=256, mu-law softmax at 16 kHz, mel conditioning
            (NVIDIA's nv-wavenet benchmark default).
        vocoder: 24 layers in 4 cycles, kernel 3, R=128, gate 256, S=128, mixture of 10 logistics over 16
            bits at 22.05 kHz, mel conditioning.
        paper: the Parallel WaveNet teacher: 30 layers in 3 cycles, kernel 3, R=512, gate 512, S=256,
            mixture of 10 logistics over 16 bits at 24 kHz; mel frames at 200 Hz stand in for its
            linguistic features, and voices for its speakers.
        clarinet: the Gaussian teacher of ClariNet in its public version for 22.05 kHz speech: 20 layers in 2
            cycles, kernel 2, R=128, gate 256, S=128, mel conditioning; here the first convolution is 1x1
            instead of 32 taps, and frames are repeated instead of upsampled.
        unconditional: nv without conditioning, whose classes enter as one number: it is trained on sound alone.
        teacher: nv with a mixture of 10 logistics over real amplitudes, which a student's density can be
            held against: the teacher of ``parallel_wavenet:student``.
        tiny, tiny_logistic, tiny_gaussian, tiny_gaussian_mixture: for tests.

    Sources: van den Oord et al., *WaveNet: A Generative Model for Raw Audio*, 2016; *Parallel WaveNet*,
    2017, section 2 and appendix; Ping et al., *ClariNet*, 2018, for the Gaussian. Weights start with
    variance 1/fan_in, biases at zero.

    Args:
        layers: see ``DilatedStack``.
        cycle: see ``DilatedStack``.
        kernel: see ``DilatedStack``.
        residual: see ``DilatedStack``.
        gate: see ``DilatedStack``.
        skip: see ``DilatedStack``; at least 1.
        loss: name of an element's distribution: a key of ``arbench.distributions.LOSSES``.
        levels: mu-law classes or levels of amplitude of an element; unused if it is real.
        components: components of a mixture.
        local: see ``DilatedStack``.
        hop: see ``DilatedStack``.
        classes: see ``DilatedStack``.
        rate_hz: sampling rate of the audio.
        scalar: whether a mu-law class enters as one number, from -1 to 1, instead of an embedding.
        seed: seed of the initial weights.

    Raises:
        ValueError: there are no skip channels, or there is no such loss.
    """

    family = "sequential"
    citation = "van den Oord et al. 2016, arXiv:1609.03499"
    default_preset = "nv"
    presets = {
        "nv": dict(
            layers=20,
            cycle=10,
            kernel=2,
            residual=64,
            gate=64,
            skip=128,
            levels=256,
            local=80,
            rate_hz=16000.0,
            hop=256,
        ),
        "vocoder": dict(
            layers=24,
            cycle=6,
            kernel=3,
            residual=128,
            gate=128,
            skip=128,
            levels=65536,
            loss="discretized_logistic_mixture",
            components=10,
            local=80,
            rate_hz=22050.0,
            hop=256,
        ),
        "paper": dict(
            layers=30,
            cycle=10,
            kernel=3,
            residual=512,
            gate=256,
            skip=256,
            levels=65536,
            loss="discretized_logistic_mixture",
            components=10,
            local=80,
            classes=5,
            rate_hz=24000.0,
            hop=120,
        ),
        "clarinet": dict(
            layers=20,
            cycle=10,
            kernel=2,
            residual=128,
            gate=128,
            skip=128,
            loss="gaussian",
            local=80,
            rate_hz=22050.0,
            hop=256,
        ),
        "unconditional": dict(
            layers=20,
            cycle=10,
            kernel=2,
            residual=64,
            gate=64,
            skip=128,
            levels=256,
            rate_hz=16000.0,
            scalar=True,
        ),
        "teacher": dict(
            layers=20,
            cycle=10,
            kernel=2,
            residual=64,
            gate=64,
            skip=128,
            loss="logistic_mixture",
            components=10,
            local=80,
            rate_hz=16000.0,
            hop=256,
        ),
        "tiny": dict(
            layers=4,
            cycle=2,
            kernel=2,
            residual=6,
            gate=5,
            skip=7,
            levels=4,
            local=3,
            classes=5,
            rate_hz=16000.0,
            hop=3,
        ),
        "tiny_logistic": dict(
            layers=3,
            cycle=3,
            kernel=3,
            residual=6,
            gate=4,
            skip=5,
            levels=4,
            loss="discretized_logistic_mixture",
            components=2,
            rate_hz=16000.0,
        ),
        "tiny_gaussian": dict(
            layers=3,
            cycle=2,
            kernel=2,
            residual=5,
            gate=4,
            skip=5,
            loss="gaussian",
            local=3,
            hop=3,
            rate_hz=16000.0,
        ),
        "tiny_gaussian_mixture": dict(
            layers=3,
            cycle=3,
            kernel=2,
            residual=6,
            gate=4,
            skip=5,
            loss="gaussian_mixture",
            components=2,
            classes=5,
            rate_hz=16000.0,
        ),
    }
    claims = {
        ("score", "parallel"): Claim("1", "N"),
        ("score", "sequential"): Claim("1", "N"),
        ("sample", "naive"): Claim("N", "N^2"),
        ("sample", "cached"): Claim("N", "N"),
        ("sample", "speculative"): Claim("<= N", "<= N^2"),
        ("sample", "rejection"): Claim("<= N", "<= N^2"),
        **at_most(),
    }

    def __init__(
        self,
        *,
        layers: int,
        cycle: int,
        kernel: int,
        residual: int,
        gate: int,
        skip: int,
        loss: str = "softmax",
        levels: int = 256,
        components: int = 10,
        local: int = 0,
        hop: int = 1,
        classes: int = 0,
        rate_hz: float = 16000.0,
        scalar: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if skip < 1:
            raise ValueError(f"WaveNet needs skip channels, got {skip}")
        g = torch.Generator().manual_seed(seed)
        self.levels, self.rate_hz, self.local, self.classes, self.hop = (
            levels,
            rate_hz,
            local,
            classes,
            hop,
        )
        self.distribution = by_name(loss, levels, components)
        self.alphabets = {"global": classes} if classes else {}
        self.companded = loss == "softmax"
        self.cell = None if self.distribution.finite else audio.CELL
        self.embedded = self.companded and not scalar
        inputs = levels if self.embedded else 1
        self.embedding = nn.Parameter(lecun_normal_(torch.empty(inputs, residual), 1, g))
        self.stack = DilatedStack(
            layers=layers,
            cycle=cycle,
            kernel=kernel,
            residual=residual,
            gate=gate,
            skip=skip,
            local=local,
            hop=hop,
            classes=classes,
            generator=g,
        )
        width = levels if self.companded else skip
        out = self.distribution.params_width
        self.hidden = nn.Parameter(lecun_normal_(torch.empty(skip, width), skip, g))
        self.hidden_bias = nn.Parameter(torch.zeros(width))
        self.out = nn.Parameter(lecun_normal_(torch.empty(width, out), width, g))
        self.out_bias = nn.Parameter(torch.zeros(out))
        self.receptive_field = self.stack.receptive_field  # of the events one position later, so without its own
        self._packs = Packs()

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the configuration of a smaller model that guesses for this one."""
        return {**config, "layers": max(config["layers"] // 4, 1), "cycle": max(config["layers"] // 4, 1)}

    @torch.no_grad()
    def initialise(self, f: Tensor, code: GateOffsets) -> None:
        """Let inputs and laws begin at the scale of the audio, where an element is a real number.

        The publication does not: its weights move there first, which takes a few hundred updates.
        """
        if self.distribution.finite:
            return
        k, deviation = self.distribution.params_width // 3 or 1, max(float(f.std()), audio.CELL)
        self.embedding.div_(deviation)
        self.out[:, -2 * k : -k] *= deviation
        self.out_bias[-k:] = math.log(deviation)

    def _embed(self, x: Tensor) -> Tensor:
        """Turn elements (B, M) into inputs of the stack (B, M, R)."""
        if self.embedded:
            return self.embedding[x]
        if not self.distribution.finite:
            return x.unsqueeze(-1) * self.embedding[0]
        dtype = self.embedding.dtype  # half precision cannot represent 65,536 levels
        scaled = x.to(torch.promote_types(dtype, torch.float32)) * (2 / (self.levels - 1)) - 1
        return scaled.to(dtype).unsqueeze(-1) * self.embedding[0]

    def _head(self, skip: Tensor) -> Tensor:
        hidden = torch.relu(skip) @ self.hidden + self.hidden_bias
        return torch.relu(hidden) @ self.out + self.out_bias

    def encode(self, context: Context, n: int) -> GateOffsets:
        """Return the projected conditioning of each layer."""
        return self.stack.encode(context)

    def start(self, batch: int, n: int, code: GateOffsets) -> _State:
        """Return the state before the first element."""
        return _State(code, self.stack.start(batch))

    def extend(self, state: _State, f: Tensor, g0: int, g1: int) -> tuple[Tensor, _State]:
        """Return the parameters of elements g0 .. g1-1 and the advanced state."""
        past = self._embed(f[:, max(g0 - 1, 0) : g1 - 1])
        inputs = past if g0 else pad(past, (0, 0, 1, 0))
        if g1 - g0 == 1:
            return self.stack.advance(state.stack, inputs[:, 0], state.code, self._step).unsqueeze(1), state
        return self._head(self.stack.extend(state.stack, inputs, state.code)), state

    @compilable()
    def _step(self, x: Tensor, past: list[list[Tensor]], offsets: Tensor) -> tuple[Tensor, list[Tensor]]:
        out, inputs = self.stack.step(x, past, offsets)
        return self._head(out), inputs

    def forward(self, f: Tensor, code: GateOffsets) -> Tensor:
        """Return the parameters (B, N, P) of all elements in one parallel pass."""
        return self._head(self.stack(pad(self._embed(f[:, :-1]), (0, 0, 1, 0)), code))

    def native(
        self, code: GateOffsets, batch: int, *, weights: torch.dtype | None = None, threads: int = 1
    ) -> NativeDraw:
        """Return a draw in native code, with the weights packed once as long as they do not change."""
        from arbench.kernels.samplers.wavenet_draw import WaveNetDraw  # imports Numba, as the others here do

        law, own = native_law(self.distribution), self._weights()
        if law is None:
            raise NotImplementedError(f"the native loop has no draw from a {type(self.distribution).__name__}")
        kind = own.gate.dtype
        stored = weights if weights is not None and kind == torch.float32 else kind
        numeric = self.distribution.finite and not self.embedded  # levels, which enter as one number
        scale = (2 / (self.levels - 1), -1.0) if numeric else (1.0, 0.0)
        shares = self._packs.of(own, stored, threads)
        return WaveNetDraw(own, shares, law, code.offset, code.hop, batch, scale)

    def lacks_native(self) -> str | None:
        """Return why the native loop cannot draw from this model: it knows only the published stack, and some laws."""
        if type(self.distribution) not in KNOWN:
            return f"has no draw from a {type(self.distribution).__name__}"
        if type(self.stack) is not DilatedStack:
            return f"has no steps of a {type(self.stack).__name__}"
        return None

    def _weights(self) -> Weights:
        from arbench.kernels.samplers.shares import Weights

        stack = self.stack
        tensors = (
            *(self.embedding, stack.gate_weight, stack.out_weight, stack.out_bias),
            *(self.hidden, self.hidden_bias, self.out, self.out_bias),
        )
        return Weights(tuple(stack.dilations), stack.kernel, *(tensor.detach() for tensor in tensors))

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return clips of real speech with their conditioning, quantised where elements are levels."""
        clips, context = self.clips(n, rows, seed, data)
        if not self.distribution.finite:
            return clips, context
        return audio.quantise(clips, self.levels, companded=self.companded), context

    def amplitudes(self, x: Tensor) -> Tensor:
        """Return the amplitudes (B, M) of samples; real ones that a draw puts beyond [-1, 1] are clipped."""
        if not self.distribution.finite:
            return super().amplitudes(x)
        return audio.amplitudes(x, self.levels, companded=self.companded)

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        """Read the user's recording at the rate of the preset."""
        return audio.load(path, config["rate_hz"])
