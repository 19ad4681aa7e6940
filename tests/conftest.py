"""What all tests share.

Without a CUDA device Triton's interpreter runs the kernels: that must be said before they are imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(scope="session")
def load() -> Callable[[Path], ModuleType]:
    """Loads a file that is not a test, once; no package and no search path is needed."""

    def loaded(path: Path) -> ModuleType:
        known = f"arbench_tests_{path.parent.name}_{path.stem}"
        if known not in sys.modules:
            spec = spec_from_file_location(known, path)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[known] = module = module_from_spec(spec)
            spec.loader.exec_module(module)
        return sys.modules[known]

    return loaded


@pytest.fixture(scope="session")
def faults(load: Callable[[Path], ModuleType]) -> SimpleNamespace:
    """The faults to plant, a file for each part of the program they break; tests name them."""
    found: dict[str, object] = {}
    for path in sorted((Path(__file__).parent / "methods" / "faults").glob("*.py")):
        module = load(path)
        mine = {k: v for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__}
        assert not mine.keys() & found.keys(), path
        found |= mine
    return SimpleNamespace(**found)
