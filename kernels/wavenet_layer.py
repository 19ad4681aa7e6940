"""One layer of WaveNet in one launch, for scoring: dilated causal convolution, gate, residual and skip.

A program takes a block of positions through the whole layer. The convolution is a matrix product over the
taps for filter and gate together, accumulated in float32. The gated values h are multiplied by the output
weights, and the residual and skip streams are added before the store. A narrow h stays in registers. A wide h
would spill, so its program stores it block by block and reads it back from cache. The stream is read once from
memory (its taps again from cache); every program reads the weights from L2. Half precision is computed in
float32, except that h is rounded before its product, as tensor cores need; float32 products have float32's
precision (no TF32).

Source: van den Oord et al., *WaveNet: A Generative Model for Raw Audio*, 2016, eq. 2 and section 2.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import triton
from torch import Tensor

from arbench.kernels.conv.taps import strides_of
from arbench.kernels.conv.wavenet_programs import wavenet_layer_forward_kernel
from arbench.kernels.core.calls import as_given
from arbench.kernels.core.launch import empty, empty_like, launch
from arbench.kernels.core.spec import (
    CONVOLUTIONS,
    Config,
    Cost,
    Inputs,
    Kernel,
    Op,
    choose,
    floating,
    integer,
    normal,
)

NAME = "wavenet_layer"


def _eager(
    x: Tensor,
    gate_weight: Tensor,
    gate_bias: Tensor | None,
    out_weight: Tensor,
    out_bias: Tensor | None,
    dilation: int,
    offset: Tensor | None,
    hop: int,
    skip: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    """Compute the layer in plain PyTorch, with one product per tap, added in place.

    On one core this is 1.1 to 1.6 times as fast as a single product of concatenated taps.
    """
    B, T, R = x.shape
    *past, last = gate_weight.split(R)
    now = x.reshape(-1, R)
    a = (now @ last if gate_bias is None else torch.addmm(gate_bias, now, last)).view(B, T, last.shape[1])
    for k, weight in enumerate(past):
        shift = (len(past) - k) * dilation
        if shift < T:
            a[:, shift:].baddbmm_(x[:, : T - shift], weight.expand(B, -1, -1))
    if offset is not None:
        frames = torch.arange(T, device=x.device) // hop
        a = a + (offset if offset.shape[1] == 1 else offset.index_select(1, frames))
    f, g = a.chunk(2, dim=-1)
    h = (f.tanh() * g.sigmoid()).view(B * T, out_weight.shape[0])
    out = h @ out_weight if out_bias is None else torch.addmm(out_bias, h, out_weight)
    out = out.view(B, T, out_weight.shape[1])
    if out.shape[2] == R:
        return x + out, None
    done = out[..., R:]
    return x + out[..., :R], done if skip is None else skip + done


def _tile(x: Tensor, R: int, G: int, S: int) -> dict[str, int]:
    """Return the positions and channels of a tile: the largest that no target spills.

    Products in float32 have no tensor cores, and their operands take more registers.
    """
    k, g, n, stages = (32, 64, 64 if G <= 64 else 32, 3) if x.dtype.itemsize == 2 else (16, 32, 64, 2)

    def block(most: int, width: int) -> int:
        return max(16, min(most, triton.next_power_of_2(width)))

    return dict(
        BLOCK_T=128,
        BLOCK_K=block(k, max(R, G)),
        BLOCK_G=block(g, G),
        BLOCK_N=block(n, max(R, S)),
        num_warps=8,
        num_stages=stages,
    )


def _forward(
    x: Tensor,
    gate_weight: Tensor,
    gate_bias: Tensor | None,
    out_weight: Tensor,
    out_bias: Tensor | None,
    dilation: int,
    offset: Tensor | None,
    hop: int,
    skip: Tensor | None,
) -> tuple[Tensor, Tensor | None]:
    (B, T, R), (G, both) = x.shape, out_weight.shape
    S = both - R
    y = empty_like(x)
    skip_y = None
    if S:
        skip_y = empty((B, T, S), x.dtype, x.device) if skip is None else empty_like(skip)
    if offset is not None:
        offset = offset.expand(B, T if offset.shape[1] == 1 else -1, -1)
    tile = _tile(x, R, G, S)
    h = empty((B * T, G), x.dtype, x.device) if tile["BLOCK_G"] < G else None
    launch(
        wavenet_layer_forward_kernel,
        (triton.cdiv(B * T, tile["BLOCK_T"]),),
        x,
        gate_weight,
        gate_bias,
        out_weight,
        out_bias,
        offset,
        skip,
        y,
        skip_y,
        h,
        B * T,
        T,
        gate_weight.shape[0] // R,
        dilation,
        hop,
        R,
        G,
        S,
        *x.stride(),
        *gate_weight.stride(),
        *strides_of(gate_bias, 1),
        *out_weight.stride(),
        *strides_of(out_bias, 1),
        *strides_of(offset, 3),
        *strides_of(skip, 3),
        *y.stride(),
        *strides_of(skip_y, 3),
        **tile,
    )
    return y, skip_y


def _checked(
    x: Tensor,
    gate_weight: Tensor,
    gate_bias: Tensor | None,
    out_weight: Tensor,
    out_bias: Tensor | None,
    dilation: int,
    offset: Tensor | None,
    hop: int,
    skip: Tensor | None,
) -> None:
    floating(
        NAME,
        x=x,
        gate_weight=gate_weight,
        gate_bias=gate_bias,
        out_weight=out_weight,
        out_bias=out_bias,
        offset=offset,
        skip=skip,
    )

    def shaped(name: str, tensor: Tensor | None, wanted: str, fits: bool) -> None:
        if tensor is not None and not fits:
            raise ValueError(f"{NAME}: {name} must be {wanted}, not {tuple(tensor.shape)}")

    shaped("x", x, "(B, T, R) with R at least 1", x.dim() == 3 and x.shape[2] > 0)
    B, T, R = x.shape
    rows = gate_weight.shape[0] if gate_weight.dim() == 2 else 0
    fits = rows > 0 and rows % R == 0 and gate_weight.shape[1] > 0 and gate_weight.shape[1] % 2 == 0
    shaped("gate_weight", gate_weight, f"(W R, 2 G) with R = {R}, W and G at least 1", fits)
    G = gate_weight.shape[1] // 2
    fits = out_weight.dim() == 2 and out_weight.shape[0] == G and out_weight.shape[1] >= R
    shaped("out_weight", out_weight, f"(G, R + S) with G = {G}, R = {R}", fits)
    S = out_weight.shape[1] - R
    for name, bias, width in [("gate_bias", gate_bias, 2 * G), ("out_bias", out_bias, R + S)]:
        shaped(name, bias, f"({width},)", bias is None or bias.shape == (width,))
    if dilation < 1 or hop < 1:
        raise ValueError(f"{NAME}: dilation and hop must be at least 1, not {dilation} and {hop}")
    if offset is not None:
        frames = triton.cdiv(T, hop)
        fits = offset.dim() == 3 and offset.shape[0] in (1, B) and offset.shape[2] == 2 * G
        fits = fits and (offset.shape[1] == 1 or offset.shape[1] >= max(frames, 1))
        shaped("offset", offset, f"({B} or 1, 1 or {frames} or more, {2 * G})", fits)
    if skip is not None and S == 0:
        raise ValueError(f"{NAME}: skip must be None, because out_weight has no skip channels")
    shaped("skip", skip, f"({B}, {T}, {S})", skip is None or skip.shape == (B, T, S))


@as_given
def wavenet_layer(
    x: Tensor,
    gate_weight: Tensor,
    gate_bias: Tensor | None,
    out_weight: Tensor,
    out_bias: Tensor | None,
    *,
    dilation: int,
    offset: Tensor | None = None,
    hop: int = 1,
    skip: Tensor | None = None,
    backend: str | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Compute one residual layer of WaveNet over all positions.

    h = tanh(W_f * x + c_f) sigmoid(W_g * x + c_g), where W * x is a causal convolution of W taps over a
    past of zeros; x' = x + h O_r + o_r, skip' = skip + h O_s + o_s.

    Args:
        x: (B, T, R), the residual stream; like every argument, of any strides.
        gate_weight: (W R, 2 G): taps, oldest first, by filter channels and then gate channels.
        gate_bias: (2 G,); None for zeros.
        out_weight: (G, R + S): residual, then skip channels.
        out_bias: (R + S,); None for zeros.
        dilation: positions between taps.
        offset: (B or 1, F, 2 G), conditioning added to filter and gate: frame t // hop at position t, or a
            single frame for all positions; None for zeros.
        hop: positions per frame.
        skip: (B, T, S), the skip stream so far; None for zeros.
        backend: "eager" or "triton"; by default Triton for a tensor on a GPU, unless a gradient is needed.

    Returns:
        x' (B, T, R) and skip' (B, T, S), both new; skip' is None if S is 0. Half precision is computed in
        float32, with h rounded to half precision. Only the eager backend is differentiable.

    Raises:
        ValueError: shapes do not fit, a dilation or hop is below 1, devices differ, or Triton would need a
            gradient.
        TypeError: tensors are not floating-point or have different dtypes; a dilation or hop is not an integer.
    """
    dilation, hop = integer(NAME, "dilation", dilation), integer(NAME, "hop", hop)
    _checked(x, gate_weight, gate_bias, out_weight, out_bias, dilation, offset, hop, skip)
    given = (x, gate_weight, gate_bias, out_weight, out_bias, offset, skip)
    differentiated = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in given)
    if choose(NAME, "eager" if backend is None and differentiated else backend, x) == "eager":
        return _eager(x, gate_weight, gate_bias, out_weight, out_bias, dilation, offset, hop, skip)
    if differentiated:
        raise ValueError(f"{NAME}: the Triton kernel has no gradient; use backend='eager' or torch.no_grad()")
    return _forward(x, gate_weight, gate_bias, out_weight, out_bias, dilation, offset, hop, skip)


def _inputs(
    *,
    dtype: torch.dtype,
    device: torch.device | str,
    generator: torch.Generator | None = None,
    batch: int,
    length: int,
    residual: int,
    gate: int,
    skip: int,
    width: int,
    dilation: int,
    hop: int | None = 1,
    first: bool = False,
) -> Inputs:
    def made(*shape: int, fan_in: int = 1) -> Tensor:
        drawn = normal(shape, torch.float64, device, generator)
        return (drawn / fan_in**0.5).to(dtype)

    return {
        "x": made(batch, length, residual),
        "gate_weight": made(width * residual, 2 * gate, fan_in=width * residual),
        "gate_bias": made(2 * gate),
        "out_weight": made(gate, residual + skip, fan_in=gate),
        "out_bias": made(residual + skip),
        "dilation": dilation,
        "offset": None if hop is None else made(batch, -(-length // hop), 2 * gate),
        "hop": hop or 1,
        "skip": made(batch, length, skip) if skip and not first else None,
    }


def _cost(op: Op, inputs: Inputs) -> Cost:
    x, out_weight = inputs["x"], inputs["out_weight"]
    tensors = [value for value in inputs.values() if isinstance(value, Tensor)]
    rows, skip = x.shape[0] * x.shape[1], out_weight.shape[1] - x.shape[2]
    written = x.nbytes + rows * skip * x.itemsize
    products = inputs["gate_weight"].numel() + out_weight.numel()
    return Cost(sum(t.nbytes for t in tensors) + written, 2 * rows * products)


def _dims(config: Config) -> tuple[int, int]:
    return config["batch"], config["length"]


_SHAPES: Mapping[str, Mapping[str, int]] = {
    "tiny": dict(residual=6, gate=5, skip=7, width=2),
    "nv": dict(residual=64, gate=64, skip=128, width=2),
    "vocoder": dict(residual=128, gate=128, skip=128, width=3),
    "paper": dict(residual=512, gate=256, skip=256, width=3),
    "flow": dict(residual=64, gate=64, skip=0, width=3),
}


def _config(shape: str, batch: int, length: int, dilation: int, **more: Any) -> dict[str, Any]:
    return dict(batch=batch, length=length, dilation=dilation, **_SHAPES[shape], **more)


WAVENET_LAYER = Kernel(
    name=NAME,
    summary="a WaveNet layer: dilated convolution, gate, residual and skip",
    call=wavenet_layer,
    inputs=_inputs,
    cost=_cost,
    formula={"forward": "bytes = s (2 N (R + S) + 2 G N / hop + weights), FLOPs = 2 N (2 G W R + G (R + S))"},
    matrix=[
        _config("tiny", 2, 65536, 4, hop=3),
        _config("nv", 1, 65536, 1, hop=None, first=True),
        *(_config(shape, 2, 65536, 512, hop=256) for shape in ("nv", "vocoder", "paper", "flow")),
    ],
    checks=[
        _config("tiny", 2, 37, 4, hop=3),
        dict(batch=1, length=5, residual=3, gate=17, skip=0, width=3, dilation=2, hop=None),
    ],
    sizes={
        "cpu": [_config("nv", 1, 16384, 8, hop=256)],
        "cuda": [
            _config("nv", 16, 16384, 8, hop=256),
            _config("vocoder", 8, 16384, 8, hop=256),
            _config("paper", 4, 16384, 8, hop=120),
        ],
    },
    dims=_dims,
    element="sample",
    tolerance=CONVOLUTIONS,
    vectorised=lambda program, config: config["residual"] % 16 == 0,
)
