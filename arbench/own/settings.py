"""Settings that a user appends to a name: ``KEY=VALUE[,KEY=VALUE...]``."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from typing import Any

from arbench.border.naming import parts_of
from arbench.border.suggest import did_you_mean


def settings_of(text: str, known: Collection[str] | None = None) -> dict[str, Any]:
    """Return settings by name; a value is TOML, or else a string.

    Args:
        text: the settings.
        known: their names; None if whoever gets the settings judges the names.

    Raises:
        ValueError: a part has no value, or an empty one, or its name is not known or occurs twice; the message is one
            line without the name that the settings belong to.
    """
    found: dict[str, Any] = {}
    for part in parts_of(text):
        key, equals, value = (one.strip() for one in part.partition("="))
        if not equals:
            raise ValueError(f": expected KEY=VALUE, got '{part}'")
        if known is not None and key not in known:
            raise ValueError(f" has no setting '{key}'; {did_you_mean(key, known)}")
        if not value:
            raise ValueError(f": the setting '{key}' has no value")
        if key in found:
            raise ValueError(f": the setting '{key}' is given twice")
        try:
            found[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key] = value
    return found
