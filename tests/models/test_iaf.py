"""Tests of the inverse flow: a sample's noise is found again, published presets, misuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from arbench.methods import Task, methods_for
from arbench.models import ModelError, Source, resolve
from arbench.models.iaf import IAF

N = 16


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture
def model() -> IAF:
    """Return a flow far from the identity, in float64."""
    made = IAF(pixels=N, layers=3, hidden=(30, 45), levels=4)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in made.named_parameters():
        scale = 0.3 if "bias" in name else 0.0
        parameter.add_(scale * torch.randn(parameter.shape, generator=generator)).mul_(1.5)
    return made.double().eval()


def run(source: Source, op: str, name: str, task: Task) -> Any:
    (method,) = [m for m in methods_for(source) if (m.op, m.name) == (op, name)]
    return method.run(source, task)


@pytest.mark.parametrize("inverter", ["inversion", "inversion_fixed_point", "inversion_blocks"])
def test_a_draw_goes_back_to_its_noise(inverter: str, model: IAF) -> None:
    z = torch.randn(3, N, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x = run(model, "sample", "parallel", Task(N, {}, noise=z.unsqueeze(-1))).x
    found = run(model, "score", inverter, Task(N, {}, x=x)).f
    torch.testing.assert_close(found, z, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("layers=0", "a flow needs at least one layer, got 0"),
        ("order=backwards", "unknown order 'backwards'; available: raster, reverse, random"),
        ("pixels=60", "no square has 60 pixels; near: 49, 64"),
    ],
)
def test_misuse_is_one_line(setting: str, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve(f"iaf:tiny,{setting}").build()
    assert str(caught.value) == f"model 'iaf:tiny,{setting}': {said}"


@pytest.mark.slow
def test_the_published_preset_scores_and_samples() -> None:
    source = resolve("iaf:mnist").build()
    each = (784 + 2) * 1024 + (1024 + 2) * 1024 + (1024 + 2) * 2 * 784
    assert source.weights(784) == 5 * each == sum(p.numel() for p in source.parameters())
    x, _ = source.observe(24, [0], seed=0)
    noise = source.distribution.noise(0, [0], range(24), torch.float32)
    drawn = run(source, "sample", "parallel", Task(24, {}, noise=noise))
    scored = run(source, "score", "inversion", Task(24, {}, x=x))
    for found in (drawn, scored):
        assert found.x.shape == (1, 24)
        assert found.x.isfinite().all()
    assert scored.log_prob.isfinite().all()
