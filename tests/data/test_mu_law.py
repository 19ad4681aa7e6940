"""Mu-law companding: round trips, errors and types."""

import numpy as np
import pytest

from arbench.data import mu_law_decode, mu_law_encode

LEVELS = [2, 16, 255, 256, 65_536]


@pytest.mark.parametrize("levels", LEVELS)
def test_ends_and_middle(levels: int) -> None:
    np.testing.assert_array_equal(mu_law_encode([-1.0, 1.0], levels), [0, levels - 1])
    np.testing.assert_array_equal(mu_law_decode([0, levels - 1], levels), [-1, 1])
    assert mu_law_encode(0.0, levels) == levels // 2


@pytest.mark.parametrize("levels", LEVELS)
def test_every_class_comes_back(levels: int) -> None:
    classes = np.arange(levels)
    np.testing.assert_array_equal(mu_law_encode(mu_law_decode(classes, levels), levels), classes)


@pytest.mark.parametrize("levels", [16, 256])
def test_error_is_within_half_a_step_of_the_companded_scale(levels: int) -> None:
    x = np.linspace(-1, 1, 100_001)
    mu = levels - 1
    error = np.abs(mu_law_decode(mu_law_encode(x, levels), levels) - x)
    # x changes by (1 + mu |x|) ln(1 + mu) / mu per unit of f(x), and half a step of f is 1 / mu;
    # within it that slope changes by a factor of at most (1 + mu) ** (1 / mu).
    bound = (1 + mu * np.abs(x)) * np.log1p(mu) / mu**2 * (1 + mu) ** (1 / mu)
    assert (error <= bound + 1e-7).all()
    assert error.max() > 0.5 * bound.max()


def test_agrees_with_the_formula_at_a_point() -> None:
    # f(0.1) = ln(26.5) / ln(256) = 0.590985; (f + 1) / 2 * 255 + 1 / 2 = 203.35
    assert mu_law_encode(0.1) == 203
    assert mu_law_encode(-0.1) == 52
    assert mu_law_decode(203) == pytest.approx((256 ** (2 * 203 / 255 - 1) - 1) / 255, rel=1e-6)


def test_keeps_shapes_and_types() -> None:
    classes = mu_law_encode(np.zeros((2, 0, 3), np.float32))
    assert classes.shape == (2, 0, 3)
    assert classes.dtype == np.int64
    assert mu_law_decode(classes).dtype == np.float32
    assert mu_law_decode(classes).shape == (2, 0, 3)


def test_beyond_one_counts_as_one() -> None:
    np.testing.assert_array_equal(mu_law_encode([-np.inf, -3, 3, np.inf]), [0, 0, 255, 255])


def test_refuses_what_has_no_class() -> None:
    with pytest.raises(ValueError, match="but one is NaN"):
        mu_law_encode([0.0, np.nan])
    with pytest.raises(ValueError, match=r"classes must lie in 0\.\.255, got 0\.\.256"):
        mu_law_decode([0, 256])
    with pytest.raises(ValueError, match=r"got -1\.\.3"):
        mu_law_decode([-1, 3])


@pytest.mark.parametrize("convert", [mu_law_encode, mu_law_decode])
def test_refuses_fewer_than_two_levels(convert) -> None:
    with pytest.raises(ValueError, match="levels must be at least 2, got 1"):
        convert([0], 1)
