"""Half precision where it cannot represent the levels."""

from __future__ import annotations

import pytest
import torch

from arbench.distributions import (
    DiscretizedLogisticMixture,
    Distribution,
    GaussianMixture,
    LogisticMixture,
    Normal,
    PixelMixture,
)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_handles_sixteen_bits(dtype: torch.dtype) -> None:
    distribution = DiscretizedLogisticMixture(65536, 2)
    params = torch.tensor([[[0.0, 0.0, 0.9, -0.5, -3.0, -4.0]]], dtype=dtype).expand(1, 200, -1)
    x = distribution.draw(params, distribution.noise(1, [0], range(200), dtype))
    assert 60_000 < int(x.max()) <= 65535
    assert distribution.log_prob(params, x).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("distribution", [DiscretizedLogisticMixture(256, 3), PixelMixture(256, 3, 3)])
def test_the_margin_is_not_rounded_up(distribution: Distribution, dtype: torch.dtype) -> None:
    params = torch.randn(1, 2000, distribution.params_width, generator=torch.Generator().manual_seed(0)).to(dtype)
    z = distribution.noise(0, [0], range(2000), dtype)
    assert torch.equal(distribution.margin(params, z), distribution.margin(params.float(), z.float()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("distribution", [Normal(), GaussianMixture(2), LogisticMixture(2)])
def test_a_density_far_out_is_that_of_float32(distribution: Distribution, dtype: torch.dtype) -> None:
    """A square beyond the range of float16 would make the density -inf."""
    params = torch.zeros(1, 1, distribution.params_width, dtype=dtype)
    params[..., -distribution.params_width // 3 :] = -9.0
    x = torch.full((1, 1), 0.5, dtype=dtype)
    wide = distribution.log_prob(params.float(), x.float())
    assert wide.isfinite().all()
    assert torch.equal(distribution.log_prob(params, x), wide)
    assert torch.equal(distribution.cdf(params, x), distribution.cdf(params.float(), x.float()))
