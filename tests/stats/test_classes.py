"""The growth classes as functions of N."""

from __future__ import annotations

import math

import pytest

from arbench.stats.classes import basis


def test_basis_of_an_exact_logarithm_is_its_ceiling() -> None:
    assert basis("log N", 1000) == pytest.approx(math.log2(1000))
    assert basis("log N", 1000, exact=True) == 10
    assert basis("N log N", 1000, exact=True) == 10_000
