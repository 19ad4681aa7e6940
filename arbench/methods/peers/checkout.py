"""Import of a checkout that is no installed package: nothing of it stays on Python's search path."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

Rewrites = Mapping[str, Sequence[tuple[str, str]]]
"""Texts to replace in a source as it is read, by its path within the checkout; the file itself stays as it is."""


class _Loader(SourceFileLoader):
    """Loader of a source, rewritten in memory; it neither reads nor writes compiled files."""

    changes: Sequence[tuple[str, str]] = ()

    def get_code(self, fullname: str) -> CodeType:
        text = self.get_data(self.path).decode("utf-8")
        for old, new in self.changes:
            text = text.replace(old, new)
        return self.source_to_code(text.encode("utf-8"), self.path)


class _Finder:
    """Finder of the modules of a checkout, for ``sys.meta_path``."""

    def __init__(self, root: Path, rewrites: Rewrites) -> None:
        self.root, self.rewrites = root, rewrites

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        """Return the specification of a module in the checkout, or None."""
        for folder in [str(self.root)] if path is None else path:
            if not Path(folder).is_relative_to(self.root):
                continue
            found = FileFinder(folder, (_Loader, [".py"])).find_spec(name)
            if found is not None and isinstance(found.loader, _Loader):
                place = Path(found.loader.path).relative_to(self.root).as_posix()
                found.loader.changes = self.rewrites.get(place, ())
                return found
        return None


def imported(root: Path, names: Sequence[str], rewrites: Rewrites | None = None) -> list[ModuleType]:
    """Import modules of a checkout, each call anew.

    Modules that are loaded already are not used even if they have the same names, and the checkout's own are not in
    ``sys.modules`` afterwards: two checkouts may both have a package ``wavenet_vocoder``. Sources that import more of
    the checkout when they are called are therefore not supported. The checkout is not written to.

    Args:
        root: folder of the checkout.
        names: modules, as in ``import``.
        rewrites: what to replace in sources that this Python does not compile.

    Raises:
        Exception: whatever the sources raise.
    """
    root = root.resolve()
    own = {entry.stem for entry in root.iterdir() if entry.suffix == ".py" or (entry / "__init__.py").exists()}
    with _alone(own), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old interfaces, which the reader of a table can do nothing about
        finder = _Finder(root, rewrites or {})
        sys.meta_path.insert(0, finder)
        try:
            return [importlib.import_module(name) for name in names]
        finally:
            sys.meta_path.remove(finder)


@contextmanager
def _alone(own: set[str]) -> Iterator[None]:
    """Put the loaded modules of some packages aside, and remove those that were loaded meanwhile."""

    def taken() -> dict[str, ModuleType]:
        return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in own}

    aside = taken()
    try:
        yield
    finally:
        taken()
        sys.modules.update(aside)
