"""Suites: runs described in TOML files, to repeat and share them.

A suite has a title, options and models::

    title = "How far caching carries"

    [options]            # fields of Options; command-line options override them
    workers = 2
    rounds = 3

    [[models]]
    model = "wavenet:tiny"
    n = [16, 64, 256]    # n, batch, methods and ops: one value or several; default as in Options
    methods = ["naive", "cached"]

A model may have several tables: it then has the cases of all of them.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from arbench.bench.options import Options, PlanError, check_sizes
from arbench.border.naming import split_weights
from arbench.border.suggest import did_you_mean
from arbench.files import require_regular

EACH: dict[str, Any] = {
    "n": int | list[int],
    "batch": int | list[int],
    "methods": str | list[str],
    "ops": str | list[str],
}
"""Keys of a model's table beside ``model``; ``[options]`` may set them for all models."""
_OPTIONS = {f.name for f in fields(Options)} - {"models", "suite", "weights", "data"}


@dataclass(frozen=True)
class Entry:
    """A model of a run and its own options; empty means as in ``Options``."""

    model: str
    n: Sequence[int] = ()
    batch: Sequence[int] = ()
    methods: Sequence[str] = ()
    ops: Sequence[str] = ()


@dataclass(frozen=True)
class Suite:
    """A suite read from its file.

    Args:
        name: name of a suite that ships, or absolute path of a file.
        title: title for readers.
        options: fields of ``Options`` for the whole run.
        entries: the models, in the order of the file.
    """

    name: str
    title: str
    options: Mapping[str, Any]
    entries: tuple[Entry, ...]


def shipped() -> dict[str, Suite]:
    """Return the suites that ship, by name."""
    names = [file.name for file in resources.files("arbench.suites").iterdir() if file.name.endswith(".toml")]
    return {name.removesuffix(".toml"): load(name.removesuffix(".toml")) for name in sorted(names)}


def load(name: str) -> Suite:
    """Read a suite.

    Args:
        name: name of a suite that ships, or path of a TOML file.

    Raises:
        PlanError: there is no such suite, it is not TOML, or it has an unknown key or a wrong value.
    """
    if name.endswith(".toml") or "/" in name:
        path, found = Path(name), str(Path(name).resolve())
    else:
        path, found = Path(str(resources.files("arbench.suites") / f"{name}.toml")), name
        if not path.exists():
            known = [file.stem for file in path.parent.glob("*.toml")]
            raise PlanError(f"unknown suite '{name}'; {did_you_mean(name, known)} (the path of a suite ends in .toml)")
    try:
        require_regular(path)
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        near = _near(path) if isinstance(error, FileNotFoundError) else ""
        raise PlanError(f"suite {name}: {error.strerror}{near}") from None
    except UnicodeDecodeError as error:
        raise PlanError(
            f"suite {name}: not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"suite {name}: {error}") from None
    try:
        return _suite(raw, found)
    except PlanError as error:
        raise PlanError(f"suite {name}: {error}") from None


def suite_options(name: str) -> Options:
    """Return the options of a suite, before the command line overrides them. Raises PlanError."""
    suite = load(name)
    return Options(**suite.options, suite=suite.name)


def entries(options: Options) -> list[Entry]:
    """Return the models of a run, each with its own options. Raises PlanError."""
    if options.suite is None:
        values = [getattr(options, name) for name in EACH]
        specs = ("wavenet",) if options.models is None else options.models
        return [Entry(spec, *values) for spec in specs]
    found, wanted = load(options.suite).entries, options.models
    for spec in wanted or ():
        if not any(_is(entry, spec) for entry in found):
            known = list(dict.fromkeys(entry.model for entry in found))
            raise PlanError(f"the suite has no model '{spec}'; {did_you_mean(spec, known)}")
    kept = [e for e in found if wanted is None or any(_is(e, spec) for spec in wanted)]
    given = {name: value for name in EACH if (value := getattr(options, name))}
    return [replace(entry, **given) for entry in kept]


def _is(entry: Entry, spec: str) -> bool:
    return spec in (entry.model, split_weights(entry.model)[0].partition(":")[0])


def _suite(raw: Mapping[str, Any], name: str) -> Suite:
    _only(raw, {"title": str, "options": dict[str, Any], "models": list[dict[str, Any]]}, "")
    if not raw.get("models"):
        raise PlanError("has no [[models]]; add one table for each model")
    options = {key.replace("-", "_"): value for key, value in raw.get("options", {}).items()}
    kinds = {key: kind for key, kind in get_type_hints(Options).items() if key in _OPTIONS} | EACH
    _only(options, kinds, "[options] ")
    default = {key: options.pop(key) for key in EACH if key in options}
    return Suite(name, raw.get("title", ""), options, tuple(_entries(raw["models"], default)))


def _entries(tables: Sequence[Mapping[str, Any]], default: Mapping[str, Any]) -> Iterator[Entry]:
    for number, table in enumerate(tables, 1):
        where = f"[[models]] {number} "
        _only(table, {"model": str, **EACH}, where)
        if "model" not in table:
            raise PlanError(f"{where}has no 'model'; add model = \"NAME\"")
        several = {k: v if isinstance(v, list) else [v] for k, v in {**default, **table}.items()}
        for key in ("n", "batch"):
            check_sizes(f"{where}'{key}'", several.get(key, ()))
        yield Entry(table["model"], **{k: tuple(v) for k, v in several.items() if k != "model"})


def _only(table: Mapping[str, Any], kinds: Mapping[str, Any], where: str) -> None:
    """Raise PlanError for an unknown key or a value of a wrong type."""
    for key, value in table.items():
        if key not in kinds:
            raise PlanError(f"{where}has an unknown key '{key}'; {did_you_mean(key, kinds)}")
        try:
            msgspec.convert(value, kinds[key])
        except msgspec.ValidationError as error:
            raise PlanError(f"{where}'{key}': {error}".replace("`", "")) from None


def _near(path: Path) -> str:
    """Return a suggestion of an existing file with a similar name."""
    try:
        known = [file.name for file in path.parent.iterdir() if file.suffix == ".toml"]
    except OSError:
        return ""
    return f"; {did_you_mean(path.name, known)}" if difflib.get_close_matches(path.name, known) else ""
