"""Products of a few rows with matrices packed once, which are read in order, once for all rows.

A step of a sampler multiplies a few vectors by all of a model's weights, so it takes at least as long as to read these.
``pack_weight`` puts them in the order of use, rounded to bfloat16 if asked; arithmetic is in the dtype of ``x``.
For CPUs only: native samplers are made of this product; see ``arbench.kernels.samplers.products``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from arbench.kernels.core.calls import as_given
from arbench.kernels.core.launch import empty
from arbench.kernels.core.spec import LOG_PROBS, Config, Cost, Inputs, Kernel, Op, choose, floating, normal

NAME = "packed_matmul"
PACK = "pack_weight"
BACKENDS = ("eager", "numba")
_WHOLE = (torch.float32, torch.float64)


@dataclass(frozen=True, eq=False)
class PackedWeight:
    """Matrices as ``packed_matmul`` reads them; made by ``pack_weight``, and not to be changed.

    Attributes:
        plain: (I, O) or (L, I, O), rounded to ``stored``: what the eager backend multiplies by.
        packed: the same numbers in the order of use, one-dimensional; int16 for bfloat16.
        stored: dtype in which the numbers are stored.
    """

    plain: Tensor
    packed: Tensor
    stored: torch.dtype


@torch.no_grad()
def pack_weight(weight: Tensor, *, stored: torch.dtype | None = None) -> PackedWeight:
    """Pack matrices for ``packed_matmul``.

    Args:
        weight: (I, O), or (L, I, O) for L matrices; float32 or float64, on the CPU, of any strides. It is copied.
        stored: bfloat16 rounds the numbers of a float32 weight to it, which halves the bytes to read; by default the
            dtype of ``weight``.

    Raises:
        TypeError: ``weight`` is no tensor, or neither float32 nor float64; ``stored`` is neither its dtype nor, for a
            float32 weight, bfloat16.
        ValueError: ``weight`` has another number of axes, or is not on the CPU.
    """
    floating(PACK, weight=weight)
    if weight.dtype not in _WHOLE:
        raise TypeError(f"{PACK}: weight must be float32 or float64, not {weight.dtype}; stored=bfloat16 rounds it")
    stored = weight.dtype if stored is None else stored
    if stored != weight.dtype and (stored, weight.dtype) != (torch.bfloat16, torch.float32):
        raise TypeError(f"{PACK}: a {weight.dtype} weight cannot be stored as {stored}; store float32 as bfloat16")
    if weight.dim() not in (2, 3):
        raise ValueError(f"{PACK}: weight must be (I, O) or (L, I, O), not {tuple(weight.shape)}")
    if weight.device.type != "cpu":
        raise ValueError(f"{PACK}: weight must be on the CPU, not on {weight.device}")
    from arbench.kernels.samplers.products import pack, pad_to, padded

    plain = weight.detach().to(stored).to(weight.dtype, memory_format=torch.contiguous_format, copy=True)
    inputs, outputs = (padded(size, weight.dtype) for size in plain.shape[-2:])
    matrices = plain.view(-1, *plain.shape[-2:]) if plain.numel() else ()
    parts = [pack(pad_to(one, inputs, outputs), stored) for one in matrices]
    return PackedWeight(plain, torch.cat(parts) if parts else plain.new_zeros(0), stored)


def _numba(x: Tensor, weight: PackedWeight, bias: Tensor | None) -> Tensor:
    from arbench.kernels.samplers.products import padded, products

    of_each, width = weight.plain.shape[-2:]
    inputs, outputs = padded(of_each, x.dtype), padded(width, x.dtype)
    rows, count = x.shape[-2], len(weight.plain) if weight.plain.dim() == 3 else 1
    y = empty((*x.shape[:-1], outputs), x.dtype, x.device)
    if bias is None:
        y.zero_()
    else:
        y[..., :width] = bias.unsqueeze(-2)
        y[..., width:] = 0
    if weight.packed.numel():
        whole = x.contiguous() if inputs == of_each else pad(x, (0, inputs - of_each))
        stored = weight.packed.numpy()
        memory = stored.view("uint16") if weight.stored == torch.bfloat16 else stored
        products(memory, count, inputs, outputs, whole.view(-1).numpy(), y.view(-1).numpy(), rows)
    return y[..., :width]


def _eager(x: Tensor, weight: PackedWeight, bias: Tensor | None) -> Tensor:
    y = x @ weight.plain.to(x.dtype)
    return y if bias is None else y + bias.to(x.dtype).unsqueeze(-2)


@as_given
@torch.no_grad()
def packed_matmul(x: Tensor, weight: PackedWeight, bias: Tensor | None = None, *, backend: str | None = None) -> Tensor:
    """Return x W + bias for packed matrices W, in one thread on the Numba backend. Not differentiable.

    Args:
        x: (B, I), or (L, B, I) with one matrix for each of L, of any strides, on the CPU; of the dtype of the weight
            that was packed. The eager backend also takes float64 for a weight in float32, and computes in it.
        weight: W, (I, O) or (L, I, O), from ``pack_weight``.
        bias: (O,) or (L, O), of the dtype of ``x``; None for 0.
        backend: "eager", which multiplies by the rounded weights, or "numba"; by default "eager".

    Returns:
        (B, O) or (L, B, O), with rows that may lie apart in memory. A NaN or an infinity among the inputs of a row
        changes the outputs of that row alone.

    Raises:
        TypeError: x or bias are not floating-point, or of another dtype; the weight is not packed.
        ValueError: shapes or devices do not fit.
    """
    if not isinstance(weight, PackedWeight):
        raise TypeError(f"{NAME}: weight must come from {PACK}, not be a {type(weight).__name__}")
    floating(NAME, x=x, bias=bias)
    backend = choose(NAME, backend, x, BACKENDS)
    dtype = weight.plain.dtype
    if x.dtype != dtype and (backend, x.dtype) != ("eager", torch.float64):
        raise TypeError(f"{NAME}: x is {x.dtype}, the weight was packed in {dtype}; convert x, or pack it again")
    if x.device.type != "cpu":
        raise ValueError(f"{NAME}: x must be on the CPU, not on {x.device}")
    shape = weight.plain.shape
    if x.dim() != len(shape) or x.shape[-1] != shape[-2] or x.shape[:-2] != shape[:-2]:
        expected = f"(B, {shape[0]})" if len(shape) == 2 else f"({shape[0]}, B, {shape[1]})"
        raise ValueError(f"{NAME}: x must be {expected} for a weight {tuple(shape)}, not {tuple(x.shape)}")
    if bias is not None and bias.shape != (*shape[:-2], shape[-1]):
        expected = f"{(*shape[:-2], shape[-1])}"
        raise ValueError(f"{NAME}: bias must be {expected} for a weight {tuple(shape)}, not {tuple(bias.shape)}")
    return (_eager if backend == "eager" else _numba)(x, weight, bias)


def _inputs(
    *,
    dtype: torch.dtype,
    device: torch.device | str,
    generator: torch.Generator | None = None,
    rows: int,
    inputs: int,
    outputs: int,
    layers: int | None = None,
    stored: str | None = None,
    bias: bool = False,
) -> Inputs:
    several = () if layers is None else (layers,)
    weight = normal((*several, inputs, outputs), dtype, device, generator) / max(inputs, 1) ** 0.5
    return {
        "x": normal((*several, rows, inputs), dtype, device, generator),
        "weight": pack_weight(weight, stored=None if stored is None else getattr(torch, stored)),
        "bias": normal((*several, outputs), dtype, device, generator) if bias else None,
    }


def _cost(op: Op, inputs: Inputs) -> Cost:
    x, weight, bias = inputs["x"], inputs["weight"], inputs["bias"]
    numbers, outputs = weight.plain.numel(), weight.plain.shape[-1]
    results = x.numel() // max(x.shape[-1], 1) * outputs
    moved = numbers * weight.stored.itemsize + x.nbytes + results * x.itemsize
    return Cost(moved + (0 if bias is None else bias.nbytes), 2 * x.shape[-2] * numbers)


def _dims(config: Config) -> tuple[int, int]:
    return config["rows"], config.get("layers", 1) * config["inputs"] * config["outputs"]


def _defined(config: Config, dtype: torch.dtype) -> bool:
    return dtype == torch.float32 or (dtype == torch.float64 and "stored" not in config)


_NV = dict(layers=20, inputs=128, outputs=128)
_VOCODER = dict(layers=24, inputs=384, outputs=256)
_LARGE = dict(inputs=4096, outputs=4096)
_ROUNDED = dict(stored="bfloat16")

PACKED_MATMUL = Kernel(
    name=NAME,
    summary="a few rows times matrices packed once: the gates of wavenet:nv and :vocoder, and a large matrix",
    call=packed_matmul,
    inputs=_inputs,
    cost=_cost,
    formula={"forward": "bytes = |weight| s_stored + (|x| + |y|) s, FLOPs = 2 B |weight|"},
    matrix=[],
    checks=[
        dict(rows=3, inputs=33, outputs=70, bias=True),
        dict(rows=5, inputs=33, outputs=70, layers=2, stored="bfloat16"),
    ],
    sizes={
        "cpu": [
            *(dict(rows=rows, **one) for one in (_NV, _VOCODER) for rows in (1, 4, 16)),
            dict(rows=1, **_LARGE),
            *(dict(rows=rows, **one, **_ROUNDED) for one, rows in ((_NV, 1), (_VOCODER, 1), (_VOCODER, 16))),
            dict(rows=1, **_LARGE, **_ROUNDED),
        ],
        "cuda": [],
    },
    dims=_dims,
    element="weight",
    backends=BACKENDS,
    tolerance={dtype: LOG_PROBS[dtype] for dtype in _WHOLE},
    defined=_defined,
)
"""See ``packed_matmul``."""
