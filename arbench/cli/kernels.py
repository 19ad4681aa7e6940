"""arbench kernels: list the kernels with their cost, and time them against torch and other libraries."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from arbench.border.printable import to_json
from arbench.cli.errors import RefusedError, check_writable, refusing
from arbench.cli.options import device, dtype, given_options, how_timed, only, option, seed, where_left
from arbench.cli.run import measured
from arbench.cli.shell import MEASURING, check_shell
from arbench.cli.terminal import wrapped


@click.command("kernels")
@only("--kernel", "kernels", "Time only this kernel", metavar="NAME")
@only("--op", "ops", "Time only this pass", type=click.Choice(["forward", "backward"]))
@option("--list", "only_list", is_flag=True, help="List the kernels with their cost, and exit.")
@device
@dtype
@option("--compiled", type=int, default=1, help="Number of sizes of each kernel at which to time torch.compile.")
@how_timed(120.0, "all kernels together")
@seed
@where_left
@click.pass_context
def command(
    ctx: click.Context,
    out: Path | None,
    resume: bool,
    as_json: bool,
    only_list: bool,
    strict: bool,
    **values: Any,
) -> None:
    """Time every kernel against torch, torch.compile and installed libraries with the same operation.

    Each kernel is verified against float64, timed in shuffled rounds in several fresh processes, and compared with
    the measured limits of this machine. On a CPU, Triton kernels are verified in Triton's interpreter, not timed.

    Exit codes: 0 none is inexact, 1 one is (with --strict also where a case failed, ran out of memory or timed out),
    2 wrong use, 3 nothing was measured, 70 an unexpected failure, 130 interrupted.
    """
    given = given_options(ctx, values)
    if resume and out is None:
        raise RefusedError("--resume needs --out: the folder of the run to continue")
    check_shell(*MEASURING)

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
    measured(ctx, plan, out, resume, as_json, lambda: None if as_json else listed(chosen, as_json), strict=strict)


def listed(kernels: list[Any], as_json: bool) -> None:
    """Print each kernel's name, summary, backends, and the formulas of its minimum bytes and FLOPs."""
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
        click.echo(to_json({"kernels": found}).decode())
        return
    for kernel in kernels:
        click.echo(wrapped(f"{kernel.name}  {kernel.summary} ({', '.join(kernel.backends)})"))
        for op, formula in kernel.formula.items():
            moved, _, done = formula.partition(", FLOPs = ")
            click.echo(wrapped(moved, f"  {op:<8}  ", " " * 20))
            click.echo(wrapped(f"FLOPs = {done}", " " * 12, " " * 20))
    click.echo(wrapped("|y|: elements of y, |weight|: elements of the weight, s: bytes of a number"))
    click.echo()
