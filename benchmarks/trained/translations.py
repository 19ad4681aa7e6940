"""Compare translations of trained models by every decoding, on the same held-out pairs.

    python benchmarks/trained/translations.py --teacher FOLDER --data numbers --draws 10 --draws 100 MODEL ...

MODEL is the folder of a training run or a checkpoint. Parallel models are also decoded with noise: the teacher chooses
among several draws of the fertilities. ``arbench distill`` does so for the student alone; here, a student that was not
distilled is decoded like the one that was. With ``--rows`` some translations are printed beside their references.
"""

from __future__ import annotations

import click
import torch

from arbench.data import DataError
from arbench.models import ModelError
from arbench.models.events.sentences import Sentences
from arbench.models.parallel_nmt import ParallelNMT
from arbench.models.weights import WeightsError
from arbench.train.distill import Teacher, opened
from arbench.train.translation import decodings, exact_match, pairs_of, translated
from arbench.train.translation.noisy import noisy


def held_out(models: list[Teacher], data: str | None) -> Sentences:
    """Return the held-out pairs that fit into the events of all models."""
    first = models[0]
    loaded = None if data is None else type(first.model).load_data(data, first.checkpoint.config)
    _, part = first.model.divide(loaded)
    assert isinstance(part, Sentences)
    for one in models:
        events = pairs_of(one.model)
        if events is None:
            raise click.ClickException(f"{one.spec} does not translate")
        part = part.chosen(part.fitting(events.lengths(one.n)))
    return part


@click.command()
@click.option("--teacher", required=True, help="Trained model that chooses among draws, decoded too.")
@click.option("--data", help="Sentence pairs, as for arbench train.")
@click.option("--draws", type=click.IntRange(1), multiple=True, default=(10,), help="Draws of noisy decoding.")
@click.option("--rows", type=click.IntRange(0), default=0, help="Translations to print of each model.")
@click.argument("models", nargs=-1)
def main(teacher: str, data: str | None, draws: tuple[int, ...], rows: int, models: tuple[str, ...]) -> None:
    """Print the fraction of exact translations of each model and decoding."""
    torch.set_num_threads(1)
    try:
        judge, *others = opened_all = [opened(one) for one in (teacher, *models)]
        part = held_out(opened_all, data)
    except (DataError, ModelError, WeightsError) as error:
        raise click.ClickException(str(error)) from None
    for one in (judge, *others):
        ways = dict(decodings(one.model))
        if isinstance(one.model, ParallelNMT):
            ways |= {f"noisy parallel, {count} draws": noisy(judge.model, judge.n, count) for count in draws}
        for name, exact in exact_match(one.model, part, one.n, ways).items():
            click.echo(f"{one.spec}, {name}: {exact.said()}")
        for row in translated(one.model, part, one.n, rows):
            click.echo(f"  {row.source} | {row.reference} | {row.translation}")


if __name__ == "__main__":
    main()
