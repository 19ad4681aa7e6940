"""The same as the command line, from Python."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from arbench.results import Results


def measure(
    models: str | Sequence[str] | None = None,
    *,
    suite: str | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    **options: Any,
) -> Results:
    """Verifies, counts and times models; what ``arbench run`` does, without the printing.

    Args:
        models: one or several of NAME[:PRESET], path.py:Class[:PRESET], package.module:Class[:PRESET];
            by default the suite's, or wavenet.
        suite: one that ships, or the path of a TOML file; ``options`` go before what it says.
        out: folder of the results file; a temporary one, removed afterwards, by default.
        resume: go on with the killed run in ``out``.
        options: fields of ``arbench.bench.plan.Options``: ops, methods, n, batch, backend, device, dtype,
            threads, target_ci, budget, workers, rounds, timeout, count_budget, seed, data, weights.

    Returns:
        The results; ``arbench.report.render(results, folder)`` makes the report of them.

    Raises:
        PlanError: the question cannot be asked.
        ResultsError: ``out`` holds another run, is in use, or cannot be written.
        TypeError: an unknown option.
    """
    from arbench.bench.plan import Options, make_plan
    from arbench.bench.runner import run_plan
    from arbench.bench.suite import suite_options

    asked = suite_options(suite) if suite is not None else Options()
    if models is not None:
        options["models"] = [models] if isinstance(models, str) else list(models)
    plan = make_plan(replace(asked, **options))
    if out is not None:
        return run_plan(plan, Path(out), resume=resume)
    with tempfile.TemporaryDirectory(prefix="arbench-") as folder:
        return run_plan(plan, Path(folder))
