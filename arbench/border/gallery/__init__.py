"""Folders of events to look at, to listen to or to read, with one line of JSON for each: written and read here."""

from arbench.border.gallery.reading import Event, Gallery, GalleryError, galleries, read
from arbench.border.gallery.writing import FOLDER, GRID, LINES, REAL_GRID, TABLE, Told, write

__all__ = [
    "FOLDER",
    "GRID",
    "LINES",
    "REAL_GRID",
    "TABLE",
    "Event",
    "Gallery",
    "GalleryError",
    "Told",
    "galleries",
    "read",
    "write",
]
