"""Half precision where it does not hold the levels."""

from __future__ import annotations

import pytest
import torch

from arbench.distributions import DiscretizedLogisticMixture


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_holds_sixteen_bits(dtype: torch.dtype) -> None:
    law = DiscretizedLogisticMixture(65536, 2)
    params = torch.tensor([[[0.0, 0.0, 0.9, -0.5, -3.0, -4.0]]], dtype=dtype).expand(1, 200, -1)
    x = law.draw(params, law.noise(1, [0], range(200), dtype))
    assert 60_000 < int(x.max()) <= 65535
    assert law.log_prob(params, x).isfinite().all()
