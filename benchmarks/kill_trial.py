"""Trial of runs whose workers are killed: is every case measured in the end?

    python benchmarks/kill_trial.py --out reports/kills.jsonl --runs 100    # killed or not, the same command continues

Each run measures two tiny models in one or two fresh processes. At a moment drawn from the seed one of its worker
processes, drawn as well (idle, proving or timing), is killed. Each run is one line of JSON: whom the kill met
and when, whether every case was measured, whether a sample is missing or there twice, and which processes were left.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import psutil

from arbench.bench.plan import Options, make_plan
from arbench.bench.workers.strays import MARK
from arbench.results import ResultsError, read

MODELS = ["wavenet:tiny", "lstm:tiny"]
SIZES, METHODS, ROUNDS = [8, 16], ["parallel", "cached", "sequential"], 1
RUN = """
import json, sys
from pathlib import Path
from arbench.bench import runner
from arbench.bench.plan import Options, make_plan
from arbench.bench.progress import Quiet


class Told(Quiet):
    def note(self, text):
        print(text, flush=True)


runner.limits = lambda *_: {"copy": [], "read": [], "matmul": {"float32": 1e6}, "timer_s": 1e-7}
runner.run_plan(make_plan(Options(**json.loads(sys.argv[1]))), Path(sys.argv[2]), progress=Told())
"""
"""One run without its measurement of the machine, in which there is no worker to kill, and without a report."""
LONGEST_S = 300.0
"""Longest run; a longer one counts as hung."""
POLL_S = 0.005


def options(workers: int) -> dict[str, Any]:
    """Return the options of a run."""
    return {"models": MODELS, "methods": METHODS, "n": SIZES, "rounds": ROUNDS, "workers": workers}


def command(out: Path, workers: int) -> list[str]:
    """Return the command line of a run."""
    return [sys.executable, "-c", RUN, json.dumps(options(workers)), str(out)]


def planned(workers: int) -> list[str]:
    """Return the ids of the cases of a run."""
    return [case.id for case in make_plan(Options(**options(workers))).cases]


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """Return the worker processes of a run, oldest first."""
    found = []
    for child in process.children():
        try:
            if child.status() != psutil.STATUS_ZOMBIE and any("workers.worker" in word for word in child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return sorted(found, key=lambda one: (one.create_time(), one.pid))


def left_over(marks: set[str]) -> list[int]:
    """Return the processes that still have the mark of one of these workers."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) in marks:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def working_s(folder: Path) -> float:
    """Return the seconds that a run without a kill takes from its first worker to its end."""
    with subprocess.Popen(command(folder / "whole", 1), stdout=subprocess.DEVNULL) as run:
        watched, first = psutil.Process(run.pid), None
        while run.poll() is None:
            if first is None and workers_of(watched):
                first = time.monotonic()
            time.sleep(POLL_S)
    if first is None or run.returncode:
        raise click.ClickException("a run without a kill fails; mend that first")
    return time.monotonic() - first


def one_run(seed: int, span_s: float, folder: Path) -> dict[str, Any]:
    """Start a run, kill one of its workers, and return what came of it.

    Args:
        seed: seed of the number of workers, the moment and the victim.
        span_s: seconds after the first worker appeared within which the kill comes.
        folder: folder for its results.
    """
    rng = random.Random(seed)
    workers, moment, choice = rng.choice([1, 2]), rng.uniform(0, span_s), rng.random()
    out, marks = folder / f"run-{seed}", set[str]()
    facts: dict[str, Any] = {"seed": seed, "workers": workers, "moment_s": round(moment, 2), "killed": None}
    began, first = time.monotonic(), None
    with (folder / f"said-{seed}").open("w+") as said:
        run = subprocess.Popen(command(out, workers), stdout=said, stderr=said)
        watched = psutil.Process(run.pid)
        while run.poll() is None and time.monotonic() - began < LONGEST_S:
            alive = workers_of(watched)
            marks |= {mark for worker in alive if (mark := mark_of(worker))}
            first = first or (time.monotonic() if alive else None)
            if facts["killed"] is None and alive and first and time.monotonic() - first >= moment:
                place = int(choice * len(alive))
                os.kill(alive[place].pid, signal.SIGKILL)
                file = out / "results.jsonl"
                facts["killed"] = {"of": len(alive), "place": place, "stage": stage(file)}
            time.sleep(POLL_S)
        if run.poll() is None:
            run.kill()
            facts["hung"] = True
        facts["code"] = run.wait()
        said.seek(0)
        facts["told"] = [line.strip() for line in said if "trying again" in line or "error:" in line]
    return facts | judged(out, workers) | {"left_over": left_over(marks)}


def mark_of(worker: psutil.Process) -> str | None:
    """Return the mark of a worker; None if it is gone, or not itself yet."""
    try:
        mark: str | None = worker.environ().get(MARK)
        return mark
    except psutil.Error:
        return None


def stage(file: Path) -> str:
    """Return the kind of the last line of a results file: what a run did last."""
    whole = file.read_bytes().rpartition(b"\n")[0] if file.exists() else b""  # the last line may be half written
    lines = whole.splitlines()
    kinds = [json.loads(line)["kind"] for line in lines[-3:]]
    return next((kind for kind in reversed(kinds) if kind != "seal"), "nothing")


def judged(out: Path, workers: int) -> dict[str, Any]:
    """Return whether every case of a run was measured, and which samples are missing or there twice."""
    cases = planned(workers)
    wanted = Counter((case, worker, number) for case in cases for worker in range(workers) for number in range(ROUNDS))
    try:
        results = read(out)
    except ResultsError as error:
        return {"measured": False, "why": str(error)}
    found = Counter((line.case, line.worker, line.round) for line in results.samples)
    status = {case: results.cases[case].status if case in results.cases else "missing" for case in cases}
    return {
        "measured": set(status.values()) == {"ok"} and all(results.counts[case].ops is not None for case in cases),
        "not_ok": {case: what for case, what in status.items() if what != "ok"},
        "missing": sum((wanted - found).values()),
        "twice": sum((found - wanted).values()),
    }


def sound(line: dict[str, Any]) -> bool:
    """Return whether a run came to the end that it has without a kill."""
    nothing = not (line.get("missing") or line.get("twice") or line["left_over"] or line.get("hung"))
    return bool(line["measured"] and nothing and line["code"] == 0)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File for one line of JSON a run.")
@click.option("--runs", default=100, help="Number of runs, those in the file included.")
@click.option("--longest", default=1e9, help="Seconds after which no further run starts.")
def main(out: Path, runs: int, longest: float) -> None:
    """Kill one worker in each of many runs, and report whether every case was measured."""
    began = time.monotonic()
    out.parent.mkdir(parents=True, exist_ok=True)
    done = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    known = {line["seed"] for line in done}
    with tempfile.TemporaryDirectory(prefix="arbench-kills-") as folder:
        span_s = done[0]["span_s"] if done else working_s(Path(folder))
        for seed in range(runs):
            if seed in known or time.monotonic() - began > longest:
                continue
            line = one_run(seed, span_s, Path(folder)) | {"span_s": span_s}
            done.append(line)
            with out.open("a") as file:
                file.write(json.dumps(line) + "\n")
            click.echo(json.dumps(line))
    met = [line for line in done if line["killed"] is not None]
    bad = [line["seed"] for line in done if not sound(line)]
    click.echo(f"{len(done)} runs, {len(met)} with a killed worker; {len(done) - len(bad)} measured every case once")
    if bad:
        click.echo(f"seeds of the others: {', '.join(map(str, bad))}")


if __name__ == "__main__":
    main()
