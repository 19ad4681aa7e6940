"""arbench doctor: what this machine can measure, how noisy it is, and what to do about it."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from arbench.cli.errors import RefusedError


@click.command("doctor")
@click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda|cuda:I", help="Where to look.")
@click.option("--threads", type=int, default=1, show_default=True, help="Threads within an operation.")
@click.option("--instances", type=int, default=12, show_default=True, help="Ratios of equal code each way.")
@click.option("--pairs", type=int, default=40, show_default=True, help="Calls of each side for one ratio.")
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
def command(device: str, threads: int, instances: int, pairs: int, as_json: bool) -> None:
    """Measure the machine's limits, what the clock costs, and an A/A trial: the ratio of two equal pieces of
    work, which should be 1, timed one after the other and in turns."""
    if instances < 2 or pairs < 1:
        raise RefusedError("--instances must be at least 2 and --pairs at least 1")
    if threads < 1:
        raise RefusedError(f"--threads must be at least 1, got {threads}")

    import torch

    from arbench.bench.noise import aa_trial, scorer
    from arbench.bench.plan import PlanError, check_device
    from arbench.cli.errors import refusing
    from arbench.meters import Clock, environment, limits

    with refusing(PlanError):
        check_device(device, "float32")
    torch.set_num_threads(threads)
    facts = environment(device)
    clock = Clock(device)
    measured = limits(device, threads)
    trial = aa_trial(scorer(device), clock, instances, pairs)
    found: dict[str, Any] = {
        "environment": facts,
        "limits": measured,
        "clock": {"overhead_s": clock.overhead_s(), "shortest_s": clock.shortest_s()},
        "aa_trial": {
            "call_s": trial.call_s,
            "instances": instances,
            "pairs": pairs,
            "apart": {"scatter": trial.scatter(trial.apart), "worst": trial.worst(trial.apart)},
            "in_turns": {"scatter": trial.scatter(trial.in_turns), "worst": trial.worst(trial.in_turns)},
        },
    }
    found["advice"] = advice(found)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for line in _lines(found):
        click.echo(line)


def advice(found: dict[str, Any]) -> list[str]:
    """What would make measurements here better, from what ``doctor`` found; worst first."""
    said = []
    turns, apart = (found["aa_trial"][way]["scatter"] for way in ("in_turns", "apart"))
    cpu, load = found["environment"]["cpu"], found["environment"]["load"]
    if turns > 0.05:
        said.append("equal code differs by more than 5% even in turns: something else is running; wait for it")
    elif apart > 0.05:
        said.append("equal code timed one after the other differs by more than 5%: compare only within one run")
    share = load.get("per_cpu")
    if share is not None and share > 0.5:
        said.append(f"the load is {share:.1f} a CPU: other programs compete for it")
    governor = cpu.get("governor")
    if governor not in (None, "performance"):
        said.append(f"the CPU frequency governor is '{governor}': 'performance' keeps the clock steady")
    threads = found["environment"]["threads"]["torch"]
    if threads > (cpu.get("physical_cores") or threads):
        said.append(f"torch uses {threads} threads on {cpu['physical_cores']} cores: pass --threads")
    return said or ["nothing to mend: intervals of a few percent can be had here"]


def _lines(found: dict[str, Any]) -> list[str]:
    facts, measured, clock, trial = (found[k] for k in ("environment", "limits", "clock", "aa_trial"))
    cpu, gpu = facts["cpu"], facts["gpu"]
    versions = ", ".join(f"{k} {v}" for k, v in facts["versions"].items() if v)
    lines = [
        f"CPU       {cpu.get('model') or 'unknown'}, {cpu.get('logical_cores')} logical cores",
        f"GPU       {gpu.get('name') if gpu else 'none asked for'}",
        f"threads   {facts['threads']['torch']} within an operation",
        f"versions  {versions}",
        "",
        "copy      " + _rates(measured["copy"]),
        "read      " + _rates(measured["read"]),
        "matmul    " + ", ".join(f"{k}: {v:.0f} GFLOP/s" for k, v in measured["matmul"].items()),
        f"clock     a timed call adds {clock['overhead_s'] * 1e9:.0f} ns; calls shorter than "
        f"{clock['shortest_s'] * 1e6:.1f} us are timed several at once",
        "",
        f"A/A trial: ratio of equal code, {trial['instances']} times {trial['pairs']} calls of "
        f"{trial['call_s'] * 1e3:.1f} ms a side",
    ]
    for way, name in (("apart", "one after the other"), ("in_turns", "in turns")):
        lines.append(f"  {name:<20} scatter {trial[way]['scatter']:.2%}, worst {trial[way]['worst']:.2%}")
    return [*lines, "", *(f"- {line}" for line in found["advice"])]


def _rates(points: list[dict[str, Any]]) -> str:
    """The first, the last and two points between, by working set; --json has them all."""
    last = len(points) - 1
    shown = [points[i] for i in sorted({0, last // 3, 2 * last // 3, last})]
    return ", ".join(f"{_size(p['bytes'])}: {p['gb_per_s']:.0f} GB/s" for p in shown)


def _size(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"
