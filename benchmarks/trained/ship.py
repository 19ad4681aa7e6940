"""Make the checkpoints that arbench ships from training runs: half precision on disk, quality measured again with it.

    python benchmarks/trained/ship.py --runs FOLDER [--only RUN ...] [--table reports/trained/shipped.json]

``FOLDER`` is that of ``train_all.py``. ``shipped.toml`` says which run becomes which file. The held-out part is scored
anew with the rounded weights, in the windows and with the decodings of the run, and that figure is what the file says;
what it was in float32 the run says, where it scored the part after as many elements of context.
The table has a line a file, to which a test holds the files. A teacher stands before its students in ``shipped.toml``:
its file chooses among their translations.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import torch

from arbench.data import checkpoints
from arbench.models import Source, resolve
from arbench.models.events.sentences import Sentences
from arbench.models.parallel_nmt import ParallelNMT
from arbench.models.weights import Checkpoint, load, read, rounded, write
from arbench.train import Recipe
from arbench.train.distill import opened
from arbench.train.distill.lessons import shared
from arbench.train.distill.sequence import aligned_again
from arbench.train.parts import Divided, divided, scored
from arbench.train.run import stated
from arbench.train.translation import Decoding, decodings, exact_match, pairs_of
from arbench.train.translation.noisy import noisy

RUNS, SHIPPED = (Path(__file__).with_name(name) for name in ("runs.toml", "shipped.toml"))
FOLDER = re.compile(r"(?<=\s)\S*/(?=[\w-]+(\s|$))")
"""Folder of the runs in a command."""
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def command(run: str) -> str:
    """Return the command of a run of ``train_all.py``."""
    return str(tomllib.loads(RUNS.read_text(encoding="utf-8"))[run]["command"]).replace("{out}/", "runs/")


def check(run: Path, said: Checkpoint) -> None:
    """Raise SystemExit if a run was not made by the command of ``runs.toml``, which its file will state."""
    made, wanted = FOLDER.sub("runs/", said.command), command(run.name)
    if made != wanted:
        raise SystemExit(f"{run}: was made by '{made}', and {RUNS.name} has '{wanted}'; make both the same")


def shipped(run: Path, file: str, name: str, dtype: str, teacher: str | None) -> dict[str, object]:
    """Write one file and return its line of the table."""
    source = run / "model.safetensors"
    said = read(source)
    check(run, said)
    chosen = resolve(f"{said.model}:{said.preset}")
    model = chosen.build(0)
    load(model, source)
    model.eval()
    recipe = with_context(Recipe.of(said.recipe), model, teacher)
    parts, ways = judged(run, said, model, recipe, teacher)
    known = said.quality if said.recipe.get("held_out_prefix") == recipe.held_out_prefix else None
    exact = known.bits if known is not None and known.held_out else scored(model, parts, recipe).bits
    rounded(model, DTYPES[dtype])
    found = scored(model, parts, recipe)
    if ways:
        found = replace(found, translations=exact_match(model, parts.held_out, recipe.eval_n or recipe.n, ways))
    quality = stated(found, model)
    target = checkpoints.FOLDER / f"{file}{checkpoints.SUFFIX}"
    shown = replace(
        said,
        quality=quality,
        data=replace(said.data, name=name),
        recipe={**said.recipe, "held_out_prefix": recipe.held_out_prefix},
        command=command(run.name),
        teacher=teacher,
    )
    write(model, target, shown, DTYPES[dtype])
    return {
        "file": target.name,
        "bytes": target.stat().st_size,
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "bits": found.bits,
        "bits_float32": exact,
        "unit": quality.unit,
        "elements": found.elements,
        "translations": [asdict(one) for one in quality.translations],
        "command": shown.command,
        "seed": said.seed,
        "data_sha256": said.data.sha256,
        "seconds": said.seconds,
        "steps": said.steps,
        "teacher": teacher,
    }


def with_context(recipe: Recipe, model: Source, teacher: str | None) -> Recipe:
    """Return a recipe that says the context of the held-out part, which a student shares with its teacher."""
    seen = model.receptive_field
    if model.feeds == "z" and teacher is not None:
        seen = opened(teacher).model.receptive_field
    return replace(recipe, held_out_prefix=recipe.at_the_end(seen)[1])


def judged(
    run: Path, said: Checkpoint, model: Source, recipe: Recipe, teacher: str | None
) -> tuple[Divided, dict[str, Decoding]]:
    """Return the data that a run is judged on, and the decodings of a model of sentence pairs, as the run had them."""
    cls, name = type(model), said.data.name
    parts = divided(model, cls.load_data(name, said.config) if name != "shipped" else None, name)
    if parts.sha256 != said.data.sha256:
        raise SystemExit(f"{run}: was trained on other data than this machine has")
    if not isinstance(parts.held_out, Sentences) or pairs_of(model) is None:
        return parts, {}
    ways = dict(decodings(model))
    if teacher is None:
        return parts, ways
    judge = opened(teacher)
    if not isinstance(model, ParallelNMT):
        fitting = parts.held_out.fitting(shared(model, recipe.eval_n or recipe.n, judge.n))
        return replace(parts, held_out=parts.held_out.chosen(fitting)), ways
    aligned = aligned_again(run, parts.held_out, model, judge, recipe)
    if aligned is None:
        raise SystemExit(f"{run}: keeps no alignment of these pairs; run it again with --resume")
    samples = json.loads((run / "distilled.json").read_text(encoding="utf-8"))["samples"]
    ways["noisy parallel"] = noisy(judge.model, judge.n, int(samples), recipe.seed)
    return replace(parts, held_out=aligned), ways


def main() -> None:
    """Write the files that the runs are there for, and the table of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--table", type=Path, default=Path("reports/trained/shipped.json"))
    options = parser.parse_args()
    known = {line["file"]: line for line in json.loads(options.table.read_text())} if options.table.exists() else {}
    for file, entry in tomllib.loads(SHIPPED.read_text(encoding="utf-8")).items():
        run = options.runs / entry["run"]
        if (options.only and entry["run"] not in options.only) or not (run / "held_out.jsonl").exists():
            continue
        line = shipped(run, file, entry["data"], entry.get("dtype", "float16"), entry.get("teacher"))
        known[str(line["file"])] = line
        was = f"{line['bits_float32']:.4f} in float32"
        print(f"{line['file']}: {line['bytes']:,} bytes, {line['bits']:.4f} {line['unit']} ({was})")
    options.table.parent.mkdir(parents=True, exist_ok=True)
    options.table.write_text(json.dumps([known[name] for name in sorted(known)], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
