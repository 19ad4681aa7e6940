"""arbench run: measure models, print one table and a verdict, leave results and a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from arbench.cli.asking import given_options, option, which_cases, which_inputs
from arbench.cli.errors import RefusedError, check_writable, refusing


@click.command("run")
@which_cases("wavenet")
@option("--threads", type=int, default=1, help="Threads within an operation.")
@option("--target-ci", type=float, default=0.05, help="Relative width of the 95% interval to stop at.")
@option("--budget", type=float, default=30.0, help="Seconds of timing for each model.")
@option("--workers", type=int, default=6, help="Fresh processes to time in, at least.")
@option("--rounds", type=int, help="Rounds in each worker, instead of a budget.")
@option("--count-budget", type=float, default=8.0, help="Seconds of counting operations for each method.")
@option("--timeout", type=float, default=120.0, help="Seconds after which a step counts as hung.")
@which_inputs
@option("--out", type=click.Path(path_type=Path), help="Folder to leave everything in.  [default: results/TIME]")
@option("--resume", is_flag=True, help="Go on with the killed run in --out, with its own options.")
@option("--json", "as_json", is_flag=True, help="Print the rows as JSON lines instead of the table.")
@click.pass_context
def command(ctx: click.Context, out: Path | None, resume: bool, as_json: bool, **asked: Any) -> None:
    """Measure how scoring and sampling of a model grow with N.

    Each method is verified first, its depth and work are counted, then it is timed in shuffled rounds in
    several fresh processes. What is found is on disk at once: a killed run goes on with --resume.
    """
    given = given_options(ctx, asked)
    if out is None:
        if resume:
            raise RefusedError("--resume needs --out: the folder of the run to go on with")
        out = Path("results") / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    check_writable(out)

    from arbench.bench.plan import Options, PlanError, make_plan, recorded_options
    from arbench.bench.suite import suite_options
    from arbench.results import read

    with refusing(PlanError):
        if resume:
            options = recorded_options(read(out).run)
        else:
            options = suite_options(given["suite"]) if "suite" in given else Options()
        plan = make_plan(replace(options, **given))
    measured(ctx, plan, out, resume, as_json)


def measured(
    ctx: click.Context,
    plan: Any,
    out: Path,
    resume: bool,
    as_json: bool,
    opening: Callable[[], None] = lambda: None,
) -> None:
    """Measures a plan into ``out`` and shows what came out, interrupted or not.

    Args:
        opening: says what comes first, once measuring begins.
    """
    from arbench.bench.runner import run_plan
    from arbench.cli.progress import Display
    from arbench.cli.show import show
    from arbench.results import ResultsError, WriteError, read

    interrupted = False
    with Display(opening) as display:
        try:
            results = run_plan(plan, out, resume=resume, argv=ctx.obj, progress=display)
        except KeyboardInterrupt:
            interrupted = True
            try:
                results = read(out)
            except ResultsError:  # so early that there is nothing to show
                raise KeyboardInterrupt from None
        except WriteError as error:
            raise click.ClickException(str(error)) from None
        except ResultsError as error:
            raise RefusedError(str(error)) from None
    show(results, out, as_json)
    if interrupted:
        said = f"arbench: interrupted; go on with: arbench {ctx.info_name} --resume --out {out}"
        click.echo(said, err=True)
        ctx.exit(130)
