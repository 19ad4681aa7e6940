"""Methods by the name a user types: built in, from other packages, from the user's own files."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any

from arbench.backends import MODEL_BACKENDS
from arbench.border.naming import method_name, parts_of, split_method, split_spec
from arbench.border.suggest import did_you_mean
from arbench.methods.base import Method
from arbench.methods.fixed_point import BLOCKS, FIXED_POINT, INVERSION_BLOCKS, INVERSION_FIXED_POINT
from arbench.methods.forecast import FORECAST
from arbench.methods.fused import FUSED
from arbench.methods.layerwise import LAYER_METHODS
from arbench.methods.naive import NAIVE
from arbench.methods.outside import MethodError, checked, foreign, is_method, methods_of
from arbench.methods.parallel import OWN_SAMPLES, PARALLEL_SAMPLE, PARALLEL_SCORE
from arbench.methods.speculative import REJECTION, SPECULATIVE
from arbench.methods.stepwise import CACHED, INVERSION, SEQUENTIAL
from arbench.methods.streaming import STREAM
from arbench.models import Source
from arbench.own import beside
from arbench.own.named import NamedError, named
from arbench.own.raised import one_line
from arbench.own.settings import settings_of

METHODS: tuple[Method, ...] = (
    PARALLEL_SCORE,
    SEQUENTIAL,
    INVERSION,
    INVERSION_FIXED_POINT,
    INVERSION_BLOCKS,
    OWN_SAMPLES,
    NAIVE,
    CACHED,
    FUSED,
    STREAM,
    FIXED_POINT,
    BLOCKS,
    FORECAST,
    SPECULATIVE,
    REJECTION,
    PARALLEL_SAMPLE,
    *LAYER_METHODS,
)
"""The built-in methods, in the order of the tables."""
GROUP = "arbench.methods"
"""Group of the entry points by which other packages add methods."""
BACKEND = "backend"
"""Setting of every built-in method that evaluates the network: the backend of the model's kernels."""
EXAMPLES = {
    "weights": "fused,weights=bfloat16",
    "threads": "fused,threads=2",
    "chunk": "stream,chunk=256",
    "by": "stream,by=fused",
    BACKEND: f"cached,{BACKEND}=compile",
}
"""A method with each setting of the built-in ones."""
GIVEN: dict[str, Any] = {}
"""Methods that the user passed to ``arbench.measure`` itself, by their names."""


class NoMethodError(MethodError):
    """Method, file or function that does not exist, as opposed to one that is broken."""


def names() -> list[str]:
    """Return the names of the built-in methods."""
    return list(dict.fromkeys(method.name for method in METHODS))


def installed() -> dict[str, str]:
    """Return the place, ``package.module:attribute``, of each method that another package adds, by name.

    What is built in keeps its name.
    """
    found = {one.name: one.value for one in entry_points(group=GROUP)}
    return {name: place for name, place in found.items() if name not in names()}


def own_of(spec: str, kinds: Iterable[type[Source]]) -> list[Method]:
    """Return the methods of a name that only models of some classes have, each once."""
    name, _ = split_method(spec)
    found = [method for kind in kinds for method in kind.own_methods() if method.name == name]
    return list({id(method): method for method in found}.values())


def is_plain(spec: str) -> bool:
    """Return whether a method is named without a place, and is neither built in nor installed.

    Such a method can only be one of some models' own, which are known once these are.
    """
    name, _ = split_method(spec)
    place, _, _ = split_spec(name)
    known = name in GIVEN or name in names() or name in installed()
    return not known and not place.endswith(".py") and "." not in place and name not in EXAMPLES


def place_of(spec: str, kinds: Iterable[type[Source]] = ()) -> str | None:
    """Return the ``path.py:attribute`` or ``package.module:attribute`` of a method; None for one that has a name alone.

    Args:
        spec: what the user calls the method.
        kinds: classes of models whose own methods have their names too.

    Raises:
        NoMethodError: there is no method of this name.
    """
    name, _ = split_method(spec)
    kinds = list(kinds)
    if name in GIVEN or name in names() or own_of(name, kinds):
        return None
    others = installed()
    if name in others:
        return others[name]
    place, attribute, rest = split_spec(name)
    if not place.endswith(".py") and "." not in place:
        if name in EXAMPLES:
            raise NoMethodError(f"{name} needs a value, as in {EXAMPLES[name]}")
        own = [method.name for kind in kinds for method in kind.own_methods()]
        raise NoMethodError(f"unknown method '{name}'; {did_you_mean(name, [*names(), *own, *others])}")
    if not attribute or rest:
        raise NoMethodError(f"method '{name}' names no function; add one, as in {place}:draw")
    return name


def resolve(spec: str, kinds: Iterable[type[Source]] = ()) -> list[Method]:
    """Find methods by NAME, path.py:function or package.module:function.

    A name may be that of several methods, one for each op and kind of feed. Settings follow the name, as in
    ``NAME,key=value,other=value``, and are a part of the name of the method. ``backend`` is one of every built-in
    method that evaluates the network.

    Args:
        spec: what the user calls the methods.
        kinds: classes of models whose own methods are found too.

    Raises:
        MethodError: there is no such method or setting, or it is not usable; the message is one line.
    """
    kinds = list(kinds)
    place = place_of(spec, kinds)
    name, text = split_method(spec)
    if place is not None:
        found = methods_of(_imported(place, name), name)
    elif name in GIVEN:
        found = methods_of(GIVEN[name], name)
    else:
        found = [method for method in METHODS if method.name == name] or own_of(name, kinds)
    try:
        settings = settings_of(text) if text else {}
    except ValueError as error:
        bare = next((part for part in map(str.strip, parts_of(text)) if part in EXAMPLES), None)
        if bare is not None and place is None:
            raise MethodError(f"{bare} needs a value, as in {EXAMPLES[bare]}") from None
        raise MethodError(f"method '{name}'{error}") from None
    if settings:
        found = [_configured(one, name, settings) for one in _taking(found, name, settings)]
    full = method_name(spec)
    return [one if one.name == full else replace(one, name=full) for one in found]


def _on(backend: str, method: Method, name: str) -> Method:
    if backend not in MODEL_BACKENDS:
        raise MethodError(f"method '{name}': unknown backend '{backend}'; {did_you_mean(backend, MODEL_BACKENDS)}")
    return replace(method, backend=backend, reference=False)


def _imported(place: str, name: str) -> Any:
    where, _, attribute = place.rpartition(":")
    import_module = beside.import_module if place == name else importlib.import_module  # an entry point is installed
    try:
        with beside.returning():
            return named(where, attribute, is_method, "function", import_module)
    except NamedError as error:
        raise (NoMethodError if error.absent else MethodError)(f"method '{name}': {error}") from error


def _taking(found: list[Method], name: str, settings: Mapping[str, Any]) -> list[Method]:
    kept = [method for method in found if method.configure is not None or settings.keys() == {BACKEND}]
    if not kept and all(method.outside for method in found):
        raise MethodError(f"method '{name}' takes no settings")
    if not kept:
        raise MethodError(f"method '{name}' has no setting '{min(settings)}'; it has {BACKEND}")
    return kept


def _configured(method: Method, name: str, settings: Mapping[str, Any]) -> Method:
    if BACKEND in settings and not method.outside and method.devices == Method.devices:
        rest = {key: value for key, value in settings.items() if key != BACKEND}
        set_so = _configured(method, name, rest) if rest else method
        if set_so.devices != Method.devices:
            raise MethodError(f"method '{name}': the native loop runs on no {BACKEND}; leave '{BACKEND}' out")
        return _on(str(settings[BACKEND]), set_so, name)
    if method.configure is None:
        raise MethodError(f"method '{name}' takes no setting '{min(settings)}'; it takes {BACKEND}")
    try:
        made: Any = method.configure(settings)
    except ValueError as error:
        raise MethodError(f"method '{name}': {' '.join(str(error).split())}") from None
    except Exception as error:  # a user's own code may raise anything
        if not method.outside:
            raise
        raise MethodError(f"method '{name}': {one_line(error)}") from error
    if not isinstance(made, Method):
        raise MethodError(f"method '{name}': configure returned {type(made).__name__}; return a Method")
    return foreign(checked(made, name)) if method.outside else made
