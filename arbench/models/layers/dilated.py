"""The stack of gated, dilated, causal convolutions in WaveNet and its students."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from arbench.backends import COMPILE
from arbench.backends.compiling import compilable, sized, steady
from arbench.distributions.base import kernel_for
from arbench.models.base import Context, Switched, lecun_normal_

R = TypeVar("R")
Step = Callable[[Tensor, list[list[Tensor]], Tensor], tuple[R, list[Tensor]]]
"""A step of a stack, and of what stands on it: see ``DilatedStack.step``."""


@dataclass
class GateOffsets:
    """Projected conditioning: offsets of each layer's gates, bias included.

    Attributes:
        offset: (L, B or 1, F, 2 G).
        hop: positions per frame: frame t // hop applies to position t; None if there is only one frame.
    """

    offset: Tensor
    hop: int | None

    def at(self, t0: int, t1: int) -> Tensor:
        """Return the offsets of positions t0 .. t1-1 in every layer: (L, B or 1, t1 - t0 or 1, 2 G)."""
        if self.hop is None:
            return self.offset
        frames = torch.arange(t0, t1, device=self.offset.device) // self.hop
        return self.offset.index_select(2, frames)

    def frame(self, t: int) -> int:
        """Return the frame of position t."""
        return 0 if self.hop is None else t // self.hop


@dataclass
class StackState:
    """Position, and each layer's ring buffer of past inputs (B, R).

    A ring has as many slots as the layer's taps reach back, the minimum for the next step. Slot t mod reach
    contains the input of position t, as a reference, not a copy.
    """

    t: int
    rings: list[list[Tensor]]

    def copied(self) -> StackState:
        """Return a copy to step from: slots are replaced, never written to."""
        return StackState(self.t, [list(ring) for ring in self.rings])


class DilatedStack(Switched):
    """L residual layers: h = tanh(W_f * x + c_f) . sigmoid(W_g * x + c_g); x += W_r h; skip += W_s h.

    W * x is a causal convolution of ``kernel`` taps, dilated by 1, 2, 4, ... within each cycle; c is the
    bias plus the projected local (B, C, F) and global (B,) conditioning.

    Sources: van den Oord et al., *WaveNet*, 2016, eq. 2-4 and section 2.5; Paine et al., *Fast WaveNet*,
    2016, for the ring buffers. Weights start with variance 1/fan_in, biases at zero.

    On the backend "triton" ``forward`` is one launch per layer. On "compile" a step is one graph of all layers, and the
    ring buffers stay outside of it. ``extend`` is plain PyTorch on the other backends.

    Args:
        layers: L, the number of layers.
        cycle: layers until the dilation returns to 1.
        kernel: taps of a convolution.
        residual: channels R of the residual stream.
        gate: channels G of each half of the gate.
        skip: channels S of the skip stream; 0 for none. With a skip stream the last layer's residual output is
            computed and unused, as published.
        local: channels C of local conditioning; 0 for none.
        hop: positions per frame of local conditioning.
        classes: size of the global conditioning's alphabet; 0 for none.
        generator: random numbers for the initial weights.
    """

    def __init__(
        self,
        *,
        layers: int,
        cycle: int,
        kernel: int,
        residual: int,
        gate: int,
        skip: int,
        local: int,
        hop: int,
        classes: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.dilations = [2 ** (i % cycle) for i in range(layers)]
        self.kernel, self.residual, self.gate, self.skip, self.hop = (
            kernel,
            residual,
            gate,
            skip,
            hop,
        )

        def weight(*shape: int, fan_in: int) -> nn.Parameter:
            return nn.Parameter(lecun_normal_(torch.empty(shape), fan_in, generator))

        self.gate_weight = weight(layers, kernel * residual, 2 * gate, fan_in=kernel * residual)
        self.gate_bias = nn.Parameter(torch.zeros(layers, 2 * gate))
        self.out_weight = weight(layers, gate, residual + skip, fan_in=gate)
        self.out_bias = nn.Parameter(torch.zeros(layers, residual + skip))
        self.local_weight = weight(local, layers * 2 * gate, fan_in=local) if local else None
        self.global_weight = weight(classes, layers * 2 * gate, fan_in=1) if classes else None

    @property
    def receptive_field(self) -> int:
        """The number of positions that an output depends on, its own included."""
        return 1 + (self.kernel - 1) * sum(self.dilations)

    def reach(self, layer: int) -> int:
        """Return the number of past inputs that a layer reaches back."""
        return (self.kernel - 1) * self.dilations[layer]

    def encode(self, context: Context) -> GateOffsets:
        """Project the conditioning once: ``local`` (B, C, F) and ``global`` (B,)."""
        layers, width = self.gate_bias.shape
        offset = self.gate_bias.view(layers, 1, 1, width)
        if self.local_weight is not None:
            local = context["local"].to(self.local_weight.dtype).transpose(1, 2) @ self.local_weight
            offset = offset + local.unflatten(-1, (layers, width)).permute(2, 0, 1, 3)
            if self.backend == COMPILE:
                offset = steady(offset.movedim(2, 0)).movedim(0, 2)
        if self.global_weight is not None:
            chosen = self.global_weight[context["global"]].unflatten(-1, (layers, width))
            offset = offset + chosen.transpose(0, 1).unsqueeze(2)
        return GateOffsets(offset, self.hop if self.local_weight is not None else None)

    def start(self, batch: int) -> StackState:
        """Return the state before position 0: a past of zeros."""
        zeros = iter(self.repeated(self.gate_weight.new_zeros(batch, self.residual), len(self.dilations) * self.kernel))
        rings = [[zero for _ in range(1, self.kernel) for zero in [next(zeros)] * d] for d in self.dilations]
        return StackState(0, rings)

    def _gated(self, taps: Tensor, offset: Tensor, layer: int) -> Tensor:
        """Return the layer's two outputs side by side, (..., R + S), from its taps (..., K R)."""
        if taps.dim() == 2:
            a = torch.addmm(offset, taps, self.gate_weight[layer])
            f, g = a.chunk(2, dim=-1)
            return torch.addmm(self.out_bias[layer], f.tanh() * g.sigmoid(), self.out_weight[layer])
        f, g = (taps @ self.gate_weight[layer] + offset).chunk(2, dim=-1)
        return (f.tanh() * g.sigmoid()) @ self.out_weight[layer] + self.out_bias[layer]

    def _split(self, x: Tensor, skip: Tensor | None, out: Tensor) -> tuple[Tensor, Tensor | None]:
        if not self.skip:
            return x + out, None
        done = out[..., self.residual :]
        return x + out[..., : self.residual], done if skip is None else skip + done

    def _layer(self, x: Tensor, padded: Tensor, offset: Tensor, layer: int) -> Tensor:
        d, m = self.dilations[layer], x.shape[1]
        taps = [padded[:, k * d : k * d + m] for k in range(self.kernel)]
        return self._gated(torch.cat(taps, dim=-1), offset, layer)

    def forward(self, x: Tensor, affine: GateOffsets) -> Tensor:
        """Return the skip sum (B, T, S), or the residual stream (B, T, R) without one, given x (B, T, R)."""
        layer = kernel_for("wavenet_layer", self.backend, x)
        if layer is not None:
            return self._by_kernel(layer, x, affine)
        skip = None
        for i, offset in enumerate(affine.at(0, x.shape[1]).unbind()):  # whose gradient is one stack
            out = self._layer(x, pad(x, (0, 0, self.reach(i), 0)), offset, i)
            x, skip = self._split(x, skip, out)
        return x if skip is None else skip

    def _by_kernel(self, layer: Callable[..., tuple[Tensor, Tensor | None]], x: Tensor, affine: GateOffsets) -> Tensor:
        skip = None
        for i, dilation in enumerate(self.dilations):
            x, skip = layer(
                x,
                self.gate_weight[i],
                None,
                self.out_weight[i],
                self.out_bias[i],
                dilation=dilation,
                offset=affine.offset[i],
                hop=affine.hop or 1,
                skip=skip,
            )
        return x if skip is None else skip

    def extend(self, state: StackState, x: Tensor, affine: GateOffsets) -> Tensor:
        """Run the next M positions x (B, M, R) as ``forward`` would, and advance the state in place."""
        if x.shape[1] == 1:
            return self.advance(state, x[:, 0], affine, self.step).unsqueeze(1)
        t, m = state.t, x.shape[1]
        past: list[Tensor | None] = []
        for i, ring in enumerate(state.rings):
            at = t % self.reach(i) if ring else 0
            past.append(torch.stack([*ring[at:], *ring[:at]], dim=1) if ring else None)
        offsets = affine.at(t, t + m)
        if self.backend == COMPILE:
            x, offsets = sized(x, 1), sized(offsets, 2) if affine.hop else offsets
        out, inputs = self.several(x, past, offsets)
        for i, (ring, made) in enumerate(zip(state.rings, inputs, strict=True)):
            reach, places = self.reach(i), made.transpose(0, 1)
            if self.backend == COMPILE:
                places = steady(places)
            for k in range(t + max(m - reach, 0), t + m):
                ring[k % reach] = places[k - t]
        state.t = t + m
        return out

    @compilable()
    def several(self, x: Tensor, past: list[Tensor | None], offsets: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the output of positions x (B, M, R) and each layer's inputs of that shape.

        Args:
            x: inputs of the stack.
            past: each layer's inputs before them (B, reach, R), if it reads any.
            offsets: offsets (L, B or 1, M or 1, 2 G) of these positions.
        """
        skip, inputs = None, []
        for i, before in enumerate(past):
            inputs.append(x)
            padded = x if before is None else torch.cat([before, x], dim=1)
            x, skip = self._split(x, skip, self._layer(x, padded, offsets[i], i))
        return x if skip is None else skip, inputs

    def advance(self, state: StackState, x: Tensor, affine: GateOffsets, step: Step[R]) -> R:
        """Run the next position x (B, R) by ``step``, advance the state in place, and return the step's result.

        Args:
            state: state before the position.
            x: input of the stack.
            affine: projected conditioning.
            step: ``self.step``, or a function of the model that takes and returns the like.
        """
        t = state.t
        past = []
        for d, ring in zip(self.dilations, state.rings, strict=True):
            past.append([ring[(t - k * d) % len(ring)] for k in range(self.kernel - 1, 0, -1)])
        result, inputs = step(x, past, affine.offset[:, :, affine.frame(t)])
        for ring, made in zip(state.rings, inputs, strict=True):
            if len(ring):  # which may be a tensor (reach, B, R)
                ring[t % len(ring)] = made
        state.t = t + 1
        return result

    def step(self, x: Tensor, past: list[list[Tensor]], offsets: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the output of a position x (B, R) and each layer's input of that shape.

        Args:
            x: input of the stack.
            past: each layer's earlier inputs (B, R) that its taps read, oldest first.
            offsets: offsets (L, B or 1, 2 G) of the position.
        """
        skip, inputs = None, []
        for i, taps in enumerate(past):
            inputs.append(x)
            read = torch.cat([*taps, x], dim=-1) if taps else x
            x, skip = self._split(x, skip, self._gated(read, offsets[i], i))
        return x if skip is None else skip, inputs
