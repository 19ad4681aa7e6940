"""Sentence pairs: the shipped ones, the user's, and lines that are refused."""

from pathlib import Path

import pytest

from arbench.data import DataError, load_pairs, pairs

HERE = Path(__file__).parents[2] / "arbench" / "data"


def message(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load_pairs(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert text.isprintable()
    return text.removeprefix(f"{path}: ")


def test_what_ships_is_english_and_german() -> None:
    found = pairs()
    assert ("Saved", "Gespeichert") in found
    assert len(found) == len(set(found)) == 2546
    assert sum("ü" in german for _, german in found) > 200
    assert not any("ü" in english for english, _ in found)
    for pair in found:
        for text in pair:
            assert text == " ".join(text.split())
            assert "\0" not in text
            assert "<" not in text


def test_what_ships_says_whose_it_is() -> None:
    licences = (HERE / "pairs.license.txt").read_text(encoding="utf-8")
    for holder in ("Django Software Foundation and individual contributors", "2014-present Torchbox Ltd"):
        assert holder in licences
        assert holder in " ".join((HERE / "ORIGIN.md").read_text(encoding="utf-8").split())
    assert licences.count("Redistributions in binary form must reproduce the above copyright") == 2


def test_reads_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_bytes("\ufeffone\teins\r\n\r\n two \t zwei \nübrig\tleft over".encode())
    assert load_pairs(path) == [("one", "eins"), ("two", "zwei"), ("übrig", "left over")]


@pytest.mark.parametrize("line", ["two", "two\t", "\tzwei", "two\tzwei\tdeux"])
def test_refuses_what_is_not_a_pair(line: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(f"one\teins\n{line}\n", encoding="utf-8")
    assert message(path) == "line 2 is not a pair; wanted source, a tab, target"


def test_refuses_what_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    assert message(path) == "does not exist; wanted a UTF-8 text file"
    path.write_bytes(b"\xff\tx\n")
    assert message(path) == "is not UTF-8 at byte 0; wanted a UTF-8 text file"
