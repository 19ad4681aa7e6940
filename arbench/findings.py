"""Findings of a check, and the exit code they give a CI job.

Plain data, written as JSON by ``arbench check --json``. A change is relative: 0.02 is two percent more seconds,
operations, bytes or depth, -0.02 two percent less.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SCHEMA = 1
Outcome = Literal["same", "improvement", "regression", "undecided", "added", "removed", "unmeasured"]
"""Outcome of a comparison.

``added``, ``removed``: only one side has the case, which is not a regression. ``undecided``: measured, without a
conclusion. ``unmeasured``: it could not be measured.
"""

OK, REGRESSION, NOTHING, UNDECIDED = 0, 1, 3, 4
"""Exit codes: no regression; a regression; nothing could be measured; undecided, with ``--strict``. 2 is wrong use."""


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """Comparison and its outcome."""

    gate: Literal["exact", "time"]
    case: str
    """Id of the case; for a finding about several sizes, that of the smallest."""
    metric: str
    """Name of a counter, or ``counters`` where none changed; ``verification``, ``exactness`` or ``seconds``; ``case``
    where one side lacks it; a metric of ``arbench.gate.timing.alone.THRESHOLDS``."""
    outcome: Outcome
    text: str
    """Sentence for the user, on one line."""
    before: int | float | str | None = None
    after: int | float | str | None = None
    change: float | None = None
    """Relative change; None where the values are not numbers."""
    interval: tuple[float, float] | None = None
    """Confidence interval of ``change``."""
    threshold: float | None = None
    """Smallest relative change to report."""
    model: str = ""
    """The model or kernel with its preset, as in ``wavenet:nv``; the names in the request if it cannot be planned."""


class Version(msgspec.Struct, frozen=True):
    """Version of the sources that a check of times compared."""

    label: str
    """Name for the user."""
    path: str
    """Folder that was imported."""
    commit: str | None
    """Full hash, where the version is the sources of a commit."""
    sources: str
    """First 16 digits of a SHA-256 over the names and contents of its Python files."""


class Check(msgspec.Struct):
    """Results of one ``arbench check``."""

    before: str
    """Name of the old side: path of a baseline, commit or tree."""
    after: str
    schema: int = SCHEMA
    findings: list[Finding] = []
    notes: list[str] = []
    """Remarks for the reader, one line each."""
    environment: dict[str, Any] = {}
    seconds: float = 0.0
    """Duration of the check."""
    instances: list[dict[str, Any]] = []
    """Facts of every timing instance: medians and ratios."""
    versions: list[Version] = []
    """The old and the new version, where times were compared."""

    def of(self, *outcomes: Outcome) -> list[Finding]:
        """Return the findings with one of these outcomes."""
        return [finding for finding in self.findings if finding.outcome in outcomes]

    def exit_code(self, strict: bool = False) -> int:
        """Return the exit code of the process.

        A gate that tried and could measure nothing is not a pass, whatever the other gate found.

        Args:
            strict: whether undecided findings have an exit code of their own.
        """
        if self.of("regression"):
            return REGRESSION
        compared = {finding.gate for finding in self.of("same", "improvement", "undecided")}
        if not compared or {finding.gate for finding in self.of("unmeasured")} - compared:
            return NOTHING
        return UNDECIDED if strict and self.of("undecided", "unmeasured") else OK
