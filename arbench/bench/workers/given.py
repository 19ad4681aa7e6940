"""Classes and functions that a user passes to ``arbench.measure``, on their way to the workers.

A class from a cell of a notebook is in no file that a worker could import, so it travels by value, as a pickle. This is
the only pickle that is ever loaded: this process made it, and it reaches a worker that this process started through
the private channel between the two, as a part of the job. It never comes from a file, from an option, or from another
process.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import MappingProxyType
from typing import Any

import cloudpickle
import msgspec

from arbench.bench.job import Given, Job

_sent: list[Given] = []
"""The classes and methods that jobs take with them; empty, or one entry."""
_in_use = threading.Lock()


@contextmanager
def given(classes: Mapping[str, Any], methods: Mapping[str, Any] = MappingProxyType({})) -> Iterator[None]:
    """Let models and methods be named like this, here and in every worker that gets a job meanwhile.

    Args:
        classes: classes of models, modules, and functions that return one, by name.
        methods: functions and ``Method`` objects, by name.

    Raises:
        ModelError: one cannot be sent to another process, or another thread measures classes now.
    """
    if not classes and not methods:
        yield
        return
    from arbench.methods import registry as methods_registry
    from arbench.models import ModelError
    from arbench.models.registry import GIVEN

    pickled = Given(list(sys.path), _pickled(classes, methods))
    if not _in_use.acquire(blocking=False):
        raise ModelError("another thread measures classes in this process; wait until it is done")
    try:
        _sent.append(pickled)
        GIVEN.update(classes)
        methods_registry.GIVEN.update(methods)
        yield
    finally:
        _sent.clear()
        GIVEN.clear()
        methods_registry.GIVEN.clear()
        _in_use.release()


def carrying(job: Job) -> Job:
    """Return the job with the classes that it needs beside what a worker can import."""
    return msgspec.structs.replace(job, given=_sent[-1]) if _sent else job


def take_given(found: Given) -> None:
    """Take the classes of a job, in the worker that got it."""
    from arbench.methods import registry as methods_registry
    from arbench.models.registry import GIVEN

    sys.path += [place for place in found.path if place not in sys.path]
    classes, methods = cloudpickle.loads(found.classes)
    GIVEN.update(classes)
    methods_registry.GIVEN.update(methods)


def _pickled(classes: Mapping[str, Any], methods: Mapping[str, Any]) -> bytes:
    from arbench.models import ModelError

    modules = {one.__module__ for found in classes.values() for one in _made_of(found)}
    modules |= {getattr(getattr(one, "run", one), "__module__", "") for one in methods.values()}
    try:
        with ExitStack() as by_value:
            for module in sorted(modules):
                if module in sys.modules and not _can_import(module):
                    cloudpickle.register_pickle_by_value(sys.modules[module])
                    by_value.callback(cloudpickle.unregister_pickle_by_value, sys.modules[module])
            return bytes(cloudpickle.dumps((dict(classes), dict(methods))))
    except Exception as error:  # whatever the class refers to may refuse to be pickled
        names = " and ".join(f"'{name}'" for name in (*classes, *methods))
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise ModelError(
            f"{'class' if classes else 'method'} {names}: cannot be sent to a worker ({why}); put it into a file, and "
            f"name path.py:{'Class' if classes else 'function'}"
        ) from error


def _made_of(found: Any) -> Iterator[Any]:
    """Yield the classes and functions whose code a class, a module or a function needs."""
    from torch import nn

    for kind in {type(part) for part in found.modules()} if isinstance(found, nn.Module) else [found]:
        yield from kind.__mro__ if isinstance(kind, type) else [kind]


def _can_import(module: str) -> bool:
    """Return whether another process with the same search path can import a module.

    All finders are asked, since an editable package may be on no search path. They look for the package that contains
    the module, not in ``sys.modules``, where also a module is that was made by hand.
    """
    top = module.partition(".")[0]
    try:
        return any(finder.find_spec(top, None) is not None for finder in sys.meta_path)
    except (ImportError, ValueError):
        return False
