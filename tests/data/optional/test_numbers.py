"""Tests of numbers written out; those that need num2words are skipped without it."""

from __future__ import annotations

import sys

import pytest

from arbench.data import DataError, number_pairs


def test_numbers_are_words_in_two_languages() -> None:
    pytest.importorskip("num2words", reason="needs num2words: pip install 'arbench[data]'")
    assert number_pairs([0, 21, 999]) == [
        ("zero", "null"),
        ("twenty-one", "einundzwanzig"),
        ("nine hundred and ninety-nine", "neunhundertneunundneunzig"),
    ]


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "num2words", None)
    with pytest.raises(DataError) as caught:
        number_pairs([1])
    said = "numbers: needs the package num2words, which is not installed; pip install 'arbench[data]'"
    assert str(caught.value) == said
