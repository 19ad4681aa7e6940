"""The base of all lines."""

from __future__ import annotations

import msgspec


class Line(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind"):
    """Base of every line."""
