"""Calls into one version of arbench, this one or another: list its cases, build a case's call, verify it.

Versions can be compared with each other as long as they keep these names: ``Options``, ``KernelOptions``,
``make_plan``, ``make_kernel_plan``, ``CaseKey``, ``Job`` and ``opened``, with the fields used here. All functions
run while the version's side is active.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import msgspec

from arbench.bench.call import Kept
from arbench.gate.timing.protocol import Refusal, Verified

_ABSENT = ("unknown model", "has no preset", "none of the methods", "unknown method")
"""Words by which versions without ``PlanError.absent`` say that they do not have something."""
NO_LIMIT_S = 1e6
"""Seconds a call may take in verification: no time budget applies to it here."""


class NoOptionError(ValueError):
    """Refusal of options that a version does not know."""

    absent = True


def cases(options: Mapping[str, Any], kernels: bool = False) -> dict[str, dict[str, Any]]:
    """Return the cases that this version plans, by id, as plain data.

    Args:
        options: fields of ``arbench.bench.plan.Options``, or of ``KernelOptions``.
        kernels: whether to plan kernels.

    Raises:
        NoOptionError: the version does not know an option.
        Exception: the version's own planning error; ``refusal`` recognises it.
    """
    if kernels:
        room = importlib.import_module("arbench.bench.kernels")
        kind, make = room.KernelOptions, room.make_kernel_plan
    else:
        room = importlib.import_module("arbench.bench.plan")
        kind, make = room.Options, room.make_plan
    known = {field.name for field in fields(kind)}
    if unknown := sorted(options.keys() - known):
        raise NoOptionError(f"this version has no option {', '.join(unknown)}")
    made = make(kind(**options)).cases
    return {case.id: msgspec.to_builtins(case) for case in made if not kernels or _own(case)}


def _own(case: Any) -> bool:
    """Return whether a kernel's case times the package's own kernel, on a device that runs it."""
    return case.method == "arbench" and (case.backend, case.device) != ("triton", "cpu")


def refusal(error: Exception) -> Refusal | None:
    """Return the version's refusal of its options, for example of an unknown model; None for any other error."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if not kinds & {"PlanError", "ValueError"}:
        return None
    why = " ".join(str(error).split())
    absent = getattr(error, "absent", None)
    if absent is None:  # an error of a version without the attribute
        absent = "_GoneError" in kinds or any(text in why for text in _ABSENT)
    return Refusal(why, bool(absent))


def _subject(case: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return this version's subject for a case, the job that it serves, and the case as the version's own type."""
    key = importlib.import_module("arbench.bench.case").CaseKey
    job_of = importlib.import_module("arbench.bench.job").Job
    room = importlib.import_module("arbench.bench.subject")
    one = msgspec.convert(case, key)
    if "outcomes" not in job_of.__struct_fields__:  # a version from before calls were checked
        facts = {name: fact for name, fact in facts.items() if name != "outcomes"}
    job = job_of("prove", [one], **facts)
    return room.opened(job), job, one


def opened(case: Mapping[str, Any], **facts: Any) -> Callable[[], Kept]:
    """Return a function that builds the call of a case in fresh memory.

    A version from before calls were checked returns calls whose check does nothing.

    Args:
        case: as ``cases`` returns it.
        facts: fields of ``arbench.bench.job.Job``, ``seed`` and ``threads`` among them.
    """
    subject, _, one = _subject(case, facts)

    def build() -> Kept:
        call = subject.build()(one)
        return Kept(call.run, getattr(call, "check", lambda _: None))

    return build


def verified(case: Mapping[str, Any], **facts: Any) -> Verified:
    """Return what the version's own verification finds of a case.

    Args:
        case: as ``cases`` returns it.
        facts: as for ``opened``.
    """
    subject, job, _ = _subject(case, {**facts, "share_s": NO_LIMIT_S})
    line = [message.line for message in subject.verify(job) if message.line is not None][-1]
    return Verified(str(line.status), line.error, (line.verified or {}).get("outcome"))
