"""What a second of speech costs by every sampler of a WaveNet, and how near the native ones come to the limit.

    python benchmarks/fused_trial.py --out reports/fused nv batch vocoder realtime stream paper
    python benchmarks/fused_trial.py --out reports/fused --r9y9 FOLDER --kan-bayashi FOLDER peers
    python benchmarks/fused_trial.py --out reports/fused --table

A series is one or a few runs of ``arbench run``, whose results files stay in the folder; ``--table`` writes the README
from them. The machine must be idle: nothing else may run. Without names all series run but ``peers``, some 15 minutes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import click
import pandas as pd

from arbench.report import frame
from arbench.results import Results, read
from arbench.stats import ratio

FUSED = ("fused", "fused,weights=bfloat16", "fused,threads=2", "fused,threads=2,weights=bfloat16")
CHANNELS, LAYERS = (64, 96, 128), (6, 12, 18, 24)
SMALLER = tuple(
    f"wavenet:vocoder,layers={layers},residual={width},gate={width},skip={width}"
    for width in CHANNELS
    for layers in LAYERS
)
"""Networks like ``wavenet:vocoder``, with fewer layers or channels."""


def words(*methods: str, models: Sequence[str], **options: object) -> list[str]:
    """Return the words of ``arbench run`` for models, methods and options."""
    named = [word for model in models for word in ("--model", model)]
    chosen = [word for method in methods for word in ("--method", method)]
    return [*named, *chosen, *(word for name, value in options.items() for word in (f"--{name}", str(value)))]


SERIES: Mapping[str, list[str]] = {
    "nv": words(
        *("parallel", "naive", "cached", "cached,backend=compile", *FUSED),
        models=["wavenet:nv"],
        n="256,4096",
        workers=6,
        rounds=2,
        timeout=90,
    ),
    "batch": words("cached", *FUSED, models=["wavenet:nv"], batch="1,4,16,64", n=256, workers=3, rounds=2),
    "vocoder": words("parallel", "cached", *FUSED, models=["wavenet:vocoder"], n=1024, workers=6, rounds=2),
    "realtime": words(*FUSED[1::2], models=SMALLER, n=1024, workers=2, rounds=2),
    "stream": words(
        *(f"stream,by=fused,chunk={chunk}{weights}" for chunk in (64, 256) for weights in ("", ",weights=bfloat16")),
        "stream,chunk=256",
        models=["wavenet:nv"],
        n=8192,
        workers=3,
        rounds=2,
    ),
    "paper": words("parallel", "cached", *FUSED, models=["wavenet:paper"], n=240, workers=3, rounds=2),
    "student": words("parallel", models=["parallel_wavenet:paper"], op="sample", n="240,24000", workers=3, rounds=2),
    "peers": words("cached", *FUSED[:2], models=["wavenet:nv,skip=256"], n=256, workers=6, rounds=2),
}


class Run:
    """A finished series.

    Args:
        out: folder of all series.
        name: name of this one.
    """

    def __init__(self, out: Path, name: str) -> None:
        self.results: Results = read(out / name / "results.jsonl")
        self.rows: pd.DataFrame = frame(self.results)

    def row(self, method: str, n: int, batch: int = 1, op: str = "sample", preset: str = "") -> pd.Series:
        """Return the row of a case."""
        rows = self.rows
        found = rows[(rows.method == method) & (rows.n == n) & (rows.batch == batch) & (rows.op == op)]
        found = found[found.preset == preset] if preset else found
        return found.iloc[0]

    def faster(self, method: str, other: str, n: int, batch: int = 1) -> str:
        """Return how many times as fast as another method a method is, from samples of the same rounds."""
        sides = []
        for one in (other, method):
            case = self.row(one, n, batch)["id"]
            lines = [line for line in self.results.samples if line.case == case]
            sides.append({(line.worker, line.round): median(line.seconds) for line in lines})
        found = ratio(sides[1], sides[0])
        low, high = found.ci95 or found.range or (found.ratio, found.ratio)
        return f"{found.ratio:.3g}x [{low:.3g}, {high:.3g}]"


def per_second(row: pd.Series) -> float:
    """Return the seconds that a second of sound takes, or NaN without a time."""
    return row.median_s / row.n * row.rate_hz if row.median_s else float("nan")


def percent(value: float) -> str:
    """Return a fraction in percent, or a dash."""
    return "—" if pd.isna(value) else f"{100 * value:.0f}%"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [list(head), ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
