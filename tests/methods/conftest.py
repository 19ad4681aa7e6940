"""The checks beside this file, and the models that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from arbench.models import Source


@pytest.fixture(scope="session")
def checks(load: Callable[[Path], ModuleType]) -> ModuleType:
    return load(Path(__file__).parent / "checks" / "__init__.py")


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


@pytest.fixture
def shared(checks: ModuleType) -> Iterator[Callable[[str], Source]]:
    """Return models that all tests share; a test that changes one, or what it found earlier, fails."""
    used: dict[Source, Any] = {}

    def get(spec: str) -> Source:
        source: Source = checks.shared(spec)
        if source not in used:
            used[source] = checks.content(source)
        return source

    yield get
    for source, content in used.items():
        assert checks.content(source) == content, "a shared model was changed; build one with checks.built"
        assert not checks.spoilt(source), "a shared outcome was changed; copy it first"
