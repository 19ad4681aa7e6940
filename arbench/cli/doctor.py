"""arbench doctor: measure the limits and the noise of this machine, and advise how to reduce the noise."""

from __future__ import annotations

from typing import Any

import click

from arbench.border.printable import to_json
from arbench.cli.errors import refusing
from arbench.cli.options import device, option, threads
from arbench.cli.shell import MEASURING, check_shell


@click.command("doctor")
@device
@threads
@option("--instances", type=int, default=12, help="Number of ratios, for each way of timing.")
@option("--pairs", type=int, default=40, help="Number of calls of each of the two pieces of code for one ratio.")
@option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
def command(device: str, threads: int, instances: int, pairs: int, as_json: bool) -> None:
    """Measure the limits of this machine, the overhead of its clock, and its noise.

    The noise comes from an A/A trial: the ratio of the times of two pieces of equal code, which should be 1, timed
    one after the other and in turns.
    """
    check_shell(*MEASURING)
    import torch

    from arbench.bench.native import native_facts
    from arbench.bench.noise import aa_trial, scorer
    from arbench.bench.options import MOST, PlanError, check_between, check_device, without_compiler
    from arbench.meters import Clock, environment, limits

    with refusing(PlanError):
        check_between("--instances", instances, 2, MOST)
        check_between("--pairs", pairs, 1, MOST)
        check_between("--threads", threads, 1, MOST)
        check_device(device, "float32")
    torch.set_num_threads(threads)
    facts = environment(device)
    clock = Clock(device)
    measured = limits(device, threads)
    native = native_facts()
    trial = aa_trial(scorer(device), clock, instances, pairs)
    found: dict[str, Any] = {
        "environment": facts,
        "limits": measured,
        "compile": without_compiler(),
        "native": native,
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
        click.echo(to_json(found).decode())
        return
    for line in _lines(found, torch.cuda.is_available()):
        click.echo(line)


def advice(found: dict[str, Any]) -> list[str]:
    """Return advice for better measurements on this machine, most important first.

    Args:
        found: the JSON object that ``doctor`` prints.
    """
    lines = []
    turns, apart = (found["aa_trial"][way]["scatter"] for way in ("in_turns", "apart"))
    cpu, load = found["environment"]["cpu"], found["environment"]["load"]
    if turns > 0.05:
        lines.append(
            "equal code differs by more than 5% even in turns: something else is running; wait until it is done"
        )
    elif apart > 0.05:
        lines.append("equal code timed one after the other differs by more than 5%: compare times only within one run")
    share = load.get("per_cpu")
    if share is not None and share > 0.5:
        lines.append(f"the load is {share:.1f} per CPU: stop other programs")
    governor = cpu.get("governor")
    if governor not in (None, "performance"):
        lines.append(f"the CPU frequency governor is '{governor}': set 'performance' for a steady clock")
    threads = found["environment"]["threads"]["torch"]
    if threads > (cpu.get("physical_cores") or threads):
        lines.append(f"torch uses {threads} threads on {cpu['physical_cores']} cores: pass a smaller --threads")
    return lines or ["nothing to improve: intervals of a few percent are possible here"]


def _lines(found: dict[str, Any], cuda: bool) -> list[str]:
    """Return the findings in words; ``cuda`` is whether there is a CUDA device."""
    facts, measured, native, clock, trial = (found[k] for k in ("environment", "limits", "native", "clock", "aa_trial"))
    cpu, gpu = facts["cpu"], facts["gpu"]
    versions = ", ".join(f"{k} {v}" for k, v in facts["versions"].items() if v)
    other = "not measured; pass --device cuda" if cuda else "no CUDA device"
    lines = [
        f"CPU       {cpu.get('model') or 'unknown'}, {cpu.get('logical_cores')} logical cores",
        f"GPU       {gpu.get('name') if gpu else other}",
        f"threads   {facts['threads']['torch']} within one operation",
        f"compile   {found['compile'] or 'torch.compile finds a C++ compiler'}",
        f"versions  {versions}",
        "",
        "copy      " + _rates(measured["copy"]),
        "read      " + _rates(measured["read"]),
        "matmul    " + ", ".join(f"{k}: {v:.0f} GFLOP/s" for k, v in measured["matmul"].items()),
        "vectors   " + _vectors(native["vectors"], native["vector_bytes"]),
        *_exchange(native["exchange_s"], native["exchange_best_s"]),
        f"clock     timing a call adds {clock['overhead_s'] * 1e9:.0f} ns; calls shorter than "
        f"{clock['shortest_s'] * 1e6:.1f} us are timed several in a row",
        "",
        f"A/A trial: {trial['instances']} ratios of equal code, each from {trial['pairs']} calls of "
        f"{trial['call_s'] * 1e3:.1f} ms on each side",
    ]
    for way, name in (("apart", "one after the other"), ("in_turns", "in turns")):
        lines.append(f"  {name:<20} scatter {trial[way]['scatter']:.2%}, worst {trial[way]['worst']:.2%}")
    return [*lines, "", *(f"- {line}" for line in found["advice"])]


def _vectors(name: str | None, size: int | None) -> str:
    if name is None:
        return "unknown"
    return f"{name} ({size} bytes)" + (": native samplers run slower than on 64 bytes" if size != 64 else "")


def _exchange(median: float | None, best: float | None) -> list[str]:
    """Return a line, or none where there is one processor."""
    if median is None or best is None:
        return []
    return [f"exchange  {median * 1e6:.2f} us to pass 64 floats between two threads, {best * 1e6:.2f} us at best"]


def _rates(points: list[dict[str, Any]]) -> str:
    """Return the rates at the smallest, the largest and two working sets between; --json has all of them."""
    last = len(points) - 1
    shown = [points[i] for i in sorted({0, last // 3, 2 * last // 3, last})]
    return ", ".join(f"{_size(p['bytes'])}: {p['gb_per_s']:.0f} GB/s" for p in shown)


def _size(count: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"
