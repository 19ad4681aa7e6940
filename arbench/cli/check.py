"""arbench check: compare a version with a baseline or another version, with an exit code for CI."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from arbench.cli.against import MANY, TIMING, Threshold, joined, prepared, unmeasured
from arbench.cli.errors import NothingError, RefusedError, refusing
from arbench.cli.options import (
    FilePath,
    PathText,
    given_options,
    named_models,
    only,
    option,
    which_cases,
    which_inputs,
)
from arbench.cli.shell import MEASURING, check_shell
from arbench.cli.verdict import check_junit, conclude

if TYPE_CHECKING:
    from arbench.findings import Check


@click.command("check")
@option("--baseline", type=FilePath(), metavar="FILE", help="Compare counters with those in this file.")
@option(
    "--update",
    is_flag=True,
    help="Write the baseline: for the cases it already has, or for the given --model or --suite.",
)
@option("--peak-tolerance", type=float, default=0.05, help="Largest relative change of peak memory to ignore.")
@option("--strict", is_flag=True, help="Exit with 4 if a result is undecided.")
@option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")
@option("--junit", type=FilePath(), metavar="FILE", help="Also write the results as JUnit XML.")
@option(
    "--against",
    type=PathText(),
    metavar="REF|PATH",
    help="Compare times with this version: a commit, branch or tag, a folder, a wheel, or an environment.",
)
@option(
    "--candidate",
    type=PathText(),
    metavar="REF|PATH",
    help="Version to check.  [default: the repository in the current folder, or else the installed package]",
)
@option(
    "--threshold",
    "thresholds",
    multiple=True,
    type=Threshold(),
    help="Smallest relative slowdown to report; TEXT=PERCENT limits it to matching case ids, or to import_s, first_s "
    "(first result), peak_bytes or largest_s (largest N).  [default: 0.3%, or 0.5% in own processes; for these "
    "four 25%, 25%, 1% and 10%]",
)
@option("--processes", type=int, help="Number of fresh processes to time in.  [default: 4]")
@option("--instances", type=int, help="Number of times to build and time each case in each process.  [default: 8]")
@option("--apart", is_flag=True, help="Give each version a process of its own; finds only larger slowdowns.")
@only("--kernel", "kernels", "Time this kernel instead of models", metavar="NAME")
@which_cases(
    "the baseline's; for a new baseline the suite exact; for times the suite timing",
    "the baseline's; for times the suite's, or the smallest of a --model",
)
@which_inputs
@click.pass_context
def command(
    ctx: click.Context,
    baseline: Path | None,
    update: bool,
    peak_tolerance: float,
    strict: bool,
    as_json: bool,
    junit: Path | None,
    against: str | None,
    candidate: str | None,
    **values: Any,
) -> None:
    """Compare this version with a baseline, another version, or both.

    --baseline FILE compares exact counters (depth, operations, memory, ...) and verification results with those
    in the file. --against REF compares times: both versions take turns in the same fresh processes. A slowdown is a
    regression if its confidence interval lies above the threshold, and shows again when the case is timed alone. Each
    version is also tried in processes of its own, for its import, first result, peak memory and a large N.

    Exit codes: 0 no regression, 1 regression, 2 wrong use, 3 nothing could be measured, 4 undecided (with
    --strict), 70 unexpected failure. If GITHUB_STEP_SUMMARY is set, a Markdown summary is appended to that file.
    """
    if baseline is None and update:
        raise RefusedError("--update needs --baseline FILE: the file to write")
    if baseline is None and against is None:
        raise RefusedError("nothing to compare with; pass --baseline FILE, --against REF, or both")
    if update and against is not None:
        raise RefusedError("--update and --against cannot be combined; update the baseline first, then compare times")
    if not 0 <= peak_tolerance < 1:
        raise RefusedError(f"--peak-tolerance must be at least 0 and below 1, got {peak_tolerance:g}")
    check_junit(junit)
    given = given_options(ctx, values)
    how = {name: given.pop(name) for name in TIMING if name in given}
    if against is None and (how or candidate):
        name = next(iter(how), "candidate")
        option_name = name.removesuffix("s") if name in MANY else name
        raise RefusedError(f"--{option_name} needs --against REF: the version to compare with")
    if baseline is not None and "kernels" in how:
        raise RefusedError("--kernel cannot be combined with --baseline, which has no kernels; leave out one of them")
    if baseline is not None and candidate is not None:
        raise RefusedError(
            "--candidate cannot be combined with --baseline, which checks the running version; leave out one of them"
        )
    check_shell(*MEASURING)
    given = named_models(given)
    with prepared(against, candidate, given, how) as timed:
        checks = [] if baseline is None else [exact(baseline, given, update, peak_tolerance)]
        try:
            checks += [] if timed is None else [timed()]
        except click.ClickException as error:
            if not checks:
                raise
            checks.append(unmeasured(error.format_message(), str(against)))  # keep the findings of the other gate
    check = joined(checks)
    code = conclude(check, strict=strict, as_json=as_json, junit=junit)
    ctx.exit(0 if update else code)


def exact(path: Path, given: dict[str, Any], update: bool, tolerance: float) -> Check:
    """Return the counter check as a ``findings.Check``.

    Args:
        path: the baseline.
        given: fields of ``Options`` that the user set.
        update: whether to write the baseline.
        tolerance: relative change of peak memory to ignore.

    Raises:
        RefusedError: wrong use.
        NothingError: nothing to compare, or nothing could be verified.
    """
    from arbench.bench.options import PlanError
    from arbench.bench.workers.failure import NoWorkerError
    from arbench.cli.progress import Display
    from arbench.findings import Check
    from arbench.gate.counters.baseline import BaselineError, NothingInCommonError
    from arbench.gate.counters.check import open_gate

    started = time.monotonic()
    try:
        with refusing(BaselineError, PlanError):
            with Display() as display:
                gate = open_gate(path, given, update, display)
                results = gate.prove(display)
            found = gate.findings(results, tolerance)
            notes = [*gate.gone, *([gate.save(results)] if update else [])]
    except (NothingInCommonError, NoWorkerError) as error:
        raise NothingError(str(error)) from None
    if not update and any(one.outcome == "improvement" for one in found):
        notes.append(f"to keep the improvement as the new baseline: arbench check --baseline {path} --update")
    return Check(
        before=str(path),
        after=results.run.git or "this version",
        findings=found,
        notes=notes,
        environment=results.run.environment,
        seconds=time.monotonic() - started,
    )
