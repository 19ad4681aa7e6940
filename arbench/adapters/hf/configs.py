"""Configurations of the package: defaults of an architecture, or a file, with some fields changed by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from arbench.adapters.hf.package import causal_types, transformers
from arbench.adapters.hf.presets import config_file
from arbench.border.suggest import did_you_mean

LAYERS = "num_hidden_layers"
"""The package's common name of the number of layers, which some architectures call otherwise."""


def configuration(of: str, fields: Mapping[str, Any]) -> Any:
    """Return a configuration.

    Args:
        of: name of an architecture, or path of a folder or a configuration file.
        fields: values that replace those of the architecture or file, by the names of either.

    Raises:
        ValueError: the file is none of a causal language model, there is no such field, or a value does not fit.
    """
    file = config_file(of)
    known = {} if file is None else _read(file)
    kind = of if file is None else str(known.pop("model_type"))
    cls = transformers().CONFIG_MAPPING[kind]
    alias: Mapping[str, str] = getattr(cls, "attribute_map", {})
    changed = {alias.get(name, name): value for name, value in fields.items()}
    names = {*_fields(cls), *known}
    for name in changed:
        if name not in names:
            both = {*names, *alias}
            raise ValueError(f"{kind} has no setting '{name}'; {did_you_mean(name, sorted(both))}")
    layers = alias.get(LAYERS, LAYERS)
    if layers in changed and layers in known:
        known = {name: _cut(value, known[layers], changed[layers]) for name, value in known.items()}
    if file is None and "is_decoder" in names:  # an encoder's architecture reads later tokens unless it is told not to
        known["is_decoder"] = True
    try:
        return cls(**{**known, **changed})
    except Exception as error:  # the package may refuse a value in any way
        raise ValueError(f"{kind}: {' '.join(str(error).split())}") from None


def shorter(of: str, fields: Mapping[str, Any], share: int) -> dict[str, Any]:
    """Return ``fields`` with the number of layers divided by ``share``, at least one."""
    config = configuration(of, fields)
    alias = getattr(type(config), "attribute_map", {})
    names = {LAYERS, alias.get(LAYERS, LAYERS)}
    rest = {name: value for name, value in fields.items() if name not in names}
    return {**rest, LAYERS: max(int(getattr(config, LAYERS)) // share, 1)}


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} is no readable JSON: {' '.join(str(error).split())}") from None
    kind = found.get("model_type") if isinstance(found, dict) else None
    if kind not in causal_types():
        what = "names no model_type" if kind is None else f"is of '{kind}', which is no causal language model"
        raise ValueError(f"{file} {what}; name the configuration of one, such as gpt2, llama or mamba")
    return {name: value for name, value in found.items() if name not in ("architectures", "transformers_version")}


@lru_cache(maxsize=16)
def _fields(cls: Any) -> frozenset[str]:
    """Return the names of the fields of a class of configurations."""
    return frozenset({*cls().to_dict(), "attn_implementation"} - {"model_type", "transformers_version"})


def _cut(value: Any, before: Any, after: Any) -> Any:
    """Return a list that has an entry for each layer with as many as there are now, where there are fewer."""
    return value[:after] if isinstance(value, list) and len(value) == before else value
