"""Compiles every kernel for GPUs that need not be here, and tables what the machine code uses.

    python benchmarks/compiled.py --out reports/kernels

leaves ``programs.csv`` (a row a program, configuration, dtype and target) and ``README.md`` (its summary).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import pandas as pd

HEAD = """# What the kernels compile to

Every program in every variant of its kernel's `matrix`, in float32, float16 and bfloat16, compiled ahead of
time by Triton {triton}, without a GPU (`python benchmarks/compiled.py --out reports/kernels`). Each row is
the worst over a program's variants and dtypes; [programs.csv](programs.csv) has all of them. *Spilled* is
what of a thread's registers did not fit (bytes of stack on NVIDIA, registers on AMD). *Widest load* is the
widest load instruction of the least favourable variant, and of the most favourable one: 128 bits where the
layout allows it. Nothing here was timed.

"""


def compiled(kernel: str) -> list[dict[str, object]]:
    """Every program of a kernel, as a process without the interpreter compiles it."""
    plain = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "arbench.kernels.aot", kernel]
    out = subprocess.run(command, env=plain, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def table(programs: pd.DataFrame) -> pd.DataFrame:
    """One row a kernel, program and target: how many variants, and the worst of each figure."""
    grouped = programs.groupby(["kernel", "program", "target"], sort=False)
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
    """A frame as a markdown table."""
    rows = [list(frame.columns), ["---"] * len(frame.columns), *frame.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports/kernels"), show_default=True)
@click.option("--jobs", type=int, default=2, show_default=True, help="Kernels compiled at a time.")
def main(out: Path, jobs: int) -> None:
    """Compile every kernel for every target and write the table."""
    import triton

    from arbench.kernels import KERNELS

    with ThreadPoolExecutor(jobs) as pool:
        rows = [row for found in pool.map(compiled, KERNELS) for row in found]
    programs = pd.DataFrame(rows)
    programs["widest load"] = [max(map(int, loads), default=0) for loads in programs["loads"]]
    programs["config"] = [", ".join(f"{k}={v}" for k, v in config.items()) for config in programs["config"]]
    for name in ("loads", "stores"):
        programs[name] = [" ".join(f"{n}x{bits}" for bits, n in found.items()) for found in programs[name]]
    out.mkdir(parents=True, exist_ok=True)
    programs.drop(columns="widest load").to_csv(out / "programs.csv", index=False, lineterminator="\n")
    (out / "README.md").write_text(HEAD.format(triton=triton.__version__) + markdown(table(programs)))
    click.echo(f"{len(programs)} programs, {int((programs['spilled'] > 0).sum())} of them spill: {out}")


if __name__ == "__main__":
    main()
