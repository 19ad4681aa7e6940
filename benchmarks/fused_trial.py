"""Cost of a second of speech by every sampler of a WaveNet, and how near the native ones come to the limit.

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
from typing import Any

import click
import pandas as pd

from arbench.bench.native import exchange_s
from arbench.report import frame
from arbench.results import Results, read
from arbench.stats import ratio

FUSED = ("fused", "fused,weights=bfloat16", "fused,threads=2", "fused,threads=2,weights=bfloat16")
CHANNELS, LAYERS = (96, 128), (6, 12, 18, 24)
COMPILED = ("wavenet:nv", "transformer:small", "lstm:small", "pixelcnnpp:digits")
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
        timeout=240,
    ),
    "threads": words(*FUSED, models=["wavenet:nv"], op="sample", n="1024,4096", budget=30),
    "compile": words(
        *("cached", "cached,backend=compile"),
        models=[*COMPILED],
        op="sample",
        n=64,
        workers=3,
        rounds=8,
        timeout=300,
        budget=60,
    ),
    "batch": words("cached", *FUSED, models=["wavenet:nv"], batch="1,4,16,64", n=256, workers=3, rounds=2),
    "vocoder": words("parallel", "cached", *FUSED, models=["wavenet:vocoder"], n=1024, workers=3, rounds=2),
    "realtime": words(*FUSED[1::2], models=SMALLER, n=1024, workers=2, rounds=2),
    "stream": words(
        *(f"stream,by=fused,chunk={chunk}{weights}" for chunk in (64, 256) for weights in ("", ",weights=bfloat16")),
        "stream,chunk=256",
        models=["wavenet:nv"],
        n=8192,
        workers=3,
        rounds=2,
    ),
    "paper": words("parallel", "cached", *FUSED, models=["wavenet:paper"], n=240, workers=2, rounds=2),
    "student": words(
        "parallel", models=["parallel_wavenet:paper"], op="sample", n="240,2400,24000", workers=3, rounds=2
    ),
    "peers": words("cached", *FUSED[:2], models=["wavenet:nv,skip=256"], n=1024, workers=2, rounds=2),
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

    def row(
        self, method: str, n: int, batch: int = 1, op: str = "sample", preset: str = "", model: str = ""
    ) -> pd.Series:
        """Return the row of a case."""
        rows = self.rows
        found = rows[(rows.method == method) & (rows.n == n) & (rows.batch == batch) & (rows.op == op)]
        found = found[found.preset == preset] if preset else found
        found = found[found.model == model] if model else found
        return found.iloc[0]

    def exchanges(self, method: str, n: int) -> int:
        """Return how often the threads of a method exchange partial sums for an element."""
        proof = self.results.verifications[self.row(method, n)["id"]].verified or {}
        return int(proof["exchanges"])

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


def mark(row: Any) -> str:
    """Return the mark of a row whose times are unstable, and nothing for another."""
    return "~" if row.unstable else ""


def per_second(row: pd.Series) -> float:
    """Return the seconds that a second of sound takes, or NaN without a time."""
    return row.median_s / row.n * row.rate_hz if row.median_s else float("nan")


def cost(row: pd.Series) -> tuple[str, str]:
    """Return the measured size of a row, and the seconds that a second of sound takes at its pace."""
    return f"{row.n:,}", f"{mark(row)}{per_second(row):.3g} s"


def percent(value: float) -> str:
    """Return a fraction in percent, or a dash."""
    return "—" if pd.isna(value) else f"{100 * value:.0f}%"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [list(head), ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


HEAD = """# Native samplers of a WaveNet

{cpu}. Every draw below was verified like any other: it is the one that `naive` draws
from the same noise. Weights are random for now, which changes no time here. Each series is one run, whose calls were
made in turns, with its results file in a folder here. In the first line of each file, folders of the machine were cut
from `argv` (behind `--out` and `--peer`) and, for `peers`, wherever `plan` names a checkout; then it was sealed again:

    python benchmarks/fused_trial.py --out reports/fused
    python benchmarks/fused_trial.py --out reports/fused --r9y9 FOLDER --kan-bayashi FOLDER peers
    python benchmarks/fused_trial.py --out reports/fused --table

**Of the limit** is the shortest time in which this core can read the weights once for each element, or multiply by
them, whichever is longer, over the measured time. Both rates were measured in the same run, with one thread: reading at
a working set of the weights' size, and the product of large float32 matrices. For two threads the limit is that of two
such cores, each with half of the weights. *Weights* is how they are stored; arithmetic is float32. Brackets are 95%
intervals over six processes, and ranges over fewer. A ~ marks times that are unstable: they differ by more than 10%
between processes or 25% within one. Most of them are of two threads, on two shared cores.

"""


def nv(run: Run) -> str:
    """Return the table of ``wavenet:nv`` at batch 1."""
    n = 4096
    rows = []
    for method in ("cached", "cached,backend=compile", *FUSED):
        row = run.row(method, n)
        cells = (
            f"{mark(row)}{n / row.median_s / 1e3:.3g} kHz",
            f"{row.real_time:.2g}x",
            percent(row.fraction_of_limit),
        )
        rows.append((f"`{method}`", *cells, "—" if method == "cached" else run.faster(method, "cached", n)))
    compiled = run.faster("fused", "cached,backend=compile", n)
    two = [run.faster(two, one, n) for one, two in ((FUSED[0], FUSED[2]), (FUSED[1], FUSED[3]))]
    return (
        "## `wavenet:nv`, one stream\n\n"
        + table(("method", "samples a second", "real time", "of the limit", "times as fast as `cached`"), rows)
        + f"\n`fused` is {compiled} as fast as the compiled step. Two threads are {two[0]} as fast as one with float32 "
        f"weights, and {two[1]} with bfloat16. They exchange partial sums {run.exchanges(FUSED[2], n)} times for an "
        f"element; one exchange of 64 numbers took {median(exchange_s()) * 1e9:.0f} ns when this table was written "
        "(`arbench doctor` measures it too).\n"
    )


def threads(run: Run) -> str:
    """Return what a second thread gains where nothing but native loops takes turns."""
    n = 4096
    gains = [run.faster(two, one, n) for one, two in ((FUSED[0], FUSED[2]), (FUSED[1], FUSED[3]))]
    rates = [f"{n / run.row(method, n).median_s / 1e3:.3g} kHz" for method in FUSED]
    return (
        "## A second core\n\nIn a run of the native loops alone, on a later day, one core draws "
        f"{rates[0]} with float32 weights and {rates[1]} with bfloat16, two draw {rates[2]} and {rates[3]}: {gains[0]} "
        f"and {gains[1]} as fast. Beside eager methods, as above, the gain is smaller and scatters.\n"
    )


def compiled(run: Run) -> str:
    """Return the table of steps under ``torch.compile``."""
    rows = []
    for spec in COMPILED:
        model, _, preset = spec.partition(":")
        methods = ("cached", "cached,backend=compile")
        times = [run.row(method, 64, preset=preset, model=model).median_s / 64 for method in methods]
        rows.append((f"`{spec}`", *(f"{1e6 * one:.0f} µs" for one in times), f"{times[0] / times[1]:.2f}x"))
    return (
        "## Compiled steps\n\n"
        + table(("model", "`cached`, an element", "`cached,backend=compile`", "times as fast"), rows)
        + """
LSTM and Transformer run each step as one graph, but calling a compiled graph costs some 70 µs however little it
computes (guards and wrappers), which is most of a whole eager step of the small LSTM. WaveNet and Transformer gain
because one call replaces the operations of all layers. PixelCNN++ calls a graph for each residual layer, several for a
pixel, and these layers are a fifth of its eager time.
"""
    )


def batches(run: Run) -> str:
    """Return the table over batch sizes."""
    rows = []
    for batch in (1, 4, 16, 64):
        for method in FUSED:
            row = run.row(method, 256, batch)
            rate, work = batch * 256 / row.median_s, row.flops / row.median_s
            rows.append(
                (
                    *(batch, f"`{method}`", f"{mark(row)}{rate / 1e3:.3g} kHz", f"{work / 1e9:.3g}"),
                    percent(row.fraction_of_limit),
                )
            )
    return "## Several streams in one call\n\n" + table(
        ("batch", "method", "samples a second in all", "GFLOP/s", "of the limit"), rows
    )


def vocoder(run: Run) -> str:
    """Return the table of ``wavenet:vocoder``."""
    rows = []
    for method in ("cached", *FUSED):
        row = run.row(method, 1024)
        work = row.flops / row.median_s / 1e9
        rows.append((f"`{method}`", f"{mark(row)}{row.real_time:.2g}x", f"{work:.3g}", percent(row.fraction_of_limit)))
    return "## `wavenet:vocoder`: 22.05 kHz, 24 layers, 128 channels\n\n" + table(
        ("method", "real time", "GFLOP/s", "of the limit"), rows
    )


def real_time(run: Run) -> str:
    """Return the table of smaller vocoders, and the largest in real time."""
    rows, best = [], {}
    for spec in SMALLER:
        preset = spec.partition(":")[2]
        one, two = (run.row(method, 1024, preset=preset) for method in FUSED[1::2])
        settings = dict(part.split("=") for part in preset.split(",")[1:])
        rows.append(
            (
                settings["layers"],
                settings["residual"],
                f"{one.weights:,}",
                f"{mark(one)}{one.real_time:.2f}x",
                f"{mark(two)}{two.real_time:.2f}x",
            )
        )
        for cores, row in ((1, one), (2, two)):
            if row.n / row.rate_hz >= row.high_s and row.weights > best.get(cores, (0, ""))[0]:
                best[cores] = row.weights, f"{settings['layers']} layers of {settings['residual']} channels"
    largest = "; ".join(f"on {cores} {'core' if cores == 1 else 'cores'} {what}" for cores, (_, what) in best.items())
    return (
        "## The largest vocoder in real time\n\n`wavenet:vocoder` with fewer layers or channels, bfloat16 weights.\n\n"
        + table(("layers", "channels", "weights", "one core", "two cores"), rows)
        + f"\nThe largest of these in real time, in every process: {largest}.\n"
    )


def streams(run: Run) -> str:
    """Return the table of streams."""
    rows = []
    for row in run.rows.itertuples():
        gaps = [f"{value * 1e3:.3g}" for value in (row.first_s, row.gap_median_s, row.gap_worst_s, row.gap_p99_s)]
        noise = percent(row.noise_s / row.median_s)
        held = f"{row.streams:.2g}", f"{row.streams_worst:.2g}"
        rows.append((f"`{row.method}`", *(one.replace("nan", "—") for one in gaps), noise, *held))
    return (
        "## Streaming `wavenet:nv` in chunks\n\nNoise is made within the time here, and outside it above.\n\n"
        + table(
            (
                *("method", "first chunk (ms)", "gap (ms)", "worst", "99%"),
                *("of it noise", "streams a core holds", "at the worst gap"),
            ),
            rows,
        )
    )


def speech(runs: Mapping[str, Run]) -> str:
    """Return what a second of speech costs by every sampler."""
    nv, paper, student = (runs[name] for name in ("nv", "paper", "student"))
    small, naive = nv.row("naive", 256), 0.0
    naive = small.median_s * (small.rate_hz / small.n) ** 2
    rows: list[tuple[object, ...]] = [
        ("`wavenet:nv`, 16 kHz", "`naive`", "256", f"{naive / 3600:.2g} h, if growth stays N^2"),
    ]
    for run, n, name in ((nv, 4096, "`wavenet:nv`, 16 kHz"), (paper, 240, "`wavenet:paper`, 24 kHz")):
        for method in ("cached", "cached,backend=compile", *FUSED):
            if (run.rows.method == method).any():
                rows.append((name, f"`{method}`", *cost(run.row(method, n))))
        rows.append((name, "scoring, `parallel`", *cost(run.row("parallel", n, op="score"))))
    one = student.row("parallel", 24000)
    rows.append(("`parallel_wavenet:paper`, 24 kHz", "`parallel`", *cost(one)))
    best = min(per_second(paper.row(method, 240)) for method in FUSED[:2])  # the student has one core too
    slow = per_second(paper.row("cached", 240))
    return (
        "## What a second of speech costs\n\nSeconds of this machine for a second of sound, one stream.\n\n"
        + table(("model", "sampler", "measured at N", "a second of speech takes"), rows)
        + f"\nOn one core the student, `parallel_wavenet:paper`, is {best / per_second(one):.3g} times as fast as the "
        f"best sampler of its teacher, `wavenet:paper`, and {slow / per_second(one):.3g} times as fast as `cached`. "
        "The 1,000x that is quoted for Parallel WaveNet compares it with a naive sampler.\n"
    )


def peers(run: Run) -> str:
    """Return the table of other people's samplers."""
    rows = []
    for row in run.rows.sort_values("median_s").itertuples():
        rows.append((f"`{row.method}`", f"{row.n / row.median_s:,.0f}", run.faster("fused", row.method, row.n)))
    return (
        "## Other people's samplers\n\n`wavenet:nv,skip=256`, N = 1,024, with the same weights and noise. "
        "[benchmarks/peers](../../benchmarks/peers/README.md) lists the differences.\n\n"
        + table(("method", "samples a second", "speed of `fused` over it"), rows)
    )


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(SERIES)))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of all series.")
@click.option("--r9y9", type=click.Path(exists=True), help="Checkout of r9y9's WaveNet, for the series peers.")
@click.option("--kan-bayashi", type=click.Path(exists=True), help="Checkout of kan-bayashi's, for the series peers.")
@click.option("--table", "only_table", is_flag=True, help="Write the README from finished series.")
def main(names: tuple[str, ...], out: Path, r9y9: str | None, kan_bayashi: str | None, only_table: bool) -> None:
    """Run series, or write the README from finished ones."""
    found = {"r9y9": r9y9, "kan-bayashi": kan_bayashi}
    given = [word for name, path in found.items() if path for word in ("--peer", f"{name}={path}")]
    chosen = names or tuple(name for name in SERIES if name != "peers")
    for name in () if only_table else chosen:
        command = [str(Path(sys.executable).with_name("arbench")), "run", *SERIES[name], "--out", str(out / name)]
        if subprocess.run([*command, *(given if name == "peers" else [])]).returncode not in (0, 1):
            raise SystemExit(f"series {name} failed")
    if only_table:
        runs = {name: Run(out, name) for name in SERIES if (out / name / "results.jsonl").exists()}
        cpu = next(iter(runs.values())).results.run.environment["cpu"]
        parts = [HEAD.format(cpu=f"{cpu['model']}, {cpu['usable_cores']} cores"), nv(runs["nv"])]
        parts += [
            threads(runs["threads"]),
            compiled(runs["compile"]),
            batches(runs["batch"]),
            vocoder(runs["vocoder"]),
            real_time(runs["realtime"]),
            streams(runs["stream"]),
        ]
        parts += [speech(runs), *([peers(runs["peers"])] if "peers" in runs else [])]
        (out / "README.md").write_text("\n".join(parts))


if __name__ == "__main__":
    main()
