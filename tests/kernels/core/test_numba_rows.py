"""Compiled code where nothing can be cached, and code that depends on other files."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numba.core.caching import CacheImpl

from arbench.kernels.core import numba_rows
from arbench.kernels.samplers import gates, vectors


def test_without_a_place_for_a_cache_code_runs_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])  # as where neither folder can be written
    kept = numba_rows.uncached()
    numba_rows._warn_uncached.cache_clear()
    assert numba_rows.uncached() is None

    def double(x):
        return x + x

    with pytest.warns(RuntimeWarning) as warned:
        run = numba_rows.compiled()(double)
    (said,) = warned
    assert said.filename == __file__
    assert numba_rows.uncached() == numba_rows.UNCACHED
    assert str(said.message).startswith("compiled code cannot be cached in ")
    assert str(said.message).endswith("set NUMBA_CACHE_DIR to a folder that can be written")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        numba_rows.compiled()(double)
    assert run(np.float64(2)) == 4
    if kept is None:
        numba_rows._warn_uncached.cache_clear()


def test_a_hash_of_sources_is_of_all_of_them() -> None:
    assert len({numba_rows.sources(*m) for m in ((gates,), (vectors,), (gates, vectors))}) == 3
    assert numba_rows.sources(numba_rows) == gates.HELPERS
