"""Half precision where it does not hold the levels."""

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
def test_half_precision_holds_sixteen_bits(dtype: torch.dtype) -> None:
    law = DiscretizedLogisticMixture(65536, 2)
    params = torch.tensor([[[0.0, 0.0, 0.9, -0.5, -3.0, -4.0]]], dtype=dtype).expand(1, 200, -1)
    x = law.draw(params, law.noise(1, [0], range(200), dtype))
    assert 60_000 < int(x.max()) <= 65535
    assert law.log_prob(params, x).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("law", [DiscretizedLogisticMixture(256, 3), PixelMixture(256, 3, 3)])
def test_the_margin_is_not_rounded_up(law: Distribution, dtype: torch.dtype) -> None:
    params = torch.randn(1, 2000, law.params_width, generator=torch.Generator().manual_seed(0)).to(dtype)
    z = law.noise(0, [0], range(2000), dtype)
    assert torch.equal(law.margin(params, z), law.margin(params.float(), z.float()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("law", [Normal(), GaussianMixture(2), LogisticMixture(2)])
def test_a_density_far_out_is_that_of_float32(law: Distribution, dtype: torch.dtype) -> None:
    """A square that float16 does not hold would make it -inf."""
    params = torch.zeros(1, 1, law.params_width, dtype=dtype)
    params[..., -law.params_width // 3 :] = -9.0
    x = torch.full((1, 1), 0.5, dtype=dtype)
    wide = law.log_prob(params.float(), x.float())
    assert wide.isfinite().all()
    assert torch.equal(law.log_prob(params, x), wide)
    assert torch.equal(law.cdf(params, x), law.cdf(params.float(), x.float()))
