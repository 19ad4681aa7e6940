"""Other people's JavaScript that a page contains, byte for byte as their packages have it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Vendored:
    """A file of an npm package.

    Attributes:
        package: name of the package.
        version: version of the package.
        path: the file within the package.
        file: name of the copy in this folder.
        licence: its SPDX identifier.
        licence_file: name of the licence's text in this folder.
        source: the repository that it is built from.
        sha256: digest of the file, in hexadecimal digits.
        why: what a page uses it for.
    """

    package: str
    version: str
    path: str
    file: str
    licence: str
    licence_file: str
    source: str
    sha256: str
    why: str

    @property
    def text(self) -> str:
        """The JavaScript, after one line that names the package, its version, licence and source."""
        return f"/*! {self.package} {self.version}, {self.licence}, {self.source} */\n{read(self.file)}"

    @property
    def licence_text(self) -> str:
        """The whole licence."""
        return read(self.licence_file)


VENDORED = (
    Vendored(
        package="sortable-tablesort",
        version="4.1.7",
        path="dist/sortable.min.js",
        file="sortable.min.js",
        licence="Unlicense",
        licence_file="sortable.license.txt",
        source="https://github.com/tofsjonas/sortable",
        sha256="a887cf42ad5b69673364c529afe8500b31dfbe3e78c2e623bee6430fc69b990f",
        why="tables are sorted by a click on a heading",
    ),
    Vendored(
        package="@alpinejs/csp",
        version="3.17.4",
        path="dist/cdn.min.js",
        file="alpine-csp.min.js",
        licence="MIT",
        licence_file="alpine.license.txt",
        source="https://github.com/alpinejs/alpine",
        sha256="0d18d7f8d7910e2e0212f0f056b12f50bebc3abb7d88d2f7c7cb4c336fe4519a",
        why="filters, switches and the state that they share",
    ),
)
"""In the order in which a page runs them."""


@cache
def read(name: str) -> str:
    """Return the text of a file of this folder."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
