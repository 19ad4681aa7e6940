"""Tests of the masked flow: mirror image of the inverse one, the paper's layers, its density, misuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from arbench.methods import Task, methods_for
from arbench.models import ModelError, resolve
from arbench.models.iaf import IAF
from arbench.models.maf import MAF
from arbench.models.weights import load, save

CONFIG = dict(pixels=16, layers=3, hidden=(30, 45), levels=4)
N = 16


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def stirred(model: MAF | IAF) -> MAF | IAF:
    """Return the model far from the identity, in float64."""
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        scale = 0.3 if "bias" in name else 0.0
        parameter.add_(scale * torch.randn(parameter.shape, generator=generator)).mul_(1.5)
    return model.double().eval()


@pytest.fixture
def pair(tmp_path: Path) -> tuple[MAF, IAF]:
    """Return both directions with the same weights."""
    masked = stirred(MAF(**CONFIG))
    save(masked, tmp_path / "w.safetensors")
    inverse = IAF(**CONFIG, seed=9).double().eval()
    load(inverse, tmp_path / "w.safetensors")
    return masked, inverse


def run(source: MAF | IAF, op: str, name: str, **given: Tensor) -> object:
    (method,) = [m for m in methods_for(source) if (m.op, m.name) == (op, name)]
    return method.run(source, Task(N, {}, **given))


def given(rows: int = 3) -> Tensor:
    return torch.randn(rows, N, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize(
    ("sampler", "inverter"),
    [("cached", "inversion"), ("fixed_point", "inversion_fixed_point"), ("blocks", "inversion_blocks")],
)
def test_sampling_a_masked_flow_is_inverting_the_inverse_one(
    sampler: str, inverter: str, pair: tuple[MAF, IAF]
) -> None:
    masked, inverse = pair
    y = given()
    drawn = run(masked, "sample", sampler, noise=y.unsqueeze(-1)).x
    found = run(inverse, "score", inverter, x=y).f
    torch.testing.assert_close(drawn, found, rtol=1e-11, atol=1e-11)


def test_scoring_a_masked_flow_is_sampling_the_inverse_one(pair: tuple[MAF, IAF]) -> None:
    masked, inverse = pair
    y = given()
    u, _ = masked.distribution.invert(masked(y, masked.encode({}, N)), y)
    drawn = run(inverse, "sample", "parallel", noise=y.unsqueeze(-1)).x
    torch.testing.assert_close(u.squeeze(-1), drawn, rtol=1e-11, atol=1e-11)


def test_a_draw_goes_back_to_its_noise(pair: tuple[MAF, IAF]) -> None:
    z = given().unsqueeze(-1)
    masked, _ = pair
    x = run(masked, "sample", "cached", noise=z).x
    u, _ = masked.distribution.invert(masked(x, masked.encode({}, N)), x)
    torch.testing.assert_close(u, z, rtol=1e-10, atol=1e-10)


def test_layers_are_those_of_the_paper(pair: tuple[MAF, IAF]) -> None:
    """Each layer maps x_t = u_t exp(a_t) + b_t by one perceptron, here with its weights written out."""
    masked, _ = pair
    x = given()
    params, u = masked(x, masked.encode({}, N)), x
    total = torch.zeros_like(x)
    for layer in masked.flow.layers:
        h = u
        for i, (product, gain) in enumerate(zip(layer.products, layer.gains, strict=True)):
            v = product.weight
            norm = v.norm(dim=0)
            w = torch.where(norm > 0, v / norm, 0) * gain
            h = (torch.relu(h) if i else h) @ w + product.bias
        m, s = h.view(-1, N, 2).unbind(-1)
        a, b = -s, -m * (-s).exp()
        inner = (u - b) / a.exp()
        torch.testing.assert_close(inner * a.exp() + b, u, rtol=1e-12, atol=1e-12)
        u, total = inner, total - a
    found, determinant = masked.distribution.invert(params, x)
    torch.testing.assert_close(found.squeeze(-1), u, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(determinant, total, rtol=1e-11, atol=1e-11)


def test_the_density_of_a_masked_flow_is_the_whole_jacobians(pair: tuple[MAF, IAF]) -> None:
    masked, _ = pair
    x = given(1)

    def noise(x: Tensor) -> Tensor:
        return masked.distribution.invert(masked(x, masked.encode({}, N)), x)[0][0, :, 0]

    with torch.enable_grad():
        jacobian = torch.autograd.functional.jacobian(noise, x)[:, 0]
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(noise(x)).sum()
    expected = normal + jacobian.slogdet().logabsdet
    found = run(masked, "score", "parallel", x=x).log_prob
    assert abs(float(found.sum() - expected)) <= 1e-10


def test_pixels_become_real_numbers_reversibly() -> None:
    """A real pixel is the logit of its level plus uniform noise; the level can be read back."""
    real, levels = MAF(**CONFIG).observe(N, [0, 1, 2], seed=4)[0], resolve("made:tiny,pixels=16,levels=4")
    x, _ = levels.build().observe(N, [0, 1, 2], seed=4)
    x = x[:, torch.tensor(levels.build().order).argsort()]
    assert torch.equal((real.double().sigmoid() * 4).floor().long(), x)
    assert real.unique().numel() == real.numel()


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
        resolve(f"maf:tiny,{setting}").build()
    assert str(caught.value) == f"model 'maf:tiny,{setting}': {said}"


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "layers"), [("maf:mnist", 5), ("maf:mnist_10", 10)])
def test_published_presets_score_and_sample(spec: str, layers: int) -> None:
    source = resolve(spec).build()
    each = (784 + 2) * 1024 + (1024 + 2) * 1024 + (1024 + 2) * 2 * 784
    assert source.weights(784) == layers * each == sum(p.numel() for p in source.parameters())
    x, _ = source.observe(24, [0], seed=0)
    noise = source.distribution.noise(0, [0], range(24), torch.float32)
    for method in methods_for(source):
        if method.name in ("parallel", "cached"):
            task = Task(24, {}, noise=noise) if method.op == "sample" else Task(24, {}, x=x)
            found = method.run(source, task)
            assert found.x.shape == (1, 24)
            assert found.x.isfinite().all()
            assert method.op == "sample" or found.log_prob.isfinite().all()
