"""Configuration of Sphinx: `make docs` builds the site from this folder and from the reports that it links to.

The source folder is the root of the repository, so that links between documents work here, on the site and on a forge.
"""

from importlib.metadata import version as installed

from sphinx.application import Sphinx

project = "arbench"
author = copyright = "the arbench authors"
release = version = installed("arbench")
root_doc = "docs/index"
source_suffix = [".md"]
include_patterns = [
    "docs/**",
    "reports/**",
    "benchmarks/peers/README.md",
    "arbench/data/ORIGIN.md",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
]
exclude_patterns = ["docs/_build/**"]
html_extra_path = ["site"]  # the page at the root, which leads to this folder
extensions = ["myst_parser", "sphinx_copybutton"]
myst_heading_anchors = 4
nitpicky = True
suppress_warnings = ["toc.not_included"]  # a page of results is reached from the README of its report
html_theme = "furo"
html_title = "arbench"
html_copy_source = False

NAVIGATION = {
    "Begin": ("tutorial", "install", "reading", "models", "python"),
    "Bring your own": ("bring-your-own", "own-model", "own-method", "own-kernel", "kernels", "training"),
    "Compare and cite": ("compare", "gate", "cite", "paper"),
    "Trust": ("methodology", "bias", "results-file", "glossary"),
    "Reports": ("../reports/*/README",),
    "The project": ("../CONTRIBUTING", "../CHANGELOG"),
}
"""Pages in the site's side bar. The page where reading starts does not list them: a forge shows a directive as code."""


def navigate(app: Sphinx, name: str, source: list[str]) -> None:
    """Append the side bar to the page where reading starts."""
    if name == root_doc:
        for caption, pages in NAVIGATION.items():
            listed = "\n".join(pages)
            source[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {caption}\n\n{listed}\n```\n"


def setup(app: Sphinx) -> None:
    """Register what Sphinx calls."""
    app.connect("source-read", navigate)
