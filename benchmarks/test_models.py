"""Every method of every model as a pytest-benchmark case: verified first, then timed.

    pytest benchmarks --benchmark-only
    pytest benchmarks --benchmark-only --arbench-model wavenet:tiny --arbench-n 64

The cases are those of ``arbench run``. Use ``arbench run`` for intervals over fresh processes and for ratios, and
this suite for pytest-benchmark's storage and comparison.
"""

from __future__ import annotations

import msgspec
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from arbench.bench.case import CaseKey
from arbench.bench.models.counting import evaluations
from arbench.bench.models.setup import ModelSetup, run
from arbench.bench.models.verify.method import verify_method
from arbench.models import Source


def test_case(
    benchmark: BenchmarkFixture,
    case: CaseKey,
    prepared: tuple[ModelSetup, Source, Source],
    counters: dict[str, int | str | None],
) -> None:
    """Verify and time one case."""
    setup, source, twin = prepared
    with evaluations(source) as calls:
        facts, _, nfe = verify_method(setup, source, twin, case, calls)
    task = setup.task(source, case)
    benchmark.group = f"{case.model}:{case.preset} {case.op} n={case.n}"
    benchmark.extra_info.update(msgspec.to_builtins(case), verified=facts.get("how"), **{"nfe": nfe, **counters})

    def call() -> None:
        run(source, case, task)
        if case.device != "cpu":
            torch.cuda.synchronize(case.device)

    benchmark(call)
