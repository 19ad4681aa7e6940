"""The repository whose code a run measures."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import arbench
from arbench.bench.case import KERNEL_SPEC, CaseKey
from arbench.git import Revision, ignores, revision, revision_around
from arbench.methods.peers.registry import peer_spec, split_peer
from arbench.models.registry import BUILT_IN, GIVEN, names


def measured_revision(cases: Iterable[CaseKey]) -> Revision | None:
    """Return the state of the repository that a run measures.

    It is the repository of the user's models and methods; where they are in none, or where arbench's own are measured,
    that of the current folder; at last, for arbench's own, that of arbench itself.

    Returns:
        The state; None where there is no repository, or where models come from several.
    """
    specs = dict.fromkeys(spec for case in cases for spec in (case.spec, case.method_spec) if spec is not None)
    own = [spec for spec in specs if spec == KERNEL_SPEC or spec.partition(":")[0] in BUILT_IN]
    places = [place for spec in specs if spec not in own and (place := _place(spec)) is not None]
    places = [place for place in places if not ignores(place)]
    found = [one for place in places if (one := revision_around(place)) is not None]
    if len({one.name.removesuffix("+") for one in found}) > 1:
        return None
    if found:
        return max(found, key=lambda one: one.name)  # with '+' if any file was changed
    here = revision_around(Path.cwd())
    if here is None and own and revision() is not None:
        return revision_around(Path(arbench.__file__))
    return here


def peer_revisions(cases: Iterable[CaseKey]) -> dict[str, str | None]:
    """Return the commit of the checkout of each peer, by NAME=PATH; None where it is no checkout."""
    specs = sorted({spec for case in cases if (spec := peer_spec(case.method_spec)) is not None})
    found = {spec: revision_around(Path(split_peer(spec)[1])) for spec in specs}
    return {spec: one.name if one else None for spec, one in found.items()}


def _place(spec: str) -> Path | None:
    """Return the file or package of a user's model; None where it cannot be found."""
    where = spec.partition(":")[0]
    if where in GIVEN:
        return _file(GIVEN[where])
    if where.endswith(".py"):
        return Path(where).resolve()
    module = names().get(where, where).partition(":")[0]
    try:
        found = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return None
    if found is None:
        return None
    places = found.submodule_search_locations or filter(None, [found.origin])
    return next((Path(place).resolve() for place in places), None)


def _file(found: Any) -> Path | None:
    """Return the file of a class, a function, or the class of an object; None for one from a notebook."""
    try:
        file = Path(inspect.getfile(found if hasattr(found, "__name__") else type(found))).resolve()
    except (TypeError, OSError):
        return None
    return file if file.exists() else None
