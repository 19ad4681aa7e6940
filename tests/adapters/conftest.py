"""A peer that tests write themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def peer(tmp_path: Path, load: Callable[[Path], ModuleType]) -> Callable[..., str]:
    """Return a function that writes a peer, and returns what to give to ``--peer``."""
    return partial(load(Path(__file__).with_name("table.py")).write, tmp_path)
