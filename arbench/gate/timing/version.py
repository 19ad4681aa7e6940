"""What the gate asks of a version of arbench, its own or an older one: its cases, and one case's call.

These names are what must stay for a version to be compared with later ones: ``Options``, ``KernelOptions``,
``make_plan``, ``make_kernel_plan``, ``Job`` and ``opened``, with the fields used here. Everything here runs
while the version's side is active.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import msgspec

from arbench.gate.timing.protocol import Refusal

_ABSENT = ("unknown model", "has no preset", "none of the methods", "unknown method", "has no option")
"""What versions say, whose errors do not tell, of what they do not have."""
LONGEST_S = 1e6
"""What a call may take to be verified: no budget is held against it here."""


def cases(options: Mapping[str, Any], kernels: bool = False) -> dict[str, dict[str, Any]]:
    """The cases that this version plans, by their id, as plain data.

    Args:
        options: fields of ``arbench.bench.plan.Options``, or of ``KernelOptions``.
        kernels: whether they are of kernels.

    Raises:
        ValueError: the version knows no such option.
        Exception: what its planning raises, of the version's own classes: ``refusal`` tells them.
    """
    if kernels:
        room = importlib.import_module("arbench.bench.kernels")
        kind, make = room.KernelOptions, room.make_kernel_plan
    else:
        room = importlib.import_module("arbench.bench.plan")
        kind, make = room.Options, room.make_plan
    known = {field.name for field in fields(kind)}
    if unknown := sorted(options.keys() - known):
        raise ValueError(f"this version has no option {', '.join(unknown)}")
    made = make(kind(**options)).cases
    return {case.id: msgspec.to_builtins(case) for case in made if not kernels or _own(case)}


def _own(case: Any) -> bool:
    """Whether a kernel's case times the package's own kernel, on a device that runs it."""
    return case.method == "arbench" and (case.backend, case.device) != ("triton", "cpu")


def refusal(error: Exception) -> Refusal | None:
    """The version's refusal of what it was asked, a missing model say; None if the error is another."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if not kinds & {"PlanError", "ValueError"}:
        return None
    why = " ".join(str(error).split())
    return Refusal(why, "_GoneError" in kinds or any(text in why for text in _ABSENT))


def _subject(case: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """What holds the case in this version, the job it is held for, and the case as the version has it."""
    key = importlib.import_module("arbench.bench.case").CaseKey
    job_of = importlib.import_module("arbench.bench.job").Job
    room = importlib.import_module("arbench.bench.subject")
    one = msgspec.convert(case, key)
    job = job_of("prove", [one], **facts)
    return room.opened(job), job, one


def opened(case: Mapping[str, Any], **facts: Any) -> Callable[[], Callable[[], Any]]:
    """A function that builds the call of a case anew, in fresh memory.

    Args:
        case: as ``cases`` gave it.
        facts: fields of ``arbench.bench.job.Job``, ``seed`` and ``threads`` among them.
    """
    subject, _, one = _subject(case, facts)

    def build() -> Callable[[], Any]:
        run: Callable[[], Any] = subject.build()(one).run
        return run

    return build


def verified(case: Mapping[str, Any], **facts: Any) -> tuple[str, str | None]:
    """Status and error of a case by the version's own verification. Arguments as of ``opened``."""
    subject, job, _ = _subject(case, {**facts, "share_s": LONGEST_S})
    lines = [message.line for message in subject.verify(job) if message.line is not None]
    return str(lines[-1].status), lines[-1].error
