"""arbench run: measure models, print a table and a verdict, write results and a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from arbench.border.naming import method_name, split_method, split_spec, without_preset
from arbench.cli.errors import UNEXPECTED, LostError, NothingError, RefusedError, check_writable, refusing
from arbench.cli.options import (
    details,
    given_options,
    how_timed,
    named_models,
    option,
    peers,
    where_left,
    which_cases,
    which_inputs,
)
from arbench.cli.shell import MEASURING, check_shell

if TYPE_CHECKING:
    from arbench.bench.options import Options
    from arbench.bench.plan import Plan
    from arbench.results import Run


@click.command("run")
@which_cases("wavenet", "several, from the model")
@peers
@how_timed(30.0, "each model")
@option("--count-budget", type=float, default=8.0, help="Seconds to count the operations of each method.")
@which_inputs
@where_left
@option(
    "--samples/--no-samples",
    default=True,
    help="After the measurement, draw samples of each model with trained weights into OUT/samples, for the report.",
)
@option(
    "--profile/--no-profile",
    default=False,
    help="After the measurement, say where the time of a call of each method goes, and write a trace of it into "
    "OUT/profiles; with --resume also for a run that is done.",
)
@details
@click.pass_context
def command(
    ctx: click.Context,
    out: Path | None,
    resume: bool,
    as_json: bool,
    samples: bool,
    profile: bool,
    details: bool,
    strict: bool,
    **values: Any,
) -> None:
    """Measure how scoring and sampling of a model grow with N.

    Each method is verified, its depth and work are counted, then it is timed in shuffled rounds in several fresh
    processes. Results are written as they are measured, so --resume can continue an interrupted run.

    Exit codes: 0 no method is inexact and no claim fails, 1 one is or does (with --strict also where a case failed, ran
    out of memory or timed out), 2 wrong use, 3 nothing was measured, 70 an unexpected failure, 130 interrupted.
    """
    given = given_options(ctx, values)
    if out is None:
        if resume:
            raise RefusedError("--resume needs --out: the folder of the run to continue")
        out = Path("results") / datetime.now().strftime("%Y-%m-%d-%H%M%S")
    check_writable(out)
    check_shell(*MEASURING)
    given = named_models(given)

    from arbench.bench.options import Options, PlanError, recorded_options
    from arbench.bench.suite import suite_options
    from arbench.bench.workers.failure import NoWorkerError
    from arbench.bench.workers.planning import planned
    from arbench.cli.progress import Display
    from arbench.results import FILE_NAME, read

    with refusing(PlanError), Display() as display:
        if resume:
            before = read(out / FILE_NAME)
            say_imports(before.run, out / FILE_NAME)
            options = recorded_options(before.run)
        else:
            options = suite_options(given["suite"]) if "suite" in given else Options()
        try:
            options = replace(options, **given)
            plan = planned(options, progress=display)
        except NoWorkerError as error:
            raise NothingError(str(error)) from None
    say_absent(plan, given.get("methods", ()))
    say_unable(options)
    measured(ctx, plan, out, resume, as_json, details=details, strict=strict, samples=samples, profile=profile)


def say_absent(plan: Plan, methods: Sequence[str]) -> None:
    """Say which of the methods that the user named no model of a plan has."""
    absent = [name for name in methods if all(case.method != method_name(name) for case in plan.cases)]
    if absent:
        named = " ".join(dict.fromkeys(f"--model {without_preset(case.spec, case.preset)}" for case in plan.cases))
        whys = [f"{name} {plan.lacking[method_name(name)]}" for name in absent if method_name(name) in plan.lacking]
        why = "; ".join(whys) if len(whys) == len(absent) else f"for why: arbench list {named}"
        click.echo(f"arbench: no model of this run has {', '.join(absent)}; {why}", err=True)


def say_unable(options: Options) -> None:
    """Say which methods that the user did not choose among are left out because this process cannot run them."""
    from arbench.methods import METHODS

    for method in () if options.methods or options.suite else METHODS:
        if (why := method.unable()) is not None:
            click.echo(f"arbench: without {method.name}: it {why}", err=True)


def say_imports(run: Run, file: Path) -> None:
    """Say which code of the user a run that is resumed imports, before it does."""
    cases = run.plan.get("cases")
    specs = [case.get("spec") for case in cases] if isinstance(cases, list) else []
    named = run.plan.get("options", {}).get("models")
    specs += named if isinstance(named, list) else []
    places = [case.get("method_spec") for case in cases] if isinstance(cases, list) else []
    specs += [split_method(place)[0] for place in places if isinstance(place, str)]
    foreign = dict.fromkeys(":".join(split_spec(one)[:2]) for one in map(str, specs) if "." in split_spec(one)[0])
    peers = run.plan.get("options", {}).get("peers")
    foreign |= dict.fromkeys(map(str, peers if isinstance(peers, list) else []))
    if foreign:
        click.echo(f"arbench: importing {', '.join(foreign)}, which {file} names", err=True)


def measured(
    ctx: click.Context,
    plan: Plan,
    out: Path,
    resume: bool,
    as_json: bool,
    opening: Callable[[], None] = lambda: None,
    *,
    details: bool = False,
    strict: bool = False,
    samples: bool = False,
    profile: bool = False,
) -> None:
    """Measure a plan into a folder and show the results, even after an interrupt or where no worker starts any more.

    Args:
        ctx: the command; its object is the command line.
        plan: the cases to measure.
        out: the folder.
        resume: whether to continue the run in the folder.
        as_json: whether to print the rows as JSON lines instead of the table.
        opening: called before the first stage, to print what comes first.
        details: whether to print every verdict and note too.
        strict: whether a case that failed, ran out of memory or timed out is an error beside cases that are ok.
        samples: whether to draw samples of models with trained weights afterwards.
        profile: whether to profile a case of each method before that.

    Raises:
        RefusedError: the folder contains another run.
        NothingError: no worker process starts, and nothing was measured before.
        LostError: the results cannot be written.
        click.exceptions.Exit: the exit code is not 0; see ``arbench.cli.outcome``.
    """
    from arbench.bench.runner import run_plan
    from arbench.bench.workers.drawing import draw_samples
    from arbench.bench.workers.failure import NoWorkerError
    from arbench.cli.outcome import NOTHING, outcome
    from arbench.cli.progress import Display
    from arbench.cli.show import show
    from arbench.results import ResultsError, TakenError, WriteError, read

    again = f"arbench {ctx.info_name} --resume{' --profile' if profile else ''} --out {quote(str(out))}"
    interrupted, taken, stopped, unflushed = False, None, "", None
    with Display(opening) as display:
        try:
            results = run_plan(plan, out, resume=resume, argv=ctx.obj, progress=display, profile=profile)
            if samples:
                draw_samples(plan, results, out, display)
        except KeyboardInterrupt:
            interrupted = True
            try:
                results = read(out)
            except ResultsError:  # interrupted before there was anything to show
                raise KeyboardInterrupt from None
        except TakenError as error:
            taken, results = error, error.results
        except NoWorkerError as error:
            stopped = f"{error}; then continue with: {again}"
            results = read(out)  # the rows of what was measured before are written
            if outcome(results, False)[0] == NOTHING:
                raise NothingError(stopped) from None
        except WriteError as error:
            if not error.closing:
                raise LostError(str(error)) from None
            unflushed, results = error, read(out)
        except ResultsError as error:
            raise RefusedError(str(error)) from None
    show(results, out, as_json, taken.path if taken else None, details)
    if taken is not None:
        click.echo(f"arbench: {taken}", err=True)
        ctx.exit(UNEXPECTED)
    if stopped:
        click.echo(f"arbench: {stopped}", err=True)
        ctx.exit(UNEXPECTED)
    if unflushed is not None:
        raise LostError(str(unflushed))
    if interrupted:
        click.echo(f"arbench: interrupted; continue with: {again}", err=True)
        ctx.exit(130)
    code, why = outcome(results, strict)
    if why:
        click.echo(f"arbench: {why}", err=True)
    ctx.exit(code)
