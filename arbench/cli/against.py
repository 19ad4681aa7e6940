"""The half of ``arbench check`` that times two versions against each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from arbench.border.naming import split_weights
from arbench.cli.errors import NothingError, RefusedError, refusing

if TYPE_CHECKING:
    from arbench.findings import Check
    from arbench.gate.timing.trees import Tree

TIMING = ("thresholds", "processes", "instances", "apart", "kernels")
"""Parameters of options that apply to times only."""
MANY = ("thresholds", "kernels")
"""Those of them that are repeatable; their options have singular names."""
MOST = 64
"""Largest number of processes, and of instances in each."""


class Threshold(click.ParamType):
    """Relative change, for all cases or some: ``1%``, ``0.01``, ``wavenet:nv=2%``."""

    name = "[TEXT=]PERCENT"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, float]:
        """Return the text and the change as a fraction."""
        if isinstance(value, tuple):
            return value
        text, _, number = str(value).rpartition("=")
        try:
            share = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
        except ValueError:
            self.fail(f"expected a percentage such as 1% or 0.01, got '{number}'")
        if not 0 < share < 1:
            self.fail(f"expected more than 0% and less than 100%, got '{number}'")
        return text, share


@contextmanager
def prepared(
    against: str | None, candidate: str | None, given: Mapping[str, Any], how: Mapping[str, Any]
) -> Iterator[Callable[[], Check] | None]:
    """Find both versions; yield a function that times them and returns a ``findings.Check``.

    Args:
        against: the version to compare with, as for ``arbench.gate.timing.trees.find``; without it there is nothing
            to time, and None is yielded.
        candidate: the version to check; by default the current one.
        given: fields of ``Options`` that the user set.
        how: parameters in ``TIMING`` that the user set.

    Raises:
        RefusedError: wrong use.
    """
    if against is None:
        yield None
        return
    for name in ("processes", "instances"):
        if name in how and not 1 <= how[name] <= MOST:
            raise RefusedError(f"--{name} must be between 1 and {MOST}, got {how[name]}")

    from arbench.bench.options import PlanError
    from arbench.gate.timing.options import kernel_options, model_options
    from arbench.gate.timing.trees import TreeError, current, find, scratch

    with scratch() as folder:
        with refusing(TreeError, PlanError):
            before = find(against, folder)
            after = find(candidate, folder) if candidate is not None else current()
            requests = kernel_options(how["kernels"], given) if "kernels" in how else model_options(given)
        _check_packages(before, after, requests)
        yield lambda: _timed(before, after, requests, given, how)


def _check_packages(before: Tree, after: Tree, requests: list[dict[str, Any]]) -> None:
    """Refuse two trees that would run the same code, or only one of which contains the package."""
    for one, other in ((before, after), (after, before)):
        if one.has_package and not other.has_package:
            raise RefusedError(
                f"{one.label} contains the package arbench and {other.label} does not; name two versions that both do"
            )
    named = [spec for one in requests for name in ("models", "methods") for spec in one.get(name, ())]
    theirs = any("." in split_weights(spec)[0].partition(":")[0].partition(",")[0] for spec in named)
    if not before.has_package and not theirs:
        raise RefusedError(
            f"neither {before.label} nor {after.label} contains the package arbench, so nothing would differ; "
            "name a model of theirs (--model file.py:Class) or two versions of the package"
        )


def _timed(
    before: Tree, after: Tree, requests: list[dict[str, Any]], given: Mapping[str, Any], how: Mapping[str, Any]
) -> Check:
    """Time both versions. Raises RefusedError, NothingError."""
    from arbench.cli.progress import Display
    from arbench.findings import Check
    from arbench.gate.timing.check import Gate, GateError
    from arbench.gate.timing.matching import MissingError

    gate = Gate(
        before,
        after,
        requests,
        _effort(how),
        kernels="kernels" in how,
        apart="apart" in how,
        grow="n" not in given,
        seed=given.get("seed", 0),
        facts={name: given[name] for name in ("data", "weights") if name in given},
    )
    started = time.monotonic()
    versions = [before.facts(), after.facts()]
    try:
        with Display() as display, refusing(MissingError):
            gate.run(display)
    except GateError as error:
        raise NothingError(str(error)) from None
    return Check(
        before=before.label,
        after=after.label,
        findings=gate.findings,
        notes=gate.notes,
        environment=gate.environment,
        seconds=time.monotonic() - started,
        instances=gate.instances,
        versions=versions,
    )


def _effort(how: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of ``effort.Effort`` that the user set."""
    chosen = {name: how[name] for name in ("processes", "instances") if name in how}
    limits = dict(how.get("thresholds", ()))
    if "" in limits:
        chosen["threshold"] = limits.pop("")
    return {**chosen, "thresholds": limits}


def joined(checks: list[Check]) -> Check:
    """Return one check with the findings of several; the checked version has its name from the last one."""
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


def unmeasured(why: str, against: str) -> Check:
    """Return a check in which no time could be measured."""
    from arbench.findings import Check, Finding

    return Check(before=against, after="", findings=[Finding("time", "", "case", "unmeasured", why)])
