"""Compare one network under groupings that refine each other: bits by grouping, and paired differences over images.

    python benchmarks/trained/digits_order.py [--runs reports/trained/runs] [--out reports/trained/digits.jsonl]

``--runs`` is where ``harvest.py`` keeps runs, and need not have every run: what ``--out`` says of others stays. Its
lines are runs, with the bits per pixel of each held-out image where they are known, and differences, one for each seed
and pair of groupings; ``kept`` says of a difference whether its images are known. ``readme.py`` makes the tables of the
report from it.

Each grouping refines the one before it, so the laws that some network can
give it include those of the one before: in theory a pixel costs no more bits. One masked network is no such network.
A position reads features of its own group and of those before, so a finer grouping also masks those of pixels that
came in the same group, which relayed what lies farther away. Kernels of width 3 let the 64 pixels see 1,396 earlier
ones in all with ``digits_g4`` (of 1,536 that come in groups before), 1,396 with ``digits_multiscale`` (of 1,638) and
1,084 with ``digits_sequential`` (of 2,016); of width 9, which is ``digits_sequential,kernel=9``, 1,536, 1,638 and
2,005. And one kernel has to serve as many patterns of masks as there are groups.

A difference is the mean over images of what an image's pixel costs more under the coarser grouping, for one seed; its
standard error is over images. The images of all seeds are the same, so the standard error of a mean over seeds is at
most the mean of their standard errors, which is what is printed.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

GROUPINGS = ("factorised", "g4", "multiscale", "sequential")
SERIES = {"digits": "kernel 3", "digits9": "kernel 9"}
DIGITS = 4
"""Decimal places of the bits of an image: 64 pixels, and a standard error of thousandths."""
Lines = dict[tuple[str, ...], dict[str, Any]]


def bits(file: Path) -> list[float]:
    """Return bits per pixel of each held-out image, in order."""
    run = json.loads(file.read_text(encoding="utf-8"))
    return [bits / count for bits, count in zip(run["part_bits"], run["part_elements"], strict=True)]


def found(runs: Path) -> Lines:
    """Return a line for each run of a folder."""
    lines: Lines = {}
    for file in sorted(runs.glob("digits*-*-*.json")):
        series, _, rest = file.stem.partition("-")
        grouping, _, seed = rest.rpartition("-")
        if series in SERIES and grouping in GROUPINGS and seed.isdigit():
            images = bits(file)
            same = {"series": series, "grouping": grouping, "seed": int(seed)}
            lines["run", series, grouping, seed] = {
                **same,
                "bits": fmean(images),
                "images": [round(one, DIGITS) for one in images],
            }
    return lines


def trained(lines: Lines, series: str) -> list[str]:
    """Return the groupings of which there are runs, from the coarsest to the finest."""
    return [one for one in GROUPINGS if any(key[:3] == ("run", series, one) for key in lines)]


def differences(lines: Lines) -> Lines:
    """Return a line for each seed and two groupings, one after the other, of which the images' bits are known."""
    made: Lines = {}
    for series in SERIES:
        for coarse, fine in pairwise(trained(lines, series)):
            for key, one in lines.items():
                other = lines.get(("run", series, fine, key[-1]))
                if key[:3] == ("run", series, coarse) and other and one["images"] and other["images"]:
                    line = difference(one["images"], other["images"])
                    same = {"series": series, "coarse": coarse, "fine": fine, "seed": one["seed"]}
                    made["difference", series, coarse, fine, key[-1]] = {**same, **line, "kept": True}
    return made


def difference(coarse: Sequence[float], fine: Sequence[float]) -> dict[str, float]:
    """Return the mean gain in bits per pixel, and its standard error over images."""
    gaps = [a - b for a, b in zip(coarse, fine, strict=True)]
    mean = fmean(gaps)
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / (len(gaps) - 1))
    return {"of": len(gaps), "gain": mean, "standard_error": spread / math.sqrt(len(gaps))}


def read(path: Path) -> Lines:
    """Return the lines of a file; none where there is no file."""
    lines: Lines = {}
    for line in map(json.loads, path.read_text(encoding="utf-8").splitlines() if path.exists() else ()):
        lines[key_of(line)] = line
    return lines


def key_of(line: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a line is of."""
    names = ("series", "coarse", "fine", "seed") if "coarse" in line else ("series", "grouping", "seed")
    return ("difference" if "coarse" in line else "run", *(str(line[name]) for name in names))


def place(key: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the key that lines are sorted by: runs first, groupings from the coarsest to the finest."""
    kind, series, *groupings, seed = key
    return kind != "run", [*SERIES].index(series), *map(GROUPINGS.index, groupings), int(seed)


def said(lines: Lines) -> list[str]:
    """Return means over seeds in words."""
    told = []
    for series in SERIES:
        for grouping in GROUPINGS:
            means = [line["bits"] for key, line in lines.items() if key[:3] == ("run", series, grouping)]
            if means:
                seeds = ", ".join(f"{mean:.4f}" for mean in means)
                told.append(f"{series} {grouping:12} {fmean(means):.4f} bits per pixel, by seed {seeds}")
        for coarse, fine in pairwise(trained(lines, series)):
            known = [line for key, line in lines.items() if key[:4] == ("difference", series, coarse, fine)]
            if known:
                gain, error = (fmean(line[name] for line in known) for name in ("gain", "standard_error"))
                of = f"at most {error:.4f} over {known[0]['of']} images, {len(known)} seeds"
                told.append(f"{series} {coarse} to {fine}: {gain:.4f} bits fewer, standard error {of}")
    return told


def main() -> None:
    """Merge the runs of a folder into the file, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("reports/trained/runs"))
    parser.add_argument("--out", type=Path, default=Path("reports/trained/digits.jsonl"))
    options = parser.parse_args()
    lines = {**read(options.out), **found(options.runs)}
    lines.update(differences(lines))
    kept = {key: lines[key] for key in sorted(lines, key=place)}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text("".join(json.dumps(line) + "\n" for line in kept.values()), encoding="utf-8")
    print("\n".join(said(kept)))


if __name__ == "__main__":
    main()
