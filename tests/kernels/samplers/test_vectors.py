"""The vector registers that Numba compiles for."""

from __future__ import annotations

import pytest
from numba.core import config

from arbench.kernels.samplers.vectors import registers


@pytest.mark.parametrize(
    ("features", "machine", "found"),
    [
        ("+avx,+avx2,+avx512f,+fma", "x86_64", ("AVX-512", 64)),
        ("+avx,+avx2,-avx512f,+fma", "x86_64", ("AVX2", 32)),
        ("+avx,-avx2", "x86_64", ("AVX", 32)),
        ("", "x86_64", ("SSE2", 16)),
        ("+neon,+fp-armv8", "aarch64", ("NEON", 16)),
        ("", "riscv64", (None, None)),
    ],
)
def test_registers(features: str, machine: str, found: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "CPU_FEATURES", features)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert registers() == found


def test_this_processor_s_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "CPU_FEATURES", None)
    assert registers()[1] in (16, 32, 64)

    def unknown() -> None:
        raise RuntimeError

    monkeypatch.setattr("llvmlite.binding.get_host_cpu_features", unknown)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert registers() == ("SSE2", 16)
