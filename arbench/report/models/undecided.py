"""Claims that are not confirmed, with those of one cause gathered into a line that says what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from arbench.report.models.verdicts import Sentence, fits_in_words
from arbench.results import Fit, Results
from arbench.stats import FEWEST_SIZES, LEAST_SPAN

MOST = 2
"""Largest number of claims of one cause that stay apart."""
_FEW = f"fewer than {FEWEST_SIZES} sizes of N were counted, too few for a verdict"
_CLOSE = f"the sizes of N that were counted span less than {LEAST_SPAN:g}x, too little for a verdict"
_HELP = {_FEW: "more sizes with --n", _CLOSE: "sizes further apart with --n"}


@dataclass(frozen=True)
class Gathered:
    """Undecided claims of one cause.

    Attributes:
        title: how many there are, and why.
        line: how many there are, why, and what to do next.
        claims: their sentences.
    """

    title: str
    line: str
    claims: Sequence[Sentence]


@dataclass(frozen=True)
class Doubtful:
    """The claims that fail or are undecided.

    Attributes:
        told: those to show one by one, in the order of ``sentences``.
        gathered: the others, by cause.
    """

    told: Sequence[Sentence]
    gathered: Sequence[Gathered]


def doubtful(results: Results) -> Doubtful:
    """Return the claims that fail or are undecided; more than ``MOST`` undecided for want of sizes are gathered."""
    told: list[Sentence] = []
    by_cause: dict[str, list[Sentence]] = {}
    doubts = [(fit, one) for fit, one in fits_in_words(results) if one.verdict in ("fails", "undecided")]
    causes = [_cause(fit) for fit, _ in doubts]
    for (_, one), cause in zip(doubts, causes, strict=True):
        if cause is None or causes.count(cause) <= MOST:
            told.append(one)
        else:
            by_cause.setdefault(cause, []).append(one)
    return Doubtful(told, [_gathered(cause, found, results) for cause, found in by_cause.items()])


def _cause(fit: Fit) -> str | None:
    """Return why the sizes of a fit decide nothing; None if they could, or if the claim is decided."""
    if fit.verdict != "undecided":
        return None
    if len(fit.sizes) < FEWEST_SIZES:
        return _FEW
    return _CLOSE if max(fit.sizes) < LEAST_SPAN * min(fit.sizes) else None


def _gathered(cause: str, claims: Sequence[Sentence], results: Results) -> Gathered:
    models = list(dict.fromkeys(one.model for one in claims))
    whose = models[0] if len(models) == 1 else f"{len(models):,} models"
    budget = results.run.plan.get("options", {}).get("count_budget")
    now = f" (it was {budget:g} s)" if isinstance(budget, int | float) else ""
    line = (
        f"undecided: {len(claims):,} claims of {whose}: {cause}; give a longer --count-budget{now}, or {_HELP[cause]}"
    )
    return Gathered(f"{len(claims):,} undecided claims: {cause}", line, claims)
