"""Faults to plant in models, methods and counters: each breaks one thing through pytest's ``monkeypatch``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.distributions import (
    Categorical,
    DiscretizedLogisticMixture,
    Distribution,
    GaussianMixture,
    Logistic,
    Normal,
    PixelMixture,
)
from arbench.distributions.mixture import Mixture
from arbench.distributions.pixel_mixture import pack, unpack
from arbench.meters import depth
from arbench.methods import ahead, base, fixed_point
from arbench.models import (
    Source,
    attention,
    dilated,
    masked,
    mingru,
    parallel_nmt,
    parallel_wavenet,
    pixel_attention,
    pixelcnn,
    pixelsnail,
    recurrent,
    row_caches,
    row_layer,
    row_lstm,
    seq2seq,
    shifted,
    streams,
    transformer,
    wavenet,
    whole_pixels,
)
from arbench.models.state import copied

Patch = pytest.MonkeyPatch
LAWS = (Categorical, DiscretizedLogisticMixture, Logistic, Normal, GaussianMixture, PixelMixture)
Stack, Pixel = dilated.DilatedStack, pixelcnn.PixelCNN


class Young(list):
    """A ring that is read one slot too young."""

    def __getitem__(self, i: Any) -> Any:
        return super().__getitem__((i + 1) % len(self) if isinstance(i, int) else i)


# In dilated stacks ------------------------------------------------------------------------------------


def future_leaks(patch: Patch) -> None:
    """Every layer's causal padding is one too short on the left, in forward."""
    pad = dilated.pad

    def leaky(x: Tensor, widths: tuple[int, ...]) -> Tensor:
        *rest, left, right = widths
        return pad(x, (*rest, left - 1, right + 1)) if left else pad(x, widths)

    patch.setattr(dilated, "pad", leaky)


def present_leaks(patch: Patch) -> None:
    """The feed enters unshifted, in forward: an element's parameters see the element itself."""
    pad = wavenet.pad
    patch.setattr(wavenet, "pad", lambda x, widths: pad(x, (*widths[:-2], 0, 1)))
    patch.setattr(parallel_wavenet, "shift", lambda x: x)


def padded_too_far(patch: Patch) -> None:
    """Every layer's causal padding is one too long on the left, in forward."""
    pad = dilated.pad

    def late(x: Tensor, widths: tuple[int, ...]) -> Tensor:
        *rest, left, right = widths
        return pad(x, (*rest, left + 1, right - 1)) if left else pad(x, widths)

    patch.setattr(dilated, "pad", late)


def ring_off_by_one(patch: Patch) -> None:
    start = Stack.start

    def off(self: Stack, batch: int) -> dilated.StackState:
        state = start(self, batch)
        state.rings = [Young(ring) for ring in state.rings]
        return state

    patch.setattr(Stack, "start", off)


def stale_cache(patch: Patch) -> None:
    """The state of one draw is the start of the next of its batch."""
    kept: dict[tuple[int, int], dilated.StackState] = {}
    start = Stack.start

    def stale(self: Stack, batch: int) -> dilated.StackState:
        state = kept.setdefault((id(self), batch), start(self, batch))
        state.t = 0
        return state

    patch.setattr(Stack, "start", stale)


def first_frame_stays(patch: Patch) -> None:
    """Steps stay at the first frame of the conditioning."""
    patch.setattr(dilated.Affine, "frame", lambda self, t: 0)


def conditioning_dropped(patch: Patch) -> None:
    """Steps run without conditioning."""
    step = Stack._step

    def off(self: Stack, state: Any, x: Tensor, affine: dilated.Affine) -> Tensor:
        layers, width = self.gate_bias.shape
        return step(self, state, x, dilated.Affine(self.gate_bias.view(layers, 1, 1, width), None))

    patch.setattr(Stack, "_step", off)


def conditioning_ignored(patch: Patch) -> None:
    """Forward and steps alike run without conditioning, so that they agree."""
    patch.setattr(
        Stack,
        "encode",
        lambda self, context: dilated.Affine(self.gate_bias.unsqueeze(1).unsqueeze(1), None),
    )


def wrong_dilation(patch: Patch) -> None:
    """Steps take one layer, of dilation 4 or the widest below, for half as wide as it is."""
    step = Stack._step

    def off(self: Stack, state: Any, x: Tensor, affine: dilated.Affine) -> Tensor:
        right = self.dilations
        layer = right.index(min(4, max(right)))
        self.dilations = [d // 2 if i == layer else d for i, d in enumerate(right)]
        try:
            return step(self, state, x, affine)
        finally:
            self.dilations = right

    patch.setattr(Stack, "_step", off)


def receptive_field_off(by: int) -> Any:
    """The stated receptive field is wrong."""

    def plant(patch: Patch) -> None:
        right = Stack.receptive_field.fget  # type: ignore[attr-defined]
        patch.setattr(Stack, "receptive_field", property(lambda self: right(self) + by))

    plant.__name__ = f"receptive_field_off_by_{by}"
    return plant


# In PixelCNN ------------------------------------------------------------------------------------------


def mask_off_by_one(patch: Patch) -> None:
    """The first layer's mask is B: a colour sees itself."""
    mask = masked.group_mask
    patch.setattr(masked, "group_mask", lambda a, b, strict: mask(a, b, strict=False))


def blind_spot(patch: Patch) -> None:
    """The vertical stack sees nothing to the right."""

    def taps(self: masked.Layer, rows: Any, width: int) -> Tensor:
        r = self.reach
        return torch.cat(
            [row[..., j : j + width, :] * (j <= r) for row in rows for j in range(self.kernel)], dim=-1
        )

    patch.setattr(masked.Layer, "vertical_taps", taps)


def rows_forgotten(patch: Patch) -> None:
    """Steps forget all rows above but the last."""
    row = Pixel._next_row

    def off(self: Pixel, state: Any) -> None:
        for rows in state.rows:
            for i in range(len(rows)):
                rows[i] = torch.zeros_like(rows[i])
        row(self, state)

    patch.setattr(Pixel, "_next_row", off)


def line_not_cleared(patch: Patch) -> None:
    """A row's steps read the end of the row above, left of where their own begins."""
    row = Pixel._next_row

    def off(self: Pixel, state: Any) -> None:
        old = state.lines
        row(self, state)
        for line, before in zip(state.lines, old, strict=False):
            line[:, :1] = before[:, -1:]

    patch.setattr(Pixel, "_next_row", off)


def column_off_by_one(patch: Patch) -> None:
    """Steps read what lies above one column to the left."""
    row = Pixel._next_row

    def off(self: Pixel, state: Any) -> None:
        row(self, state)
        state.across = [a.roll(1, dims=1) for a in state.across]

    patch.setattr(Pixel, "_next_row", off)


def stale_image(patch: Patch) -> None:
    """Rows of one image lie above the next of its batch."""
    kept: dict[tuple[int, int, int], Any] = {}
    start = Pixel.start

    def stale(self: Pixel, batch: int, n: int, code: Any) -> Any:
        state = start(self, batch, n, code)
        state.rows = kept.setdefault((id(self), batch, n), state.rows)
        return state

    patch.setattr(Pixel, "start", stale)


# In Parallel NMT --------------------------------------------------------------------------------------


def reads_what_it_gives(patch: Patch) -> None:
    """An element's logits are tilted by its own embedding."""
    extend = parallel_nmt.ParallelNMT.extend

    def off(self: parallel_nmt.ParallelNMT, state: Any, f: Tensor, g0: int, g1: int) -> Any:
        params, state = extend(self, state, f, g0, g1)
        own = self.embedding[f][:, -params.shape[1] :].mean(-1, keepdim=True)
        return params + own * torch.arange(params.shape[-1]), state

    patch.setattr(parallel_nmt.ParallelNMT, "extend", off)


def stale_source(patch: Patch) -> None:
    """What the encoder made of the first source is what all later ones of that size are taken for."""
    kept: dict[tuple[int, tuple[int, ...]], Any] = {}
    encode = parallel_nmt.ParallelNMT.encode

    def stale(self: parallel_nmt.ParallelNMT, context: Any, n: int) -> Any:
        return kept.setdefault((n, tuple(context["source"].shape)), encode(self, context, n))

    patch.setattr(parallel_nmt.ParallelNMT, "encode", stale)


def copies_forgotten(patch: Patch) -> None:
    """Steps copy each source symbol once, whatever its fertility."""
    extend = parallel_nmt.ParallelNMT.extend

    def off(self: parallel_nmt.ParallelNMT, state: Any, f: Tensor, g0: int, g1: int) -> Any:
        return extend(self, state, torch.ones_like(f) if g0 else f, g0, g1)

    patch.setattr(parallel_nmt.ParallelNMT, "extend", off)


# In attention -----------------------------------------------------------------------------------------


def attends_to_later(patch: Patch) -> None:
    """Forward's attention has no mask."""
    forward = attention.Stack.forward
    patch.setattr(
        attention.Stack, "forward", lambda self, x, memories=(), **_: forward(self, x, memories, causal=False)
    )


def mask_of_chunks_off_by_one(patch: Patch) -> None:
    """Positions extended together see the next one, where there is one."""

    def off(t0: int, t1: int, like: Tensor) -> Tensor:
        return like.new_full((t1 - t0, t1), -torch.inf).triu(t0 + 2)

    patch.setattr(attention, "later", off)


def first_slot_forgotten(patch: Patch) -> None:
    """Steps do not attend to the first position."""
    attend = attention.Attention._attend

    def off(self: Any, query: Tensor, keys: Tensor, values: Tensor, **how: Any) -> Tensor:
        if query.shape[2] == 1 and keys.shape[2] > 5:  # no source is that short
            keys, values = keys[:, :, 1:], values[:, :, 1:]
        return attend(self, query, keys, values, **how)

    patch.setattr(attention.Attention, "_attend", off)


def slot_written_too_late(patch: Patch) -> None:
    """A step's own key and value go one slot too far: it attends to what the slot held before."""
    extend = attention.Attention.extend

    def off(self: Any, x: Tensor, slots: Tensor, t: int, mask: Tensor | None) -> Tensor:
        out = extend(self, x, slots, t, mask)
        if x.shape[1] == 1 and t + 1 < slots.shape[3]:
            slots[:, :, :, t + 1] = slots[:, :, :, t]
            slots[:, :, :, t] = 0
        return out

    patch.setattr(attention.Attention, "extend", off)


def position_off_by_one(patch: Patch) -> None:
    """Going back goes back one position too far."""
    rewind = transformer.Transformer.rewind
    patch.setattr(
        transformer.Transformer,
        "rewind",
        lambda self, state, mark, f, g: rewind(self, state, mark, f, max(g - 1, 0)),
    )


def source_ignored(patch: Patch) -> None:
    """Attention to the source finds nothing in it."""
    patch.setattr(attention.Attention, "recall", lambda self, x, memory: self.out(torch.zeros_like(x)))


def class_in_one_gate(patch: Patch) -> None:
    """Steps add the class to the vertical gates, not to the horizontal ones."""
    start = Pixel.start

    def off(self: Pixel, batch: int, n: int, code: Any) -> Any:
        return start(self, batch, n, [o and (o[0], torch.zeros_like(o[1])) for o in code])

    patch.setattr(Pixel, "start", off)


def class_ignored(patch: Patch) -> None:
    """Forward and steps alike run without the class."""
    patch.setattr(masked.Layer, "offsets", lambda self, label: None)


# In models of whole pixels ----------------------------------------------------------------------------


def not_moved_right(patch: Patch) -> None:
    """The first convolution of forward sees the pixel itself where it should see the one before."""
    patch.setattr(shifted, "right", lambda x: x)


def not_moved_down(patch: Patch) -> None:
    """The first convolution of forward sees a pixel's own row where it should see the one above."""
    patch.setattr(shifted, "down", lambda x: x)


def line_above_forgotten(patch: Patch) -> None:
    """Steps know nothing of the row above in the stream that goes from pixel to pixel."""
    next_row = row_caches.Lines.next_row

    def off(self: Any, conv: Any, batch: int, width: int, more: Any = None) -> None:
        self.lines.pop(conv, None)
        next_row(self, conv, batch, width, more)

    patch.setattr(row_caches.Lines, "next_row", off)


def tap_off_by_one(patch: Patch) -> None:
    """Steps read the taps of the pixel before."""
    at = row_caches.Lines.at
    patch.setattr(row_caches.Lines, "at", lambda self, conv, column: at(self, conv, max(column - 1, 0)))


def first_of_two_rows(patch: Patch) -> None:
    """Steps in every second row take what the coarser image was doubled to in the row before."""
    coarser = streams.ByPixel.coarser

    def off(self: Any, stream: Any, level: int, x: Tensor) -> Tensor:
        found = coarser(self, stream, level, x)
        row, column = self.row >> level, self.column >> level
        return self.doubled[level][:, 0, column] if row % 2 else found

    patch.setattr(streams.ByPixel, "coarser", off)


def copies_in_another_row(patch: Patch) -> None:
    """Going back to an earlier row leaves the rows where the wrong guess led them."""

    def off(self: Any, state: Any, mark: Any, f: Tensor, g: int) -> Any:
        state.at = g
        return state

    patch.setattr(whole_pixels.WholePixels, "rewind", off)


def attends_to_itself(patch: Patch) -> None:
    """In forward a pixel attends to its own key and value as well."""

    def off(self: Any, x: Tensor, pixels: Tensor, places: Tensor, ready: Any) -> Tensor:
        slots, query = self.content(x, pixels, places, ready), self.query(x, places, ready)
        return self.merge(x, pixel_attention.attend(query, slots, self.key, causal=True), ready)

    patch.setattr(pixel_attention.PixelAttention, "forward", off)


def last_pixel_unseen(patch: Patch) -> None:
    """Steps do not attend to the pixel before."""
    attend = pixel_attention.attend

    def off(query: Tensor, slots: Tensor, key: int) -> Tensor:
        return attend(query, slots[:, : max(slots.shape[1] - 1, 1)], key)

    patch.setattr(pixelsnail, "attend", off)


# In recurrent layers ----------------------------------------------------------------------------------


def cell_forgotten(patch: Patch) -> None:
    """Steps of an LSTM start each element from an empty cell."""
    step = recurrent.LSTMStack._step

    def off(self: recurrent.LSTMStack, carry: Any, x: Tensor) -> Tensor:
        carry.cell = [torch.zeros_like(c) for c in carry.cell]
        return step(self, carry, x)

    patch.setattr(recurrent.LSTMStack, "_step", off)


def carry_shared(patch: Patch) -> None:
    """A copy of what is carried along is the thing itself."""
    patch.setattr(recurrent.Carry, "copied", lambda self: self)
    patch.setattr(mingru._State, "copied", lambda self: self)


def encoder_state_dropped(patch: Patch) -> None:
    """Steps of the decoder begin at zero, and not where the encoder ended."""
    start = recurrent.LSTMStack.start
    patch.setattr(recurrent.LSTMStack, "start", lambda self, batch, state=None: start(self, batch))


def source_not_read(patch: Patch) -> None:
    """Every source is read as the same."""
    encode = seq2seq.Seq2Seq.encode
    patch.setattr(
        seq2seq.Seq2Seq,
        "encode",
        lambda self, context, n: encode(self, {"source": torch.zeros_like(context["source"])}, n),
    )


def scan_from_nothing(patch: Patch) -> None:
    """A scan over a chunk begins at zero, and not at the state before it."""
    scan = mingru.scan
    patch.setattr(mingru, "scan", lambda gate, candidate, before: scan(gate, candidate, None))


def scan_one_ahead(patch: Patch) -> None:
    """A scan's candidates are those of the next element."""
    scan = mingru.scan
    patch.setattr(mingru, "scan", lambda gate, candidate, before: scan(gate, candidate.roll(-1, 1), before))


def taps_shifted(patch: Patch) -> None:
    """The convolution before minGRU loses the youngest of the inputs that it keeps."""
    convolved = mingru.Layer._convolved

    def off(self: mingru.Layer, x: Tensor, past: Any) -> Tensor:
        return convolved(self, x, past and [*past[:-1], torch.zeros_like(past[-1])])

    patch.setattr(mingru.Layer, "_convolved", off)


def reads_to_the_right(patch: Patch) -> None:
    """A Row LSTM's inputs are the pixel and the one to its right, in forward."""
    pad = row_layer.pad

    def leaky(x: Tensor, widths: tuple[int, ...]) -> Tensor:
        return pad(x[:, :, 1:], (0, 0, 0, 2)) if widths == (0, 0, 1, 0) else pad(x, widths)

    patch.setattr(row_layer, "pad", leaky)


def row_above_forgotten(patch: Patch) -> None:
    """Steps of a Row LSTM begin each row as the first one."""
    turn = row_layer.RowLayer.next_row

    def off(self: row_layer.RowLayer, state: Any) -> None:
        state.hidden, state.cell = torch.zeros_like(state.hidden), torch.zeros_like(state.cell)
        turn(self, state)

    patch.setattr(row_layer.RowLayer, "next_row", off)


def rows_of_pictures_swapped(patch: Patch) -> None:
    """Steps of a Row LSTM's first convolution have the rows above in the wrong order."""
    turn = row_lstm.RowLSTM._next_row

    def off(self: row_lstm.RowLSTM, state: Any) -> None:
        state.pictures.reverse()
        turn(self, state)

    patch.setattr(row_lstm.RowLSTM, "_next_row", off)


# In any model or method -------------------------------------------------------------------------------


def rows_mix(patch: Patch) -> None:
    """An event's parameters depend on its neighbours in the batch."""

    def mixed(inner: Any) -> Any:
        def extend(self: Any, state: Any, f: Tensor, g0: int, g1: int) -> Any:
            params, state = inner(self, state, f, g0, g1)
            return params + params.mean(0, keepdim=True), state

        return extend

    for cls in (
        wavenet.WaveNet, Pixel, parallel_wavenet.ParallelWaveNet, transformer.Transformer,
        whole_pixels.WholePixels,
    ):  # fmt: skip
        patch.setattr(cls, "extend", mixed(cls.extend))


def prompt_not_read(patch: Patch) -> None:
    """Given elements are put in place, but the first is not what the network reads."""
    init = base.Unknown.__init__

    def off(self: base.Unknown, source: Any, task: Any) -> None:
        init(self, source, task)
        self.f[:, :1] = 0

    patch.setattr(base.Unknown, "__init__", off)


def settles_at_once(patch: Patch) -> None:
    """Jacobi iteration stops at its first guess."""
    hasty = SimpleNamespace(where=torch.where, cat=torch.cat, equal=lambda a, b: True)
    patch.setattr(fixed_point, "torch", hasty)


def accepts_all(patch: Patch) -> None:
    """A guess is taken for right whatever came out."""
    patch.setattr(ahead.Window, "settled", lambda self, same, g1: g1 - self.at)


def rewinds_too_little(patch: Patch) -> None:
    """Going back leaves the state where the wrong guess led it."""
    patch.setattr(Source, "rewind", lambda self, state, mark, f, g: state)


def rewinds_too_far(patch: Patch) -> None:
    """Going back leaves the state at the mark."""
    patch.setattr(Source, "rewind", lambda self, state, mark, f, g: copied(mark[1]))


def keeps_all_guesses(patch: Patch) -> None:
    """Rejection sampling never rejects: the draft's law."""
    patch.setattr(ahead.Window, "settled", lambda self, same, g1: g1 - self.at)


# In laws ----------------------------------------------------------------------------------------------


def wrong_log_determinant(patch: Patch) -> None:
    invert = Logistic.invert
    patch.setattr(Logistic, "invert", lambda self, p, x: (invert(self, p, x)[0], p[..., 1]))


def scale_not_in_the_density(patch: Patch) -> None:
    for law in (Logistic, Normal):
        right = law.log_prob
        patch.setattr(law, "log_prob", lambda self, p, x, right=right: right(self, p, x) + p[..., 1])


def wrong_density(patch: Patch) -> None:
    """All probabilities a thousandth too large."""
    for law in LAWS:
        patch.setattr(law, "log_prob", lambda self, p, x, right=law.log_prob: right(self, p, x) + 1e-3)


def dull_noise(patch: Patch) -> None:
    """Draws at three quarters of the noise: too often the likeliest element."""
    for law in LAWS:
        patch.setattr(law, "draw", lambda self, p, z, right=law.draw: right(self, p, 0.75 * z))


def weights_not_normalised(patch: Patch) -> None:
    """A mixture's logits are taken for log-weights."""

    def log_prob(self: Mixture, params: Tensor, x: Tensor) -> Tensor:
        logits, each = self._parts(params)
        return torch.logsumexp(logits + self.law.log_prob(each, x.unsqueeze(-1)), dim=-1)

    patch.setattr(Mixture, "log_prob", log_prob)


def likeliest_component(patch: Patch) -> None:
    """A mixture draws from its likeliest component."""
    draw = Mixture.draw
    still = torch.tensor(0.0).double()
    patch.setattr(
        Mixture,
        "draw",
        lambda self, p, z: draw(self, p, torch.cat([still.expand_as(z[..., :-1]), z[..., -1:]], -1)),
    )


def noise_repeats(patch: Patch) -> None:
    """Every second element is drawn by the noise of the one before."""
    noise = Distribution.noise

    def off(self: Distribution, *args: Any, **kwargs: Any) -> Tensor:
        z = noise(self, *args, **kwargs)
        return torch.cat([z[:, i - i % 2 : i - i % 2 + 1] for i in range(z.shape[1])], dim=1)

    patch.setattr(Distribution, "noise", off)


def channels_not_rounded(patch: Patch) -> None:
    """A channel conditions the next before it is rounded, as the published code has it."""

    def draw(self: PixelMixture, params: Tensor, z: Tensor) -> Tensor:
        fine = PixelMixture(2**16, self.colours, self.components)
        channels = unpack(right(fine, params, z), fine.channel_levels, self.colours)
        top = self.channel_levels - 1
        return pack((channels * (top / (fine.channel_levels - 1))).round().long(), self.channel_levels)

    right = PixelMixture.draw
    patch.setattr(PixelMixture, "draw", draw)


# In counters ------------------------------------------------------------------------------------------


def whole_storages(patch: Patch) -> None:
    """Depth is kept by storage, not by region."""

    def write(self: depth.Regions, tensor: Tensor, found: int) -> None:
        known = self._known(tensor.untyped_storage())
        known.depth = max(known.depth, found)

    patch.setattr(depth.Regions, "write", write)
    patch.setattr(depth.Regions, "lift", write)


def work_by_threads(patch: Patch) -> None:
    """The model does one operation more on two threads."""
    for law in LAWS:
        for name in ("draw", "log_prob"):
            right = getattr(law, name)

            def off(self: Any, p: Tensor, z: Tensor, right: Any = right) -> Tensor:
                return right(self, p + 0 if torch.get_num_threads() > 1 else p, z)

            patch.setattr(law, name, off)
