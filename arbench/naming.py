"""The names of models, which are the same wherever their files are."""

from __future__ import annotations

from pathlib import PurePath


def split_spec(spec: str) -> tuple[str, str, str]:
    """Split NAME[:PRESET], path.py:Class[:PRESET] or package.module:Class[:PRESET].

    Returns:
        Name or module or path; class, empty for a name; and preset, empty if none is given.
    """
    place, _, rest = spec.partition(":")
    if not (place.endswith(".py") or "." in place):
        return place, "", rest
    attribute, _, preset = rest.partition(":")
    return place, attribute, preset


def model_name(place: str, attribute: str) -> str:
    """Return what results call a model: ``my_model.Bigram`` for a class in any file or module ``my_model``.

    Args:
        place: name, module or path, as ``split_spec`` returns it.
        attribute: the class; empty for a model that has a name.
    """
    if not attribute:
        return place
    module = PurePath(place).stem if place.endswith(".py") else place.rpartition(".")[2]
    return f"{module}.{attribute}"
