"""Fixtures of modules of which only forward is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from arbench.models import Source, resolve

NETS = Path(__file__).parent / "nets.py"
LAW = "law=categorical:32"


@pytest.fixture
def spec() -> Callable[..., str]:
    """Return a function from the name of a module, and its settings, to what a user types."""
    return lambda name, *settings: ",".join([f"{NETS}:{name}", *settings])


@pytest.fixture
def net(spec: Callable[..., str]) -> Callable[..., Source]:
    """Return a function from the name of a module, and its settings, to the model of it."""
    return lambda name, *settings: resolve(spec(name, *(settings or (LAW,)))).build()


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield
