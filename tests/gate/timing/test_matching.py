"""Requests to two trees: each has its own copy of a user's files."""

from __future__ import annotations

from pathlib import Path

from arbench.gate.timing.matching import _placed
from arbench.gate.timing.trees import Tree


def test_models_and_methods_in_files_are_the_tree_s_own_copies() -> None:
    here, there = Tree("new", Path("/new"), Path("/new/sub")), Tree("old", Path("/old"), Path("/old/sub"))
    request = {
        "models": ["wavenet:tiny", "my.py:Bigram"],
        "methods": ["cached", "my.py:draw,width=3", "/new/a.py:draw"],
    }
    assert _placed(request, there, here) == {
        "models": ["wavenet:tiny", "/old/sub/my.py:Bigram"],
        "methods": ["cached", "/old/sub/my.py:draw,width=3", "/old/a.py:draw"],
    }
    assert _placed({"models": ["wavenet"]}, there, here) == {"models": ["wavenet"]}
