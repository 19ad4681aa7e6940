"""Scatter of the ratio of two equal cases, timed one after the other and in turns, idle and with a busy neighbour.

    python benchmarks/interleaving_trial.py --out reports/interleaving

Equal code has ratio 1, so any other ratio is due to the machine. "Fresh processes" times each side in its own
process, as a comparison of two runs does.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import click

WAYS = ("one after the other", "fresh processes, in turns", "in turns, one process")


@contextmanager
def neighbour(busy: bool) -> Iterator[None]:
    """Run another process that keeps one core busy, if ``busy``."""
    if not busy:
        yield
        return
    spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        spinning.kill()
        spinning.wait()


def side(pairs: int) -> None:
    """Time one call per line read from stdin, and print its seconds; the main function of a fresh process."""
    from arbench.bench.noise import scorer
    from arbench.meters import Clock

    clock, call = Clock("cpu"), scorer()()
    call()
    for _ in range(pairs):
        sys.stdin.readline()
        print(clock.time(call), flush=True)


def across_processes(pairs: int) -> float:
    """Return the ratio of equal code in two fresh processes that take turns call by call."""
    command = [sys.executable, __file__, "--side", "--pairs", str(pairs)]
    both = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) for _ in range(2)
    ]
    ratios = []
    for _ in range(pairs):
        times = []
        for process in both:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n")
            process.stdin.flush()
            times.append(float(process.stdout.readline()))
        ratios.append(times[0] / times[1])
    for process in both:
        process.communicate()
    return median(ratios)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the table and the ratios.")
@click.option("--instances", default=40, show_default=True, help="Number of ratios per way.")
@click.option("--processes", default=16, show_default=True, help="Number of pairs of fresh processes.")
@click.option("--pairs", default=60, show_default=True, help="Number of calls of each side per ratio.")
def main(out: Path, instances: int, processes: int, pairs: int) -> None:
    """Run the trial, idle and with a busy neighbour."""
    from arbench.bench.noise import Trial, aa_trial, scorer
    from arbench.meters import Clock, environment

    out.mkdir(parents=True, exist_ok=True)
    rows, ratios = [], []
    for busy in (False, True):
        with neighbour(busy):
            trial = aa_trial(scorer(), Clock("cpu"), instances, pairs)
            fresh = [across_processes(pairs) for _ in range(processes)]
        state = "busy neighbour" if busy else "idle"
        for way, found in zip(WAYS, (trial.apart, fresh, trial.in_turns), strict=True):
            rows.append((state, way, len(found), Trial.scatter(found), Trial.worst(found)))
            ratios += [(state, way, ratio) for ratio in found]
        click.echo(f"{state}: a call takes {trial.call_s * 1e3:.2f} ms")
    with (out / "ratios.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("machine", "way", "ratio"), *ratios])
    facts = environment("cpu")
    lines = [
        "# Timing one after the other, and in turns",
        "",
        __doc__.split("\n\n")[0] if __doc__ else "",
        "",
        f"{facts['cpu']['model']}, {facts['cpu']['logical_cores']} logical cores, "
        f"{facts['threads']['torch']} threads, torch {facts['versions']['torch']}; the case is "
        f"`wavenet:nv` scoring 64 samples; each ratio comes from {pairs} calls of each side, built in fresh "
        "memory. All ratios are in [ratios.csv](ratios.csv). Repeat with:",
        "",
        "    python benchmarks/interleaving_trial.py --out reports/interleaving",
        "",
        "| machine | how the two sides are timed | ratios | scatter (standard deviation) | worst |",
        "|---|---|---|---|---|",
        *(f"| {state} | {way} | {count} | {sd:.2%} | {worst:.2%} |" for state, way, count, sd, worst in rows),
        "",
    ]
    (out / "README.md").write_text("\n".join(lines), encoding="utf-8")
    click.echo("\n".join(lines[-8:]))


if __name__ == "__main__":
    if "--side" in sys.argv:
        side(int(sys.argv[sys.argv.index("--pairs") + 1]))
    else:
        main()
