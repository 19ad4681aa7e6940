"""What a check found: one finding a comparison, and what all of them together mean for a CI job.

Plain data, written as JSON by ``arbench check --json``. A change is relative: 0.02 is two percent more of
what should be less (seconds, operations, bytes, depth), -0.02 two percent less.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SCHEMA = 1
Outcome = Literal["same", "improvement", "regression", "undecided", "added", "removed", "unmeasured"]
"""``added``, ``removed``: a case of one side alone, which is no regression. ``undecided``: measured, but
nothing can be said either way. ``unmeasured``: it could not be measured."""

OK, REGRESSION, MISUSE, NOTHING, UNDECIDED = range(5)
"""Exit codes: no regression; a regression; wrong use; nothing could be measured; undecided, when strict."""


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """One comparison and its outcome."""

    gate: Literal["exact", "time"]
    case: str
    """Id of the case; of a finding on several sizes, that of the smallest."""
    metric: str
    """A counter's name, or ``counters`` where none changed; ``verification``, ``exactness``, ``seconds``; or
    ``case`` where one side lacks it."""
    outcome: Outcome
    text: str
    """The finding in a user's words, on one line."""
    before: int | float | str | None = None
    after: int | float | str | None = None
    change: float | None = None
    """Relative change; None where it is no number."""
    interval: tuple[float, float] | None = None
    """Of ``change``."""
    threshold: float | None = None
    """The least change that counts."""


class Check(msgspec.Struct):
    """Everything that one ``arbench check`` found."""

    before: str
    """What was compared with: a baseline's path, a commit, a tree."""
    after: str
    schema: int = SCHEMA
    findings: list[Finding] = []
    notes: list[str] = []
    """What a reader must know besides, one line each."""
    environment: dict[str, Any] = {}
    seconds: float = 0.0
    """How long the check took."""
    instances: list[dict[str, Any]] = []
    """Of the timing gate: every instance's raw medians and ratios."""

    def of(self, *outcomes: Outcome) -> list[Finding]:
        """The findings with one of these outcomes."""
        return [finding for finding in self.findings if finding.outcome in outcomes]

    def exit_code(self, strict: bool = False) -> int:
        """What the process ends with. A gate that could measure nothing of what it tried passes for none,
        whatever the other one found.

        Args:
            strict: whether what is undecided is told from what is the same.
        """
        if self.of("regression"):
            return REGRESSION
        compared = {finding.gate for finding in self.of("same", "improvement", "undecided")}
        if not compared or {finding.gate for finding in self.of("unmeasured")} - compared:
            return NOTHING
        return UNDECIDED if strict and self.of("undecided", "unmeasured") else OK
