"""A metric over commits, and the steps between its levels."""

from arbench.report.history.document import document, frame, write
from arbench.report.history.points import commit_of
from arbench.report.history.series import History, Series, history
from arbench.report.history.table import lines, table

__all__ = ["History", "Series", "commit_of", "document", "frame", "history", "lines", "table", "write"]
