"""arbench sample: draw events, and write them as pictures, sounds or text with their log-probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from arbench.cli.errors import LostError, RefusedError, check_writable, refusing
from arbench.cli.options import (
    FilePath,
    PathText,
    device,
    dtype,
    law,
    once,
    option,
    threads,
    which_inputs,
    with_checkpoints,
    with_law,
)
from arbench.cli.train import check_threads

INEXACT = 1
"""Exit code of a method that returned something else than what it promises."""


@click.command("sample")
@once(
    "--model",
    metavar="NAME[:PRESET][@WEIGHTS]",
    help="Model to draw from, also path.py:Class or package.module:Class; trained weights follow an at sign, as in "
    "wavenet:nv@speech or wavenet@path/to/folder.",
)
@law
@once(
    "--checkpoint",
    type=PathText(),
    metavar="FILE",
    help="Or the model, preset and trained weights of a checkpoint, or of the folder of a training run.",
)
@option("--out", type=FilePath(), required=True, help="Folder of the samples.")
@option("--count", type=int, help="Number of events.  [default: 16 pictures, 4 sounds or texts]")
@option(
    "--n",
    type=int,
    help="Number of elements of an event.  [default: a picture as large as those of the data, a second of sound, 512 "
    "bytes of text, a translation as long as the longest]",
)
@once(
    "--method",
    metavar="NAME",
    help="Sampling method, also path.py:function, with settings as in NAME,key=value.  [default: fused where the model "
    "has it, else cached; parallel for flows]",
)
@which_inputs
@device
@dtype
@threads
@click.pass_context
def command(
    ctx: click.Context,
    model: str | None,
    law: str | None,
    checkpoint: str | None,
    out: Path,
    threads: int,
    **values: Any,
) -> None:
    """Draw events from a model, and write them to look at, to listen to or to read.

    Pictures are PNG files and a grid beside one of real pictures, sounds are 16-bit WAV files beside real ones with
    the same conditioning, texts are plain, and translations a table of source, reference, the likeliest translation
    and the sample, with the log-probabilities of these two. Conditioning and real events are from the part of the
    data that arbench train holds out, where there is one. samples.jsonl has a line for each event: its
    log-probability in nats given its conditioning (a log-density where elements are real), bits per element, seed,
    row, method and files; for sounds also the level in dBFS, and the mean difference in dB of the long-term spectrum
    from real sounds in mel bands, each beside that of the real one. What is written was verified as by arbench run.

    Exit codes: 0 the samples are written, 1 the method is inexact, 2 wrong use, 70 an unexpected failure.
    """
    if (model is None) == (checkpoint is None):
        raise RefusedError("name one of --model and --checkpoint, such as --model pixelcnn:digits")
    if law is not None:
        (model,) = with_law({"law": law, "models": [model] if model else []})["models"]
    check_writable(out)
    from arbench.border.gallery import LINES

    if (out / LINES).exists():
        raise RefusedError(f"--out {out}: holds samples already; choose another folder")
    if checkpoint is not None:
        model = with_checkpoints({"checkpoints": [checkpoint]})["models"][0]
    from arbench.bench.inexact import InexactError
    from arbench.bench.models.drawing import Drawing
    from arbench.bench.models.heard import said
    from arbench.bench.options import PlanError

    check_threads(threads)
    with refusing(PlanError):
        drawing = Drawing(str(model), **values)
    if drawing.other_data is not None:
        click.echo(
            f"arbench: the weights were trained on other data ({drawing.other_data}); --data as their training had it "
            "gives real events and conditioning that they did not see",
            err=True,
        )
    try:
        with refusing(PlanError):
            found = drawing.draw()
    except InexactError as error:
        raise _InexactError(f"{drawing.case.id}: {error}; nothing is written") from None
    try:
        written = found.write(out)
    except OSError as error:
        raise LostError(f"--out {out}: cannot be written ({error.strerror})") from None
    case, of = found.case, "" if found.log_prob is not None else ", all elements together"
    weights = "" if case.preset.endswith(f"@{found.weights}") else f", weights {found.weights}"
    click.echo(
        f"{case.model}:{case.preset}{weights}: {case.batch:,} event{'' if case.batch == 1 else 's'} of {case.n:,} "
        f"{case.element}s by {case.method}, verified; {float(found.bits.mean()):.3f} {drawing.source.unit}{of}"
    )
    if (sounds := found.heard) is not None:
        click.echo(said(sounds))
    click.echo(f"samples: {written[0]} (each in {written[-1]})")
    if found.weights == "random":
        click.echo("the weights are random; --checkpoint FILE and --model NAME@WEIGHTS draw from trained ones")


class _InexactError(click.ClickException):
    exit_code = INEXACT
