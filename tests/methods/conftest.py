"""The checks beside this file, and the models that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from types import ModuleType

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
    """Return models that all tests share; a test that changes one fails."""
    used: list[tuple[Source, list[int]]] = []

    def get(spec: str) -> Source:
        source: Source = checks.shared(spec)
        used.append((source, versions(source)))
        return source

    yield get
    for source, before in used:
        assert versions(source) == before, "a shared model was changed; build one with checks.built"


def versions(source: Source) -> list[int]:
    """Return how often each tensor of a model was changed in place."""
    return [tensor._version for tensor in chain(source.parameters(), source.buffers())]
