"""Where Numba compiles nothing, native loops are refused by name, and otherwise left out in one line."""

from __future__ import annotations

import pytest

from arbench.bench.native import native_facts
from arbench.bench.options import Options
from arbench.cli.run import say_unable
from arbench.methods import methods_for
from arbench.methods.native import uncompiled
from arbench.models import resolve

WHY = "needs Numba's compiler, which NUMBA_DISABLE_JIT=1 turns off; unset it"


@pytest.fixture
def off(monkeypatch: pytest.MonkeyPatch) -> None:
    from numba.core import config  # Numba reads its settings here: later tests need its compiler

    assert not config.DISABLE_JIT
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")


@pytest.mark.parametrize("text", ["", "0", "00", "no", "-0"])
def test_what_numba_reads_as_off_disables_nothing(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", text)
    assert uncompiled() is None


@pytest.mark.usefixtures("off")
@pytest.mark.parametrize("name", ["fused", "fused,threads=1", "stream,by=fused"])
def test_a_native_loop_by_name_is_refused(name: str, refusal, tmp_path) -> None:
    words = ("run", "--model", "wavenet:tiny", "--method", "cached", "--method", name, "--out", tmp_path / "out")
    assert refusal(*words) == f"method '{name}' {WHY}"
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("off")
def test_a_run_of_all_methods_goes_without(capsys: pytest.CaptureFixture[str]) -> None:
    source = resolve("wavenet:tiny").build()
    assert {"cached", "stream"} <= {one.name for one in methods_for(source)}
    assert "fused" not in {one.name for one in methods_for(source)}
    say_unable(Options())
    say_unable(Options(methods=("cached",)))
    assert capsys.readouterr().err == f"arbench: without fused: it {WHY}\n"


@pytest.mark.usefixtures("off")
def test_an_exchange_is_not_measured() -> None:
    assert native_facts()["exchange_s"] is None
