"""What passes between a check and the processes that hold its versions: a line of JSON each way."""

from __future__ import annotations

from typing import Any

import msgspec


class Brief(msgspec.Struct, tag=True):
    """What a process is to hold."""

    roots: list[str]
    """A side each; the same folder may stand there several times."""
    seed: int
    """Of the order in which sides are loaded and take turns."""
    threads: int
    facts: dict[str, Any] = {}
    """More fields of ``arbench.bench.job.Job``: the user's data and weights."""


class Plan(msgspec.Struct, tag=True):
    """Asks each side which cases it makes of some options."""

    options: list[dict[str, Any]]
    """Fields of ``arbench.bench.plan.Options``, one a side: a model in a file lies elsewhere in each."""
    kernels: bool = False


class Verify(msgspec.Struct, tag=True):
    """Asks a side whether a case of its own gives the right answer."""

    side: int
    case: dict[str, Any]


class Hold(msgspec.Struct, tag=True):
    """Has sides build a case anew; one call of each is made."""

    cases: list[dict[str, Any]]
    """The same case as each of them plans it."""
    sides: list[int]
    """Which they are; they take turns until the next ones are held."""


class Turn(msgspec.Struct, tag=True):
    """Has one of those held make its call some times on end, timed."""

    side: int
    """Its place among them."""
    calls: int


class Turns(msgspec.Struct, tag=True):
    """Has all that are held take turns, in an order drawn anew for each round."""

    rounds: int
    calls: int


class Ready(msgspec.Struct, tag=True):
    """All sides are loaded."""

    environment: dict[str, Any]


class Refusal(msgspec.Struct, array_like=True):  # else JSON could not tell it from cases
    """Why a version plans no case of what it was asked."""

    why: str
    absent: bool
    """Whether it has no such model, preset or method, as against one that is broken."""


class Planned(msgspec.Struct, tag=True):
    """Cases by id as plain data, or a refusal; one a side."""

    sides: list[dict[str, dict[str, Any]] | Refusal]


class Verified(msgspec.Struct, tag=True):
    """What a version's own verification found."""

    status: str
    error: str | None


class Held(msgspec.Struct, tag=True):
    """Built; how long a warm call of the first of them takes."""

    seconds: float


class Timed(msgspec.Struct, tag=True):
    """Seconds of one call, a list a side; of a single turn one list with one value."""

    seconds: list[list[float]]
    clock_mhz: float | None = None
    """Of the GPU's processors when they were done; None on a CPU, and where nobody tells."""


class Failed(msgspec.Struct, tag=True):
    """It could not be done."""

    error: str
    apart: bool = False
    """Whether the versions cannot share a process, and could each have their own."""
    side: int | None = None


Question = Plan | Verify | Hold | Turn | Turns
Answer = Ready | Planned | Verified | Held | Timed | Failed
