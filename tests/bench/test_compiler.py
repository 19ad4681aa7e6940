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


def test_a_run_whose_compiled_code_cannot_be_kept_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "g++")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.raises(PlanError) as found:
        check_backend("compile", "cpu")
    assert str(found.value) == (
        f"backend 'compile' keeps its code in {tmp_path}/file/cache, which cannot be written: Not a directory; "
        "set TORCHINDUCTOR_CACHE_DIR to a folder that can be written"
    )
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    check_backend("compile", "cpu")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    check_backend("compile", "cpu")
