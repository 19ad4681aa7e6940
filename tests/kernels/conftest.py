"""Fixtures with the checks in ``harness.py`` and the parameters in ``mixture/extremes.py``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def harness(load: Callable[[Path], ModuleType]) -> ModuleType:
    """Return the module beside this file that runs and compares kernels."""
    return load(Path(__file__).with_name("harness.py"))


@pytest.fixture(scope="session")
def extremes(load: Callable[[Path], ModuleType]) -> ModuleType:
    """Return the module with parameters of mixtures at every scale and distance."""
    return load(Path(__file__).parent / "mixture" / "extremes.py")
