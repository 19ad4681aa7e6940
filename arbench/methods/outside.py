"""Methods of a user's own: a ``Method``, or a function that arbench makes one of.

A function with a parameter ``task`` is a whole method: it gets the model and a ``Task``, and returns an ``Outcome``.
One with a parameter ``noise`` is a sampler in its smallest form: it gets what its parameters name, and returns events.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, get_args

import numpy as np
import torch
from torch import Tensor

from arbench.backends import MODEL_BACKENDS
from arbench.border.suggest import did_you_mean
from arbench.methods.base import Exactness, Feeds, Method, Outcome, Task
from arbench.models import Claim, Source

FACTS = "__arbench_facts__"
"""Attribute of a function with what ``sampler`` says of it."""
MODEL = ("model", "source")
"""Names of the parameter that gets the model."""
_FORMS = "write draw(model, noise) that returns the events, or draw(source, task) that returns an Outcome"
SINGLE: tuple[Feeds, ...] = ("x", "z")
"""Kinds of feed of a single factorisation, which functions of a user's draw from."""
_JUDGED = ("pointwise", "distribution")
"""Classes of exactness that a method can be judged by."""
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

Function = TypeVar("Function", bound=Callable[..., Any])


class MethodError(Exception):
    """Unusable method; the message is one line for the user."""


def sampler(
    *,
    summary: str | None = None,
    exactness: Exactness = "pointwise",
    depth: Callable[[int, int, Source], int] | None = None,
    flops: Callable[[int, int, Source], int] | None = None,
    claim: Claim | None = None,
    data_dependent: bool = False,
    records: bool = True,
    lacks: Callable[[Source | type[Source]], str | None] | None = None,
) -> Callable[[Function], Function]:
    """Return a decorator that says of a sampling function what its code does not; the function stays as it is.

    Args:
        summary: one line for the user; by default the first of the docstring.
        exactness: exactness class.
        depth: as for ``Method``.
        flops: as for ``Method``.
        claim: as for ``Method``.
        data_dependent: True if its depth depends on the values.
        records: False if a function of a task cannot return the parameters that it drew from.
        lacks: returns why it cannot run a model, or any model of a class; None if it can.
    """
    stated: dict[str, Any] = dict(
        exactness=exactness, depth=depth, flops=flops, claim=claim, data_dependent=data_dependent, records=records
    )
    if summary is not None:
        stated["summary"] = summary
    if lacks is not None:
        stated["lacks"] = lacks

    def stating(function: Function) -> Function:
        setattr(function, FACTS, stated)
        return function

    return stating


def is_method(value: Any) -> bool:
    """Return whether an object of a user's module looks like a method."""
    if isinstance(value, Method):
        return True
    return inspect.isfunction(value) and bool({"noise", "task"} & set(inspect.signature(value).parameters))


def methods_of(found: Any, name: str) -> list[Method]:
    """Return the methods that an object of the user is: itself, or a sampler for each kind of feed.

    Args:
        found: a ``Method``, or a function.
        name: what the user calls it, for messages and as the name of the methods.

    Raises:
        MethodError: it is neither, or its parameters are those of no form.
    """
    if isinstance(found, Method):
        method = checked(found, name)
        return [foreign(method)]
    if inspect.isclass(found) or not callable(found):
        what = "a class" if inspect.isclass(found) else f"of type {type(found).__name__}"
        raise MethodError(f"method '{name}' is {what}; {_FORMS}, or name a Method")
    if type(found).__module__.startswith("numba."):
        raise MethodError(
            f"method '{name}' is compiled by Numba, which takes no tensors; "
            "name a function of model and noise that calls it with noise.numpy()"
        )
    if inspect.iscoroutinefunction(found) or inspect.isgeneratorfunction(found):
        raise MethodError(f"method '{name}' returns before it is done; write it without async and yield")
    form = _form(found, name)
    facts: Mapping[str, Any] = getattr(found, FACTS, {})
    made = Method(
        name,
        "sample",
        "x",
        staying(form.run({})),
        **{"summary": _summary(found), **facts, "records": form.whole and facts.get("records", True)},
        outside=True,
    )
    return [checked(_settable(replace(made, feeds=feeds), form), name) for feeds in SINGLE]


@dataclass(frozen=True)
class _Form:
    """A function of the user's, and which of its parameters get what.

    Args:
        function: the function.
        whole: True for a function of a task, False for one of the noise.
        takes: names of its parameters that arbench fills.
        settings: names of the others, which have defaults.
    """

    function: Callable[..., Any]
    whole: bool
    takes: tuple[str, ...]
    settings: tuple[str, ...]

    def known(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the settings. Raises ValueError if the function has no parameter of a name."""
        for key in settings:
            if key not in self.settings:
                raise ValueError(f"there is no setting '{key}'; {did_you_mean(key, self.settings)}")
        return settings

    def run(self, settings: Mapping[str, Any]) -> Callable[[Source, Task], Outcome]:
        """Return the algorithm of a ``Method`` that calls the function with these settings."""
        function, takes = self.function, self.takes

        def run(source: Source, task: Task) -> Outcome:
            given = dict(model=source, source=source, task=task, noise=task.noise, context=task.context)
            found = function(**{name: given[name] for name in takes}, **settings)
            return found if self.whole else _outcome(found, source, task)

        return run


def _settable(method: Method, form: _Form) -> Method:
    """Return a method of a function with its settings, if it has any."""
    if not form.settings:
        return method

    def configure(settings: Mapping[str, Any]) -> Method:
        return replace(method, run=form.run(form.known(settings)), settings=form.settings)

    return replace(method, configure=configure, settings=form.settings)


def _form(function: Callable[..., Any], name: str) -> _Form:
    """Return the form of a function by the names of its parameters. Raises MethodError if it has none."""
    try:
        known = inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise MethodError(f"method '{name}' does not tell its parameters; {_FORMS}") from None
    plain = {key: one for key, one in known.items() if one.kind not in _VARIADIC}
    if ("task" in plain) == ("noise" in plain):
        which = "both" if "task" in plain else "neither"
        raise MethodError(f"method '{name}' has {which} of the parameters noise and task; {_FORMS}")
    whole = "task" in plain
    filled = {*MODEL, "task"} if whole else {*MODEL, "noise", "context"}
    for key, one in plain.items():
        if one.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise MethodError(f"method '{name}': its parameter '{key}' has no name for callers; remove the '/'")
        if key not in filled and one.default is inspect.Parameter.empty:
            raise MethodError(
                f"method '{name}': its parameter '{key}' is none that arbench fills ({', '.join(sorted(filled))}); "
                "give it a default, and it is a setting"
            )
    takes = tuple(key for key in plain if key in filled)
    return _Form(function, whole, takes, tuple(key for key in plain if key not in filled))


def _outcome(x: Any, source: Source, task: Task) -> Outcome:
    """Return the events that a function returned as an outcome; what are no events stays as it is, to be refused.

    Integers of any width become symbols, and real numbers of any width those of the noise.
    """
    noise = task.noise
    assert noise is not None
    if isinstance(x, np.ndarray) and x.dtype.kind in "biuf":
        x = torch.from_numpy(np.require(x, requirements=["C", "W"]))
    if isinstance(x, Tensor) and not x.is_complex() and x.is_floating_point() != source.distribution.finite:
        x = x.to(noise.device, torch.long if source.distribution.finite else noise.dtype)
    return Outcome(x, x if source.feeds == "x" else noise.squeeze(-1))


def staying(run: Callable[[Source, Task], Outcome]) -> Callable[[Source, Task], Outcome]:
    """Return an algorithm that raises RuntimeError where the user's code would end the process."""

    def stays(source: Source, task: Task) -> Outcome:
        try:
            return run(source, task)
        except SystemExit as end:
            raise RuntimeError(f"called sys.exit({'' if end.code is None else repr(end.code)})") from end

    return stays


def _summary(function: Callable[..., Any]) -> str:
    """Return the first line of a function's docstring."""
    lines = (inspect.getdoc(function) or "").strip().splitlines()
    return lines[0].rstrip(".") if lines else "a sampler of the user's own"


def foreign(method: Method) -> Method:
    """Return a ``Method`` of the user's as one from outside: it cannot end the process, and is no reference."""
    return replace(method, run=staying(method.run), outside=True, reference=False)


def checked(method: Method, name: str) -> Method:
    """Return a method of the user's. Raises MethodError where a field has a value that no method may have."""
    for field, allowed in (("op", ("score", "sample")), ("feeds", get_args(Feeds)), ("exactness", _JUDGED)):
        value: Any = getattr(method, field)
        if value not in allowed:
            raise MethodError(f"method '{name}': its {field} is {value!r:.40}; use {' or '.join(map(repr, allowed))}")
    for field in ("run", "lacks", "unable", "configure", "depth", "flops"):
        value = getattr(method, field)
        if not callable(value) and (value is not None or field in ("run", "lacks", "unable")):
            raise MethodError(f"method '{name}': its {field} is {value!r:.40}; give a function")
    for field, right, todo in _FIELDS:
        value = getattr(method, field)
        if not right(value):
            raise MethodError(f"method '{name}': its {field} is {value!r:.40}; {todo}")
    claim: Any = method.claim
    if claim is not None and not (isinstance(claim, Claim) and all(map(_is_text, (claim.depth, claim.work)))):
        raise MethodError(f"method '{name}': its claim is {claim!r:.40}; write Claim(depth='N', work='N')")
    return method


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return value is None or (type(value) is int and 1 <= value <= MOST)


def _is_rounding(value: Any) -> bool:
    return value is None or (isinstance(value, torch.dtype) and value.is_floating_point)


def _are_texts(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(map(_is_text, value))


def _are_devices(value: Any) -> bool:
    return _are_texts(value) and bool(value) and set(value) <= set(DEVICES)


DEVICES = ("cpu", "cuda")
"""Kinds of devices."""
MOST = 2**40
"""Largest number of threads, or of elements per chunk."""
_FIELDS: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("summary", _is_text, "give a text"),
    ("like", _is_text, "give the name of a built-in method"),
    ("remark", lambda value: _is_text(value) or callable(value), "give a text, or a function that returns one"),
    ("prepare", lambda value: value is None or callable(value), "give a function"),
    ("chunk", _is_number, "give a whole number from 1 on"),
    ("threads", _is_number, "give a whole number from 1 on"),
    ("rounds", _is_rounding, "give a floating-point dtype, such as torch.bfloat16"),
    ("backend", lambda value: value in (None, *MODEL_BACKENDS), f"use {' or '.join(map(repr, MODEL_BACKENDS))}"),
    ("twin", lambda value: value is None or isinstance(value, Method), "give a Method, such as arbench.methods.CACHED"),
    ("devices", _are_devices, f"give some of {DEVICES}"),
    ("settings", _are_texts, "give the names, as in ('width',)"),
)
"""Fields of a ``Method`` that is not of arbench's own, what they may be, and what to do where they are not."""
