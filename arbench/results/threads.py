"""How many threads a case has beside those with which the limits of its machine were measured."""

from __future__ import annotations

from arbench.results.memory import Results


def times_the_threads(threads: int | None, results: Results) -> float:
    """Return by how much the limits of a run are to be multiplied for a case, at least 1.

    They are measured with the threads of the run. A method with a setting of its own may have more, and the cores that
    these add cannot have more than the same again.

    Args:
        threads: threads of the case; None for those of the run.
        results: the results of the run.
    """
    return max((threads or 1) / max(results.run.plan.get("options", {}).get("threads") or 1, 1), 1.0)
