"""Suites: a run written down as TOML, so that it can be repeated and shared.

A suite is a title, options and models::

    title = "How far caching carries"

    [options]            # fields of Options; what the command line says goes before them
    workers = 2
    rounds = 3

    [[models]]
    model = "wavenet:tiny"
    n = [16, 64, 256]    # n, batch, methods and ops: one or several; what Options says by default
    methods = ["naive", "cached"]

A model may stand in several tables: its cases are those of all of them.
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

from arbench.bench.options import Options, PlanError
from arbench.suggest import did_you_mean

EACH: dict[str, Any] = {
    "n": int | list[int],
    "batch": int | list[int],
    "methods": str | list[str],
    "ops": str | list[str],
}
"""What a model's table may say beside the model, and what ``[options]`` may say for all of them."""
_OPTIONS = {f.name for f in fields(Options)} - {"models", "suite", "weights", "data"}


@dataclass(frozen=True)
class Entry:
    """A model of a run, and what is asked of it; empty means as ``Options`` has it."""

    model: str
    n: Sequence[int] = ()
    batch: Sequence[int] = ()
    methods: Sequence[str] = ()
    ops: Sequence[str] = ()


@dataclass(frozen=True)
class Suite:
    """A suite that was read.

    Args:
        name: what finds it again: the name of one that ships, or an absolute path.
        options: fields of ``Options`` for the whole run.
        entries: in the order of the file.
    """

    name: str
    title: str
    options: Mapping[str, Any]
    entries: tuple[Entry, ...]


def shipped() -> dict[str, Suite]:
    """The suites that ship, by name."""
    names = [file.name for file in resources.files("arbench.suites").iterdir() if file.name.endswith(".toml")]
    return {name.removesuffix(".toml"): load(name.removesuffix(".toml")) for name in sorted(names)}


def load(name: str) -> Suite:
    """Reads the suite ``name``: one that ships, or a path of the user's own.

    Raises:
        PlanError: there is no such suite, it is not TOML, or says what no suite can say.
    """
    if name.endswith(".toml") or "/" in name:
        path, found = Path(name), str(Path(name).resolve())
    else:
        path, found = Path(str(resources.files("arbench.suites") / f"{name}.toml")), name
        if not path.exists():
            known = [file.stem for file in path.parent.glob("*.toml")]
            raise PlanError(f"unknown suite '{name}'; {did_you_mean(name, known)} (a file's name ends in .toml)")
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(f"suite {name}: {error.strerror}{_near(path)}") from None
    except UnicodeDecodeError as error:
        raise PlanError(f"suite {name}: is not text ({error.reason} at byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise PlanError(f"suite {name}: {error}") from None
    try:
        return _suite(raw, found)
    except PlanError as error:
        raise PlanError(f"suite {name}: {error}") from None


def suite_options(name: str) -> Options:
    """What a suite asks, before the command line has its say. Raises PlanError."""
    suite = load(name)
    return Options(**suite.options, suite=suite.name)


def entries(options: Options) -> list[Entry]:
    """The models of a run, and what is asked of each. Raises PlanError."""
    if options.suite is None:
        asked = [getattr(options, name) for name in EACH]
        specs = ("wavenet",) if options.models is None else options.models
        return [Entry(spec, *asked) for spec in specs]
    found, wanted = load(options.suite).entries, options.models
    for spec in wanted or ():
        if not any(_is(entry, spec) for entry in found):
            known = list(dict.fromkeys(entry.model for entry in found))
            raise PlanError(f"the suite has no model '{spec}'; {did_you_mean(spec, known)}")
    kept = [e for e in found if wanted is None or any(_is(e, spec) for spec in wanted)]
    given = {name: value for name in EACH if (value := getattr(options, name))}
    return [replace(entry, **given) for entry in kept]


def _is(entry: Entry, spec: str) -> bool:
    return spec in (entry.model, entry.model.partition(":")[0])


def _suite(raw: Mapping[str, Any], name: str) -> Suite:
    _only(raw, {"title": str, "options": dict[str, Any], "models": list[dict[str, Any]]}, "")
    if not raw.get("models"):
        raise PlanError("has no [[models]]")
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
            raise PlanError(f"{where}has no 'model'")
        several = {k: v if isinstance(v, list) else [v] for k, v in {**default, **table}.items()}
        for key in ("n", "batch"):
            if any(value < 1 for value in several.get(key, ())):
                raise PlanError(f"{where}'{key}' must be at least 1, got {min(several[key])}")
        yield Entry(table["model"], **{k: tuple(v) for k, v in several.items() if k != "model"})


def _only(table: Mapping[str, Any], kinds: Mapping[str, Any], where: str) -> None:
    """Refuses a key that is not known, and a value of another type."""
    for key, value in table.items():
        if key not in kinds:
            raise PlanError(f"{where}has an unknown key '{key}'; {did_you_mean(key, kinds)}")
        try:
            msgspec.convert(value, kinds[key])
        except msgspec.ValidationError as error:
            raise PlanError(f"{where}'{key}': {error}".replace("`", "")) from None


def _near(path: Path) -> str:
    """A suggestion of a file that is there."""
    try:
        known = [file.name for file in path.parent.iterdir() if file.suffix == ".toml"]
    except OSError:
        return ""
    return f"; {did_you_mean(path.name, known)}" if difflib.get_close_matches(path.name, known) else ""
