"""The figures of ``benchmarks/g2p_error.py``: what an error is, and which words count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def trial(load: Callable[[Path], ModuleType]) -> ModuleType:
    return load(ROOT / "benchmarks" / "g2p_error.py")


@pytest.mark.parametrize(
    ("found", "wanted", "edits"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0), ("abcd", "acbd", 2), ("ab", "b", 1)],
)
def test_errors_are_the_fewest_edits(trial: ModuleType, found: str, wanted: str, edits: int) -> None:
    assert trial.edits(found, wanted) == edits


def test_words_of_letters_alone_count_with_all_pronunciations(trial: ModuleType) -> None:
    pairs = [("a", "AH0"), ("a", "EY1"), ("a.", "EY1"), ("it's", "IH1 T S"), ("éa", "EY1")]
    assert trial.known(pairs) == {"a": [["AH0"], ["EY1"]]}
