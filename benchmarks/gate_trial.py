"""How often the timing gate raises a false alarm, and which slow-downs it finds.

    python benchmarks/gate_trial.py --out reports/gate            # about half an hour on two cores
    python benchmarks/gate_trial.py --out reports/gate --judge    # from the instances that are stored there

Copies of this tree are timed against each other: some equal, some with 1, 2 and 5% of real extra work in the
model's own code. Instances are timed as ``arbench check --against`` times them and stored one a line. A check
draws four of the processes at random and eight instances of each (and other processes for its second run),
and judges them by the gate's own rule; what the planted work reads beyond its percentage is taken off.
Beside it the same for two processes that take turns, and for the median of one process against that of an
earlier one. A few checks are made whole, without drawing anything.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
from scipy.stats import binomtest

from arbench.gate.timing.check import APART, TOGETHER, Gate, sizes
from arbench.gate.timing.holding import Apart, Together
from arbench.gate.timing.trees import Tree
from arbench.stats.change import Run, decide

ROOT = Path(__file__).resolve().parents[1]
CASES = {
    "scoring": {"models": ["wavenet:nv"], "ops": ["score"], "methods": ["parallel"], "n": [32]},
    "sampling": {"models": ["wavenet:tiny"], "ops": ["sample"], "methods": ["cached"], "n": [16]},
}
EFFECTS = (0.0, 0.01, 0.02, 0.05)
LOADS = ("idle", "busy")
STORED_THRESHOLD = 0.05
WAYS = {
    "one process": f"in turns, one process: the gate (from {TOGETHER.threshold:.1%})",
    "two processes": f"in turns, a process each (from {APART.threshold:.0%})",
    "two processes, fine": f"in turns, a process each (from {TOGETHER.threshold:.1%})",
    "stored": f"with the median that an idle machine stored (from {STORED_THRESHOLD:.0%})",
}
EXTRA = """

_WORK = torch.full((256,), 0.1)


def _slower(method):
    def call(self, *args):
        if {when}:
            for _ in range({repeats}):
                _WORK.tanh_()
        return method(self, *args)

    return call


WaveNet.{method} = _slower(WaveNet.{method})
"""
WHEN = {"forward": "True", "extend": "args[2] == 4"}
"""In the one pass that scores, and in one of the steps that sample."""


def copied(folder: Path, name: str, repeats: dict[str, int] | None = None) -> Tree:
    """A copy of this tree, with so many small operations more in a method of the model."""
    root = folder / name
    shutil.copytree(ROOT / "arbench", root / "arbench", ignore=shutil.ignore_patterns("__pycache__", "kernels"))
    shutil.copytree(ROOT / "kernels", root / "arbench" / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    with (root / "arbench" / "models" / "wavenet.py").open("a") as file:
        for method, times in (repeats or {}).items():
            file.write(EXTRA.format(repeats=times, method=method, when=WHEN[method]))
    return Tree(name, root, root)


@contextmanager
def opened(kind: type[Together] | type[Apart], trees: Sequence[Tree], seed: int) -> Iterator[Any]:
    """Fresh processes that hold the trees."""
    holding = kind(trees, seed, threads=1, facts={}, timeout=120.0)
    try:
        holding.ready()
        yield holding
    finally:
        holding.close()


def planned(holding: Any, sides: int) -> dict[str, dict[str, Any]]:
    """The case of each kind of work."""
    found = {}
    for name, asked in CASES.items():
        (case,) = holding.plan([asked] * sides, False).sides[0].values()
        found[name] = case
    return found


def timed(holding: Any, case: dict[str, Any], sides: Sequence[int]) -> list[list[float]]:
    """One instance."""
    rounds, calls = sizes(holding.hold([case] * len(sides), sides))
    seconds: list[list[float]] = holding.turns(rounds, calls).seconds
    return seconds


def ratio(after: Sequence[float], before: Sequence[float]) -> float:
    """Of an instance."""
    return median(b / a for a, b in zip(before, after, strict=True))


def calibrated(folder: Path) -> dict[float, dict[str, int]]:
    """How many small operations are so many percent of a call, by a line through several numbers of them."""
    method = {"scoring": "forward", "sampling": "extend"}
    trials = (2, 12, 30, 70)
    trees = [copied(folder, "plain")]
    trees += [copied(folder, f"loaded-{n}", dict.fromkeys(method.values(), n)) for n in trials]
    found: dict[str, list[list[float]]] = defaultdict(list)
    with opened(Together, trees, 1) as holding:
        cases = planned(holding, len(trees))
        for _ in range(24):
            for name, case in cases.items():
                old, *news = timed(holding, case, range(len(trees)))
                found[name].append([ratio(new, old) - 1 for new in news])
    repeats: dict[float, dict[str, int]] = {effect: {} for effect in EFFECTS if effect}
    for name, rows in found.items():
        each, first = np.polyfit(trials, np.median(rows, axis=0), 1)
        click.echo(f"{name}: each small operation {each:.3%} of a call, and {first:.3%} whatever their number")
        for effect, planted in repeats.items():
            planted[method[name]] = max(1, round((effect - first) / each))
    return repeats


@contextmanager
def neighbour(busy: bool) -> Iterator[None]:
    """Another process that keeps one core busy, or none."""
    spinning = subprocess.Popen([sys.executable, "-c", "while True: sum(range(10000))"]) if busy else None
    try:
        yield
    finally:
        if spinning is not None:
            spinning.kill()
            spinning.wait()


def collect(folder: Path, out: Path, processes: int, live: int, seed: int, loads: Sequence[str]) -> None:
    """Times instances of every condition and appends them to the file."""
    repeats = calibrated(folder)
    before = copied(folder, "before")
    versions = {effect: copied(folder, f"after-{effect:g}", repeats.get(effect)) for effect in EFFECTS}
    trees = [before, before, *versions.values()]
    with out.open("a") as file:

        def keep(**facts: Any) -> None:
            file.write(json.dumps(facts) + "\n")
            file.flush()

        for load in loads:
            with neighbour(load == "busy"):
                for process in range(processes):
                    one_process(trees, load, process, seed, keep)
                    for more in (0, processes):
                        two_processes(trees, load, process + more, seed, keep)
                    click.echo(f"{load}: {process + 1} of {processes}")
                for number in range(live):
                    for effect, tree in versions.items():
                        whole(before, tree, load, effect, number, keep)


def one_process(trees: Sequence[Tree], load: str, process: int, seed: int, keep: Any) -> None:
    """A process's instances, of all conditions mixed: each holds before, after, and before again."""
    rng = random.Random(seed + process)
    with opened(Together, trees, 100 * seed + process) as holding:
        cases = planned(holding, len(trees))
        for instance in range(TOGETHER.instances):
            todo = [(name, place) for name in CASES for place in range(len(EFFECTS))]
            rng.shuffle(todo)
            for name, place in todo:
                started = time.monotonic()
                old, same, new = timed(holding, cases[name], (0, 1, 2 + place))
                keep(
                    way="one process",
                    load=load,
                    work=name,
                    effect=EFFECTS[place],
                    process=process,
                    instance=instance,
                    ratio=ratio(new, old),
                    equal=ratio(same, old),
                    seconds=time.monotonic() - started,
                )


def two_processes(trees: Sequence[Tree], load: str, process: int, seed: int, keep: Any) -> None:
    """A process for each version, all taking turns; their medians serve as stored numbers too."""
    with opened(Apart, trees, 100 * seed + process) as holding:
        cases = planned(holding, len(trees))
        for name, case in cases.items():
            old, same, *news = timed(holding, case, range(len(trees)))
            for effect, new in zip(EFFECTS, news, strict=True):
                keep(
                    way="two processes",
                    load=load,
                    work=name,
                    effect=effect,
                    process=process,
                    instance=0,
                    ratio=ratio(new, old),
                    equal=ratio(same, old),
                    before_s=median(old),
                    after_s=median(new),
                )


def whole(before: Tree, after: Tree, load: str, effect: float, number: int, keep: Any) -> None:
    """Checks of one case each, made as the command makes them."""
    for name, asked in CASES.items():
        started = time.monotonic()
        gate = Gate(before, after, [asked], seed=1 + number)
        gate.run()
        (finding,) = gate.findings
        keep(
            way="whole",
            load=load,
            work=name,
            effect=effect,
            process=number,
            outcome=finding.outcome,
            change=finding.change,
            interval=finding.interval,
            seconds=time.monotonic() - started,
        )
        click.echo(f"{load}: {finding.outcome}: {finding.text}")


Pool = dict[int, list[dict[str, Any]]]
"""The stored instances of one condition, by process."""


def drawn(pool: Pool, processes: Sequence[int], rng: random.Random) -> Run:
    """A run of a check: these processes, as many instances of each as there are, drawn with replacement."""
    rows = [row for process in processes for row in rng.choices(pool[process], k=len(pool[process]))]
    return Run([row["ratio"] for row in rows], [row["equal"] for row in rows])


def levelled(pool: Pool, effect: float) -> Pool:
    """The instances with what they read beyond the planned effect taken off, so that no row flatters."""
    excess = median(row["ratio"] for rows in pool.values() for row in rows) / (1 + effect)
    if not effect or excess <= 1:
        return pool
    return {process: [{**row, "ratio": row["ratio"] / excess} for row in rows] for process, rows in pool.items()}


def compared(then: Pool, now: Pool, rng: random.Random) -> str:
    """The outcome of comparing one process's median with that of an earlier one."""
    old, new = rng.sample(sorted(now), 2)
    change = now[new][0]["after_s"] / then[old][0]["before_s"] - 1
    return "regression" if change > STORED_THRESHOLD else "same"


def judged(pool: Pool, way: str, rng: random.Random) -> str:
    """The outcome of one check that is drawn from what is stored."""
    effort = TOGETHER if way == "one process" else APART
    if way == "two processes, fine":
        effort = replace(APART, threshold=TOGETHER.threshold)
    chosen = rng.sample(sorted(pool), 2 * effort.processes)
    first, second = chosen[: effort.processes], chosen[effort.processes :]
    return decide(drawn(pool, first, rng), lambda: drawn(pool, second, rng), effort.threshold).outcome


def bounds(hits: int, of: int) -> str:
    """``97.5% [94.3, 99.2]``, the Clopper-Pearson interval."""
    low, high = binomtest(hits, of).proportion_ci(0.95, method="exact")
    return f"{hits / of:.1%} [{100 * low:.1f}, {100 * high:.1f}]"


def table(rows: Sequence[dict[str, Any]], alarms: int, effects: int, seed: int) -> str:
    """The result as markdown; undecided: of the checks of equal code."""
    pools: dict[tuple[str, str, str, float], Pool] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row["way"] != "whole":
            pools[row["way"], row["load"], row["work"], row["effect"]][row["process"]].append(row)
    rng = random.Random(seed)
    heads = ["how the sides are timed", "machine", "work", "false alarms", "1% found", "2% found", "5% found"]
    lines = ["| " + " | ".join([*heads, "undecided"]) + " |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for way, title in WAYS.items():
        for load in LOADS:
            for work in CASES:
                cells, unclear = [], 0
                for effect in EFFECTS:
                    kind = "one process" if way == "one process" else "two processes"
                    pool, of = pools[kind, load, work, effect], effects if effect else alarms
                    if way == "stored":
                        then = pools[kind, LOADS[0], work, effect]
                        found = [compared(then, pool, rng) for _ in range(of)]
                    else:
                        fair = levelled(pool, effect)
                        found = [judged(fair, way, rng) for _ in range(of)]
                    counted = ("regression",) if effect else ("regression", "improvement")
                    cells.append(bounds(sum(outcome in counted for outcome in found), of))
                    unclear += 0 if effect else found.count("undecided")
                share = "" if way == "stored" else f"{unclear / alarms:.0%}"
                lines.append("| " + " | ".join([title, load, work, *cells, share]) + " |")
    return "\n".join(lines) + "\n"


def read_back(rows: Sequence[dict[str, Any]]) -> str:
    """What the planted work reads over all instances, and how they scatter."""
    lines = ["| machine | work | planted | read, median of all | scatter of an instance | of equal code |"]
    lines.append("|---|---|---|---|---|---|")
    for load in LOADS:
        for work in CASES:
            for effect in EFFECTS:
                mine = [
                    row
                    for row in rows
                    if (row["way"], row["load"], row["work"], row["effect"]) == ("one process", load, work, effect)
                ]
                logs, equal = (np.log([row[key] for row in mine]) for key in ("ratio", "equal"))
                spread = [np.subtract(*np.quantile(x, [0.75, 0.25])) / 1.349 for x in (logs, equal)]
                lines.append(
                    f"| {load} | {work} | {effect:.0%} | {np.expm1(np.median(logs)):+.2%} | "
                    f"{spread[0]:.2%} | {spread[1]:.2%} |"
                )
    return "\n".join(lines) + "\n"


def wholes(rows: Sequence[dict[str, Any]]) -> str:
    """Of the checks that were made whole: outcomes and seconds."""
    lines = [
        "| machine | planted | checks | outcomes | seconds a check, median and most |",
        "|---|---|---|---|---|",
    ]
    for load in LOADS:
        for effect in EFFECTS:
            mine = [r for r in rows if (r["way"], r["load"], r["effect"]) == ("whole", load, effect)]
            if mine:
                outcomes = [row["outcome"] for row in mine]
                said = ", ".join(f"{outcomes.count(o)} {o}" for o in dict.fromkeys(outcomes))
                seconds = [row["seconds"] for row in mine]
                took = f"{median(seconds):.0f}, {max(seconds):.0f}"
                lines.append(f"| {load} | {effect:.0%} | {len(mine)} | {said} | {took} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports/gate"), show_default=True)
@click.option("--processes", type=int, default=12, show_default=True, help="Fresh processes a condition.")
@click.option("--live", type=int, default=1, show_default=True, help="Whole checks a condition and case.")
@click.option(
    "--load",
    "loads",
    multiple=True,
    type=click.Choice(LOADS),
    default=LOADS,
    help="Only there.",
)
@click.option("--judge", is_flag=True, help="Only judge what is stored.")
@click.option("--alarms", type=int, default=500, show_default=True, help="Checks of equal code a row.")
@click.option("--effects", type=int, default=200, show_default=True, help="Checks of each slow-down a row.")
@click.option("--seed", type=int, default=0, show_default=True)
def main(
    out: Path,
    processes: int,
    live: int,
    loads: Sequence[str],
    judge: bool,
    alarms: int,
    effects: int,
    seed: int,
) -> None:
    """Time equal and slower copies of this tree against it, and judge many checks."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "instances.jsonl"
    if not judge:
        with tempfile.TemporaryDirectory(prefix="arbench-trial-") as folder:
            collect(Path(folder), file, processes, live, seed, loads)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    parts = {"table": table(rows, alarms, effects, seed), "read": read_back(rows), "whole": wholes(rows)}
    for name, part in parts.items():
        (out / f"{name}.md").write_text(part)
        click.echo("\n" + part)


if __name__ == "__main__":
    main()
