"""Noise: addressed by element, in an open interval, from the right distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from arbench.distributions import (
    Categorical,
    GaussianMixture,
    Logistic,
    LogisticMixture,
    Normal,
    uniforms,
)
from arbench.distributions.base import gumbel, logistic

SEEDS = st.integers(0, 2**64 - 1)


@given(SEEDS, st.integers(0, 50), st.integers(1, 30), st.integers(1, 9))
def test_an_element_has_its_numbers_in_any_chunk(seed: int, start: int, length: int, width: int) -> None:
    whole = uniforms(seed, [0], range(start + length), width)
    assert torch.equal(uniforms(seed, [0], range(start, start + length), width), whole[:, start:])


@given(SEEDS, st.lists(st.integers(0, 2**40), min_size=1, max_size=4, unique=True))
def test_a_row_has_its_numbers_in_any_batch(seed: int, rows: list[int]) -> None:
    together = uniforms(seed, rows, range(3, 8), 5)
    for i, row in enumerate(rows):
        assert torch.equal(uniforms(seed, [row], range(3, 8), 5)[0], together[i])


def test_seeds_rows_elements_and_places_have_different_numbers() -> None:
    found = torch.cat([uniforms(seed, range(8), range(16), 6).flatten() for seed in (0, 1, 2**63)])
    assert len(found.unique()) == len(found)


def test_shape_and_type() -> None:
    found = uniforms(3, [4, 9], range(2, 2), 7)
    assert found.shape == (2, 0, 7)
    assert uniforms(3, [], range(4), 7).shape == (0, 4, 7)
    assert found.dtype == torch.float64


@pytest.mark.parametrize("raw", [0, 2**64 - 1])
def test_the_ends_are_open_and_their_noise_is_finite(raw: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck:
        def __init__(self, **_: object) -> None: ...

        def random_raw(self, size: int) -> np.ndarray:
            return np.full(size, raw, dtype=np.uint64)

    monkeypatch.setattr(np.random, "Philox", Stuck)
    u = uniforms(0, [0], range(1), 1)
    assert 0 < float(u) < 1
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        for distribution in (Categorical(1), Logistic(), Normal(), GaussianMixture(2), LogisticMixture(2)):
            assert distribution.noise(0, [0], range(1), dtype).isfinite().all()


@pytest.mark.parametrize(
    ("standard", "distribution"),
    [
        (lambda u: u, stats.uniform),
        (gumbel, stats.gumbel_r),
        (logistic, stats.logistic),
        (Normal().standard, stats.norm),
    ],
)
def test_noise_has_its_distribution(standard, distribution) -> None:
    noise = standard(uniforms(1, range(4), range(2500), 2)).flatten().numpy()
    assert stats.kstest(noise, distribution.cdf).pvalue > 1e-4


def test_neighbours_are_uncorrelated() -> None:
    """Rows, elements and the numbers of one element are uncorrelated."""
    u = uniforms(2, range(100), range(50), 4).numpy()
    for axis, size in enumerate(u.shape):
        one, next_one = np.take(u, range(size - 1), axis), np.take(u, range(1, size), axis)
        r = np.corrcoef(one.ravel(), next_one.ravel())[0, 1]
        assert abs(r) < 4.5 / np.sqrt(one.size)


def test_noise_is_rounded_from_float64() -> None:
    exact = Logistic().noise(5, [2], range(20))
    assert torch.equal(Logistic().noise(5, [2], range(20), torch.bfloat16), exact.bfloat16())


def test_what_a_distribution_does_not_have_is_said() -> None:
    with pytest.raises(TypeError, match="Categorical has no inverse"):
        Categorical(2).invert(torch.zeros(1, 1, 2), torch.zeros(1, 1))
    with pytest.raises(TypeError, match="Categorical is finite"):
        Categorical(2).cdf(torch.zeros(1, 1, 2), torch.zeros(1, 1))
    with pytest.raises(TypeError, match="GaussianMixture has no inverse"):
        GaussianMixture(1).invert(torch.zeros(1, 1, 3), torch.zeros(1, 1))


def test_margins_are_infinite_without_a_discrete_decision() -> None:
    for distribution in (Logistic(), Normal(), GaussianMixture(1)):
        params, z = torch.zeros(2, 3, distribution.params_width), torch.zeros(2, 3, distribution.noise_width)
        assert torch.equal(distribution.margin(params, z), torch.full((2, 3), torch.inf))
