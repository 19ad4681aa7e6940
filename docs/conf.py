"""Configuration of Sphinx: `make docs` builds the site from this folder and from the reports that it links to.

The source folder is the root of the repository, so that links between documents work here, on the site and on a forge.
"""

from importlib.metadata import version as installed

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
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
nitpicky = True
suppress_warnings = ["toc.not_included"]  # a page of results is reached from the README of its report
html_theme = "furo"
html_title = "arbench"
html_copy_source = False
