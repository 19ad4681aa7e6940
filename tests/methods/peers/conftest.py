"""A peer that tests write themselves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from arbench.methods.peers import resolve
from arbench.own import beside


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Forget the peers and adapters of a test."""
    modules, path = dict(sys.modules), sys.path[:]
    yield
    resolve.cache_clear()
    sys.path[:] = path
    for name in set(sys.modules) - set(modules):
        if name.startswith("arbench_user_"):
            del sys.modules[name]
    beside._folders.__init__()  # type: ignore[misc]


@pytest.fixture
def peer(tmp_path: Path, load: Callable[[Path], ModuleType]) -> Callable[..., str]:
    """Return a function that writes a peer, and returns what to give to ``--peer``."""
    return partial(load(Path(__file__).with_name("table.py")).write, tmp_path)
