from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from arbench.data import as_bytes
from arbench.train.baselines.witten_bell import ALPHABET, NGram, witten_bell

TEXT = as_bytes("the theory of the thing, and then the other thing; " * 3)


@pytest.mark.parametrize("before", ["", "t", "the", "the th", "zzzzz", "zzthe "])
def test_probabilities_sum_to_one_over_the_bytes(before: str) -> None:
    grams = NGram(5)
    for at in range(len(TEXT)):
        grams.add(bytes(TEXT.astype(np.uint8)), at)
    each = [grams.probability(symbol, before.encode()) for symbol in range(ALPHABET)]
    assert min(each) > 0
    assert sum(each) == pytest.approx(1, abs=1e-13)


def test_bits_of_a_bigram_by_hand() -> None:
    """In "abab" "a" came twice, each time before "b", and after "b" came "a" once; "c" never came."""
    a, c = Fraction(2 * 256 + 2, 256 * 6), Fraction(2, 256 * 6)
    found = witten_bell(as_bytes("abab"), as_bytes("ac"), order=2)
    assert 2.0**-found == pytest.approx([float((1 + a) / 2), float(c / 3)], rel=1e-12)


def test_held_out_bytes_count_once_they_are_coded() -> None:
    train = as_bytes("ab")
    found = 2.0 ** -witten_bell(train, as_bytes("cc"), order=1, adaptive=True)
    assert found == pytest.approx([2 / 256 / 4, (1 + 3 / 256) / 6], rel=1e-12)
    still = 2.0 ** -witten_bell(train, as_bytes("cc"), order=1)
    assert still == pytest.approx([2 / 256 / 4] * 2, rel=1e-12)


@pytest.mark.parametrize("adaptive", [False, True])
def test_later_bytes_change_no_earlier_probability(adaptive: bool) -> None:
    train, held_out, at = TEXT[:90], TEXT[90:], 20
    other = held_out.copy()
    other[at:] = ord("q")
    first, second = (witten_bell(train, one, adaptive=adaptive) for one in (held_out, other))
    assert (first[:at] == second[:at]).all()
    assert first[at] != second[at]


def test_an_adaptive_count_continues_the_static_one() -> None:
    """With nothing held out before it, a byte has the same bits; after that it is as if the text were training."""
    found = witten_bell(TEXT[:90], TEXT[90:], adaptive=True)
    again = [witten_bell(TEXT[:at], TEXT[at : at + 1])[0] for at in range(90, 110)]
    assert found[:20] == pytest.approx(again, rel=1e-12)
