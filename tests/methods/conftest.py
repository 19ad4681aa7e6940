"""The checks beside this file; tests name them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture(scope="session")
def checks(load: Callable[[Path], ModuleType]) -> ModuleType:
    return load(Path(__file__).with_name("checks.py"))


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield
