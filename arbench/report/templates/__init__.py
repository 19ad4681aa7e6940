"""The templates of page and summary."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def environment() -> Environment:
    """Return a Jinja environment of this package's templates; HTML is escaped, an undefined name is an error."""
    return Environment(
        loader=PackageLoader("arbench.report", "templates"),
        autoescape=lambda name: name is not None and name.endswith((".html.j2", ".css")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
