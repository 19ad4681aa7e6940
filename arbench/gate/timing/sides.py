"""Several versions of a package in one process, isolated from each other.

A side is a tree of sources. While it is active, its modules are in ``sys.modules`` and its folder is first on
the import path; otherwise they are hidden, so two trees never import from each other, in whatever order they
import. PyTorch has one registry of custom operators for the whole process, in which a second operator of the same
name would silently replace the first. So operators that a tree's code registers get a namespace of their own, to
which ``torch.ops`` leads while the side is active.
"""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import torch
from torch._library import custom_ops
from torch._ops import _OpNamespace

PACKAGE = "arbench"
INSTALLED = ("site-packages", "dist-packages")


class SharedError(Exception):
    """Conflict that keeps a version from sharing a process; the message is one line for the user."""


class Side:
    """One version, loaded beside others.

    Args:
        root: folder of the tree; its ``src`` is searched too. A tree without the package takes it from the
            environment.
        alone: whether it is the only side of its process, so that nothing needs isolation.

    Attributes:
        refused: the error of an operation that cannot be isolated, even if the version caught it.
    """

    _active: Side | None = None
    _numbers = count()

    def __init__(self, root: Path, alone: bool = False) -> None:
        self.root = root.resolve()
        self.alone = alone
        self.refused: SharedError | None = None
        self._number = next(Side._numbers)
        source = self.root / "src"
        self._paths = [str(path) for path in (self.root, source) if path == self.root or path.is_dir()]
        self._modules: dict[str, ModuleType] = {}
        self._foreign: dict[str, ModuleType] = {}
        self._spaces: dict[str, _OpNamespace] = {}
        self._definitions: dict[str, Any] = {}
        self._libraries: dict[str, Any] = {}

    def load(self, module: str = PACKAGE) -> Any:
        """Import a module of this side, which must be active."""
        assert Side._active is self
        return importlib.import_module(module)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make every import and custom operator inside the block this side's own. Sides do not nest."""
        assert Side._active is None
        hidden = {name: sys.modules.pop(name) for name in _home.names()}
        before = len(sys.modules)
        sys.modules.update(self._modules)
        path = sys.path[:]
        sys.path[:0] = self._paths
        spaces = self._enter_operators()
        Side._active = self
        try:
            yield
        finally:
            Side._active = None
            self._leave_operators(spaces)
            self._paths = _added(path, sys.path)  # the code may have added folders, from which it imports later
            sys.path[:] = path
            if len(sys.modules) != before + len(self._modules):
                more = {n: module for n, module in sys.modules.items() if self._foreign.get(n, _NEVER) is not module}
                self._modules |= {name: module for name, module in more.items() if self._mine(name)}
                self._foreign |= {name: module for name, module in more.items() if name not in self._modules}
            for name in self._modules:
                sys.modules.pop(name, None)
            sys.modules.update(hidden)

    def _mine(self, name: str) -> bool:
        """Return whether a module in ``sys.modules`` belongs to this side alone."""
        if _package(name):
            return True
        file = getattr(sys.modules[name], "__file__", None)
        return file is not None and self.contains(file)

    def contains(self, file: str) -> bool:
        """Return whether a source file belongs to this tree.

        Files of an environment inside the tree do not; of a tree that is itself an environment only the package does.
        """
        try:
            inside = Path(file).relative_to(self.root).parts
        except ValueError:
            return False
        if self.root.name in INSTALLED:
            return inside[0] == PACKAGE
        return not any(part in INSTALLED for part in inside)

    def _enter_operators(self) -> dict[str, Any]:
        custom_ops.OPDEFS.update(self._definitions)
        custom_ops.OPDEF_TO_LIB.update(self._libraries)
        replaced = {name: vars(torch.ops).get(name) for name in self._spaces}
        vars(torch.ops).update(self._spaces)
        return replaced

    def _leave_operators(self, replaced: dict[str, Any]) -> None:
        for name in self._spaces:
            found = replaced.get(name)
            if found is None:
                vars(torch.ops).pop(name, None)
            else:
                setattr(torch.ops, name, found)
            for kept, everyone in (
                (self._definitions, custom_ops.OPDEFS),
                (self._libraries, custom_ops.OPDEF_TO_LIB),
            ):
                mine = [key for key in everyone if key.partition("::")[0] == name]
                kept.update({key: everyone.pop(key) for key in mine})

    def _renamed(self, namespace: str, kind: str) -> str:
        """Return this side's own name for a namespace of operators. Raises SharedError."""
        if kind == "IMPL" and namespace not in self._spaces:
            why = f"one of them replaces operators of '{namespace}' for the whole process"
            self.refused = SharedError(why)
            raise self.refused
        name = f"{namespace}__side{self._number}"
        if namespace not in self._spaces:
            self._spaces[namespace] = _OpNamespace(name)
            setattr(torch.ops, namespace, self._spaces[namespace])
        return name


_NEVER = object()


class _Home:
    """Modules of the measuring package itself, which are hidden from every side."""

    def __init__(self) -> None:
        self._size = 0
        self._names: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        """Return the names of the loaded modules of the package."""
        if len(sys.modules) != self._size:
            self._size, self._names = len(sys.modules), tuple(filter(_package, sys.modules))
        return self._names


_home = _Home()


def _added(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """Return the entries of a search path that it did not have before, in order; equal ones are old from the end."""
    old, new = Counter(before), list[str]()
    for entry in reversed(after):
        if old[entry] > 0:
            old[entry] -= 1
        else:
            new.insert(0, entry)
    return new


def _package(name: str) -> bool:
    return name == PACKAGE or name.startswith((f"{PACKAGE}.", f"{PACKAGE}_user_"))


def _keep_operators_apart() -> None:
    """Patch ``torch.library.Library`` so that libraries opened by a side's own code use the side's own namespace."""
    library = torch.library.Library
    original = library.__init__

    def opened(self: Any, ns: str, kind: str, dispatch_key: str = "") -> None:
        side = Side._active
        if side is not None and not side.alone and side.contains(_caller(sys._getframe(1))):
            ns = side._renamed(ns, kind)
        original(self, ns, kind, dispatch_key)

    library.__init__ = opened  # type: ignore[method-assign]


def _caller(frame: Any) -> str:
    """Return the file of the nearest caller outside PyTorch."""
    folder = str(Path(torch.__file__).parent)
    while frame is not None:
        code: CodeType = frame.f_code
        if not code.co_filename.startswith(folder):
            return code.co_filename
        frame = frame.f_back
    return ""


_keep_operators_apart()
