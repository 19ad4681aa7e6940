"""Table of what the machine code of every kernel uses, compiled ahead of time and without a GPU.

    python benchmarks/compiled.py

writes ``programs.csv`` (a row per program, configuration, dtype and target) and ``README.md`` (its summary) to
``reports/kernels``. Each row has the program's fingerprint. A program whose fingerprint is already in the table is
not compiled again, unless ``--all`` is given. The oldest Triton has its own table:

    python benchmarks/compiled.py --out reports/kernels/oldest --target sm_90 --target gfx942

``make compiled`` writes both.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import pandas as pd

IDENTITY = ("kernel", "program", "config", "dtype", "target")
"""Columns that identify the program of a row; a call that launches a program twice has two equal ones."""
FIGURES = ("warps", "registers", "spilled", "shared", "loads", "stores")
"""Columns read from the machine code."""
COLUMNS = (*IDENTITY, *FIGURES, "triton", "fingerprint")

HEAD = """# What the kernels compile to

Every program in every variant of its kernel's `matrix`, in float32, float16 and bfloat16, compiled ahead of
time by Triton {triton}, without a GPU:

    {command}

Each row is the worst over a program's variants and dtypes; [programs.csv](programs.csv) has all of them.
*Spilled* is what of a thread's registers did not fit (bytes of stack on NVIDIA, registers on AMD). *Widest
load* is the widest load instruction of the least favourable variant, and of the most favourable one: 128 bits
where the layout allows it. Nothing here was timed.

A row of `programs.csv` also carries a fingerprint of everything that the machine code depends on: the sources of
the program and of all it calls, types, constants, options, target and Triton version. Tests compile the programs
whose fingerprint differs from their row's, and a twentieth of the others, which changes with the commit; `make
test-compile` compiles all of them. `make compiled` brings the tables of both Triton versions up to date.

"""

LIMIT_S = 3600
"""Longest time for one process that compiles."""

Row = dict[str, str]


def compiled(kernels: Sequence[str], targets: Iterable[str] = (), known: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Compile the programs of some kernels in a process without Triton's interpreter, and without its cache.

    Args:
        kernels: Names of the kernels; all kernels if empty.
        targets: Names of the targets; all targets if empty.
        known: Fingerprints of programs to list without figures instead of compiling them.

    Returns:
        The objects that ``arbench.kernels.aot`` prints, in its order.

    Raises:
        RuntimeError: A program failed to compile.
        subprocess.TimeoutExpired: Compiling took longer than an hour.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
        plain["TRITON_CACHE_DIR"] = folder
        file = Path(folder, "known")
        file.write_text("\n".join(known))
        command = [sys.executable, "-m", "arbench.kernels.aot", *kernels, "--known", str(file)]
        command += [word for target in targets for word in ("--target", target)]
        run = subprocess.run(command, env=plain, capture_output=True, text=True, timeout=LIMIT_S)
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{run.stderr[-4000:]}")
    return [json.loads(line) for line in run.stdout.splitlines()]


def row(program: dict[str, Any]) -> Row:
    """Return the row of a program from ``compiled``; without figures if the program was only listed."""
    import triton

    cells = {**program, "triton": triton.__version__}
    cells["config"] = ", ".join(f"{k}={v}" for k, v in program["config"].items())
    for name in ("loads", "stores"):
        if name in program:
            cells[name] = " ".join(f"{count}x{bits}" for bits, count in program[name].items())
    return {name: str(cells[name]) for name in COLUMNS if name in cells}


def read(path: Path) -> list[Row]:
    """Return the rows of a table; none if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write a table."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def bits(loads: str) -> list[int]:
    """Return the widths of a row's load or store instructions, in bits."""
    return [int(item.partition("x")[2]) for item in loads.split()]


def summary(rows: Iterable[Row]) -> pd.DataFrame:
    """Return one row per kernel, program and target: how many variants, and the worst of each figure."""
    frame = pd.DataFrame(rows).astype({"registers": int, "spilled": int, "shared": int})
    frame["widest load"] = [max(bits(loads), default=0) for loads in frame["loads"]]
    grouped = frame.groupby(["kernel", "program", "target"], sort=False)
    return pd.DataFrame(
        {
            "variants": grouped.size(),
            "registers": grouped["registers"].max(),
            "spilled": grouped["spilled"].max(),
            "shared, bytes": grouped["shared"].max(),
            "widest load, bits": grouped["widest load"].min().astype(str)
            + " to "
            + grouped["widest load"].max().astype(str),
        }
    ).reset_index()


def markdown(frame: pd.DataFrame) -> str:
    """Return a frame as a markdown table."""
    rows = [list(frame.columns), ["---"] * len(frame.columns), *frame.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports/kernels"), show_default=True)
@click.option("--target", "targets", multiple=True, help="Target to compile for; repeatable. Default: all.")
@click.option("--all", "everything", is_flag=True, help="Compile every program, even if its row is up to date.")
@click.option("--jobs", type=int, default=2, show_default=True, help="Number of kernels to compile at a time.")
def main(out: Path, targets: tuple[str, ...], everything: bool, jobs: int) -> None:
    """Bring the table of compiled programs up to date."""
    import triton

    from arbench.kernels import KERNELS

    path = out / "programs.csv"
    table = read(path)
    if targets and (others := sorted({old["target"] for old in table} - {*targets})):
        raise click.UsageError(
            f"{path} has rows for {', '.join(others)} too; leave out --target to update all, or choose another --out"
        )
    before = {} if everything else {old["fingerprint"]: old for old in table if old.get("fingerprint")}
    names = [name for name, kernel in KERNELS.items() if "triton" in kernel.backends]
    with ThreadPoolExecutor(jobs) as pool:
        found = pool.map(lambda kernel: compiled([kernel], targets, before), names)
        programs = [program for one in found for program in one]
    rows = [{**before.get(program["fingerprint"], {}), **row(program)} for program in programs]
    out.mkdir(parents=True, exist_ok=True)
    write(path, rows)
    words = [f"--out {out.as_posix()}", *(f"--target {target}" for target in targets)]
    command = " ".join(["python benchmarks/compiled.py", *words])
    (out / "README.md").write_text(HEAD.format(triton=triton.__version__, command=command) + markdown(summary(rows)))
    fresh = sum("registers" in program for program in programs)
    spill = sum(one["spilled"] != "0" for one in rows)
    click.echo(f"{len(rows)} programs, {fresh} of them compiled, {spill} of them spill: {path}")


if __name__ == "__main__":
    main()
