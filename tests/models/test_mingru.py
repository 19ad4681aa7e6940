"""Tests of minGRU: a scan in logarithms instead of a recurrence."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from arbench.meters import count
from arbench.methods import Task, methods_for
from arbench.models import ModelError, resolve
from arbench.models.mingru import MinGRU, log_positive, positive, scan


@pytest.fixture(autouse=True)
def no_grad() -> object:
    with torch.no_grad():
        yield


def recurred(gate: Tensor, candidate: Tensor, before: Tensor) -> Tensor:
    """Return h of each element (B, M, H), one after the other."""
    h, out = before, []
    for z, new in zip(gate.unbind(1), candidate.unbind(1), strict=True):
        h = (-z).sigmoid() * h + z.sigmoid() * torch.where(new >= 0, new + 0.5, new.sigmoid())
        out.append(h)
    return torch.stack(out, dim=1)


@pytest.mark.parametrize("n", [1, 2, 7, 1024])
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_the_scan_is_the_recurrence(n: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(n)
    gate, candidate = torch.randn(2, 2, n, 3, dtype=torch.float64, generator=generator) * scale
    zero, before = torch.zeros(2, 3, dtype=torch.float64), torch.rand(2, 3, dtype=torch.float64)
    assert torch.allclose(scan(gate, candidate, None), recurred(gate, candidate, zero), rtol=1e-10, atol=0)
    assert torch.allclose(scan(gate, candidate, before), recurred(gate, candidate, before), rtol=1e-10, atol=0)


def test_the_scan_in_float32_is_as_close_as_is_said() -> None:
    gate, candidate = torch.randn(2, 1, 1024, 16, generator=torch.Generator().manual_seed(0))
    exact = recurred(gate.double(), candidate.double(), torch.zeros(1, 16).double())
    assert (scan(gate, candidate, None) / exact - 1).abs().max() < 1e-4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_scan_of_half_precision_has_the_digits_of_its_inputs(dtype: torch.dtype) -> None:
    gate, candidate = torch.randn(2, 2, 1024, 8, generator=torch.Generator().manual_seed(0)).to(dtype)
    for before in (None, candidate[:, 0].abs() + 1):
        h = scan(gate, candidate, before)
        wide = scan(gate.double(), candidate.double(), None if before is None else before.double())
        assert h.dtype == dtype
        assert ((h.double() - wide) / wide).abs().max() <= torch.finfo(dtype).eps


def test_what_is_positive_and_its_logarithm() -> None:
    x = torch.linspace(-30, 30, 121, dtype=torch.float64)
    assert (positive(x) > 0).all()
    assert torch.allclose(log_positive(x), positive(x).log(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("spec", ["tiny", "tiny_conv"])
def test_scoring_doubles_by_two_links_a_layer(spec: str) -> None:
    """Depth grows by one per scan, two of them in each of 2 layers, whenever N doubles."""
    model = resolve(f"mingru:{spec}").build()
    depths = []
    for n in (8, 16, 32, 64):
        x = model.observe(n, [0], seed=0)[0]
        depths.append(count(lambda x=x: model(x, {})).depth)
    assert [b - a for a, b in pairwise(depths)] == [4, 4, 4]


def test_the_convolution_reads_as_far_as_it_has_taps() -> None:
    layer = resolve("mingru:tiny_conv").build(dtype=torch.float64)._layers()[0]
    x = torch.randn(1, 9, 5, dtype=torch.float64)
    before = layer._convolved(x, None)
    changed = x.clone()
    changed[0, 2] += 1
    moved = (layer._convolved(changed, None) != before)[0].any(-1)
    assert moved.tolist() == [2 <= t < 2 + layer.kernel for t in range(9)]


@pytest.mark.parametrize(
    ("preset", "weights"),
    [
        # the public implementation has 19,944,960; ours adds a vector of 512 for the first element
        ("enwik8", 19_945_472),
        ("small", 300_672),
    ],
)
def test_weights_are_counted(preset: str, weights: int) -> None:
    assert resolve(f"mingru:{preset}").build().weights(8) == weights


@pytest.mark.slow
@pytest.mark.parametrize("preset", [p for p in MinGRU.presets if not p.startswith("tiny")])
def test_published_presets_score_and_sample(preset: str) -> None:
    model = resolve(f"mingru:{preset}").build()
    x, context = model.observe(64, [0, 1], seed=0)
    noise = model.distribution.noise(0, [0, 1], range(64), torch.float32)

    def run(name: str, **what: Tensor) -> object:
        method = next(m for m in methods_for(model) if m.name == name)
        return method.run(model, Task(64, context, **what))

    log_prob = run("parallel", x=x).log_prob
    assert (log_prob < 0).all()
    assert torch.allclose(run("sequential", x=x).log_prob, log_prob, rtol=0, atol=1e-3)
    assert run("cached", noise=noise).x.shape == (2, 64)


def test_misuse_is_one_line() -> None:
    with pytest.raises(ModelError) as caught:
        resolve("mingru:tiny,expansion=0").build()
    assert str(caught.value) == (
        "model 'mingru:tiny,expansion=0': expansion 0 of width 6 leaves the state without a unit; raise either"
    )
