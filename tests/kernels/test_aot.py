"""Facts read off machine code, and the attributes of arguments that the compiler receives."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import triton
from click.testing import CliRunner

from arbench.kernels import KERNELS, SOFTMAX
from arbench.kernels.aot import TARGETS, _compilation, _hip, _source, _target, _widths, compilations, launches, main
from arbench.kernels.core.launch import interpreted

ROOT = Path(__file__).parents[2]
WITH_PROGRAMS = [name for name, kernel in KERNELS.items() if "triton" in kernel.backends]
TABLES = [ROOT / "reports" / "kernels" / "programs.csv", ROOT / "reports" / "kernels" / "oldest" / "programs.csv"]
SHARED = {"sm_80": 163 << 10, "sm_90": 227 << 10, "sm_100": 227 << 10, "gfx942": 64 << 10}
"""Most bytes of shared memory that a program may have."""


@pytest.fixture(scope="session")
def compiled(load: Callable[[Path], ModuleType]) -> ModuleType:
    return load(ROOT / "benchmarks" / "compiled.py")


@pytest.fixture(scope="session")
def table(load: Callable[[Path], ModuleType]) -> ModuleType:
    return load(Path(__file__).with_name("table.py"))


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
    assert signature["x_stride_w"] == "constexpr"
    assert constants["x_stride_w"] == 1
    assert constants["LOG"] is False


def test_kernels_for_cpus_alone_have_no_program(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    assert {"packed_matmul", "gated_tanh"} == set(KERNELS) - set(WITH_PROGRAMS)
    monkeypatch.setattr("sys.argv", ["aot", "gated_tanh"])
    with pytest.raises(SystemExit, match=r"^2$"):
        main()
    assert "kernel 'gated_tanh' has no Triton program; choose from: softmax, " in capsys.readouterr().err


def test_strides_beyond_32_bits_are_64_bits_wide() -> None:
    x = torch.empty_strided((2, 3), (2**31, 1), device="meta")
    from arbench.kernels import softmax
    from arbench.kernels.core.launch import recording

    with recording() as found:
        softmax(x, backend="triton")
    assert _source(found[0])[0]["x_stride_0"] == "i64"


@pytest.mark.skipif(not interpreted(), reason="the interpreter is off where there is a GPU")
def test_the_interpreter_does_not_compile() -> None:
    with pytest.raises(RuntimeError, match="TRITON_INTERPRET is set"):
        next(compilations(SOFTMAX, "sm_90"))


def test_everything_a_compiler_is_given_is_in_the_fingerprint() -> None:
    (forward, *_) = launches(SOFTMAX, SOFTMAX.matrix[0], torch.float32)
    made = _compilation("softmax", SOFTMAX.matrix[0], torch.float32, forward, "sm_90")
    (name, *_), (constant, *_) = made.signature, made.constants
    others = [
        replace(made, target="sm_80"),
        replace(made, target="gfx942"),
        replace(made, signature={**made.signature, name: "*fp16"}),
        replace(made, constants={**made.constants, constant: -1}),
        replace(made, known={}),
        replace(made, options={**made.options, "num_warps": 2 * made.options["num_warps"]}),
        replace(made, options={**made.options, "num_stages": 1 + made.options["num_stages"]}),
    ]
    assert len({made.fingerprint, *(one.fingerprint for one in others)}) == 1 + len(others)
    assert replace(made, kernel="other", config={}, dtype="float16").fingerprint == made.fingerprint


def test_a_stale_row_and_a_wrong_figure_are_compiled_and_found(compiled: ModuleType, table: ModuleType) -> None:
    rows = [row for row in _table(compiled)[1] if (row["kernel"], row["target"]) == ("log_softmax", "gfx942")]
    rows[0] = stale = {**rows[0], "fingerprint": "stale"}
    rows[1] = wrong = {**rows[1], "registers": "1"}
    known = {row["fingerprint"] for row in rows} - {wrong["fingerprint"]}
    found = [compiled.row(p) for p in compiled.compiled(["log_softmax"], ["gfx942"], known)]
    assert "registers" in found[0]
    result = table.compare(rows, found, compiled.IDENTITY, compiled.FIGURES)
    assert result.changed >= 1
    place = " ".join(wrong[name] for name in compiled.IDENTITY)
    assert result.wrong == [f"{place}: registers 1 in the table, {found[1]['registers']} now"]
    assert [found[0][name] for name in compiled.FIGURES] == [stale[name] for name in compiled.FIGURES]


def test_a_table_loses_no_target(compiled: ModuleType, tmp_path: Path) -> None:
    rows = [row for row in _table(compiled)[1] if row["target"] == "gfx942"]
    compiled.write(tmp_path / "programs.csv", rows[:1])
    before = (tmp_path / "programs.csv").read_bytes()
    found = CliRunner().invoke(compiled.main, ["--out", str(tmp_path), "--target", "sm_90"])
    assert found.exit_code == 2
    assert found.output.splitlines()[-1] == (
        f"Error: {tmp_path}/programs.csv has rows for gfx942 too; "
        "leave out --target to update all, or choose another --out"
    )
    assert (tmp_path / "programs.csv").read_bytes() == before


@pytest.mark.filterwarnings("default:.*programs.csv")
def test_every_program_is_in_the_table_without_a_spill(compiled: ModuleType, table: ModuleType) -> None:
    """Compiles what the table does not know, and a sample of the rest that depends on the commit."""
    path, rows = _table(compiled)
    known = {row["fingerprint"] for row in rows}
    targets = [target for target in TARGETS if any(row["target"] == target for row in rows)]
    assert targets == (list(TARGETS) if path == TABLES[0] else ["sm_90", "gfx942"])
    found = compiled.compiled([], targets, known - table.sample(known, table.seed(path)))
    _check(compiled, table, rows, found, WITH_PROGRAMS)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", WITH_PROGRAMS)
def test_every_program_compiles_to_its_row(compiled: ModuleType, table: ModuleType, name: str, target: str) -> None:
    rows = [row for row in _table(compiled)[1] if (row["kernel"], row["target"]) == (name, target)]
    found = compiled.compiled([name], [target])
    _check(compiled, table, rows, found, [name])


def _table(compiled: ModuleType) -> tuple[Path, list[dict[str, str]]]:
    """Return the table of the installed Triton, or that of the newest, and its rows."""
    tables = [(path, compiled.read(path)) for path in TABLES]
    return next((t for t in tables if t[1] and t[1][0]["triton"] == triton.__version__), tables[0])


def _check(
    compiled: ModuleType,
    table: ModuleType,
    rows: list[dict[str, str]],
    found: list[dict[str, Any]],
    names: Iterable[str],
) -> None:
    result = table.compare(rows, [compiled.row(p) for p in found], compiled.IDENTITY, compiled.FIGURES)
    assert not result.wrong, "bring the tables up to date with: make compiled"
    for name in names:
        kernel = KERNELS[name]
        pairs = [(p, row) for p, row in zip(found, result.programs, strict=True) if p["kernel"] == name]
        assert {row["dtype"] for _, row in pairs} == {"float32", "float16", "bfloat16"}
        assert not [row for _, row in pairs if row["spilled"] != "0"]
        assert not [row for _, row in pairs if int(row["shared"]) > SHARED[row["target"]]]
        wide = [row for p, row in pairs if kernel.vectorised(p["program"], p["config"])]
        assert wide, "no configuration is said to allow 128-bit loads"
        assert not [row for row in wide if 128 not in compiled.bits(row["loads"])]
    if result.changed:
        warnings.warn(
            f"{result.changed} programs changed, or Triton did, and programs.csv does not know them: "
            "bring the tables up to date with: make compiled",
            stacklevel=1,
        )
