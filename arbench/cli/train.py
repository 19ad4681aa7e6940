"""arbench train: train a model on the data that ships, or on yours, and write a checkpoint."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from arbench.cli.border import OutputError
from arbench.cli.errors import LostError, RefusedError, check_writable, refusing
from arbench.cli.options import FilePath, PathText, all_of, given_options, law, once, option, with_law
from arbench.cli.shell import scarce

if TYPE_CHECKING:
    from arbench.models import Chosen, Source
    from arbench.train import Progress, Quality, Recipe, Trained
    from arbench.train.parts import Divided
    from arbench.train.run import Run

SHIPPED = "shipped"
"""Name of the data that ship with a model."""
FAILED = 1
"""Exit code of training that cannot go on."""


recipe_options = all_of(
    option("--steps", type=int, help="Number of updates."),
    option("--batch", type=int, help="Events of an update."),
    option("--n", type=int, help="Elements of an event."),
    option("--eval-n", type=int, help="Elements of a held-out window."),
    option("--prefix", type=int, help="Elements of a held-out window that are context alone, not scored."),
    option(
        "--held-out-prefix",
        type=int,
        help="The same when the held-out part is scored at the end, the first of them from the data before it.  "
        "[default: as many as the model looks back; --prefix where that has no bound]",
    ),
    option("--lr", type=float, help="Peak of the learning rate."),
    option("--warmup", type=int, help="Steps until the peak of the learning rate."),
    option("--floor", type=float, help="Last learning rate over its peak; the way down is half a cosine."),
    option("--decay", type=float, help="Weight decay."),
    option("--clip", type=float, help="Largest norm of the gradient of all weights together."),
    option("--average", type=float, help="Decay a step of the moving average of weights; 0 for none."),
    option("--every", type=int, help="Steps between evaluations on validation data."),
    option("--patience", type=int, help="Evaluations without a better one until training stops; 0 for never."),
    option("--seed", type=int, help="Seed of the initial weights and the batches."),
)
"""The settings of a recipe: the fields of ``arbench.train.Recipe``."""
run_options = all_of(
    option(
        "--data", type=PathText(), metavar="PATH|NAME", help="Your own data, as for run.  [default: the shipped data]"
    ),
    option("--out", type=FilePath(), required=True, help="Folder of the checkpoint, the state and the curve."),
    option("--resume", is_flag=True, help="Continue the run in --out, which was started with the same options."),
    option("--dtype", type=click.Choice(["float32", "float64"]), default="float32", help="Data type of training."),
    option("--threads", type=int, default=1, help="CPU threads."),
)
"""``--data`` to ``--threads``: where a training run reads, writes and computes."""


@click.command("train")
@once(
    "--model",
    required=True,
    metavar="NAME[:PRESET]",
    help="Model to train, also path.py:Class or package.module:Class.",
)
@law
@recipe_options
@run_options
@click.pass_context
def command(
    ctx: click.Context,
    model: str,
    law: str | None,
    data: str | None,
    out: Path,
    resume: bool,
    dtype: str,
    threads: int,
    **values: Any,
) -> None:
    """Train a model by maximum likelihood, and write a checkpoint that run and sample take.

    The data is divided in three: a part to train on, a part that chooses the best step, and a held-out part, which is
    scored once, at the end. The settings left out are those usual for the kind of data.

    Exit codes: 0 the checkpoint is written, 1 the loss is no number (the checkpoint before stays), 2 wrong use, 70 the
    folder cannot be written, 130 interrupted: continue with --resume.
    """
    if law is not None:
        (model,) = with_law({"law": law, "models": [model]})["models"]
    given = given_options(ctx, values)
    check_writable(out)
    from arbench.data import DataError
    from arbench.models import ModelError
    from arbench.train.run import Run, trained

    check_threads(threads)
    check_seed(given.get("seed", 0))
    with refusing(DataError, ModelError):
        chosen, source = built(model, dtype, given.get("seed", 0))
        if source.feeds == "z":
            raise RefusedError(
                f"--model {model}: reads noise, which real data does not show; teach it with arbench distill --student"
            )
        recipe = recipe_of(source, given)
        parts = parts_of(chosen, source, data, recipe)
    check_folder_is_free(out, resume)
    run = Run(chosen, recipe, parts, out, said(ctx))
    click.echo(
        f"{chosen.name}:{chosen.preset}, {source.weights(recipe.n):,} weights, {said_of_data(parts.name)}: "
        f"{said_of_steps(recipe.steps)}"
    )
    with writing(out):
        found = guarded_training(lambda: trained(run, source, resume=resume, report=reporter(source)), out)
        finish(run, source, *found)


def built(spec: str, dtype: str, seed: int) -> tuple[Chosen, Source]:
    """Return a model by name and itself, with random weights. Raises ModelError, or RefusedError for trained ones."""
    import torch

    from arbench.border.naming import split_weights
    from arbench.models import resolve

    chosen = resolve(spec)
    if chosen.trained is not None:
        raise RefusedError(f"{spec}: training begins with random weights; name {split_weights(spec)[0]}")
    return chosen, chosen.build(seed, getattr(torch, dtype))


def recipe_of(source: Source, given: dict[str, Any], base: Recipe | None = None) -> Recipe:
    """Return a recipe, by default the usual one, with the user's settings. Raises RefusedError if one is impossible."""
    from arbench.train.usual import usual

    base = base or usual(source)
    steps = given.get("steps", base.steps)
    window = given.get("eval_n", base.eval_n) or given.get("n", base.n)
    fitted = {
        "warmup": min(base.warmup, max(steps // 10, 1)),
        "every": min(base.every, max(steps // 5, 1)),
        "prefix": min(base.prefix, max(window // 2, 0)),
    }
    recipe = replace(base, **{**fitted, **given})
    refuse_setting(recipe.wrong())
    return recipe


def refuse_setting(why: str | None) -> None:
    """Raise RefusedError if something is wrong: a text that begins with the name of the setting."""
    if why is not None:
        name, _, rest = why.partition(" ")
        raise RefusedError(f"--{name.replace('_', '-')} {rest}")


def parts_of(chosen: Chosen, source: Source, data: str | None, recipe: Recipe) -> Divided:
    """Return the data, divided. Raises DataError, or RefusedError if the model has no events of the recipe's size."""
    from arbench.train.parts import check, divided

    loaded, name = loaded_data(chosen, data)
    try:
        parts = divided(source, loaded, name)
        check(source, parts, recipe)
        return parts
    except (NotImplementedError, ValueError) as error:
        raise RefusedError(" ".join(str(error).split())) from None


def loaded_data(chosen: Chosen, data: str | None) -> tuple[Any, str]:
    """Return the user's data and its name; None and "shipped" without. Raises DataError or RefusedError.

    A file that is called like data by name, as ``./numbers.tsv`` is, has another name than these.
    """
    from arbench.data import NAMED

    if data is None:
        return None, SHIPPED
    stem = Path(data).stem
    try:
        return chosen.cls.load_data(data, chosen.config), stem if data in NAMED or stem not in NAMED else f"{stem} file"
    except NotImplementedError as error:
        raise RefusedError(str(error)) from None


def check_threads(threads: int) -> None:
    """Set the number of threads. Raises RefusedError if there cannot be so many."""
    import torch

    from arbench.bench.options import PlanError, check_between

    with refusing(PlanError):
        check_between("--threads", threads, 1, 4096)
    torch.set_num_threads(threads)


def check_seed(seed: int) -> None:
    """Raise RefusedError for a seed that the generators do not take."""
    from arbench.bench import options

    with refusing(options.PlanError):
        options.check_seed(seed)


def check_folder_is_free(out: Path, resume: bool) -> None:
    """Raise RefusedError if the folder has another run, or none to resume."""
    from arbench.train.loop import STATE

    has = (out / STATE).exists()
    if has and not resume:
        raise RefusedError(f"--out {out}: holds a training run; continue it with --resume, or choose another folder")
    if resume and not has:
        raise RefusedError(f"--out {out}: has no training run to resume; leave --resume out to start one")


def said(ctx: click.Context) -> str:
    """Return the command line, without --resume and --out, which change nothing in the weights."""
    kept, words = ["arbench"], iter(ctx.obj or [])
    for word in words:
        if word == "--out":
            next(words, None)
        elif word != "--resume" and not word.startswith("--out="):
            kept.append(word)
    return shlex.join(kept)


def reporter(source: Source, measure: str | None = None) -> Callable[[Progress], None]:
    """Return a function that prints an evaluation as a line.

    Args:
        source: the model.
        measure: what the evaluation measures, if it is not the loss on validation data.
    """
    unit = source.unit

    def report(p: Progress) -> None:
        left = p.seconds / p.step * (p.steps - p.step)
        ahead = f", {duration(left)} left" if p.step < p.steps else "; next, the held-out part is scored"
        mark = ", the best so far" if p.best else ""
        loss, quality = said_of_bits(p.loss), said_of_bits(p.quality)
        found = f"{loss} {unit}, validation {quality}"
        if measure is not None:
            found = f"loss {loss}, {measure} {quality} bits per {source.element}"
        click.echo(f"step {p.step:,} of {p.steps:,}: {found}{mark}{ahead}")

    return report


def said_of_data(name: str) -> str:
    """Return the name of the data in words."""
    return "the data that ships" if name == SHIPPED else f"data {name}"


def said_of_steps(steps: int) -> str:
    """Return a number of updates in words."""
    return "1 step" if steps == 1 else f"{steps:,} steps"


def said_of_bits(bits: float) -> str:
    """Return bits in three decimals; the huge ones of weights that diverge in three digits."""
    return f"{bits:.3f}" if abs(bits) < 1e6 else f"{bits:.3g}"


def duration(seconds: float) -> str:
    """Return a duration in words, rounded up to whole seconds or minutes."""
    return f"{math.ceil(seconds)} s" if seconds < 90 else f"{math.ceil(seconds / 60)} min"


def guarded_training(work: Callable[[], Any], out: Path) -> Any:
    """Return the result of training; turn its failures into one line and an exit code."""
    from arbench.data import DataError
    from arbench.models import WeightsError
    from arbench.train import TrainError
    from arbench.train.loop import STATE
    from arbench.train.state import StateFileError

    try:
        with refusing(StateFileError, DataError):
            return work()
    except (TrainError, WeightsError) as error:
        raise _FailedError(str(error)) from None
    except KeyboardInterrupt:
        todo = "continue with the same command and --resume"
        if not (out / STATE).exists():
            todo = "before its first evaluation, so start it again"
        click.echo(f"arbench: interrupted; {todo}", err=True)
        raise click.exceptions.Exit(130) from None


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turn a failure to write the folder of a run into a LostError."""
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        if scarce(error) is not None or error.strerror is None:
            raise
        raise LostError(f"--out {out}: cannot be written ({error.strerror}); what was written before stays") from None


class _FailedError(click.ClickException):
    exit_code = FAILED


def finish(run: Run, source: Source, result: Trained, quality: Quality) -> None:
    """Draw the curve, and print the quality, whether a guess would be better, and where the checkpoint is."""
    from arbench.models.weights import read
    from arbench.train.quality import guessing

    said = read(run.path).quality
    assert said is not None
    unit = said.unit
    draw_curve(run, result, unit)
    click.echo(
        f"held out: {said_of_bits(quality.bits)} {unit} over {quality.elements:,}; best validation "
        f"{said_of_bits(result.bits)} at step {result.step:,}, trained in {duration(result.seconds)}"
    )
    guess = guessing(source)
    if guess is not None and quality.bits >= guess:
        click.echo(
            f"the model has learnt nothing: if all levels were equally likely, it would be {guess:.3f}; lower --lr, or "
            "raise --steps"
        )
    for name, exact in quality.translations.items():
        click.echo(f"held-out translations, {name} decoding: {exact.said()}")
    say_where(run)


def draw_curve(run: Run, result: Trained, unit: str) -> None:
    """Write the curve into the folder of the run."""
    from arbench.report.figures.drawing import save
    from arbench.report.models.training import curve

    save([curve(result.curve, f"{run.chosen.name}:{run.chosen.preset}", unit)], run.folder)


def say_where(run: Run) -> None:
    """Print where the checkpoint is, and what to do with it."""
    click.echo(f"checkpoint: {run.path} (measure it with: arbench run --checkpoint {shlex.quote(str(run.path))})")
