"""The names of models and methods, which are the same wherever their files are."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePath

_COMMA = re.compile(r",(?![^\[]*\])")
"""A comma that is not inside a list."""
LONGEST = 100
"""Characters of the longest file name, without what is appended to it; file systems refuse more than 255 bytes."""


def parts_of(text: str) -> list[str]:
    """Split a text at its commas, apart from those inside a list."""
    return _COMMA.split(text)


def split_weights(spec: str) -> tuple[str, str | None]:
    """Split MODEL[@WEIGHTS] into the model, as ``split_spec`` takes it, and its trained weights; None if none follow.

    An at sign in the path of a model's file is no such mark.
    """
    at = spec.find("@", spec.find(".py:") + 1)
    return (spec, None) if at < 0 else (spec[:at], spec[at + 1 :])


def is_file(weights: str) -> bool:
    """Return whether trained weights are named by the path of a file or folder, not by a name that ships."""
    return "/" in weights or weights.endswith(".safetensors")


def without_preset(spec: str, preset: str) -> str:
    """Return a model's whole specification without its preset and trained weights.

    Args:
        spec: as ``Chosen.spec`` of ``arbench.models`` has it.
        preset: as ``Chosen.preset`` has it.
    """
    return split_weights(spec)[0].removesuffix(f":{preset.partition('@')[0]}")


def split_spec(spec: str) -> tuple[str, str, str]:
    """Split NAME[:PRESET], path.py:Class[:PRESET] or package.module:Class[:PRESET].

    Settings may follow the class at once, without a preset: ``path.py:Class,width=32``.

    Returns:
        Name or module or path; class, empty for a name; and preset, empty if none is given, with its settings, and with
        ``@WEIGHTS`` behind it where trained weights are named.
    """
    model, weights = split_weights(spec)
    trained = "" if weights is None else f"@{weights}"
    place, _, rest = model.partition(":")
    if not (place.endswith(".py") or "." in place):
        return place, "", rest + trained
    attribute = re.split("[:,]", rest, maxsplit=1)[0]
    return place, attribute, rest[len(attribute) :].removeprefix(":") + trained


def with_setting(spec: str, setting: str) -> str:
    """Return a model's specification with one more setting, KEY=VALUE, behind those that it has."""
    model, weights = split_weights(spec)
    return f"{model}{',' if ':' in model else ':,'}{setting}{'' if weights is None else f'@{weights}'}"


def model_name(place: str, attribute: str) -> str:
    """Return what results call a model or method: ``my_model.Bigram`` for one in any file or module ``my_model``.

    Args:
        place: name, module or path, as ``split_spec`` returns it.
        attribute: the class or function; empty for what has a name.
    """
    if not attribute:
        return place
    module = PurePath(place).stem if place.endswith(".py") else place.rpartition(".")[2]
    return f"{module}.{attribute}"


def split_methods(text: str) -> list[str]:
    """Split methods at commas: a part with an equals sign is a setting of the method before it.

    ``cached,fused,weights=bfloat16,threads=2`` names two methods.
    """
    found: list[str] = []
    for part in map(str.strip, parts_of(text)):
        if found and "=" in part:
            found[-1] += f",{part}"
        else:
            found.append(part)
    return found


def split_method(spec: str) -> tuple[str, str]:
    """Split NAME[,KEY=VALUE...] into the name, or ``path.py:function``, and its settings in the order of their keys."""
    name, *settings = (part.strip() for part in parts_of(spec))
    tidy = ["=".join(map(str.strip, part.split("=", 1))) for part in settings]
    return name, ",".join(sorted(tidy, key=lambda part: part.partition("=")[0]))


def method_name(spec: str) -> str:
    """Return what results call a method: its name, ``file.function`` or ``module.function``, and its settings."""
    name, settings = split_method(spec)
    place, attribute, _ = split_spec(name)
    short = model_name(place, attribute) if attribute else name
    return f"{short},{settings}" if settings else short


def method_spec(spec: str) -> str:
    """Return how a method is named, with its settings in the order of ``method_name``."""
    name, settings = split_method(spec)
    return f"{name},{settings}" if settings else name


def file_name(text: str, taken: Collection[str], default: str = "figure") -> str:
    """Return a file name for ``text``, made of lower-case letters, digits and hyphens; its end is cut if it is long.

    Args:
        text: any text.
        taken: names already in use; a number is appended to avoid them.
        default: name of a text that contains no letter and no digit.
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()[:LONGEST].strip("-") or default
    name, number = plain, 2
    while name in taken:
        name, number = f"{plain}-{number}", number + 1
    return name
