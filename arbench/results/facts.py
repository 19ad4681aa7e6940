"""The facts of a results file that no field names: the types of those that are read; others are kept as they are."""

from __future__ import annotations

from typing import Any

import msgspec

from arbench.results.ranges import Natural, Rate, Seconds, Share, Size


class _Cpu(msgspec.Struct):
    model: str | None = None
    capability: str | None = None


class _Gpu(msgspec.Struct):
    name: str | None = None


class _Threads(msgspec.Struct):
    torch: Natural | None = None


class Environment(msgspec.Struct):
    """``environment`` of a run or of its continuation."""

    cpu: _Cpu | None = None
    gpu: _Gpu | None = None
    threads: _Threads | None = None
    load: Any = None
    versions: dict[str, str | None] | None = None
    torch: dict[str, Any] | None = None
    os: dict[str, Any] | None = None


class Bandwidth(msgspec.Struct):
    """The bandwidth at one working set."""

    bytes: Size
    gb_per_s: Rate


class MachineLimits(msgspec.Struct):
    """``limits`` of a machine."""

    copy: list[Bandwidth] | None = None
    read: list[Bandwidth] | None = None
    matmul: dict[str, Rate] | None = None
    timer_s: Share | None = None


class _Options(msgspec.Struct):
    threads: Natural | None = None
    workers: Natural | None = None
    rounds: Natural | None = None


class Plan(msgspec.Struct):
    """``plan`` of a run; ``arbench.bench`` types its options and cases, which differ between kinds of runs."""

    source: str | None = None
    options: _Options = msgspec.field(default_factory=_Options)
    cases: int | list[dict[str, Any]] | None = None
    needed: dict[str, dict[str, Any]] = {}
    checkpoints: dict[str, list[str | None]] = {}
    """Digests of trained weights and of their draft's, by the specification of their model."""


class Verified(msgspec.Struct):
    """``verified`` of a case."""

    how: str | None = None
    call_s: Seconds | None = None
    predicted_s: Seconds | None = None
    first_call_s: Seconds | None = None
    nfe: Natural | None = None
    accepted: Share | None = None
    rounded_weights: str | None = None
    excused_ties: Natural = 0
    working_set: Size | None = None
    step_bytes: Size | None = None
    exchanges: Natural | None = None
    outcome: str | None = None
    crashed: str | None = None
    remark: str | None = None
    prompt: Natural | None = None
    state_bytes: Natural | None = None
    token_bytes: Natural | None = None


TYPES: dict[str, type[msgspec.Struct]] = {
    "environment": Environment,
    "limits": MachineLimits,
    "plan": Plan,
    "verified": Verified,
}
"""The type of what is read of each field of free facts."""
