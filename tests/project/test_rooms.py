"""A room shows its parts in one look: no folder of code has more than 25 entries."""

from __future__ import annotations

import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST = 25


def crowded(files: Iterable[str]) -> dict[str, int]:
    """Return the folders with too many entries, of files given by their paths."""
    entries: defaultdict[str, set[str]] = defaultdict(set)
    for file in files:
        parts = file.split("/")
        for depth in range(len(parts)):
            entries["/".join(parts[:depth])].add(parts[depth])
    return {folder or ".": len(found) for folder, found in entries.items() if len(found) > MOST}


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="tracked files are known in a checkout only")
def test_no_room_is_crowded() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert crowded(name for name in tracked.split("\0") if name) == {}


def test_a_crowded_room_is_noticed() -> None:
    files = [f"a/b/{number}.py" for number in range(MOST + 1)]
    assert crowded(files) == {"a/b": MOST + 1}
    assert crowded([f"a/b/{number // 2}/{number}.py" for number in range(2 * MOST)]) == {}


def test_rooms_have_the_names_that_imports_use() -> None:
    """The package ``arbench.kernels`` is the folder ``kernels``, through a link."""
    assert os.path.realpath(ROOT / "arbench" / "kernels") == str(ROOT.resolve() / "kernels")


def test_the_rooms_are_listed_for_contributors() -> None:
    """Every folder and module of the package, and none that is gone."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## The rooms")[2].partition("\n## ")[0]
    there = [one for one in (ROOT / "arbench").iterdir() if not one.name.startswith("__") and one.name != "py.typed"]
    names = {f"{one.name}/" if one.is_dir() else one.name for one in there}
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []
    listed = re.findall(r"^\| `([\w/.]+)`", text, re.MULTILINE)
    assert listed
    assert [name for name in listed if name not in names] == []
