"""arbench distill: teach a student the density of a trained teacher, and write a checkpoint."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from arbench.cli.errors import RefusedError, check_writable, refusing
from arbench.cli.options import PathText, given_options, once, option
from arbench.cli.train import (
    SHIPPED,
    built,
    check_folder_is_free,
    check_seed,
    check_threads,
    draw_curve,
    duration,
    guarded_training,
    parts_of,
    recipe_of,
    recipe_options,
    refuse_setting,
    reporter,
    run_options,
    said,
    said_of_data,
    said_of_steps,
    say_where,
    writing,
)

if TYPE_CHECKING:
    from arbench.models import Chosen, Source
    from arbench.train.distill import Distilled, Distiller
    from arbench.train.run import Run

FIGURES = "distilled.json"
"""File of a run's folder that compares the student with its teacher."""
SETTINGS = ("samples", "power", "rounds")
"""Options that some kinds of distillation take, beside those of a recipe."""


@click.command("distill")
@once(
    "--teacher",
    type=PathText(),
    required=True,
    metavar="CHECKPOINT",
    help="Trained teacher: the path of its checkpoint, the folder of its training, or one that ships, such as "
    "wavenet:teacher@speech.",
)
@once(
    "--student",
    required=True,
    metavar="NAME[:PRESET]",
    help="Model to teach, such as parallel_wavenet:student, also path.py:Class or package.module:Class.",
)
@option(
    "--samples",
    type=int,
    help="Draws that the teacher scores: of each audio sample (default 8), or of a translation's fertilities (10).",
)
@option("--power", type=float, help="Weight of the power loss, beside bits per element.  [default: 1]")
@option(
    "--rounds",
    type=int,
    help="Rounds in which the alignment of translations by attention and the fertilities are reconciled; 0 for the "
    "source symbol most looked at.  [default: 5]",
)
@recipe_options
@run_options
@click.pass_context
def command(
    ctx: click.Context,
    teacher: str,
    student: str,
    data: str | None,
    out: Path,
    resume: bool,
    dtype: str,
    threads: int,
    **values: Any,
) -> None:
    """Distil a trained teacher into a student that draws in fewer steps, and write the student's checkpoint.

    A parallel_wavenet learns by probability density distillation: the divergence of its density from the teacher's
    falls, on its own draws. Each evaluation measures that on noise and conditioning that it does not learn from. At the
    end both are scored on the same held-out data.

    A parallel_nmt learns the translations of its teacher (sequence-level distillation), with fertilities from the
    teacher's attention. At the end both translate held-out sentences; of several draws of the fertilities the teacher
    also chooses the best (noisy parallel decoding). An nmt_teacher learns from another one in the same way.

    The data must be that of the teacher.

    Exit codes: 0 the checkpoint is written, 1 the loss is no number (the checkpoint before stays) or the teacher's
    translations do not end, 2 wrong use, 70 the folder cannot be written, 130 interrupted: continue with --resume.
    """
    given = given_options(ctx, values)
    own = {name: given.pop(name) for name in SETTINGS if name in given}
    check_writable(out)
    import torch

    from arbench.data import NAMED, DataError
    from arbench.models import ModelError
    from arbench.models.weights import WeightsError
    from arbench.train.distill import opened
    from arbench.train.run import Run
    from arbench.train.translation import pairs_of

    check_threads(threads)
    check_seed(given.get("seed", 0))
    with refusing(DataError, ModelError, WeightsError):
        chosen, model = built(student, dtype, given.get("seed", 0))
        kind = distiller_of(chosen)
        settings = settings_of(kind, own, chosen.name)
        recipe = recipe_of(model, given, kind.RECIPE)
        taught_by = opened(teacher, getattr(torch, dtype))
        if (why := kind.refusal(model, taught_by.model)) is not None:
            raise RefusedError(f"--teacher {teacher}: {why}")
        parts = parts_of(chosen, model, data, recipe)
    if parts.sha256 != taught_by.checkpoint.data.sha256:
        learnt = taught_by.checkpoint.data.name
        todo = "give --data as its training did"
        if learnt in NAMED and learnt != data:
            todo = f"give --data {learnt}"
        elif learnt == SHIPPED and data is not None:
            todo = "leave out --data"
        raise RefusedError(
            f"--teacher {teacher}: was trained on other data ({learnt}), and the held-out part may be among it; {todo}"
        )
    check_folder_is_free(out, resume)
    run = Run(chosen, recipe, parts, out, said(ctx), taught_by.spec)
    click.echo(
        f"{taught_by.spec} teaches {chosen.name}:{chosen.preset}, {model.weights(recipe.n):,} weights, "
        f"{said_of_data(parts.name)}: {said_of_steps(recipe.steps)}"
    )
    if pairs_of(model) is not None and not resume:
        click.echo("before the first step the teacher translates the sentences to learn from, which can take minutes")
    report = reporter(model, kind.MEASURE)
    work = partial(kind.distil, run, model, taught_by, settings, resume=resume, report=report)
    with writing(out):
        finish(run, model, guarded_training(work, out), kind)


def distiller_of(chosen: Chosen) -> Distiller:
    """Return what distils into a model. Raises RefusedError if nothing does."""
    from arbench.train.distill import STUDENTS, distiller

    kind = distiller(chosen.cls)
    if kind is None:
        raise RefusedError(f"--student {chosen.name}: no distillation teaches it; name one of {', '.join(STUDENTS)}")
    return kind


def settings_of(kind: Distiller, own: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the settings of a distillation. Raises RefusedError if one is impossible, or is not its own."""
    for key in own:
        if key not in kind.SETTINGS:
            raise RefusedError(f"--{key}: the distillation of a {name} has no such setting; leave it out")
    settings = {**kind.SETTINGS, **own}
    refuse_setting(kind.wrong(settings))
    return settings


def finish(run: Run, model: Source, found: Distilled, kind: Distiller) -> None:
    """Draw the curve, write the figures, and print them."""
    from arbench.border.whole import write_text

    draw_curve(run, found.trained, f"{kind.MEASURE}, bits per {model.element}")
    write_text(run.folder / FIGURES, json.dumps(dict(found.figures), indent=2) + "\n")
    for line in found.lines:
        click.echo(line)
    click.echo(f"trained in {duration(found.trained.seconds)}")
    say_where(run)
