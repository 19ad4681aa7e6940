from __future__ import annotations

import numpy as np
import pytest

from arbench.data import mu_law_decode, mu_law_encode
from arbench.train.baselines.linear_prediction import (
    FLOOR,
    ORDER,
    STILL,
    Coded,
    edges,
    fitted,
    level_probability,
    probabilities,
    recursive,
    recursive_predictions,
)

FORGETS = (0.99,)


@pytest.fixture(scope="module")
def tone() -> np.ndarray:
    t, rng = np.arange(3000), np.random.default_rng(0)
    return mu_law_encode(0.4 * np.sin(0.07 * t) * np.sin(0.003 * t) + 0.01 * rng.normal(size=len(t)))


@pytest.mark.parametrize("levels", [2, 16, 256])
def test_amplitudes_between_two_edges_are_rounded_to_their_level(levels: int) -> None:
    borders = edges(levels)
    assert len(borders) == levels + 1
    assert (np.diff(borders) > 0).all()
    inside = borders[1:-1]
    assert (mu_law_encode(inside - 1e-6, levels) == np.arange(levels - 1)).all()
    assert (mu_law_encode(inside + 1e-6, levels) == np.arange(1, levels)).all()


@pytest.mark.parametrize("predicted", [-3.0, -0.2, 0.0, 1e-4, 0.7])
@pytest.mark.parametrize("scale", [2e-5, 1e-3, 0.3])
def test_probabilities_sum_to_one_over_the_levels(predicted: float, scale: float) -> None:
    each = [level_probability(level, predicted, scale, edges(256)) for level in range(256)]
    assert min(each) >= FLOOR / 256
    assert sum(each) == pytest.approx(1, abs=1e-13)


def test_probability_of_a_level_is_the_integral_of_the_laplacian() -> None:
    borders = np.array([-np.inf, -1.0, 0.0, 2.0, np.inf])
    inside = np.array([np.exp(-1), 1 - np.exp(-1), 1 - np.exp(-2), np.exp(-2)]) / 2
    found = [level_probability(level, 0.0, 1.0, borders) for level in range(4)]
    assert found == pytest.approx((1 - FLOOR) * inside + FLOOR / 4, rel=1e-12)


def test_scale_follows_the_residuals_before() -> None:
    x, predicted = np.array([0.5, -0.25, 0.0]), np.array([0.1, 0.0, 0.1])
    chosen, borders = mu_law_encode(x), edges(256)
    scales = [0.2, 0.5 * 0.2 + 0.5 * 0.4, 0.5 * 0.3 + 0.5 * 0.25]
    found = probabilities(chosen, x, predicted, borders, 0.5, 0.2)
    expected = [level_probability(c, p, s, borders) for c, p, s in zip(chosen, predicted, scales, strict=True)]
    assert found == pytest.approx(expected, rel=1e-12)


def test_recursive_least_squares_solves_the_weighted_normal_equations() -> None:
    """Each step draws one coefficient in turn: a further equation, sqrt(white order) w_i = 0, in the same weighting."""
    rng, order, forget, white = np.random.default_rng(1), 3, 0.9, 0.02
    x = rng.normal(size=40)
    found = recursive_predictions(x, order, forget, white)
    padded = np.concatenate([np.zeros(order), x])
    squares, products = np.eye(order) * white / (1 - forget), np.zeros(order)
    for t in range(len(x)):
        before = padded[t : t + order][::-1]
        assert found[t] == pytest.approx(np.linalg.solve(squares, products) @ before, abs=1e-10)
        squares = forget * squares + np.outer(before, before)
        products = forget * products + before * x[t]
        squares[t % order, t % order] += white * order


def test_a_predictable_signal_is_predicted() -> None:
    """A sine obeys x_t = 2 cos(w) x_(t-1) - x_(t-2)."""
    x = np.sin(0.3 * np.arange(400))
    found = recursive_predictions(x, 2, 0.99, 1e-9)
    assert np.abs(found - x)[200:].max() < 1e-6


def test_silence_does_not_spoil_what_follows() -> None:
    x = np.concatenate([np.sin(0.3 * np.arange(400)), np.zeros(50_000), np.sin(0.3 * np.arange(400))])
    found = recursive_predictions(x, 2, 0.98, 1e-7)
    assert np.isfinite(found).all()
    assert np.abs(found - x)[-100:].max() < 1e-4


def still(train: np.ndarray, held_out: np.ndarray) -> Coded:
    return fitted(train, held_out, decays=(STILL,))


def adapted(train: np.ndarray, held_out: np.ndarray) -> Coded:
    return recursive(train, held_out, forgets=FORGETS)


@pytest.mark.parametrize("code", [fitted, still, adapted])
def test_later_samples_change_no_earlier_probability(code, tone: np.ndarray) -> None:
    train, held_out, at = tone[:2000], tone[2000:], 300
    other = held_out.copy()
    other[at:] = np.random.default_rng(2).integers(256, size=len(other) - at)
    first, second = code(train, held_out), code(train, other)
    assert first.settings == second.settings
    assert (first.bits[:at] == second.bits[:at]).all()
    assert (first.bits[at:] != second.bits[at:]).mean() > 0.9


def test_the_training_part_alone_chooses_the_settings(tone: np.ndarray) -> None:
    train, decays = tone[:2000], (0.5, 0.9, STILL)
    uneven = np.concatenate([np.full(200, 128), tone[2000:2200]])
    each = [fitted(train, uneven, decays=(decay,)) for decay in decays]
    best = min(each, key=lambda one: one.train_bits)
    assert best.settings != min(each, key=lambda one: one.bits.mean()).settings
    chosen = fitted(train, uneven, decays=decays)
    assert chosen.settings == best.settings
    assert (chosen.bits == best.bits).all()


def test_a_fixed_scale_is_the_mean_residual_of_the_training_part(tone: np.ndarray) -> None:
    train, held_out = tone[:2000], tone[2000:]
    x = mu_law_decode(tone).astype(float)
    padded = np.concatenate([np.zeros(ORDER), x])
    before = np.stack([padded[t : t + ORDER][::-1] for t in range(len(x))])
    stacked = np.concatenate([before[:2000], np.sqrt(2000 * 1e-7) * np.eye(ORDER)])
    weights = np.linalg.lstsq(stacked, np.concatenate([x[:2000], np.zeros(ORDER)]), rcond=None)[0]
    scale = np.abs(x - before @ weights)[:2000].mean()
    expected = [-np.log2(level_probability(tone[t], before[t] @ weights, scale, edges(256))) for t in range(2000, 2100)]
    assert still(train, held_out).bits[:100] == pytest.approx(expected, rel=1e-6)
