"""Tests of sentence pairs as events."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from arbench.data import DataError
from arbench.models.events.translation import TranslationSource


def with_levels(levels: int) -> TranslationSource:
    source = TranslationSource()
    source.levels = levels
    return source


def words(symbols: torch.Tensor) -> list[str]:
    return bytes(symbols.tolist()).rstrip(b"\0").decode().split("\0")


def test_sentences_lie_beside_their_translations(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("one\teins\ntwo\tzwei\nthree\tdrei\n", encoding="utf-8")
    pairs = dict(line.split("\t") for line in path.read_text().splitlines())
    source, data = with_levels(256), TranslationSource.load_data(str(path), {})
    x, context = source.sentences(16, range(20), seed=0, data=data)
    assert x.shape == context["source"].shape == (20, 16)
    seen = {tuple(words(row)) for row in context["source"]}
    assert seen == {("one", "two", "three"), ("two", "three"), ("three",)}
    for target, original in zip(x, context["source"], strict=True):
        assert words(target) == [pairs[word] for word in words(original)]


def test_pairs_are_joined_while_both_sides_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("ab\tabcd\nef\tefgh\n", encoding="utf-8")
    data = TranslationSource.load_data(str(path), {})
    cases = ((10, 6, {"ab\0ef", "ef"}), (9, 6, {"ab", "ef"}), (10, 5, {"ab", "ef"}), (3, 1, {"a", "e"}))
    for n, s, expected in cases:
        x, context = with_levels(256).sentences(n, range(20), seed=0, data=data, source=s)
        assert (x.shape[1], context["source"].shape[1]) == (n, s)
        assert {bytes(row.tolist()).strip(b"\0").decode() for row in context["source"]} == expected


@pytest.mark.parametrize("n", [3, 16, 64, 300])
def test_the_pairs_that_ship_end_within_the_event(n: int) -> None:
    x, context = with_levels(256).sentences(n, range(30), seed=1)
    for side in (x, context["source"]):
        assert ((side[:, -1] == 0).all()) == (n > 3)


def test_few_levels_are_the_commonest_bytes_of_both_sides(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("aab\tacaad\n", encoding="utf-8")
    data = TranslationSource.load_data(str(path), {})
    x, context = with_levels(3).sentences(6, [0], seed=0, data=data)
    assert x.tolist() == [[1, 2, 1, 1, 2, 0]]
    assert context["source"].tolist() == [[1, 1, 2, 0, 0, 0]]


def test_an_event_far_beyond_the_sentences_is_refused_before_it_is_made() -> None:
    data = (("ab", "abcd"),)
    x, _ = with_levels(256).sentences(1024, [0], seed=0, data=data)
    assert x.shape == (1, 1024)
    for n, source, said in ((1025, 2, "the translations: too short: 5"), (10**15, None, "the sources: too short: 3")):
        with pytest.raises(DataError) as refused:
            with_levels(256).sentences(n, [0], seed=0, data=data, source=source)
        assert str(refused.value) == f"{said} symbols with their ends; an event needs {n}"
