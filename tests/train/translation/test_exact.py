"""Exact match and symbol errors, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from arbench.models import resolve
from arbench.models.events.sentences import Sentences
from arbench.train.translation import Exact, compared, exact_match, translated
from arbench.train.translation.exact import edits


def rows(*texts):
    return [np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64) for text in texts]


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ("kitten", "sitting", 3),
        ("", "abc", 3),
        ("abc", "", 3),
        ("flaw", "lawn", 2),
        ("same", "same", 0),
        ("ab", "ba", 2),
    ],
)
def test_edits(a, b, wanted):
    assert edits(list(a), list(b)) == edits(list(b), list(a)) == wanted


def test_fractions_and_their_interval():
    found = compared(rows("eins", "zwei", "drei"), rows("eins", "zwo", "dreii"))
    assert found == Exact(3, 1, 3, 12)
    assert Exact.of(found.plain()) == found
    assert found.error_rate == 0.25
    # Wilson's interval solves (p - x)^2 = z^2 x (1 - x) / n
    for one in (found, Exact(2000, 1990, 0, 1), Exact(50, 50, 0, 1), Exact(50, 0, 0, 1)):
        for x in one.interval:
            wanted = 1.959964**2 * x * (1 - x) / one.pairs
            assert (one.fraction - x) ** 2 == pytest.approx(wanted, abs=1e-12)
    assert "33.33% of 3 exact" in found.said()


def test_translations_to_read_are_those_that_are_counted():
    model = resolve("nmt_teacher:tiny,levels=256,source_levels=256").build()
    data = Sentences(rows("one", "two", "a longer sentence"), rows("eins", "zwöi", "zu lang"))
    found = translated(model, data, 8, 5)
    assert [(row.source, row.reference) for row in found] == [("one", "eins"), ("two", "zwöi")]
    exact = exact_match(model, data, 8)["greedy"]
    assert (exact.pairs, exact.equal) == (2, sum(row.translation == row.reference for row in found))
    assert len(translated(model, data, 8, 1)) == 1
    with pytest.raises(ValueError, match="LSTM does not translate"):
        exact_match(resolve("lstm:tiny").build(), data, 8)
