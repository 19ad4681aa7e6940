"""Messages between a check and the processes that load its versions: one line of JSON each way."""

from __future__ import annotations

from typing import Any

import msgspec


class Load(msgspec.Struct, tag=True):
    """First request: load versions side by side."""

    roots: list[str]
    """Source tree of each side; the same folder may occur several times."""
    seed: int
    """Seed of the order in which sides are loaded and take turns."""
    threads: int
    facts: dict[str, Any] = {}
    """Further fields of ``arbench.bench.job.Job``: the user's data and weights, and digests of verified outcomes."""


class ListCases(msgspec.Struct, tag=True):
    """Request the cases that each side plans for some options."""

    options: list[dict[str, Any]]
    """Fields of ``arbench.bench.plan.Options``, one mapping a side: each has its own copy of a model's file."""
    kernels: bool = False


class Verify(msgspec.Struct, tag=True):
    """Request one side's own verification of a case."""

    side: int
    case: dict[str, Any]


class Build(msgspec.Struct, tag=True):
    """Request a fresh instance of a case on some sides, and one call of each."""

    cases: list[dict[str, Any]]
    """The case as each of these sides plans it."""
    sides: list[int]
    """Numbers of the sides; they take turns until the next ``Build``."""
    check: bool = True
    """True to compare the first outcome with the verified one."""
    outcomes: dict[str, str] = {}
    """Digests of verified outcomes, by the case's id, beside those that the process knows."""


class Turn(msgspec.Struct, tag=True):
    """Request one timed turn of one side: some calls in a row."""

    side: int
    """Position of the side in the latest ``Build``."""
    calls: int


class Turns(msgspec.Struct, tag=True):
    """Request timed turns of all built sides, in a random order each round."""

    rounds: int
    calls: int


class Peak(msgspec.Struct, tag=True):
    """Request the peak memory of one call of a built side."""

    side: int
    """Position of the side in the latest ``Build``."""


class Loaded(msgspec.Struct, tag=True):
    """Reply to ``Load``."""

    environment: dict[str, Any]
    seconds: float = 0.0
    """Seconds of the import of all sides, after PyTorch's."""


class Refusal(msgspec.Struct, array_like=True):  # as an object it would look like a mapping of cases
    """Reason why a version plans no case for some options."""

    why: str
    absent: bool
    """True where it does not have the model, preset or method; False where that is broken."""


class CaseLists(msgspec.Struct, tag=True):
    """Reply to ``ListCases``: for each side its cases by id as plain data, or a refusal."""

    sides: list[dict[str, dict[str, Any]] | Refusal]


class Verified(msgspec.Struct, tag=True):
    """Reply to ``Verify``: the result of the side's own verification."""

    status: str
    error: str | None
    outcome: str | None = None
    """Digest of the verified outcome, with which timed calls are compared; None where the version states none."""


class Built(msgspec.Struct, tag=True):
    """Reply to ``Build``."""

    seconds: float
    """Seconds of a warm call of the first side."""
    first_s: float
    """Seconds from nothing to the first result of the first side: its model is imported and built, and called."""


class Timed(msgspec.Struct, tag=True):
    """Reply to ``Turn`` and ``Turns``."""

    seconds: list[list[float]]
    """Seconds of one call, a list for each side; for ``Turn`` one list with one value."""
    clock_mhz: float | None = None
    """Clock of the GPU's processors after the turns; None on a CPU, and where it cannot be read."""


class Peaked(msgspec.Struct, tag=True):
    """Reply to ``Peak``."""

    bytes: int | None
    """None where memory was allocated that is not seen."""


class Failed(msgspec.Struct, tag=True):
    """Reply to a request that failed."""

    error: str
    apart: bool = False
    """True where the versions cannot share a process, but could each have their own."""
    side: int | None = None
    """Number of the side that failed, where known."""


Request = ListCases | Verify | Build | Turn | Turns | Peak
Reply = Loaded | CaseLists | Verified | Built | Timed | Peaked | Failed
