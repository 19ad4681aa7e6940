"""The report as one HTML page that needs no other file: of one run, or of a notebook's cell."""

from arbench.report.page.run import cell, page

__all__ = ["cell", "page"]
