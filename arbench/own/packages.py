"""Installed packages that a user's file imports at its top: they are known not to hang, however long they take."""

from __future__ import annotations

import ast
import importlib.util
from contextlib import suppress
from pathlib import Path

_INSTALLED = {"site-packages", "dist-packages"}


def installed_imports(file: Path) -> dict[str, list[str]]:
    """Return the import statements at the top level of a Python file that name an installed package, by the package.

    Nothing is imported. A module beside the file is none, since it would be found first. Nothing is returned of what is
    no readable Python.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, ValueError, SyntaxError):
        return {}
    found: dict[str, list[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            for one in node.names:
                found.setdefault(one.name.partition(".")[0], []).append(f"import {one.name}")
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            found.setdefault(node.module.partition(".")[0], []).append(ast.unparse(node))
    return {name: lines for name, lines in found.items() if _is_installed(name, file.parent)}


def import_ahead(statements: list[str]) -> None:
    """Run import statements of installed packages; one that fails is reported where the file itself is imported."""
    for statement in statements:
        with suppress(Exception):
            exec(compile(statement, "<imports>", "exec"), {})


def _is_installed(name: str, folder: Path) -> bool:
    if (folder / name).is_dir() or (folder / f"{name}.py").exists():
        return False
    try:
        known = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return known is not None and not _INSTALLED.isdisjoint(Path(known.origin or "").parts)
