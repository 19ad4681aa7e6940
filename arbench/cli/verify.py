"""arbench verify: check in seconds that models and their methods are right, and say it in plain words."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from arbench.border.printable import to_json
from arbench.border.whole import write_bytes
from arbench.cli.errors import LostError, NothingError, check_writable, refusing
from arbench.cli.options import (
    FilePath,
    given_options,
    named_models,
    option,
    peers,
    threads,
    which_cases,
    which_inputs,
    words_of,
)
from arbench.cli.shell import check_shell
from arbench.cli.terminal import terminal_width

if TYPE_CHECKING:
    from arbench.bench.workers.checking import Checks
    from arbench.report.models.verify import Correctness

FILE_NAME = "verify.json"
SCHEMA = 1
DTYPES = ("float32", "float64")
"""Data types without ``--dtype``: the second only where the first took little time."""

NAMING = ("models", "law", "checkpoints", "suite")
"""Parameters that name models; the specification of one has what they say."""
OF_CHECKS = ("n", "batch", "timeout", "out", "as_json")
"""Parameters of a check that a run after it goes without: it has a ladder of sizes of its own."""


@click.command("verify")
@which_cases("wavenet", "few, which show most", "2 at the smallest size, else 1", "verify")
@peers
@threads
@option(
    "--timeout",
    type=float,
    help="Seconds without progress after which a step counts as hung.  [default: 8, and 1 more for every 2 million "
    "weights]",
)
@which_inputs
@option("--out", type=FilePath(), help=f"Folder for {FILE_NAME}, which has what --json prints.  [default: none]")
@option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
@click.pass_context
def command(ctx: click.Context, out: Path | None, as_json: bool, **values: Any) -> None:
    """Check in seconds that a model and its methods are right.

    forward is probed for leaks from later elements and between the rows of a batch, and compared with extend; the law
    of an element with its definition; and each method with what forward defines. The answer comes first, then what was
    checked, what was not, and what to do. Nothing is counted or timed, and nothing is written without --out.

    Exit codes: 0 all is right, 1 something is wrong, or failed beside what is right, 2 wrong use, 3 nothing could be
    verified, 70 an unexpected failure, 130 interrupted.
    """
    given = given_options(ctx, values)
    timeout = given.pop("timeout", None)
    if out is not None:
        check_writable(out)
    check_shell("torch")
    given = named_models(given)

    from arbench.bench.options import Options, PlanError, check_seconds
    from arbench.bench.suite import suite_options
    from arbench.bench.workers.checking import check
    from arbench.bench.workers.failure import NoWorkerError
    from arbench.cli.progress import Display
    from arbench.report.models.verify import exit_code

    with refusing(PlanError), Display() as display:
        if timeout is not None:
            check_seconds("--timeout", timeout)
        options = replace(suite_options(given["suite"]) if "suite" in given else Options(), **given)
        dtypes = (options.dtype,) if "dtype" in given or options.dtype != Options.dtype else DTYPES
        try:
            checks = check(options, dtypes, timeout, display)
        except NoWorkerError as error:
            raise NothingError(str(error)) from None
    found = judged(checks, ctx)
    document = to_json(
        {
            "schema": SCHEMA,
            "seconds": round(checks.seconds, 3),
            "models": msgspec.to_builtins(found),
            "cases": [msgspec.to_builtins(row) for row in checks.rows()],
        }
    )
    show(found, checks.seconds, document if as_json else None)
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            write_bytes(out / FILE_NAME, document + b"\n")
        except OSError as error:
            raise LostError(f"cannot write {out / FILE_NAME}: {error.strerror}") from None
    ctx.exit(exit_code(found))


def judged(checks: Checks, ctx: click.Context) -> list[Correctness]:
    """Return what is known of each model of a check, with the commands that come next."""
    from arbench.report.models.verify import correctness

    rows: dict[str, list[Any]] = {}
    for case, row in zip(checks.cases, checks.rows(), strict=True):
        rows.setdefault(case.spec, []).append(row)
    lacking = [*checks.lacking.items()]
    again = shlex.join(["arbench", "verify", *words_of(ctx)])
    others, measures = words_of(ctx, NAMING), words_of(ctx, (*NAMING, *OF_CHECKS))
    return [
        correctness(
            spec,
            found,
            native=checks.native,
            lacking=lacking,
            again=again if len(rows) == 1 else shlex.join(["arbench", "verify", "--model", spec, *others]),
            then=shlex.join(["arbench", "run", "--model", spec, *measures]),
        )
        for spec, found in rows.items()
    ]


def show(found: list[Correctness], seconds: float, document: bytes | None) -> None:
    """Print the document, or else the lines on each model."""
    from arbench.report.models.verify import lines

    if document is not None:
        click.echo(document.decode())
        return
    shown = seconds if len(found) == 1 else None
    blocks = ["\n".join(lines(one, terminal_width(), shown)) for one in found]
    click.echo("\n\n".join(blocks))
    if len(found) > 1:
        right = sum(one.outcome == "right" for one in found)
        click.echo(f"\n{right} of {len(found)} models are right, in {seconds:.1f} s")
