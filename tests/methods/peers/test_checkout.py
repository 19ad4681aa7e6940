"""Checkouts are imported in isolation: from each other, from what is loaded, and without leaving anything."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from arbench.methods.peers.checkout import imported

Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Return a function that writes the files of a checkout, by their paths, and returns its folder."""

    def write(root: str, **files: str) -> Path:
        for name, text in files.items():
            path = tmp_path / root / (name.replace("__in__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path / root

    return write


def package(name: str) -> dict[str, str]:
    return {
        "their_net__in____init__": "",
        "their_net__in__layers": f"NAME = '{name}'\n",
        "their_net__in__net": "from .layers import NAME\nfrom their_net.layers import NAME as AGAIN\n",
    }


def test_two_checkouts_may_have_a_package_of_one_name(written: Written) -> None:
    first, second = written("a", **package("first")), written("b", **package("second"))
    found = [imported(root, ["their_net.net"])[0] for root in (first, second, first)]
    assert [one.NAME for one in found] == [one.AGAIN for one in found] == ["first", "second", "first"]


def test_nothing_is_left_behind(written: Written) -> None:
    root = written("a", **package("first"))
    path, finders, files = sys.path[:], sys.meta_path[:], set(root.rglob("*"))
    imported(root, ["their_net.net"])
    assert sys.path == path
    assert sys.meta_path == finders
    assert not [name for name in sys.modules if name.startswith("their_net")]
    assert set(root.rglob("*")) == files, "no compiled file is written"


def test_loaded_modules_of_the_same_name_are_neither_used_nor_lost(written: Written) -> None:
    import json

    root = written("a", json="NAME = 'theirs'\n", net="import json\n")
    (net,) = imported(root, ["net"])
    assert net.json.NAME == "theirs"
    assert sys.modules["json"] is json


def test_a_failure_leaves_nothing_either(written: Written) -> None:
    root = written("a", net="import nowhere_to_be_found\n")
    finders = sys.meta_path[:]
    with pytest.raises(ModuleNotFoundError, match="nowhere_to_be_found"):
        imported(root, ["net"])
    assert sys.meta_path == finders
    assert "net" not in sys.modules


def test_a_source_is_rewritten_in_memory(written: Written) -> None:
    root = written("a", net="from old import NAME\n", old="print 1\nNAME = 2\n", other="print 1\n")
    before = (root / "old.py").read_text()
    assert imported(root, ["net"], {"old.py": [("print 1", "")]})[0].NAME == 2
    assert (root / "old.py").read_text() == before
    with pytest.raises(SyntaxError):
        imported(root, ["other"], {"old.py": [("print 1", "")]})


def test_warnings_of_old_interfaces_are_not_shown(written: Written) -> None:
    root = written("a", net="import warnings\nwarnings.warn('old', FutureWarning)\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        imported(root, ["net"])
