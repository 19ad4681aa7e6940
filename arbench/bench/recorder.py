"""The results of a run while it measures: in memory, and in a file if it has one."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import msgspec

from arbench.bench.plan import Plan
from arbench.bench.provenance import measured_revision
from arbench.results import SCHEMA, AnyLine, Results, Run, Writer


class Recorder:
    """Results that grow line by line; several threads may write.

    Args:
        results: the lines so far.
        writer: appends every further line to a file as well.
    """

    def __init__(self, results: Results, writer: Writer | None = None) -> None:
        self.results = results
        self._writer = writer
        self._lock = threading.Lock()

    def write(self, line: AnyLine) -> None:
        """Write one line to disk, then add it to the results.

        Raises:
            WriteError: the disk is full; the line is in neither.
        """
        with self._lock:
            if self._writer is not None:
                self._writer.write(line)
            self.results.add(line)


def recorded_plan(plan: Plan) -> dict[str, Any]:
    """Return a plan as the ``run`` line stores it."""
    return {"options": plan.options.as_plan(), "cases": msgspec.to_builtins(plan.cases)}


def new_run(plan: Plan, environment: dict[str, Any], started_at: str, argv: list[str], limits: dict[str, Any]) -> Run:
    """Return the ``run`` line of a run that starts now.

    Args:
        plan: the cases and options.
        environment: facts about this machine, from ``arbench.meters.environment``.
        started_at: ISO 8601 time.
        argv: command line.
        limits: measured limits of this machine; empty if none were measured.
    """
    measured = measured_revision(plan.cases)
    return Run(
        SCHEMA,
        uuid.uuid4().hex,
        started_at,
        argv,
        plan.options.seed,
        measured.name if measured else None,
        recorded_plan(plan),
        environment,
        limits,
        measured.time if measured else None,
    )
