"""arbench check: is this version as good as that one? Ends with a code that a CI job can act on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from arbench.cli.asking import given_options, option, which_cases, which_inputs
from arbench.cli.errors import NothingError, RefusedError, refusing
from arbench.cli.verdict import check_junit, conclude

_UPDATE = "Write the baseline anew: of what it was asked, or of the --model or --suite given."


@click.command("check")
@option(
    "--baseline", type=click.Path(path_type=Path), metavar="FILE", help="Compare counters with this file's."
)
@option("--update", is_flag=True, help=_UPDATE)
@option(
    "--peak-tolerance", type=float, default=0.05, help="Relative change of peak memory that counts as none."
)
@option("--strict", is_flag=True, help="End with 4 where something is undecided.")
@option("--json", "as_json", is_flag=True, help="Print one JSON document instead of the table.")
@option("--junit", type=click.Path(path_type=Path), metavar="FILE", help="Write JUnit XML there as well.")
@which_cases("those of the baseline; for a new one, of the suite exact")
@which_inputs
@click.pass_context
def command(
    ctx: click.Context, baseline: Path | None, update: bool, peak_tolerance: float, strict: bool,
    as_json: bool, junit: Path | None, **asked: Any,
) -> None:  # fmt: skip
    """Compare this version with a baseline: counters and verifications, to the last digit.

    Exit codes: 0 no regression, 1 regression, 2 wrong use, 3 nothing could be measured, 4 undecided, with
    --strict. Where GITHUB_STEP_SUMMARY is set, a summary in markdown is appended there.
    """
    if baseline is None:
        raise RefusedError("say what to compare with: --baseline FILE")
    if not 0 <= peak_tolerance < 1:
        raise RefusedError(f"--peak-tolerance is a relative change between 0 and 1, got {peak_tolerance:g}")
    check_junit(junit)
    check = exact(baseline, given_options(ctx, asked), update, peak_tolerance)
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
    from arbench.gate.baseline import BaselineError, NothingInCommonError
    from arbench.gate.counters import open_gate

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
        before=str(path), after=results.run.git or "this version", findings=found, notes=notes,
        environment=results.run.environment, seconds=time.monotonic() - started,
    )  # fmt: skip
