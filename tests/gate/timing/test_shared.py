"""A version that changes what all versions in a process share is noticed, whatever it changes."""

from __future__ import annotations

import builtins
import gc
import math
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import pytest
import torch

from arbench.gate.timing.shared import Watch

Change = Callable[[], AbstractContextManager[object]]


def replaced(owner: object, name: str) -> Change:
    """Return a context that replaces a function by one that calls it."""

    @contextmanager
    def change() -> Iterator[None]:
        original = getattr(owner, name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, lambda *words, **more: original(*words, **more))
            yield

    return change


def done(do: Callable[[], object], undo: Callable[[], object]) -> Change:
    @contextmanager
    def change() -> Iterator[None]:
        do()
        try:
            yield
        finally:
            undo()

    return change


@contextmanager
def a_variable() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_WAIT_POLICY", "active")
        yield


@contextmanager
def a_hook() -> Iterator[None]:
    handle = torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def a_thread() -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="spinning")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def a_filter() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def threads(number: int) -> Callable[[], None]:
    return lambda: torch.set_num_threads(number)


SETTINGS: dict[str, tuple[Change, str]] = {
    "threads": (done(threads(2), threads(1)), "torch.get_num_threads() from 1 to 2"),
    "dtype": (
        done(lambda: torch.set_default_dtype(torch.float64), lambda: torch.set_default_dtype(torch.float32)),
        "torch.get_default_dtype() from torch.float32 to torch.float64",
    ),
    "precision": (
        done(
            lambda: torch.set_float32_matmul_precision("medium"), lambda: torch.set_float32_matmul_precision("highest")
        ),
        "torch.get_float32_matmul_precision() from highest to medium",
    ),
    "mkldnn": (
        done(lambda: torch._C._set_mkldnn_enabled(False), lambda: torch._C._set_mkldnn_enabled(True)),
        "torch.backends.mkldnn from True to False",
    ),
    "autocast": (lambda: torch.autocast("cpu", torch.bfloat16), "autocast from (False, False) to (True, False)"),
    "denormals": (
        done(lambda: torch.set_flush_denormal(True), lambda: torch.set_flush_denormal(False)),
        "flushing of denormal numbers from False to True",
    ),
    "variable": (a_variable, "os.environ (OMP_WAIT_POLICY)"),
    "hook": (a_hook, "hooks of torch.nn.Module (_global_forward_hooks)"),
    "thread": (a_thread, "threads from "),
    "gc": (done(gc.disable, gc.enable), "gc.isenabled() from True to False"),
    "profile": (done(lambda: sys.setprofile(lambda *_: None), lambda: sys.setprofile(None)), "sys.getprofile()"),
    "switch": (
        done(lambda: sys.setswitchinterval(1e-6), lambda: sys.setswitchinterval(0.005)),
        "sys.getswitchinterval() from 0.005 to 1e-06",
    ),
    "signal": (
        done(
            lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN), lambda: signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        ),
        "signal handlers (SIGUSR1)",
    ),
    "numpy": (lambda: np.errstate(all="ignore"), "numpy.geterr() ("),
    "filter": (a_filter, "warnings.filters"),
}
FUNCTIONS = {
    "torch.addmm": (torch, "addmm"),
    "torch.nn.functional.relu": (torch.nn.functional, "relu"),
    "torch.nn.modules.module.Module.__call__": (torch.nn.Module, "__call__"),
    "torch.nn.modules.linear.Linear.forward": (torch.nn.Linear, "forward"),
    "numpy.dot": (np, "dot"),
    "math.sqrt": (math, "sqrt"),
    "builtins.sum": (builtins, "sum"),
    "time.perf_counter_ns": (time, "perf_counter_ns"),
    "os.getpid": (os, "getpid"),
}


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.mark.parametrize(("change", "said"), SETTINGS.values(), ids=SETTINGS)
def test_a_setting_that_changes_is_named(change: Change, said: str) -> None:
    watch = Watch()
    assert watch.changed() is None
    with change():
        found = watch.changed()
    assert found is not None
    assert found.startswith(said)
    assert watch.changed() is None


@pytest.mark.parametrize(("place", "where"), FUNCTIONS.items(), ids=FUNCTIONS)
def test_a_function_that_is_replaced_is_named(place: str, where: tuple[object, str], watch: Watch) -> None:
    assert watch.replaced() is None
    with replaced(*where)():
        assert watch.replaced() == place
    assert watch.replaced() is None


def test_a_method_of_a_tensor_that_is_replaced_is_named(watch: Watch) -> None:
    original = torch.Tensor.sigmoid
    torch.Tensor.sigmoid = lambda self: original(self)  # type: ignore[method-assign,assignment]
    try:
        assert watch.replaced() == "torch.Tensor.sigmoid"
    finally:
        del torch.Tensor.sigmoid


def test_what_versions_do_honestly_is_no_change(watch: Watch) -> None:
    """Building, scoring and drawing import more of torch, and data brings scikit-learn with its own settings."""
    import sklearn.datasets  # noqa: F401

    from arbench.models import resolve

    settings = Watch()
    for spec in ("pixelcnn:tiny", "lstm:tiny"):
        source = resolve(spec).build()
        x, context = source.observe(27, [0], seed=0)
        source(x, source.encode(context, 27))
    assert settings.changed() is None
    assert watch.replaced() is None
