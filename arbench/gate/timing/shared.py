"""State that all versions in a process share: a version that changes it cannot be compared in that process.

Modules and custom operators are kept apart; everything else is one for all, such as PyTorch's settings, the
environment, hooks and the functions of other packages. A version that replaces ``torch.addmm`` makes the other one use
its replacement, and their times stay equal.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import repeat
from operator import is_
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch.nn.modules import module as torch_module
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

WATCHED = {
    *("torch", "numpy", "scipy", "triton", "numba", "msgspec"),
    *("builtins", "math", "cmath", "operator", "functools", "itertools", "collections", "contextlib"),
    *("time", "gc", "os", "random", "threading", "weakref"),
}
"""Packages whose functions and methods are watched."""
SET_BY_LIBRARIES = ("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK", "TRITON_INTERPRET")
"""Variables that scikit-learn sets on import, and arbench where Triton runs on a CPU."""
_METHODS = (staticmethod, classmethod, property)
_GONE = object()


def _backends() -> dict[str, Any]:
    names = ("cudnn.enabled", "cudnn.benchmark", "cudnn.deterministic", "cudnn.allow_tf32", "cuda.matmul.allow_tf32")
    found: dict[str, Any] = {}
    for name in names:
        value: Any = torch.backends
        for part in name.split("."):
            value = getattr(value, part)
        found[f"torch.backends.{name}"] = value
    return found | {"torch.backends.mkldnn": torch._C._get_mkldnn_enabled()}


def settings() -> dict[str, Any]:
    """Return the settings of the process by name, with values that can be compared."""
    hooks = {name: len(value) for name, value in vars(torch_module).items() if name.startswith("_global_") and value}
    return {
        "torch.get_num_threads()": torch.get_num_threads(),
        "torch.get_default_dtype()": torch.get_default_dtype(),
        "torch.get_default_device()": torch.get_default_device(),
        "torch.get_float32_matmul_precision()": torch.get_float32_matmul_precision(),
        "torch.are_deterministic_algorithms_enabled()": torch.are_deterministic_algorithms_enabled(),
        "torch.is_grad_enabled()": torch.is_grad_enabled(),
        "torch.is_inference_mode_enabled()": torch.is_inference_mode_enabled(),
        "torch.is_anomaly_enabled()": torch.is_anomaly_enabled(),
        "autocast": tuple(torch.is_autocast_enabled(kind) for kind in ("cpu", "cuda")),
        "dispatch modes": len(_get_current_dispatch_mode_stack()),
        "function modes": torch._C._len_torch_function_stack(),
        "hooks of torch.nn.Module": hooks,
        "flushing of denormal numbers": float(torch.tensor([1e-40]) * 0.5) == 0,
        **_backends(),
        "numpy.geterr()": np.geterr(),
        "os.environ": {k: v for k, v in os.environ.items() if k not in SET_BY_LIBRARIES},
        "os.getcwd()": os.getcwd(),
        "processor affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "priority": os.getpriority(os.PRIO_PROCESS, 0) if hasattr(os, "getpriority") else None,
        "sys.gettrace()": sys.gettrace(),
        "sys.getprofile()": sys.getprofile(),
        "sys.excepthook": sys.excepthook,
        "sys.getswitchinterval()": sys.getswitchinterval(),
        "sys.getrecursionlimit()": sys.getrecursionlimit(),
        "gc.isenabled()": gc.isenabled(),
        "gc.get_threshold()": gc.get_threshold(),
        "gc.callbacks": len(gc.callbacks),
        "signal handlers": {one.name: signal.getsignal(one) for one in signal.valid_signals() if hasattr(one, "name")},
        "threads": sorted(thread.name for thread in threading.enumerate()),
    }


@dataclass(frozen=True)
class Functions:
    """Functions of a module, or methods of a class.

    Attributes:
        owner: the module or class.
        content: all that it had when it was looked at, by name.
        own: the functions and methods among that.
    """

    owner: ModuleType | type
    content: Mapping[str, Any]
    own: Mapping[str, Any]

    @classmethod
    def of(cls, owner: ModuleType | type) -> Functions:
        """Return the functions that a module or class has now."""
        content = dict(vars(owner))
        kinds = () if isinstance(owner, ModuleType) else _METHODS
        return cls(owner, content, {k: one for k, one in content.items() if callable(one) or isinstance(one, kinds)})

    @property
    def current(self) -> bool:
        """True while the module or class has what it had, each under its name."""
        now = vars(self.owner)
        return len(now) == len(self.content) and all(
            map(is_, self.content.values(), map(now.get, self.content, repeat(_GONE)))
        )

    def inherits(self, name: str) -> bool:
        """Return whether a base of the class defines a method."""
        return isinstance(self.owner, type) and any(name in vars(base) for base in self.owner.__mro__[1:])


def functions(known: Mapping[str, Functions]) -> dict[str, Functions]:
    """Return the functions and methods of the watched packages, by module or class.

    Args:
        known: what was found before; what is as it was is taken from there, which is quick.
    """
    found: dict[str, Functions] = {}

    def add(place: str, owner: ModuleType | type) -> None:
        before = known.get(place)
        same = before is not None and before.owner is owner and before.current
        found[place] = before if before is not None and same else Functions.of(owner)

    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in WATCHED or not isinstance(module, ModuleType):
            continue
        add(name, module)
        for key, value in found[name].content.items():
            if type in type(value).__mro__ and value.__module__ == name:  # isinstance would ask lazy objects
                add(f"{name}.{key}", value)
    return found


class Watch:
    """Record of what versions share in a process, to be compared with what they made of it."""

    def __init__(self) -> None:
        self._settings = settings()
        self._functions = functions({})
        self._filters = list(warnings.filters)
        self._modules = len(sys.modules)

    def changed(self, foreign: Callable[[], int] = lambda: len(sys.modules)) -> str | None:
        """Return which setting was changed since the record, and how; None if none was.

        Args:
            foreign: returns the number of modules that are no version's own. Other packages set filters of warnings
                when they are imported, so these count only where nothing was imported.
        """
        now = settings()
        for name, value in now.items():
            before = self._settings[name]
            if value != before:
                return f"{name}{_difference(before, value)}"
        modules, filters = foreign(), list(warnings.filters)
        if modules == self._modules and filters != self._filters:
            return "warnings.filters"
        self._modules, self._filters = modules, filters
        return None

    def replaced(self) -> str | None:
        """Return which function or method of another package was replaced since the record; None if none was."""
        now = functions(self._functions)
        for place, before in self._functions.items():
            if (found := now.get(place, before)) is before:
                continue
            after = found.own
            for name, value in after.items():
                if before.own.get(name, value) is not value:
                    return f"{place}.{name}"
                if name not in before.own and before.inherits(name):
                    return f"{place}.{name}"
        self._functions = {**now, **self._functions}
        return None


def _difference(before: Any, after: Any) -> str:
    """Return how a setting changed, in a few words."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [str(key) for key in {**before, **after} if before.get(key) != after.get(key)]
        return f" ({', '.join(keys[:3])})"
    if callable(before) or callable(after):
        return ""
    return f" from {before} to {after}"
