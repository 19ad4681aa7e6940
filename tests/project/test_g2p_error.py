"""The figures of ``benchmarks/g2p_error.py``: what an error is, and which words count."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from arbench.models.events import g2p_en

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


def test_the_stated_bits_are_those_of_the_report() -> None:
    kept = json.loads((ROOT / "reports" / "trained" / "g2p.json").read_text(encoding="utf-8"))
    assert (round(kept["bits"], 3), kept["elements"]) == (g2p_en.BITS, g2p_en.ELEMENTS)
    assert (kept["words"], kept["seed"]) == (2000, 0)


def test_words_of_letters_alone_count_with_all_pronunciations(trial: ModuleType) -> None:
    pairs = [("a", "AH0"), ("a", "EY1"), ("a.", "EY1"), ("it's", "IH1 T S"), ("éa", "EY1")]
    assert trial.known(pairs) == {"a": [["AH0"], ["EY1"]]}
