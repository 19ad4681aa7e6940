"""Text: the corpus, the user's files, and tokens."""

from pathlib import Path

import numpy as np
import pytest

from arbench.data import DataError, as_bytes, corpus, load_text


def message(path: Path, **how: int) -> str:
    with pytest.raises(DataError) as caught:
        load_text(path, **how)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert text.isprintable()
    return text.removeprefix(f"{path}: ")


def test_corpus_is_the_python_documentation() -> None:
    text = corpus()
    assert len(text) > 300_000
    assert text == corpus()
    assert "yield" in text


def test_corpus_is_in_the_order_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pydoc_data.topics.topics", {"b": "second\n", "a": "first\n"})
    assert corpus() == "first\n\nsecond\n"


def test_reads_a_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("naïve\r\nsecond\n".encode())
    assert load_text(path) == load_text(str(path)) == "naïve\r\nsecond\n"
    path.write_bytes(b"\xef\xbb\xbfmarked")
    assert load_text(path, at_least=6) == "marked"


def test_refuses_missing_empty_and_folders(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    assert message(path) == "does not exist; wanted a UTF-8 text file"
    assert message(tmp_path) == "is a folder; wanted a UTF-8 text file"
    path.touch()
    assert message(path) == "is empty; wanted a UTF-8 text file"
    path.write_text(" \n\t\n")
    assert message(path) == "contains only white space; wanted text"


def test_refuses_what_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"caf\xe9 au lait")
    assert message(path) == "is not UTF-8 at byte 3; wanted a UTF-8 text file"


def test_refuses_too_little(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("déjà", encoding="utf-8")
    assert message(path, at_least=5) == "is too short: 4 characters; wanted at least 5"


def test_refuses_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("text")

    def denied(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert message(path) == "cannot be read (Permission denied); wanted a UTF-8 text file"


def test_bytes_are_tokens() -> None:
    tokens = as_bytes("aé")
    assert tokens.dtype == np.int64
    assert tokens.tolist() == [97, 195, 169]
