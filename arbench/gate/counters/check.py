"""A whole check against a baseline: prove the cases, compare, and write the baseline anew if asked to."""

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
from arbench.gate.counters.cases import asked_of, fresh_plan, plan_for
from arbench.gate.counters.causes import Causes
from arbench.gate.counters.exact import SOUND, compare
from arbench.results import Results


@dataclass(frozen=True)
class ExactGate:
    """A check that was found to make sense, and has not begun.

    Args:
        baseline: None where an update makes the first one.
        gone: a line for each model of the baseline that is no longer there.
    """

    path: Path
    baseline: Baseline | None
    plan: Plan
    given: Mapping[str, Any]
    gone: tuple[str, ...] = ()

    def findings(self, results: Results, tolerance: float) -> list[Finding]:
        """What differs from the baseline; nothing where there is none."""
        if self.baseline is None:
            return []
        before, options = self.baseline, self.plan.options
        assert isinstance(options, Options)
        causes = Causes(before.run.environment, results.run.environment, before.options, options)
        keys = {case.id: case for case in self.plan.cases}
        return compare(before, results, keys, causes, tolerance, asked_of(before, self.given, self.plan))

    def prove(self, progress: Progress) -> Results:
        """Verifies and counts. Raises KeyboardInterrupt, once no worker is left."""
        return prove_plan(self.plan, progress)

    def save(self, results: Results) -> str:
        """Writes the baseline; what was done, on one line.

        Raises:
            NothingInCommonError: nothing could be verified; the file is as it was.
            BaselineError: it cannot be written.
        """
        sound = sum(row.status in SOUND for row in results.cases.values())
        if not sound:
            raise NothingInCommonError(f"{self.path}: not written, for no case could be verified")
        assert isinstance(self.plan.options, Options)
        wrote = save(self.path, results, self.plan.options)
        failing = len(results.cases) - sound
        more = f", {failing} of which did not pass verification" if failing else ""
        return f"{self.path}: {'written' if wrote else 'unchanged'}, {len(results.cases)} cases{more}"


def open_gate(path: Path, given: Mapping[str, Any], update: bool) -> ExactGate:
    """Reads the baseline and lists the cases; nothing is measured.

    Args:
        path: the baseline.
        given: fields of ``Options`` that the user gave.
        update: whether the baseline is to be written anew: of what it was asked, or of the models or suite
            that are given.

    Raises:
        BaselineError: the file is no baseline, or cannot be written as one.
        NothingInCommonError: no case is in both.
        PlanError: the cases cannot be asked.
    """
    baseline = check_replaceable(path) if update else load(path)
    gone: list[str] = []
    if baseline is None or (update and given.keys() & {"models", "suite"}):
        plan = fresh_plan(given)
    else:
        plan = plan_for(baseline, given, gone)
    if update:
        check_writable(path)
    elif baseline is not None and not any(case.id in baseline.rows for case in plan.cases):
        why = f": {gone[0]}" if gone else f", such as {next(iter(baseline.rows))}"
        raise NothingInCommonError(f"{path}: none of its cases is among those asked{why}")
    return ExactGate(path, baseline, plan, given, tuple(gone))
