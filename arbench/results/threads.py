"""How many threads a case has, and how many those had with which the limits of its machine were measured."""

from __future__ import annotations

from arbench.results.memory import Results
from arbench.results.schema.derived import Case

IN_EXCHANGE = 2
"""Threads of a native loop that exchanges partial sums, where its method states no number."""


def threads_of_run(results: Results) -> int:
    """Return how many threads PyTorch may use in a run, with which the limits were measured."""
    return max(results.run.plan.get("options", {}).get("threads") or 1, 1)


def threads_of(case: Case, results: Results) -> int:
    """Return how many threads a call of a case uses: those of its method, of its native loop, or of the run."""
    exchanges = (case.verified or {}).get("exchanges")
    in_loop = None if exchanges is None else IN_EXCHANGE if exchanges else 1
    return case.threads or in_loop or threads_of_run(results)


def times_the_threads(threads: int | None, results: Results) -> float:
    """Return by how much the limits of a run are to be multiplied for a case, at least 1.

    They are measured with the threads of the run. A method with a setting of its own may have more, and the cores that
    these add cannot have more than the same again.

    Args:
        threads: threads of the case; None for those of the run.
        results: the results of the run.
    """
    return max((threads or 1) / threads_of_run(results), 1.0)
