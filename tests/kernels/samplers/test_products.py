"""Products with packed matrices: every tile, both dtypes of weights, shares of several threads."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from arbench.kernels.samplers import products
from arbench.kernels.samplers.products import pack, pad_to, padded, product
from arbench.kernels.samplers.shares import divided

TWICE = "value, v.builder.fadd(weights[c], weights[c])"


@pytest.mark.parametrize("stored", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("outputs", [16, 48, 64, 80, 192])
def test_it_is_the_product(outputs: int, rows: int, stored: torch.dtype) -> None:
    kind = torch.float64 if stored == torch.float64 else torch.float32
    generator = torch.Generator().manual_seed(outputs + rows)
    inputs, stride, gap = 32, 40, 200
    weight = torch.randn(inputs, outputs, generator=generator, dtype=kind)
    weight = weight.to(stored).to(kind)
    x = torch.randn(rows, stride, generator=generator, dtype=kind)
    y = torch.randn(rows, gap, generator=generator, dtype=kind)
    wanted = y.clone()
    wanted[:, 3 : 3 + outputs] += (x[:, 2 : 2 + inputs].double() @ weight.double()).to(kind)
    flat = torch.cat([torch.zeros(64, dtype=torch.int16 if stored == torch.bfloat16 else kind), pack(weight, stored)])
    weights = flat.numpy().view(np.uint16) if stored == torch.bfloat16 else flat.numpy()
    end = product(weights, 64, inputs, outputs, x.view(-1).numpy(), 2, stride, y.view(-1).numpy(), 3, gap, rows)
    assert end == 64 + inputs * outputs
    assert torch.allclose(y, wanted, rtol=0, atol=1e-12 if kind == torch.float64 else 2e-5)


def test_two_versions_in_one_process_keep_their_own_products(tmp_path: Path) -> None:
    text = Path(products.__file__).read_text()
    place = tmp_path / "doubled_products.py"
    place.write_text(text.replace("v.multiply_add(value, weights[c], new[i])", f"v.multiply_add({TWICE}, new[i])"))
    sys.path.insert(0, str(tmp_path))
    try:
        other = importlib.import_module(place.stem)
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop(place.stem, None)
    for one, wanted in ((products, 16), (other, 32), (products, 16)):
        y = np.zeros(8)
        one.product(np.ones(128), 0, 16, 8, np.ones(16), 0, 16, y, 0, 8, 1)
        assert (y == wanted).all()


def test_no_inputs_add_nothing() -> None:
    y = np.ones(16)
    assert product(np.zeros(0), 0, 0, 16, np.zeros(0), 0, 0, y, 0, 16, 1) == 0
    assert (y == 1).all()


def test_padding_is_of_whole_vectors() -> None:
    assert [padded(size, torch.float32) for size in (0, 1, 16, 17)] == [0, 16, 16, 32]
    assert padded(9, torch.float64) == 16
    found = pad_to(torch.ones(2, 3), 4, 16)
    assert found.shape == (4, 16)
    assert found.sum() == 6


@pytest.mark.parametrize(
    ("size", "threads", "parts"),
    [
        (64, 1, [(0, 64)]),
        (64, 2, [(0, 32), (32, 64)]),
        (48, 2, [(0, 32), (32, 48)]),
        (5, 2, [(0, 5), (5, 5)]),
        (33, 2, [(0, 32), (32, 33)]),
    ],
)
def test_parts_are_whole_vectors(size: int, threads: int, parts: list[tuple[int, int]]) -> None:
    assert divided(size, 16, threads) == parts
