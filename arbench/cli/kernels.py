"""arbench kernels: list the kernels with what they cost, and time them against torch and others."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from arbench.cli.asking import given_options, option
from arbench.cli.errors import RefusedError, check_writable, refusing
from arbench.cli.run import measured


@click.command("kernels")
@option("--kernel", "kernels", multiple=True, metavar="NAME", help="Only this kernel, repeatable.")
@option("--op", "ops", multiple=True, type=click.Choice(["forward", "backward"]), help="Only this op, repeatable.")
@option("--list", "only_list", is_flag=True, help="List the kernels and what they cost, and stop.")
@option("--device", default="cpu", metavar="cpu|cuda|cuda:I", help="Where to run.")
@option("--dtype", default="float32", metavar="float64|float32|float16|bfloat16", help="Precision.")
@option("--threads", type=int, default=1, help="Threads within an operation.")
@option("--compiled", type=int, default=1, help="Sizes of each kernel at which torch.compile is timed.")
@option("--target-ci", type=float, default=0.05, help="Relative width of the 95% interval to stop at.")
@option("--budget", type=float, default=120.0, help="Seconds of timing for all kernels.")
@option("--workers", type=int, default=6, help="Fresh processes to time in, at least.")
@option("--rounds", type=int, help="Rounds in each worker, instead of a budget.")
@option("--timeout", type=float, default=120.0, help="Seconds after which a step counts as hung.")
@option("--seed", type=int, default=0, help="Of inputs and order.")
@option("--out", type=click.Path(path_type=Path), help="Folder to leave everything in.  [default: results/TIME]")
@option("--resume", is_flag=True, help="Go on with the killed run in --out, with its own options.")
@option("--json", "as_json", is_flag=True, help="Print the rows as JSON lines instead of the table.")
@click.pass_context
def command(ctx: click.Context, out: Path | None, resume: bool, as_json: bool, only_list: bool, **asked: Any) -> None:
    """Time every kernel against torch, torch.compile and installed peers.

    Each is verified against float64 first, then timed in shuffled rounds in several fresh processes, and held
    against what this machine was measured to do at most. On a CPU what Triton would run is checked in its
    interpreter and not timed.
    """
    given = given_options(ctx, asked)
    if resume and out is None:
        raise RefusedError("--resume needs --out: the folder of the run to go on with")

    from dataclasses import replace

    from arbench.bench.kernels.plan import KernelOptions, find, make_kernel_plan, recorded_kernel_options
    from arbench.bench.plan import PlanError
    from arbench.results import read

    with refusing(PlanError):
        options = recorded_kernel_options(read(out).run) if resume and out else KernelOptions()
        options = replace(options, **given)
        chosen = find(options.kernels)
        if only_list:
            listed(chosen, as_json)
            return
        plan = make_kernel_plan(options)
    out = out or Path("results") / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    check_writable(out)
    measured(ctx, plan, out, resume, as_json, lambda: None if as_json else listed(chosen, as_json))


def listed(kernels: list[Any], as_json: bool) -> None:
    """Prints each kernel's name, what it does, what runs it and what it must move and compute at least."""
    import msgspec

    if as_json:
        found = [
            {
                "name": kernel.name,
                "summary": kernel.summary,
                "element": kernel.element,
                "backends": list(kernel.backends),
                "cost": dict(kernel.formula),
                "sizes": {kind: [dict(one) for one in sizes] for kind, sizes in kernel.sizes.items()},
            }
            for kernel in kernels
        ]
        click.echo(msgspec.json.encode({"kernels": found}).decode())
        return
    for kernel in kernels:
        click.echo(f"{kernel.name}  {kernel.summary} ({', '.join(kernel.backends)})")
        for op, formula in kernel.formula.items():
            click.echo(f"  {op:<8}  {formula}")
    click.echo()
