"""Tests of files that optional packages carry."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from arbench.data import DataError, carried

Carry = Callable[[str, str, bytes], Path]


def test_a_file_is_found_without_importing_its_package(carry: Carry) -> None:
    path = carry("somewords", "somewords/data/words.txt", b"one\n")
    (path.parents[1] / "__init__.py").write_text("raise SystemExit('imported')")
    assert carried("words", "somewords", "somewords/data/words.txt", "pip install somewords") == path
    assert "somewords" not in sys.modules


def test_a_missing_package_is_named_with_its_command() -> None:
    with pytest.raises(DataError) as caught:
        carried("words", "no-such-package-of-words", "words.txt", "pip install it")
    said = "words: needs the package no-such-package-of-words, which is not installed; pip install it"
    assert str(caught.value) == said


@pytest.mark.parametrize("gone", [True, False], ids=["the file is gone", "another version"])
def test_a_missing_file_is_named(carry: Carry, gone: bool) -> None:
    path = carry("somewords", "words.txt", b"one\n")
    if gone:
        path.unlink()
    file = "words.txt" if gone else "other.txt"
    with pytest.raises(DataError, match=f"words: the installed package somewords has no file {file}; "):
        carried("words", "somewords", file, "pip install somewords")
