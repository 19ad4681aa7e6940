"""Paths in a baseline: stored relative to its folder, so that it can be committed and read elsewhere."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from arbench.bench.options import Options
from arbench.border.naming import is_file, split_weights
from arbench.data import NAMED


def moved(options: Options, folder: Path, *, reading: bool) -> Options:
    """Return the options with their paths relative to a folder, or, when reading, relative to the current folder again.

    Args:
        options: the options.
        folder: folder of the baseline.
        reading: whether the paths are relative to the folder; otherwise they are relative to the current one.
    """
    suite = options.suite
    if suite is not None and _is_suite_file(suite):
        suite = _moved(suite, folder, reading)
    models = options.models and [_moved_spec(spec, folder, reading=reading) for spec in options.models]
    data = options.data and _moved_data(options.data, folder, reading)
    weights = options.weights and _moved(options.weights, folder, reading)
    return replace(options, suite=suite, models=models, data=data, weights=weights)


def _moved_spec(spec: str, folder: Path, *, reading: bool) -> str:
    """Return a model's name with the paths of its file and of its trained weights, if any, moved as in ``moved``."""
    model, weights = split_weights(spec)
    place, colon, rest = model.partition(":")
    if place.endswith(".py"):
        model = f"{_moved(place, folder, reading)}{colon}{rest}"
    if weights is None:
        return model
    if is_file(weights):
        weights = _moved(weights, folder, reading)
        weights = weights if is_file(weights) else f"./{weights}"
    return f"{model}@{weights}"


def _moved_data(data: str, folder: Path, reading: bool) -> str:
    """Return data by name as they are, and the path of others moved; a file of such a name keeps a '/'."""
    if data in NAMED:
        return data
    path = _moved(data, folder, reading)
    return f"./{path}" if path in NAMED else path


def _is_suite_file(suite: str) -> bool:
    return suite.endswith(".toml") or "/" in suite


def _moved(path: str, folder: Path, reading: bool) -> str:
    if reading:
        return os.path.relpath(Path(folder, path))
    return Path(os.path.relpath(Path(path).resolve(), folder.resolve())).as_posix()
