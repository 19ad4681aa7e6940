r"""Compare translations of trained models by every decoding, on the same held-out pairs.

    python benchmarks/trained/translations.py --teacher FOLDER --data numbers --draws 10 --draws 100 \
        [--out reports/trained/translations.jsonl] MODEL ...

MODEL is the folder of a training run or a checkpoint. Parallel models are also decoded with noise: the teacher chooses
among several draws of the fertilities. ``arbench distill`` does so for the student alone; here, a student that was not
distilled is decoded like the one that was. With ``--rows`` some translations are printed beside their references.

``--out`` receives a line for each model and decoding: exact translations with an interval of 95%, and symbols that are
wrong. A model is called by its folder, or as arbench names a checkpoint that ships. Lines of models that are not named
stay. ``readme.py`` makes the table of the report from it.
"""

from __future__ import annotations

import json
from pathlib import Path

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


def merge(out: Path, lines: list[dict[str, object]]) -> None:
    """Write lines into a file in place of those of the same model; others stay, in their order."""
    known = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] if out.exists() else []
    kept = [line for line in known if line["model"] != lines[0]["model"]]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(json.dumps(line) + "\n" for line in (*kept, *lines)), encoding="utf-8")


@click.command()
@click.option("--teacher", required=True, help="Trained model that chooses among draws, decoded too.")
@click.option("--data", help="Sentence pairs, as for arbench train.")
@click.option("--draws", type=click.IntRange(1), multiple=True, default=(10,), help="Draws of noisy decoding.")
@click.option("--rows", type=click.IntRange(0), default=0, help="Translations to print of each model.")
@click.option("--out", type=click.Path(path_type=Path), help="File to merge the figures into.")
@click.argument("models", nargs=-1)
def main(
    teacher: str, data: str | None, draws: tuple[int, ...], rows: int, out: Path | None, models: tuple[str, ...]
) -> None:
    """Print the fraction of exact translations of each model and decoding."""
    torch.set_num_threads(1)
    try:
        judge, *_ = opened_all = [opened(one) for one in (teacher, *models)]
        part = held_out(opened_all, data)
    except (DataError, ModelError, WeightsError) as error:
        raise click.ClickException(str(error)) from None
    for one, given in zip(opened_all, (teacher, *models), strict=True):
        ways = dict(decodings(one.model))
        if isinstance(one.model, ParallelNMT):
            ways |= {f"noisy parallel, {count} draws": noisy(judge.model, judge.n, count) for count in draws}
        found = exact_match(one.model, part, one.n, ways)
        for name, exact in found.items():
            click.echo(f"{one.spec}, {name}: {exact.said()}")
        if out is not None:
            same = {
                "model": Path(given).name if Path(given).is_dir() else one.spec,
                "kind": one.spec.partition("@")[0],
                "weights": one.model.weights(one.n),
                "taught_by": one.checkpoint.teacher,
                "data": one.checkpoint.data.name,
            }
            merge(out, [{**same, "decoding": name, **exact.plain()} for name, exact in found.items()])
        for row in translated(one.model, part, one.n, rows):
            click.echo(f"  {row.source} | {row.reference} | {row.translation}")


if __name__ == "__main__":
    main()
