"""Fixture with the checks in ``harness.py``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def harness(load: Callable[[Path], ModuleType]) -> ModuleType:
    """Return the module beside this file that runs and compares kernels."""
    return load(Path(__file__).with_name("harness.py"))
