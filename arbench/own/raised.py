"""Exceptions that a user's code raised, on one line: type, text, and the place in the user's own code."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path

from arbench.border.printable import encodable

LONGEST = 300
"""Most characters of an exception's text: what a compiler or a library says may fill pages."""
_INSTALLED = ("site-packages", "dist-packages")
"""Folders of installed packages."""
_NEVER = {*sys.stdlib_module_names, "arbench", "torch", "torchgen", "numpy", "numba", "triton"}
"""Packages whose frames are never the user's own code."""


def one_line(error: BaseException) -> str:
    """Return an exception on one line, as in ``ValueError: no such key (my_model.py:12)``.

    Args:
        error: the exception. The place is the innermost line of the user's own code that it passed through, and where
            another file of the user's called that one, its line too; without such a line there is none. A syntax
            error names its own place.
    """
    text = " ".join(_text(error).split())
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 3].rstrip()}..."
    place = _place(error)
    return encodable(f"{type(error).__name__}{': ' if text else ''}{text}{f' ({place})' if place else ''}")


def _text(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return str(error.msg)  # without the place, which follows
    try:
        return str(error)
    except Exception as again:  # a class of the user's may fail to describe itself
        return f"without a text, because its __str__ raises {type(again).__name__}"


def _place(error: BaseException) -> str | None:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{shown(error.filename)}:{error.lineno}" if error.lineno else shown(error.filename)
    places: list[tuple[str, int]] = []
    installed, called = None, False
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        module = getattr(frame.f_globals.get("__spec__"), "name", None) or frame.f_globals.get("__name__", "")
        package = str(module).partition(".")[0]  # by its specification, since `python -m` calls a module __main__
        if package in _NEVER or file.startswith("<"):
            called = called or package == "arbench"
        elif set(_INSTALLED).isdisjoint(Path(file).parts):
            places, called = [] if called else places, False  # what called arbench is not at fault
            places.append((file, line))
        else:
            installed = f"{shown(file)}:{line}"
    if not places:
        return installed
    (first, _), (last, line) = places[0], places[-1]
    inner = f"{shown(last)}:{line}"
    if first == last:
        return inner
    return f"{inner}, called by {shown(first)}:{[line for file, line in places if file == first][-1]}"


def shown(file: str) -> str:
    """Return a file as the user sees it: relative to the current folder if it is inside, else its name."""
    path = Path(file)
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return path.name
