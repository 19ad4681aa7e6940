"""Trial of the time check: how often it raises a false alarm, and which slowdowns it finds.

    python benchmarks/gate_trial.py --out reports/gate             # hours; killed or not, the same command continues
    python benchmarks/gate_trial.py --out reports/gate --judge     # only the tables, from the checks stored there
    python benchmarks/gate_trial.py --load busy --no-spin --part 1 2 & \
    python benchmarks/gate_trial.py --load busy --no-spin --part 2 2   # each half is the busy neighbour of the other

Copies of this tree are checked against each other as ``arbench check --against`` does, each check in fresh processes:
some are equal, some have 1, 2 or 5% of extra work in the model's own code. Every check is one line of
``checks.jsonl``. Beside the gate's own outcome a line has that of the rule that tango-bench publishes, on the same
timings. The trial of each version alone is left out: it does not decide whether times differ.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, stdev
from typing import Any

import click
import msgspec
import numpy as np
from scipy.stats import binomtest

from arbench.bench.progress import Quiet
from arbench.gate.timing.check import Gate
from arbench.gate.timing.effort import sizes
from arbench.gate.timing.hosts import Together
from arbench.gate.timing.trees import Tree
from arbench.git import revision

ROOT = Path(__file__).resolve().parents[1]
CASES = {
    "scoring": {"models": ["wavenet:nv"], "ops": ["score"], "methods": ["parallel"], "n": [32]},
    "sampling": {"models": ["wavenet:tiny"], "ops": ["sample"], "methods": ["cached"], "n": [16]},
}
PLANNED = {
    "idle": {0.0: 150, 0.01: 50, 0.02: 20, 0.05: 10},
    "busy": {0.0: 50, 0.01: 17, 0.02: 7, 0.05: 4},
}
"""Number of checks of each case, by load and planted slowdown."""
TANGO_Z, TANGO_LEAST = 2.6, 0.01
"""Rule of tango-bench: the z-score of the mean difference, and the smallest relative difference."""
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
METHOD = {"scoring": "forward", "sampling": "extend"}


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


def read_changes(trees: Sequence[Tree], instances: int) -> dict[str, list[float]]:
    """Return how much slower than the first tree each other one is, by case: the median over instances."""
    host = Together(trees, 1, threads=1, facts={}, timeout=120.0)
    found: dict[str, list[list[float]]] = defaultdict(list)
    try:
        host.ready()
        for _ in range(instances):
            for name, options in CASES.items():
                (case,) = host.list_cases([options] * len(trees), False).sides[0].values()  # type: ignore[union-attr]
                rounds, calls = sizes(host.build([case] * len(trees), range(len(trees))))
                old, *news = host.turns(rounds, calls).seconds
                ratios = [median(b / a for a, b in zip(old, new, strict=True)) for new in news]
                found[name].append([ratio - 1 for ratio in ratios])
    finally:
        host.close()
    return {name: np.median(rows, axis=0).tolist() for name, rows in found.items()}


def calibrated(folder: Path) -> dict[float, dict[str, int]]:
    """Return the number of small operations that make up each slowdown, by method, from a linear fit."""
    trials = (2, 8, 20, 40, 70)
    trees = [copied(folder, "plain")]
    trees += [copied(folder, f"loaded-{n}", dict.fromkeys(METHOD.values(), n)) for n in trials]
    repeats: dict[float, dict[str, int]] = {effect: {} for effect in PLANNED["idle"] if effect}
    for name, changes in read_changes(trees, 48).items():
        each, first = np.polyfit(trials, changes, 1)
        click.echo(f"{name}: each small operation takes {each:.3%} of a call, and any number of them {first:.3%} more")
        for effect, planted in repeats.items():
            planted[METHOD[name]] = max(1, round((effect - first) / each))
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


Key = tuple[str, str, float, int]
"""Load, case, planted slowdown and number of a check."""


def plan(loads: Sequence[str]) -> list[Key]:
    """Return all checks in a random order that is the same every time, so that an unfinished trial is balanced."""
    keys = [
        (load, work, effect, number)
        for load in loads
        for effect, many in PLANNED[load].items()
        for work in CASES
        for number in range(many)
    ]
    random.Random(0).shuffle(keys)
    return keys


def tango(old: Sequence[float], new: Sequence[float]) -> dict[str, Any]:
    """Return the outcome of tango-bench's rule, re-implemented from its description.

    The differences count if their mean is at least 2.6 standard errors from zero and more than 1% of the old version's
    mean. Pairs beyond 3 interquartile ranges are left out; tango-bench itself (0.7.2) leaves none out by default, and
    with ``-o`` those beyond 1.5.
    """
    difference, base = np.subtract(new, old), np.asarray(old)
    low, high = np.quantile(difference, [0.25, 0.75])
    kept = (difference >= low - 3 * (high - low)) & (difference <= high + 3 * (high - low))
    difference, base = difference[kept], base[kept]
    z = difference.mean() / (difference.std(ddof=1) / math.sqrt(len(difference)))
    change = difference.mean() / base.mean()
    counts = abs(z) >= TANGO_Z and abs(change) > TANGO_LEAST
    outcome = ("regression" if z > 0 else "improvement") if counts else "same"
    return {"outcome": outcome, "z": float(z), "change": float(change)}


def check(before: Tree, after: Tree, key: Key) -> dict[str, Any]:
    """Run one check of one case and return its line."""
    load, work, effect, number = key
    pairs: tuple[list[float], list[float]] = ([], [])

    def keep(_: str, seconds: Sequence[Sequence[float]]) -> None:
        for mine, theirs in zip(pairs, seconds, strict=False):
            mine.extend(theirs)

    started = time.monotonic()
    gate = Gate(before, after, [CASES[work]], seed=plan(list(PLANNED)).index(key), alone=False)
    gate.keep = keep
    gate.run(Quiet())
    (finding,) = gate.findings
    logs = {name: np.log([one[name] for one in gate.instances]) for name in ("ratio", "equal")}
    return {
        "load": load,
        "work": work,
        "effect": effect,
        "number": number,
        "outcome": finding.outcome,
        "text": finding.text,
        "change": finding.change,
        "interval": finding.interval,
        "instances": len(gate.instances),
        "rounds": median(one["rounds"] for one in gate.instances),
        "scatter": {name: float(stdev(values)) for name, values in logs.items()},
        "tango": tango(*pairs),
        "seconds": time.monotonic() - started,
        "at": time.time(),
    }


def collect(
    folder: Path, file: Path, keys: Sequence[Key], rows: list[dict[str, Any]], minutes: float, spin: bool
) -> None:
    """Run the checks that a file lacks, for so many minutes, and append each to it; ``spin`` keeps a core busy."""
    started = time.monotonic()
    done = {(row["load"], row["work"], row["effect"], row["number"]) for row in rows}
    commit = revision()
    repeats = next((row["repeats"] for row in rows if "repeats" in row), None)
    if repeats is None:
        repeats = {f"{effect:g}": planted for effect, planted in calibrated(folder).items()}
    before = copied(folder, "before")
    trees = {float(effect): copied(folder, f"after-{effect}", planted) for effect, planted in repeats.items()}
    trees[0.0] = copied(folder, "after")
    with file.open("a") as out:
        todo = [key for key in keys if key not in done]
        for place, key in enumerate(todo):
            if time.monotonic() - started > 60 * minutes:
                return
            busy = key[0] == "busy"
            with neighbour(spin and busy):
                line = {**check(before, trees[key[2]], key), "repeats": repeats, "commit": commit}
                line["neighbour"] = ("a spinning process" if spin else "other work") if busy else None
            out.write(msgspec.json.encode(line).decode() + "\n")
            out.flush()
            click.echo(f"{place + 1} of {len(todo)}: {key[0]} {key[2]:.0%} {line['seconds']:.0f} s: {line['text']}")


def bounds(hits: int, of: int) -> str:
    """Return a share with its Clopper-Pearson interval: ``97.5% [94.3, 99.2]``."""
    low, high = binomtest(hits, of).proportion_ci(0.95, method="exact")
    return f"{hits / of:.1%} [{100 * low:.1f}, {100 * high:.1f}]"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the results in Markdown: for equal code false alarms, for slower code the share that was found."""
    heads = ["machine", "work", "planted", "checks", "reported", "undecided", "tango-bench's rule", "seconds"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for load, planned in PLANNED.items():
        for effect in planned:
            for works in (*((work,) for work in CASES), tuple(CASES)):
                mine = [r for r in rows if (r["load"], r["effect"]) == (load, effect) and r["work"] in works]
                if not mine:
                    continue
                hits = ("regression",) if effect else ("regression", "improvement")
                found = sum(row["outcome"] in hits for row in mine)
                theirs = sum(row["tango"]["outcome"] in hits for row in mine)
                cells = [load, works[0] if len(works) == 1 else "both", f"{effect:.0%}", str(len(mine))]
                cells += [
                    bounds(found, len(mine)),
                    f"{[r['outcome'] for r in mine].count('undecided') / len(mine):.0%}",
                ]
                seconds = [row["seconds"] for row in mine]
                cells += [bounds(theirs, len(mine)), f"{median(seconds):.0f}, {max(seconds):.0f}"]
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def scatter(rows: Sequence[dict[str, Any]]) -> str:
    """Return in Markdown what the planted work was read as, and the scatter of instances and of checks."""
    heads = ["machine", "work", "planted", "read, median", "scatter of checks", "of instances", "of equal code"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for load, planned in PLANNED.items():
        for effect in planned:
            for work in CASES:
                mine = [r for r in rows if (r["load"], r["effect"], r["work"]) == (load, effect, work)]
                changes = [row["change"] for row in mine if row["change"] is not None]
                if len(changes) < 2:
                    continue
                cells = [load, work, f"{effect:.0%}", f"{median(changes):+.2%}", f"{stdev(changes):.2%}"]
                cells += [f"{median(row['scatter'][name] for row in mine):.2%}" for name in ("ratio", "equal")]
                lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def both(rows: Sequence[dict[str, Any]], render: Callable[[Sequence[dict[str, Any]]], str]) -> str:
    """Return a table of the checks by the gate as it is, which state their rounds, and one of all."""
    now = [row for row in rows if "rounds" in row]
    return f"The gate as it is:\n\n{render(now)}\nAll checks, those with a third of the calls too:\n\n{render(rows)}"


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports/gate"), show_default=True)
@click.option(
    "--load",
    "loads",
    multiple=True,
    type=click.Choice(list(PLANNED)),
    default=list(PLANNED),
    help="Only on an idle or a busy machine.",
)
@click.option("--minutes", type=float, default=math.inf, help="Stop after this time; the same command continues.")
@click.option("--spin/--no-spin", default=True, help="Keep a core busy in busy checks; not where other work does.")
@click.option(
    "--part",
    type=(int, int),
    default=(1, 1),
    show_default=True,
    help="Only a part of the checks: 1 2 is the first half.",
)
@click.option("--judge", is_flag=True, help="Only make the tables.")
def main(out: Path, loads: Sequence[str], minutes: float, spin: bool, part: tuple[int, int], judge: bool) -> None:
    """Check equal and slower copies of this tree against it, again and again."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "checks.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    if not 1 <= part[0] <= part[1]:
        raise click.BadParameter("give the number of a part and of all parts, as in 1 2", param_hint="--part")
    if part[1] > 1 and not rows:
        raise click.UsageError("the first check calibrates the planted work on a machine of its own; run it first")
    if not judge:
        with tempfile.TemporaryDirectory(prefix="arbench-trial-") as folder:
            collect(Path(folder), file, plan(loads)[part[0] - 1 :: part[1]], rows, minutes, spin)
        rows = [json.loads(line) for line in file.read_text().splitlines()]
    for name, render in {"table": table, "scatter": scatter}.items():
        text = both(rows, render)
        (out / f"{name}.md").write_text(text)
        click.echo("\n" + text)


if __name__ == "__main__":
    main()
