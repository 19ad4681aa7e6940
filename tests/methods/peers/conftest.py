"""A peer that tests write themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from arbench.methods.peers import resolve


@pytest.fixture(autouse=True)
def forgotten_peers(forgotten: None) -> Iterator[None]:
    """Forget the peers and adapters of a test."""
    yield
    resolve.cache_clear()


@pytest.fixture
def peer(tmp_path: Path, load: Callable[[Path], ModuleType]) -> Callable[..., str]:
    """Return a function that writes a peer, and returns what to give to ``--peer``."""
    return partial(load(Path(__file__).with_name("table.py")).write, tmp_path)
