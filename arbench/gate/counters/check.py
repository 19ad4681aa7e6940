"""Counter check from start to end: verify and count the cases, compare them, and update the baseline on request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arbench.bench.options import Options
from arbench.bench.plan import Plan
from arbench.bench.progress import Progress
from arbench.bench.prove import prove_plan
from arbench.findings import Finding
from arbench.gate.counters.baseline import (
    Baseline,
    NothingInCommonError,
    check_replaceable,
    check_writable,
    load,
    save,
)
from arbench.gate.counters.cases import fresh_plan, plan_for, selected_by
from arbench.gate.counters.causes import Causes
from arbench.gate.counters.exact import SOUND, compare
from arbench.results import Results


@dataclass(frozen=True)
class ExactGate:
    """Validated counter check that has not started.

    Args:
        path: file of the baseline.
        baseline: the baseline; None where an update writes the first one.
        plan: the cases to verify and count.
        given: fields of ``Options`` that the user set.
        gone: a line for each model of the baseline that no longer exists.
    """

    path: Path
    baseline: Baseline | None
    plan: Plan
    given: Mapping[str, Any]
    gone: tuple[str, ...] = ()

    def findings(self, results: Results, tolerance: float) -> list[Finding]:
        """Return the comparison of results with the baseline; nothing without a baseline.

        Args:
            results: what ``prove`` returned.
            tolerance: relative change of peak memory to ignore.
        """
        if self.baseline is None:
            return []
        before, options = self.baseline, self.plan.options
        assert isinstance(options, Options)
        causes = Causes(before.run.environment, results.run.environment, before.options, options)
        keys = {case.id: case for case in self.plan.cases}
        return compare(before, results, keys, causes, tolerance, selected_by(before, self.given, self.plan))

    def prove(self, progress: Progress) -> Results:
        """Verify and count the cases. Raises KeyboardInterrupt, after all workers have exited."""
        return prove_plan(self.plan, progress)

    def save(self, results: Results) -> str:
        """Write the baseline; return one line about what was done.

        Raises:
            NothingInCommonError: no case could be verified; the file is unchanged.
            BaselineError: the file cannot be written.
        """
        sound = sum(row.status in SOUND for row in results.cases.values())
        if not sound:
            raise NothingInCommonError(f"{self.path}: not written, because no case could be verified")
        assert isinstance(self.plan.options, Options)
        wrote = save(self.path, results, self.plan.options)
        failing = len(results.cases) - sound
        more = f", {failing} of which did not pass verification" if failing else ""
        return f"{self.path}: {'written' if wrote else 'unchanged'}, {len(results.cases)} cases{more}"


def open_gate(path: Path, given: Mapping[str, Any], update: bool, progress: Progress | None = None) -> ExactGate:
    """Read the baseline and plan the cases, without measuring anything.

    Args:
        path: the baseline.
        given: fields of ``Options`` that the user set.
        update: whether to write the baseline: for its own plan, or for the models or suite in ``given``.
        progress: receives a stage if planning takes long.

    Raises:
        BaselineError: the file is not a baseline, or cannot be written.
        NothingInCommonError: the baseline and the plan share no case.
        PlanError: the options make no plan.
    """
    baseline = check_replaceable(path) if update else load(path)
    gone: list[str] = []
    if baseline is None or (update and given.keys() & {"models", "suite"}):
        plan = fresh_plan(given, progress)
    else:
        plan = plan_for(baseline, given, gone, progress)
    if update:
        check_writable(path)
    elif baseline is not None and not any(case.id in baseline.rows for case in plan.cases):
        why = gone[0] if gone else f"one of them is {next(iter(baseline.rows))}"
        raise NothingInCommonError(f"{path}: the options select none of its cases: {why}")
    return ExactGate(path, baseline, plan, given, tuple(gone))
