"""Fixtures that the tests of both gates share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from arbench.bench import prove


@pytest.fixture(scope="module")
def inside(load: Callable[[Path], ModuleType]) -> Iterator[None]:
    """Run the jobs of workers in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prove, "WorkerPool", load(Path(__file__).parents[1] / "workers.py").Inside)
        yield
