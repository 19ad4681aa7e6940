"""The templates of page and summary."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from arbench.report.markdown import escape, grid


@cache
def environment() -> Environment:
    """Return the Jinja environment of this package's templates, each of which it compiles once.

    HTML is escaped, and an undefined name is an error. In markdown the filter ``md`` escapes text, and ``grid`` writes
    a table.
    """
    found = Environment(
        loader=PackageLoader("arbench.report", "templates"),
        autoescape=lambda name: name is not None and name.endswith((".html.j2", ".css")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["md"] = escape
    found.filters["grid"] = lambda table, level=2: "\n".join(grid(table, level))
    return found


@cache
def own_script() -> str:
    """Return the script that joins a page's parts to the libraries in it."""
    return files(__package__).joinpath("page.js").read_text(encoding="utf-8")
