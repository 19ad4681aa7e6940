"""Import of a user's code: the modules in its own folder are found, and those of another folder are not.

Python puts the folder of a script first on its search path. A model's file gets the same, as long as its code runs.
Two models may each have a module ``layers`` beside them: only the modules of the folder in use are in ``sys.modules``.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

FILE = "arbench_user_"
"""Beginning of the name under which a model's file is in ``sys.modules``."""
_INSTALLED = ("site-packages", "dist-packages")


class _Folders:
    """The folder that is searched first, and the modules that were imported from earlier ones."""

    def __init__(self) -> None:
        self.current: Path | None = None
        self._foreign: set[str] = set()
        self._put_aside: dict[Path, dict[str, ModuleType]] = {}

    def enter(self, folder: Path) -> None:
        """Search ``folder`` first from now on."""
        if folder == self.current:
            return
        if self.current is not None:
            self._put_aside[self.current] = {name: sys.modules.pop(name) for name in self._own(self.current)}
            if str(self.current) in sys.path:
                sys.path.remove(str(self.current))
        self.current = folder
        self._foreign = set(sys.modules)
        sys.path.insert(0, str(folder))
        sys.modules.update(self._put_aside.pop(folder, {}))
        importlib.invalidate_caches()  # a file may have been written since the folder was listed

    def _own(self, folder: Path) -> list[str]:
        """Return the names of the modules that were imported from a folder while it was searched first."""
        return [
            name
            for name, module in sys.modules.items()
            if name not in self._foreign and not name.startswith((FILE, "arbench.")) and _is_in(module, folder)
        ]


def _is_in(module: ModuleType, folder: Path) -> bool:
    places = [getattr(module, "__file__", None) or "", *map(str, getattr(module, "__path__", ()))]
    return any(
        Path(place).is_relative_to(folder) and set(_INSTALLED).isdisjoint(Path(place).parts)
        for place in places
        if place
    )


_folders = _Folders()


@contextmanager
def returning() -> Iterator[None]:
    """Search the folder that is in use now first again afterwards, whatever is imported within the context."""
    before = _folders.current
    try:
        yield
    finally:
        if before is not None:
            _folders.enter(before)


def import_module(name: str) -> ModuleType:
    """Import a module by its name, as ``python -m`` does: from the current folder, or else from the search path.

    With ``python -P`` and ``PYTHONSAFEPATH`` the current folder is not searched.
    """
    if not sys.flags.safe_path:
        _folders.enter(Path.cwd())
    return importlib.import_module(name)


def import_file(path: Path) -> ModuleType:
    """Import a file once; the modules beside it are found. Raises ImportError if it is no Python file."""
    path = path.resolve()
    _folders.enter(path.parent)
    name = f"{FILE}{path.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path):
        return known
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
