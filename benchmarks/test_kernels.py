"""Every implementation of every kernel as a pytest-benchmark case: verified first, then timed.

    pytest benchmarks/test_kernels.py --benchmark-only
    pytest benchmarks/test_kernels.py --benchmark-only --arbench-kernel softmax --arbench-device cuda

The cases are those of ``arbench kernels`` that run natively. Use ``arbench kernels`` for intervals over fresh
processes, ratios and fractions of the machine's limits, and this suite for pytest-benchmark's storage and comparison.
"""

from __future__ import annotations

import msgspec
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from arbench.bench.case import CaseKey
from arbench.bench.kernels.subject import KernelSubject


def test_kernel(benchmark: BenchmarkFixture, kernel_case: CaseKey, kernels: KernelSubject) -> None:
    """Verify and time one case."""
    proof = kernels.verification(kernel_case)
    if proof.status != "ok":
        pytest.fail(f"{proof.status}: {proof.error}", pytrace=False)
    (count,) = kernels.count([kernel_case], 1.0)
    call = kernels.build()(kernel_case)
    benchmark.group = f"{kernel_case.model} {kernel_case.op} {kernel_case.preset}"
    benchmark.extra_info.update(
        msgspec.to_builtins(kernel_case),
        bytes=count.bytes,
        flops=count.flops,
        why_unknown=count.why_unknown,
        times=call.times,
        verified=(proof.verified or {}).get("how"),
    )

    def run() -> None:
        call.run()
        if kernel_case.device != "cpu":
            torch.cuda.synchronize(kernel_case.device)

    benchmark(run)
