"""Trial of the time check: how often it raises a false alarm, and which slowdowns it finds.

    python benchmarks/gate_trial.py --out reports/gate            # about half an hour on two cores
    python benchmarks/gate_trial.py --out reports/gate --judge    # only from the instances stored there

Copies of this tree are timed against each other: some equal, some with 1, 2 and 5% of real extra work in the model's
own code. Instances are timed as in ``arbench check --against`` and stored, one a line. A simulated check draws four of
the processes at random and eight instances of each (and other processes for its second run), and judges them by the
gate's own rule; where the planted work takes more than its percentage, the excess is removed. The same is done for two
processes that take turns, and for the median of one process against that of an earlier one. A few complete checks are
run as well.
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

from arbench.gate.timing.check import Gate
from arbench.gate.timing.effort import APART, TOGETHER, sizes
from arbench.gate.timing.hosts import Apart, Host, Together
from arbench.gate.timing.trees import Tree
from arbench.stats.change import Observations, judge_change

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
"""Condition for the extra work: in every scoring pass, and in one of the sampling steps."""


def copied(folder: Path, name: str, repeats: dict[str, int] | None = None) -> Tree:
    """Return a copy of this tree with extra small operations in some methods of the model.

    Args:
        folder: folder for the copy.
        name: its name.
        repeats: number of extra operations, by method.
    """
    root = folder / name
    for room in ("arbench", "kernels"):  # arbench/kernels is a link to kernels
        shutil.copytree(ROOT / room, root / room, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    with (root / "arbench" / "models" / "wavenet.py").open("a") as file:
        for method, times in (repeats or {}).items():
            file.write(EXTRA.format(repeats=times, method=method, when=WHEN[method]))
    return Tree(name, root, root)


@contextmanager
def opened(kind: type[Together] | type[Apart], trees: Sequence[Tree], seed: int) -> Iterator[Host]:
    """Yield a fresh host with the trees loaded."""
    host = kind(trees, seed, threads=1, facts={}, timeout=120.0)
    try:
        host.ready()
        yield host
    finally:
        host.close()


def planned(host: Host, sides: int) -> dict[str, dict[str, Any]]:
    """Return the case of each kind of work."""
    found = {}
    for name, options in CASES.items():
        cases = host.list_cases([options] * sides, False).sides[0]
        assert isinstance(cases, dict)
        (case,) = cases.values()
        found[name] = case
    return found


def timed(host: Host, case: dict[str, Any], sides: Sequence[int]) -> list[list[float]]:
    """Return the seconds of one instance, a list for each side."""
    rounds, calls = sizes(host.build([case] * len(sides), sides))
    return host.turns(rounds, calls).seconds


def ratio(after: Sequence[float], before: Sequence[float]) -> float:
    """Return the ratio of an instance."""
    return median(b / a for a, b in zip(before, after, strict=True))


def calibrated(folder: Path) -> dict[float, dict[str, int]]:
    """Return the number of small operations that make up each effect, by method, from a linear fit."""
    method = {"scoring": "forward", "sampling": "extend"}
    trials = (2, 12, 30, 70)
    trees = [copied(folder, "plain")]
    trees += [copied(folder, f"loaded-{n}", dict.fromkeys(method.values(), n)) for n in trials]
    found: dict[str, list[list[float]]] = defaultdict(list)
    with opened(Together, trees, 1) as host:
        cases = planned(host, len(trees))
        for _ in range(24):
            for name, case in cases.items():
                old, *news = timed(host, case, range(len(trees)))
                found[name].append([ratio(new, old) - 1 for new in news])
    repeats: dict[float, dict[str, int]] = {effect: {} for effect in EFFECTS if effect}
    for name, rows in found.items():
        each, first = np.polyfit(trials, np.median(rows, axis=0), 1)
        click.echo(f"{name}: each small operation takes {each:.3%} of a call, and any number of them {first:.3%} more")
        for effect, planted in repeats.items():
            planted[method[name]] = max(1, round((effect - first) / each))
    return repeats


@contextmanager
def neighbour(busy: bool) -> Iterator[None]:
    """Run another process that keeps one core busy, or none."""
    spinning = subprocess.Popen([sys.executable, "-c", "while True: sum(range(10000))"]) if busy else None
    try:
        yield
    finally:
        if spinning is not None:
            spinning.kill()
            spinning.wait()


def collect(folder: Path, out: Path, processes: int, live: int, seed: int, loads: Sequence[str]) -> None:
    """Time instances of every condition and append them to a file."""
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
    """Time the instances of one process, all conditions mixed; each times the old tree, its copy and a new one."""
    rng = random.Random(seed + process)
    with opened(Together, trees, 100 * seed + process) as host:
        cases = planned(host, len(trees))
        for instance in range(TOGETHER.instances):
            todo = [(name, place) for name in CASES for place in range(len(EFFECTS))]
            rng.shuffle(todo)
            for name, place in todo:
                started = time.monotonic()
                old, same, new = timed(host, cases[name], (0, 1, 2 + place))
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
    """Time a process for each version, in turns; their medians also serve as stored numbers."""
    with opened(Apart, trees, 100 * seed + process) as host:
        cases = planned(host, len(trees))
        for name, case in cases.items():
            old, same, *news = timed(host, case, range(len(trees)))
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
    """Run complete checks of one case each, as the command does."""
    for name, options in CASES.items():
        started = time.monotonic()
        gate = Gate(before, after, [options], seed=1 + number)
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


def drawn(pool: Pool, processes: Sequence[int], rng: random.Random) -> Observations:
    """Return one run of a check: the instances of these processes, drawn with replacement."""
    rows = [row for process in processes for row in rng.choices(pool[process], k=len(pool[process]))]
    return Observations([row["ratio"] for row in rows], [row["equal"] for row in rows])


def levelled(pool: Pool, effect: float) -> Pool:
    """Return the instances without the excess over the planted effect, so that no row looks better than it is."""
    excess = median(row["ratio"] for rows in pool.values() for row in rows) / (1 + effect)
    if not effect or excess <= 1:
        return pool
    return {process: [{**row, "ratio": row["ratio"] / excess} for row in rows] for process, rows in pool.items()}


def compared(then: Pool, now: Pool, rng: random.Random) -> str:
    """Return the outcome of comparing the median of one process with that of an earlier one."""
    old, new = rng.sample(sorted(now), 2)
    change = now[new][0]["after_s"] / then[old][0]["before_s"] - 1
    return "regression" if change > STORED_THRESHOLD else "same"


def judged(pool: Pool, way: str, rng: random.Random) -> str:
    """Return the outcome of one check drawn from the stored instances."""
    effort = TOGETHER if way == "one process" else APART
    if way == "two processes, fine":
        effort = replace(APART, threshold=TOGETHER.threshold)
    chosen = rng.sample(sorted(pool), 2 * effort.processes)
    first, second = chosen[: effort.processes], chosen[effort.processes :]
    return judge_change(drawn(pool, first, rng), lambda: drawn(pool, second, rng), effort.threshold).outcome


def bounds(hits: int, of: int) -> str:
    """Return a share with its Clopper-Pearson interval: ``97.5% [94.3, 99.2]``."""
    low, high = binomtest(hits, of).proportion_ci(0.95, method="exact")
    return f"{hits / of:.1%} [{100 * low:.1f}, {100 * high:.1f}]"


def table(rows: Sequence[dict[str, Any]], alarms: int, effects: int, seed: int) -> str:
    """Return the result in Markdown; the share of undecided checks is that of equal code."""
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
    """Return a table of the measured effect of the planted work, and of the scatter of instances."""
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
    """Return a table of the complete checks: outcomes and seconds."""
    lines = [
        "| machine | planted | checks | outcomes | seconds a check, median and most |",
        "|---|---|---|---|---|",
    ]
    for load in LOADS:
        for effect in EFFECTS:
            mine = [r for r in rows if (r["way"], r["load"], r["effect"]) == ("whole", load, effect)]
            if mine:
                outcomes = [row["outcome"] for row in mine]
                counted = ", ".join(f"{outcomes.count(o)} {o}" for o in dict.fromkeys(outcomes))
                seconds = [row["seconds"] for row in mine]
                took = f"{median(seconds):.0f}, {max(seconds):.0f}"
                lines.append(f"| {load} | {effect:.0%} | {len(mine)} | {counted} | {took} |")
    return "\n".join(lines) + "\n"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports/gate"), show_default=True)
@click.option("--processes", type=int, default=12, show_default=True, help="Fresh processes for each condition.")
@click.option("--live", type=int, default=1, show_default=True, help="Complete checks for each condition and case.")
@click.option(
    "--load",
    "loads",
    multiple=True,
    type=click.Choice(LOADS),
    default=LOADS,
    help="Only on an idle or a busy machine.",
)
@click.option("--judge", is_flag=True, help="Only judge the stored instances.")
@click.option("--alarms", type=int, default=500, show_default=True, help="Simulated checks of equal code for each row.")
@click.option(
    "--effects", type=int, default=200, show_default=True, help="Simulated checks of each slowdown for each row."
)
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
