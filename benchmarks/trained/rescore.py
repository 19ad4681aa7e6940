"""Score the held-out data again with checkpoints that ship, in the windows that they state, part by part.

    python benchmarks/trained/rescore.py --out FOLDER [--only RUN ...]

For checkpoints whose training run is gone. Each becomes a folder ``FOLDER/RUN``, named as in ``shipped.toml``, with its
checkpoint and the bits of each part; ``harvest.py --runs FOLDER`` keeps those in the report. A run that
``reports/trained/runs`` knows is left out unless ``--only`` names it, and so is a parallel model of translations: its
bits are given an alignment that its teacher drew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tomllib
from pathlib import Path

from arbench.data import NAMED, checkpoints
from arbench.models import resolve
from arbench.models.parallel_nmt import ParallelNMT
from arbench.models.weights import read
from arbench.train import Recipe
from arbench.train.parts import divided, scored

SHIPPED = Path(__file__).with_name("shipped.toml")
KNOWN = Path(__file__).parents[2] / "reports" / "trained" / "runs"


def rescored(file: Path, folder: Path) -> str:
    """Write the folder of a checkpoint, and return what it measured in words. Raises SystemExit for other data."""
    said = read(file)
    model = resolve(f"{said.model}:{said.preset}@{checkpoints.name_of(file)}").build()
    if isinstance(model, ParallelNMT):
        return f"{folder.name}: left out, its bits are given an alignment that its teacher drew"
    data = type(model).load_data(said.data.name, said.config) if said.data.name in NAMED else None
    parts = divided(model, data, said.data.name)
    if parts.sha256 != said.data.sha256:
        raise SystemExit(f"{file}: was trained on other data than this machine has")
    found = scored(model, parts, Recipe.of(said.recipe))
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / "model.safetensors")
    lines = [{"part": part, "bits": bits, "elements": count} for part, (bits, count) in sorted(found.parts.items())]
    (folder / "held_out.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return f"{folder.name}: {found.bits:.4f} {model.unit} over {found.elements:,}"


def main() -> None:
    """Score the checkpoints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=[])
    options = parser.parse_args()
    for name, entry in tomllib.loads(SHIPPED.read_text(encoding="utf-8")).items():
        file, run = checkpoints.FOLDER / f"{name}{checkpoints.SUFFIX}", entry["run"]
        wanted = run in options.only if options.only else not (KNOWN / f"{run}.json").exists()
        if file.exists() and wanted:
            print(rescored(file, options.out / run), flush=True)


if __name__ == "__main__":
    main()
