"""The half of ``arbench check`` that times two versions against each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from arbench.cli.errors import NothingError, RefusedError, refusing

TIMING = ("thresholds", "processes", "instances", "apart", "kernels")
"""Options that mean something to times alone."""
MANY = ("thresholds", "kernels")
MOST = 64
"""Of processes, and of instances in one."""


class Threshold(click.ParamType):
    """A relative change, of all cases or of some: ``1%``, ``0.01``, ``wavenet:nv=2%``."""

    name = "[TEXT=]PERCENT"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, float]:
        if isinstance(value, tuple):
            return value
        text, _, number = str(value).rpartition("=")
        try:
            share = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
        except ValueError:
            self.fail(f"'{number}' is no percentage, such as 1% or 0.01")
        if not 0 < share < 1:
            self.fail(f"a change that counts lies between 0 and 100%, got '{number}'")
        return text, share


@contextmanager
def prepared(
    against: str | None, candidate: str | None, given: Mapping[str, Any], how: Mapping[str, Any]
) -> Iterator[Callable[[], Any] | None]:
    """Finds both versions; gives what then times them and returns a ``findings.Check``.

    Args:
        against, candidate: the versions, as ``arbench.gate.timing.trees.find`` takes them; without ``against`` there
            is nothing to time, and None is given.
        given: fields of ``Options`` that the user gave.
        how: of ``TIMING`` what the user gave.

    Raises:
        RefusedError: wrong use.
    """
    if against is None:
        yield None
        return
    for name in ("processes", "instances"):
        if name in how and not 1 <= how[name] <= MOST:
            raise RefusedError(f"--{name} lies between 1 and {MOST}, got {how[name]}")

    from arbench.bench.options import PlanError
    from arbench.gate.timing.asked import asked, asked_of_kernels
    from arbench.gate.timing.check import Gate
    from arbench.gate.timing.trees import TreeError, current, find, scratch

    with scratch() as folder:
        with refusing(TreeError, PlanError):
            before = find(against, folder)
            after = find(candidate, folder) if candidate is not None else current()
            questions = asked_of_kernels(how["kernels"], given) if "kernels" in how else asked(given)
        for one, other in ((before, after), (after, before)):
            if one.has_package and not other.has_package:
                raise RefusedError(f"{one.label} holds the package arbench and {other.label} does not")
        theirs = any("." in spec.partition(":")[0] for one in questions for spec in one.get("models", ()))
        if not before.has_package and not theirs:
            raise RefusedError(
                f"neither {before.label} nor {after.label} holds the package arbench: nothing would differ; "
                "name a model of theirs (--model file.py:Class) or two versions of the package"
            )
        gate = Gate(before, after, questions, kernels="kernels" in how, seed=given.get("seed", 0))
        gate.apart = gate.apart or "apart" in how
        gate.facts = {name: given[name] for name in ("data", "weights") if name in given}
        yield lambda: _timed(gate, how)


def _timed(gate: Any, how: Mapping[str, Any]) -> Any:
    """Raises RefusedError, NothingError."""
    from arbench.cli.progress import Display
    from arbench.findings import Check
    from arbench.gate.timing.check import GateError, MissingError

    gate.chosen = {name: how[name] for name in ("processes", "instances") if name in how}
    limits = dict(how.get("thresholds", ()))
    if "" in limits:
        gate.chosen["threshold"] = limits.pop("")
    gate.chosen["thresholds"] = limits
    started = time.monotonic()
    try:
        with Display() as gate.progress, refusing(MissingError):
            gate.run()
    except GateError as error:
        raise NothingError(str(error)) from None
    return Check(
        before=gate.before.label,
        after=gate.after.label,
        findings=gate.findings,
        notes=gate.notes,
        environment=gate.environment,
        seconds=time.monotonic() - started,
        instances=gate.instances,
    )


def joined(checks: list[Any]) -> Any:
    """One check with the findings of several gates; what is checked is named as the last one names it."""
    import msgspec

    *others, last = checks
    for one in others:
        last = msgspec.structs.replace(
            last,
            before=f"{one.before} and {last.before}",
            findings=one.findings + last.findings,
            notes=one.notes + last.notes,
            seconds=one.seconds + last.seconds,
        )
    return last


def unmeasured(why: str, against: str) -> Any:
    """The check of a timing gate that measured nothing."""
    from arbench.findings import Check, Finding

    return Check(before=against, after="", findings=[Finding("time", "", "case", "unmeasured", why)])
