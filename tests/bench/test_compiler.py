"""Tests of the C++ compiler that the backend compile needs: without one a run is refused before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from arbench.bench.options import PlanError, check_backend


def program(folder: Path, name: str) -> None:
    file = folder / name
    file.write_text("#!/bin/sh\n", encoding="utf-8")
    file.chmod(0o755)


@pytest.mark.parametrize(
    ("installed", "named", "refusal"),
    [
        (["g++"], None, None),
        (["clang++"], "clang++", None),
        ([], None, "g++ is not on the PATH; install it, as with apt-get install g++, or set CXX"),
        (["g++"], "icpx", "CXX names 'icpx', which is not on the PATH; correct or unset CXX"),
    ],
)
def test_a_run_without_a_compiler_is_refused(
    installed: list[str], named: str | None, refusal: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in installed:
        program(tmp_path, name)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", named) if named else monkeypatch.delenv("CXX", raising=False)
    check_backend("eager", "cpu")
    if refusal is None:
        check_backend("compile", "cpu")
        return
    with pytest.raises(PlanError) as found:
        check_backend("compile", "cpu")
    assert str(found.value) == f"backend 'compile' needs a C++ compiler: {refusal}"
