"""The frame of every page: one HTML file that fetches nothing, with styles, scripts, switches and a glossary inside."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from typing import Any

from markupsafe import Markup

from arbench.report.figures.palette import DARK, DARK_TONES, LIGHT, LIGHT_TONES
from arbench.report.html.sorting import sort_keys
from arbench.report.html.terms import term_of, used_terms
from arbench.report.html.vendored import VENDORED
from arbench.report.labels import base_name
from arbench.report.table import Table
from arbench.report.templates import environment, own_script


def framed(template: str, **facts: Any) -> str:
    """Return the HTML of a page.

    Args:
        template: name of a template that extends ``frame.html.j2``.
        facts: what it shows.
    """
    scripts = all_scripts()
    found = environment()
    found.filters.setdefault("sort_keys", sort_keys)
    found.filters.setdefault("term", term_of)
    found.filters.setdefault("linked", linked_column)
    found.filters.setdefault("base", base_name)
    return found.get_template(template).render(
        policy=policy(scripts),
        scripts=[Markup(one) for one in scripts],
        licences=VENDORED,
        used_terms=used_terms,
        palette=palette(),
        **facts,
    )


@cache
def palette() -> Markup:
    """Return the colours of figures as CSS variables, for both themes."""
    light, dark = LIGHT | LIGHT_TONES, DARK | DARK_TONES
    return Markup(" ".join(f"--{name}: light-dark({light[name]}, {dark[name]});" for name in light))


def linked_column(table: Table) -> int:
    """Return the number of the column whose cells lead to the case of their row: that of the method, or the first."""
    titles = [column.title for column in table.columns]
    return next((titles.index(title) for title in ("implementation", "method") if title in titles), 0)


@cache
def all_scripts() -> tuple[str, ...]:
    """Return the scripts of a page, in order: arbench's own, then the libraries that it prepares."""
    found = own_script(), *(one.text for one in VENDORED)
    assert not any("</script" in one or "<!--" in one for one in found), "a script would end in its own middle"
    return found


def policy(scripts: tuple[str, ...]) -> str:
    """Return a Content-Security-Policy: these scripts alone may run, and nothing may be fetched from anywhere.

    Style attributes are allowed, since figures have them; pictures and sounds are data URIs.
    """
    known = " ".join(f"'sha256-{b64encode(sha256(one.encode()).digest()).decode()}'" for one in scripts)
    return (
        f"default-src 'none'; script-src {known}; style-src 'unsafe-inline'; img-src data:; media-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
