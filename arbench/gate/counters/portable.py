"""Paths in a baseline: stored as seen from its folder, so that it can be committed and read elsewhere."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from arbench.bench.options import Options


def moved(options: Options, folder: Path, *, reading: bool) -> Options:
    """The options with their paths as seen from ``folder``; when reading, as seen from here again."""
    suite = options.suite
    if suite is not None and _is_suite_file(suite):
        suite = _moved(suite, folder, reading)
    models = options.models and [moved_spec(spec, folder, reading=reading) for spec in options.models]
    data, weights = (path and _moved(path, folder, reading) for path in (options.data, options.weights))
    return replace(options, suite=suite, models=models, data=data, weights=weights)


def moved_spec(spec: str, folder: Path, *, reading: bool) -> str:
    """A model's name as it is; of one in a file, the file's path as in ``moved``."""
    place, colon, rest = spec.partition(":")
    return f"{_moved(place, folder, reading)}{colon}{rest}" if place.endswith(".py") else spec


def _is_suite_file(suite: str) -> bool:
    return suite.endswith(".toml") or "/" in suite


def _moved(path: str, folder: Path, reading: bool) -> str:
    if reading:
        return os.path.relpath(Path(folder, path))
    return Path(os.path.relpath(Path(path).resolve(), folder.resolve())).as_posix()
