"""Several versions of a package in one process, kept apart.

A side is a tree of sources. While it is active, its modules stand in ``sys.modules`` and its folder first on
the path; before and after they are out of sight, so that two trees never see each other, whatever is imported
when. Custom operators live in a registry of PyTorch's own, one for the whole process, where the second of two
of the same name would silently replace the first: those that a tree's code registers get a name of its own,
and ``torch.ops`` leads to it while the side is active.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
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
    """A version that cannot share a process with another one; the message is one line for the user."""


class Side:
    """One version, loaded beside others.

    Args:
        root: folder of the tree; its ``src`` is looked into as well. One without the package takes it from
            the environment.
        alone: whether it is the only one of its process, so that nothing need be kept from others.

    Attributes:
        refused: what it did that cannot be kept apart, whoever caught the ``SharedError`` that this raised.
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
        self._spaces: dict[str, _OpNamespace] = {}
        self._definitions: dict[str, Any] = {}
        self._libraries: dict[str, Any] = {}

    def load(self, module: str = PACKAGE) -> Any:
        """Imports a module of this side, which must be active."""
        assert Side._active is self
        return importlib.import_module(module)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within, every import and every custom operator is this side's. Sides do not nest."""
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
            sys.path[:] = path
            if len(sys.modules) != before + len(self._modules):
                self._modules |= {name: module for name, module in sys.modules.items() if self._mine(name)}
            for name in self._modules:
                sys.modules.pop(name, None)
            sys.modules.update(hidden)

    def _mine(self, name: str) -> bool:
        """Whether a module that stands in ``sys.modules`` is to be kept from other sides."""
        if _package(name):
            return True
        file = getattr(sys.modules[name], "__file__", None)
        return file is not None and self.holds(file)

    def holds(self, file: str) -> bool:
        """Whether a source file is of this tree. An environment inside the tree is not; of a tree that is an
        environment itself only the package is."""
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
        """The namespace that operators of this side go by."""
        if kind == "IMPL" and namespace not in self._spaces:
            why = f"it replaces operators of '{namespace}', which all code in a process shares"
            self.refused = SharedError(why)
            raise self.refused
        name = f"{namespace}__side{self._number}"
        if namespace not in self._spaces:
            self._spaces[namespace] = _OpNamespace(name)
            setattr(torch.ops, namespace, self._spaces[namespace])
        return name


class _Home:
    """The modules of the package that measures, which no side may see."""

    def __init__(self) -> None:
        self._size = 0
        self._names: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...]:
        if len(sys.modules) != self._size:
            self._size, self._names = len(sys.modules), tuple(filter(_package, sys.modules))
        return self._names


_home = _Home()


def _package(name: str) -> bool:
    return name == PACKAGE or name.startswith((f"{PACKAGE}.", f"{PACKAGE}_user_"))


def _keep_operators_apart() -> None:
    """Has every library of operators that a side's own code opens go by a name of that side."""
    library = torch.library.Library
    original = library.__init__

    def opened(self: Any, ns: str, kind: str, dispatch_key: str = "") -> None:
        side = Side._active
        if side is not None and not side.alone and side.holds(_caller(sys._getframe(1))):
            ns = side._renamed(ns, kind)
        original(self, ns, kind, dispatch_key)

    library.__init__ = opened  # type: ignore[method-assign]


def _caller(frame: Any) -> str:
    """The file of the first function up the stack that is not PyTorch's."""
    folder = str(Path(torch.__file__).parent)
    while frame is not None:
        code: CodeType = frame.f_code
        if not code.co_filename.startswith(folder):
            return code.co_filename
        frame = frame.f_back
    return ""


_keep_operators_apart()
