"""What is read off machine code, and what a compiler is told of a call's arguments."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from arbench.kernels import KERNELS, SOFTMAX
from arbench.kernels.aot import DTYPES, TARGETS, _hip, _source, _target, _widths, launches, programs
from arbench.kernels.core.launch import interpreted

TABLE = Path(__file__).parents[2] / "reports" / "kernels" / "programs.csv"


def test_widths_of_loads() -> None:
    assert _widths([".128", ".U16.CONSTANT", "", ".64", ".128.LTC128B", ".BYPASS.LTC128B.128"]) == {
        "128": 3,
        "16": 1,
        "32": 1,
        "64": 1,
    }


def test_widths_of_amd_loads() -> None:
    code = """
        global_load_dwordx4 v[0:3], v[4:5], off
        global_load_ushort v1, v[4:5], off
        buffer_store_dword v1, v2, s[0:3], 0 offen
        .vgpr_count:     37
        .vgpr_spill_count: 0
    """
    found = _hip(code)
    assert found == {"registers": 37, "spilled": 0, "loads": {"128": 1, "16": 1}, "stores": {"32": 1}}


def test_an_unknown_target() -> None:
    with pytest.raises(ValueError, match=r"^unknown target 'sm90'; as in: sm_80, sm_90, sm_100, gfx942$"):
        _target("sm90")


def test_arguments_are_specialised_as_at_a_launch() -> None:
    (forward, _) = launches(SOFTMAX, {"rows": 7, "width": 48}, torch.bfloat16)
    signature, constants, known = _source(forward)
    names = list(signature)
    assert signature["x"] == "*bf16"
    assert known[names.index("x"),] == [["tt.divisibility", 16]]
    assert signature["rows"] == "i32"
    assert (names.index("rows"),) not in known
    assert known[names.index("width"),] == [["tt.divisibility", 16]]
    assert signature["xw"] == "constexpr"
    assert constants["xw"] == 1
    assert constants["LOG"] is False


def test_strides_beyond_32_bits_are_64_bits_wide() -> None:
    x = torch.empty_strided((2, 3), (2**31, 1), device="meta")
    from arbench.kernels import softmax
    from arbench.kernels.core.launch import recording

    with recording() as found:
        softmax(x, backend="triton")
    assert _source(found[0])[0]["xs0"] == "i64"


@pytest.mark.skipif(not interpreted(), reason="the interpreter is off where there is a GPU")
def test_the_interpreter_does_not_compile() -> None:
    with pytest.raises(RuntimeError, match="TRITON_INTERPRET is set"):
        next(programs(SOFTMAX, "sm_90"))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", KERNELS)
def test_every_program_compiles_without_a_spill(name: str, target: str) -> None:
    """Every variant, in a process without the interpreter."""
    plain = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "arbench.kernels.aot", name, "--target", target]
    run = subprocess.run(command, env=plain, capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stderr[-4000:]
    found = [json.loads(line) for line in run.stdout.splitlines()]
    kernel = KERNELS[name]
    assert {p["target"] for p in found} == {target}
    expected = {one.fn.__name__ for c in kernel.matrix for d in DTYPES for one in launches(kernel, c, d)}
    assert {p["program"] for p in found} == expected
    assert {p["dtype"] for p in found} == {"float32", "float16", "bfloat16"}
    spilled = [p for p in found if p["spilled"]]
    assert not spilled
    wide = [p for p in found if kernel.vectorised(p["program"], p["config"])]
    assert wide, "no configuration is said to allow 128-bit loads"
    narrow = [p for p in wide if "128" not in p["loads"]]
    assert not narrow
    most = {"sm_80": 163 << 10, "sm_90": 227 << 10, "sm_100": 227 << 10, "gfx942": 64 << 10}
    assert all(p["shared"] <= most[target] for p in found)


@pytest.mark.parametrize("name", KERNELS)
def test_the_table_in_reports_is_of_the_present_programs(name: str) -> None:
    kernel = KERNELS[name]
    here = {
        (one.fn.__name__, str(dtype).removeprefix("torch."), target)
        for config in kernel.matrix
        for dtype in DTYPES
        for one in launches(kernel, config, dtype)
        for target in TARGETS
    }
    with TABLE.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kernel"] == name]
    assert {(row["program"], row["dtype"], row["target"]) for row in rows} == here
    configs = {", ".join(f"{k}={v}" for k, v in config.items()) for config in kernel.matrix}
    assert {row["config"] for row in rows} <= configs
    assert {row["spilled"] for row in rows} == {"0"}
