"""The glossary of a page: what each term and each column means, in one or two sentences."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_SAME = {"work exponent": "exponent", "time exponent": "exponent"}
"""Titles that the term of another name explains."""


@dataclass(frozen=True)
class Term:
    """A word that a page explains where it stands.

    Attributes:
        name: the word, as a heading or a text has it.
        text: what it means.
    """

    name: str
    text: str

    @property
    def anchor(self) -> str:
        """The id of its explanation."""
        return "term-" + re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


@cache
def terms() -> Mapping[str, Term]:
    """Return every term by its name in small letters, in the order of the glossary, from ``terms.toml``."""
    text = files(__package__).joinpath("terms.toml").read_text(encoding="utf-8")
    return {name.lower(): Term(name, said) for name, said in tomllib.loads(text).items()}


def term_of(name: str) -> Term | None:
    """Return the explanation of a word or of a column's title; None where it needs none."""
    wanted = name.lower()
    return terms().get(_SAME.get(wanted, wanted))


def used_terms(html: str) -> list[Term]:
    """Return the terms that the body of a page refers to, in the order of the glossary."""
    wanted = set(re.findall(r'popovertarget="about-(term-[a-z0-9-]+)"', html))
    return [one for one in terms().values() if one.anchor in wanted]
