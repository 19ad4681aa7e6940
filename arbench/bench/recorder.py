"""The results of a run while it measures: in memory, and in a file if it has one."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from arbench.bench.plan import Plan
from arbench.bench.provenance import measured_revision, peer_revisions
from arbench.results import SCHEMA, AnyLine, Results, Run, Writer


class Recorder:
    """Results that grow line by line; several threads may write.

    Args:
        results: the lines so far.
        writer: appends every further line to a file as well.
        before: a line to write before the first further one; without a further one it is not written.
        notice: told when another program takes the file away.
    """

    def __init__(
        self,
        results: Results,
        writer: Writer | None = None,
        before: AnyLine | None = None,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.results = results
        self._writer, self._before, self._notice = writer, before, notice
        self._lock = threading.Lock()
        self._warnings: set[str] = set()

    def first(self, warning: str) -> bool:
        """Return whether no worker of the run gave this warning before."""
        with self._lock:
            known = warning in self._warnings
            self._warnings.add(warning)
            return not known

    def write(self, line: AnyLine) -> None:
        """Write one line to disk, then add it to the results.

        Raises:
            WriteError: the disk is full; the line is in neither.
        """
        with self._lock:
            if self._before is not None:
                self._put(self._before)
                self._before = None
            self._put(line)

    def seal(self, end: bool = False) -> None:
        """Seal the lines on disk, if any was added since the last seal.

        Args:
            end: whether the run ends here.

        Raises:
            WriteError: the disk is full.
        """
        with self._lock:
            if self._writer is not None:
                self._on_disk(lambda writer: writer.seal(end))
                self.results.integrity = self._writer.integrity

    def _put(self, line: AnyLine) -> None:
        self._on_disk(lambda writer: writer.write(line))
        self.results.add(line)

    def _on_disk(self, change: Callable[[Writer], None]) -> None:
        if self._writer is None:
            return
        moved = len(self._writer.moves)
        change(self._writer)
        for move in self._writer.moves[moved:]:
            self._notice(move)


def recorded_plan(plan: Plan) -> dict[str, Any]:
    """Return a plan as the ``run`` line stores it."""
    recorded = {"options": plan.options.as_plan(), "cases": [case.recorded() for case in plan.cases]}
    if plan.needed:
        recorded["needed"] = {case.id: case.recorded() for case in plan.needed}
    named = {spec for case in plan.cases for spec in (case.spec, case.method_spec) if spec is not None}
    files = sorted({file for spec in named if (file := spec.partition(":")[0]).endswith(".py")})
    if files:
        recorded["sources"] = {file: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files}
    trained = {(one.model, one.preset): one.trained for one in plan.models if one.trained is not None}
    if trained:
        found = {case.spec: trained.get((case.model, case.preset)) for case in plan.cases}
        recorded["checkpoints"] = {spec: [one.sha256, one.draft] for spec, one in found.items() if one is not None}
    if peers := peer_revisions(plan.cases):
        recorded["peers"] = peers
    return recorded


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
