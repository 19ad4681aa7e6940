"""The report as one HTML page that needs no other file: of one run, of several, or of a notebook's cell."""

from arbench.report.page.run import cell, page
from arbench.report.page.several import Shown, pages

__all__ = ["Shown", "cell", "page", "pages"]
