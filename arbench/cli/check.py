"""arbench check: is this version as good as that one? Ends with a code that a CI job can act on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from arbench.cli.against import MANY, TIMING, Threshold, joined, prepared, unmeasured
from arbench.cli.asking import given_options, option, which_cases, which_inputs
from arbench.cli.errors import NothingError, RefusedError, refusing
from arbench.cli.verdict import check_junit, conclude

_UPDATE = "Write the baseline anew: of what it was asked, or of the --model or --suite given."


@click.command("check")
@option("--baseline", type=click.Path(path_type=Path), metavar="FILE", help="Compare counters with this file's.")
@option("--update", is_flag=True, help=_UPDATE)
@option("--peak-tolerance", type=float, default=0.05, help="Relative change of peak memory that counts as none.")
@option("--strict", is_flag=True, help="End with 4 where something is undecided.")
@option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the table.")
@option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML there as well.")
@option(
    "--against",
    metavar="REF|PATH",
    help="Compare times with this version: a commit, or a folder, a wheel, an environment.",
)
@option(
    "--candidate",
    metavar="REF|PATH",
    help="The version that is checked.  [default: the repository as it stands, or what is installed]",
)
@option(
    "--threshold",
    "thresholds",
    multiple=True,
    type=Threshold(),
    help="The least change of time that counts, of all or of ids that hold TEXT.  [default: 0.3%]",
)
@option("--processes", type=int, help="Fresh processes to time in.  [default: 4]")
@option("--instances", type=int, help="Instances in each process.  [default: 8]")
@option("--apart", is_flag=True, help="Give each version a process of its own: weaker.")
@option("--kernel", "kernels", multiple=True, metavar="NAME", help="Time kernels instead, repeatable.")
@which_cases("those of the baseline; for a new one, of the suite exact; for times, of the suite timing")
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
    **asked: Any,
) -> None:
    """Is this version as good as that one?

    With --baseline its counters and verifications are compared with those of a file, to the last digit. With
    --against its times are compared with those of another version: both are loaded into one process and take
    turns, in instances built anew, in several fresh processes. A change counts if the interval of the median
    over instances clears the threshold, and does so again when the case is run again by itself.

    Exit codes: 0 no regression, 1 regression, 2 wrong use, 3 nothing could be measured, 4 undecided, with
    --strict. Where GITHUB_STEP_SUMMARY is set, a summary in markdown is appended there.
    """
    if baseline is None and update:
        raise RefusedError("--update writes the file of --baseline: say which")
    if baseline is None and against is None:
        raise RefusedError("say what to compare with: --baseline FILE, --against REF, or both")
    if update and against is not None:
        raise RefusedError("--update writes a baseline and --against judges times: one at a time")
    if not 0 <= peak_tolerance < 1:
        raise RefusedError(f"--peak-tolerance is a relative change between 0 and 1, got {peak_tolerance:g}")
    check_junit(junit)
    given = given_options(ctx, asked)
    how = {name: given.pop(name) for name in TIMING if name in given}
    if against is None and (how or candidate):
        name = next(iter(how), "candidate")
        option_name = name.removesuffix("s") if name in MANY else name
        raise RefusedError(f"--{option_name} belongs to --against: say which version")
    if baseline is not None and "kernels" in how:
        raise RefusedError("--kernel has no counters to compare with a baseline; leave out --baseline")
    if baseline is not None and candidate is not None:
        raise RefusedError("--baseline counts the version that runs; leave out --candidate, or run that one")
    with prepared(against, candidate, given, how) as timed:
        checks = [] if baseline is None else [exact(baseline, given, update, peak_tolerance)]
        try:
            checks += [] if timed is None else [timed()]
        except click.ClickException as error:
            if not checks:
                raise
            checks.append(unmeasured(error.format_message(), str(against)))  # what was found before stays
    check = joined(checks)
    code = conclude(check, strict=strict, as_json=as_json, junit=junit)
    ctx.exit(0 if update else code)


def exact(path: Path, given: dict[str, Any], update: bool, tolerance: float) -> Any:
    """The exact gate, as a ``findings.Check``.

    Raises:
        RefusedError: wrong use.
        NothingError: nothing to compare, or nothing could be verified.
    """
    from arbench.bench.options import PlanError
    from arbench.cli.progress import Display
    from arbench.findings import Check
    from arbench.gate.counters.baseline import BaselineError, NothingInCommonError
    from arbench.gate.counters.check import open_gate

    started = time.monotonic()
    try:
        with refusing(BaselineError, PlanError):
            gate = open_gate(path, given, update)
            with Display() as display:
                results = gate.prove(display)
            found = gate.findings(results, tolerance)
            notes = [*gate.gone, *([gate.save(results)] if update else [])]
    except NothingInCommonError as error:
        raise NothingError(str(error)) from None
    if not update and any(one.outcome == "improvement" for one in found):
        notes.append(f"to make the improvement the new standard: arbench check --baseline {path} --update")
    return Check(
        before=str(path),
        after=results.run.git or "this version",
        findings=found,
        notes=notes,
        environment=results.run.environment,
        seconds=time.monotonic() - started,
    )
