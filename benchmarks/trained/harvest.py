"""Keep what finished training runs measured: curve, held-out bits part by part, translations, and times.

    python benchmarks/trained/harvest.py --runs FOLDER [--out reports/trained]

``FOLDER`` is that of ``train_all.py``, or of ``rescore.py``, whose runs have no curve. Each complete run becomes
``runs/NAME.json`` in ``--out``, and its lines of ``times.jsonl`` take the place of those that ``--out`` had of the run.
Files and lines of other runs stay. ``readme.py`` makes tables of these files. This takes less than a second.

A part of the held-out data is a recording, an image, a text or a pair of sentences; its bits have ``DIGITS`` digits.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DIGITS = 6
TIMES, CURVE, HELD_OUT, MODEL = "times.jsonl", "curve.jsonl", "held_out.jsonl", "model.safetensors"
NAMES = ("step", "loss", "quality", "rate", "seconds")
"""Names that each line of a curve has; others are terms of the quality."""
FOLDER = re.compile(r"(?<=\s)\S*/(?=[\w-]+(\s|$))")
"""Folder of the runs in a command."""
Line = dict[str, Any]


def lines_of(file: Path) -> list[Line]:
    """Return the lines of a file of JSON lines; none where there is no file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def rounded(value: float) -> float:
    """Return a number with ``DIGITS`` significant digits."""
    return float(f"{value:.{DIGITS}g}")


def header(file: Path) -> Line:
    """Return the header of a safetensors file: shapes by tensor, and what the file says of them."""
    with file.open("rb") as content:
        (size,) = struct.unpack("<Q", content.read(8))
        found: Line = json.loads(content.read(size))
    return found


def facts(file: Path) -> Line:
    """Return what a checkpoint says of its training and of its held-out bits."""
    tensors = header(file)
    said = json.loads(tensors.pop("__metadata__")["arbench.checkpoint"])
    recipe, quality = said["recipe"], said["quality"]
    return {
        "model": f"{said['model']}:{said['preset']}",
        "weights": sum(math.prod(one["shape"]) for one in tensors.values()),
        "command": FOLDER.sub("runs/", said["command"]),
        "seed": said["seed"],
        "data_sha256": said["data"]["sha256"],
        "teacher": said["teacher"],
        "steps": recipe["steps"],
        "best_step": said["steps"],
        "seconds": said["seconds"],
        "bits": quality["bits"],
        "unit": quality["unit"],
        "elements": quality["elements"],
        "window": recipe["eval_n"] or recipe["n"],
        "context": recipe.get("held_out_prefix"),
    }


def harvested(folder: Path) -> Line:
    """Return what the folder of a run that is complete has measured."""
    curve = lines_of(folder / CURVE)
    terms = [name for name in (curve[0] if curve else ()) if name not in NAMES]
    measured = sorted(lines_of(folder / HELD_OUT), key=lambda line: line["part"])
    more = {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("translation", "distilled")
        if (folder / f"{name}.json").exists()
    }
    return {
        "run": folder.name,
        **facts(folder / MODEL),
        **more,
        "curve_of": ["step", "mean training loss since the line before", "validation", "seconds", *terms],
        "curve": [
            [line["step"], rounded(line["loss"]), rounded(line["quality"]), round(line["seconds"], 1)]
            + [rounded(line[name]) for name in terms]
            for line in curve
        ],
        "part_bits": [rounded(line["bits"]) for line in measured],
        "part_elements": [line["elements"] for line in measured],
    }


def write(line: Mapping[str, Any], file: Path) -> None:
    """Write the file of a run, a fact on each line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    body = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in line.items())
    file.write_text(f"{{\n{body}\n}}\n", encoding="utf-8")


def merge_times(file: Path, fresh: Iterable[Line]) -> None:
    """Put times in place of those that a file has of the same runs."""
    new = [*fresh]
    runs = {line["run"] for line in new}
    kept = [line for line in lines_of(file) if line["run"] not in runs]
    file.write_text("".join(json.dumps(line) + "\n" for line in (*kept, *new)), encoding="utf-8")


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("reports/trained"))
    options = parser.parse_args()
    folders = sorted(done.parent for done in options.runs.glob(f"*/{HELD_OUT}"))
    if not folders:
        raise SystemExit(f"{options.runs} has no run that is complete; train_all.py --out {options.runs} makes them")
    for folder in folders:
        file, line = options.out / "runs" / f"{folder.name}.json", harvested(folder)
        if not line["curve"] and file.exists() and json.loads(file.read_text(encoding="utf-8"))["curve"]:
            print(f"{file} has the curve of the training, and is left as it is")
            continue
        write(line, file)
        print(f"{file}: {line['bits']:.4f} {line['unit']}, {len(line['part_bits']):,} parts")
    names = {folder.name for folder in folders}
    merge_times(options.out / TIMES, (line for line in lines_of(options.runs / TIMES) if line["run"] in names))


if __name__ == "__main__":
    main()
