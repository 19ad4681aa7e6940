"""Exit code of a run: whether everything asked for was measured and is right."""

from __future__ import annotations

from arbench.results import Results, Status

OK, WRONG, NOTHING = 0, 1, 3
"""All is well; a row is inexact, a claim fails, or with ``--strict`` a case was not measured; nothing was measured."""
_MEASURED: tuple[Status, ...] = ("ok", "checked")
_MISSED: dict[Status, str] = {"error": "failed", "oom": "ran out of memory", "timeout": "timed out"}


def outcome(results: Results, strict: bool) -> tuple[int, str]:
    """Return the exit code of a run, and a line that explains it; an empty line where all is well.

    Args:
        results: the rows of a run.
        strict: whether a case that failed, ran out of memory or timed out is an error beside cases that are ok.
    """
    statuses = [case.status for case in results.cases.values()]
    inexact = statuses.count("inexact")
    refuted = sum(fit.claimed is not None and fit.verdict == "fails" for fit in results.fits.values())
    missed = [f"{_cases(count)} {words}" for status, words in _MISSED.items() if (count := statuses.count(status))]
    if inexact or refuted:
        wrong = [f"{_cases(inexact)} inexact"] if inexact else []
        wrong += [f"{refuted} claim{'s fail' if refuted > 1 else ' fails'}"] if refuted else []
        return WRONG, ", ".join([*wrong, *missed])
    if not any(status in _MEASURED for status in statuses):
        over = statuses.count("over_budget")
        why = [*missed, *([f"{_cases(over)} over budget; give a larger --budget or smaller sizes"] if over else [])]
        return NOTHING, "nothing was measured: " + (", ".join(why) or "no case was reached")
    if not missed:
        return OK, ""
    text = ", ".join(missed)
    return (WRONG, f"{text} (--strict)") if strict else (OK, f"{text}; with --strict the exit code is {WRONG}")


def _cases(count: int) -> str:
    return f"{count:,} case{'s' if count != 1 else ''}"
