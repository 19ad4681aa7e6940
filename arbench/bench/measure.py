"""``arbench.measure``: the command line's ``arbench run`` as a function."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from arbench.results import Results, ResultsError


def measure(
    models: str | Sequence[str] | None = None,
    *,
    suite: str | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    **options: Any,
) -> Results:
    """Verify, count and time models, as ``arbench run`` does, without printing.

    Args:
        models: one or several of NAME[:PRESET], path.py:Class[:PRESET], package.module:Class[:PRESET];
            by default those of the suite, or wavenet.
        suite: name of a suite that ships, or path of a TOML file; ``options`` override it.
        out: folder of the results file; by default a temporary one, removed afterwards.
        resume: continue the killed run in ``out``.
        **options: fields of ``arbench.bench.plan.Options``: ops, methods, n, batch, backend, device, dtype,
            threads, target_ci, budget, workers, rounds, timeout, count_budget, seed, data, weights.

    Returns:
        The results; ``arbench.report.render(results, folder)`` makes a report from them.

    Raises:
        PlanError: the options make no plan; nothing was measured or written.
        ResultsError: ``out`` contains another run, is in use, or cannot be written.
        TakenError: another program deleted, replaced or changed the results file; the error has the results.
        TypeError: an option is unknown.
    """
    from arbench.bench.plan import Options, make_plan
    from arbench.bench.runner import run_plan
    from arbench.bench.suite import suite_options

    if out is not None and not os.fspath(out):
        raise ResultsError("out is empty; name a folder")

    defaults = suite_options(suite) if suite is not None else Options()
    if models is not None:
        options["models"] = [models] if isinstance(models, str) else list(models)
    plan = make_plan(replace(defaults, **options))
    if out is not None:
        return run_plan(plan, Path(out), resume=resume)
    with tempfile.TemporaryDirectory(prefix="arbench-") as folder:
        return run_plan(plan, Path(folder))
