"""Configuration of Sphinx: `make docs` builds the pages of this folder as a site."""

from importlib.metadata import version as installed

project = "arbench"
author = "the arbench authors"
copyright = author
release = version = installed("arbench")
extensions = ["myst_parser", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
source_suffix = [".md"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "arbench"
html_copy_source = False
nitpicky = True
# What lies outside this folder is on the forge, not on the site; tests/project/test_docs.py checks that it is there.
suppress_warnings = ["myst.xref_missing", "myst.header"]
