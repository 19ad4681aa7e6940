"""Make the checkpoints that arbench ships from training runs: half precision on disk, quality measured again with it.

    python benchmarks/trained/ship.py --runs FOLDER [--only RUN ...] [--table reports/trained/shipped.json]

``FOLDER`` is that of ``train_all.py``. ``shipped.toml`` says which run becomes which file. The held-out part is scored
anew with the rounded weights, and that figure is what the file says. The table has a line a file, to which a test holds
the files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import torch

from arbench.data import checkpoints
from arbench.models import resolve
from arbench.models.weights import Quality, load, read, rounded, write
from arbench.train.quality import measured
from arbench.train.run import divided

RUNS, SHIPPED = (Path(__file__).with_name(name) for name in ("runs.toml", "shipped.toml"))
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def command(run: str) -> str:
    """Return the command of a run of ``train_all.py``."""
    return str(tomllib.loads(RUNS.read_text(encoding="utf-8"))[run]["command"]).replace("{out}/", "runs/")


def shipped(run: Path, file: str, name: str, dtype: str, teacher: str | None) -> dict[str, object]:
    """Write one file and return its line of the table."""
    source = run / "model.safetensors"
    said = read(source)
    chosen = resolve(f"{said.model}:{said.preset}")
    model = chosen.build(0)
    load(model, source)
    model.eval()
    rounded(model, DTYPES[dtype])
    data = chosen.cls.load_data(said.data.name, chosen.config) if said.data.name != "shipped" else None
    parts = divided(model, data, said.data.name)
    if parts.sha256 != said.data.sha256:
        raise SystemExit(f"{run}: was trained on other data than this machine has")
    recipe = said.recipe
    found = measured(model, parts.held_out, recipe["eval_n"] or recipe["n"], recipe["prefix"], seed=said.seed)
    quality = Quality(found.bits, model.unit, found.elements, True)
    named = {"command": command(run.name), "teacher": teacher}
    target = checkpoints.FOLDER / f"{file}{checkpoints.SUFFIX}"
    write(model, target, replace(said, quality=quality, data=replace(said.data, name=name), **named), DTYPES[dtype])
    return {
        "file": target.name,
        "bytes": target.stat().st_size,
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "bits": found.bits,
        "bits_float32": said.quality.bits,
        "unit": quality.unit,
        "elements": found.elements,
        "command": named["command"],
        "seed": said.seed,
        "data_sha256": said.data.sha256,
        "seconds": said.seconds,
        "steps": said.steps,
        "teacher": teacher,
    }


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
