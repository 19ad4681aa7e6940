"""Fixtures of density estimators of zuko and nflows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from arbench.bench.job import Job
from arbench.bench.models.subject import ModelSubject
from arbench.bench.options import Options
from arbench.bench.plan import make_plan
from arbench.results import Verification


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in this folder, where the files of the models are."""
    monkeypatch.chdir(Path(__file__).parent)


@pytest.fixture
def verified() -> Callable[..., dict[tuple[str, str], Verification]]:
    """Return a function that verifies a model at one N; it returns the lines by operation and method."""

    def verified(model: str, *methods: str, n: int = 8, batch: int = 2, dtype: str = "float32"):
        plan = make_plan(Options(models=(model,), methods=methods, n=(n,), batch=(batch,), dtype=dtype))
        job = Job("prove", plan.cases, 0, 1, share_s=1e9)
        names = {case.id: (case.op, case.method) for case in plan.cases}
        return {names[m.line.case]: m.line for m in ModelSubject(job).verify(job) if isinstance(m.line, Verification)}

    return verified
