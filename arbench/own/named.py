"""Import of what a user names by file or module: ``path.py:Name`` or ``package.module:Name``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from arbench.border.suggest import did_you_mean
from arbench.files import require_regular
from arbench.own import beside
from arbench.own.raised import one_line


class NamedError(Exception):
    """Failure to import what a user named; the message is one line.

    Attributes:
        absent: whether there is no such file, module or name, as opposed to a module that fails.
    """

    def __init__(self, why: str, absent: bool) -> None:
        super().__init__(why)
        self.absent = absent


def named(
    where: str,
    attribute: str,
    offered: Callable[[Any], bool],
    kind: str,
    import_module: Callable[[str], ModuleType] = beside.import_module,
) -> Any:
    """Return what a file or a module calls ``attribute``.

    Args:
        where: path of a Python file, or name of a module.
        attribute: the name in it.
        offered: returns whether an object of the module is of the kind that the user looks for, for suggestions.
        kind: what the user looks for, as in ``path.py:KIND``.
        import_module: how a module is imported by its name.

    Raises:
        NamedError: there is no such file, module or name, or the module raises while it is imported.
    """
    in_file = where.endswith(".py")
    if in_file and not Path(where).exists():
        raise NamedError(f"no file {where}", absent=True)
    try:
        if in_file:
            require_regular(where)
        module = beside.import_file(Path(where)) if in_file else import_module(where)
    except (Exception, SystemExit) as error:  # the user's code may raise anything while it is imported
        if isinstance(error, ModuleNotFoundError) and not in_file and f"{where}.".startswith(f"{error.name}."):
            raise NamedError(_not_found(error, kind), absent=True) from error
        raise NamedError(f"importing {where} failed: {one_line(error)}", absent=False) from error
    found = getattr(module, attribute, None)
    if found is None:
        known = [name for name, value in vars(module).items() if offered(value)]
        hint = f"; {did_you_mean(attribute, known)}" if known else ""
        raise NamedError(f"{where} has no '{attribute}'{hint}", absent=True)
    return found


def _not_found(error: ModuleNotFoundError, kind: str) -> str:
    """Return that there is no module of this name, and where it was looked for."""
    missing = str(error.name)
    package = missing.rpartition(".")[0]
    if package:
        folders = ", ".join(getattr(sys.modules.get(package), "__path__", ())) or f"{package}, which is no package"
        return f"no module '{missing}' in {folders}"
    here = "" if sys.flags.safe_path else f"in the current folder, {Path.cwd()}, nor "
    return (
        f"no module '{missing}' {here}on Python's search path; "
        f"run arbench in the folder of {missing}, or name the file: path.py:{kind}"
    )
