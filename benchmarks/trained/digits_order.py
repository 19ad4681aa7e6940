"""Compare one network under groupings that refine each other: bits by grouping, and paired differences over images.

    python benchmarks/trained/digits_order.py --runs FOLDER --out reports/trained/digits.json

``FOLDER`` is that of ``train_all.py``. Each grouping refines the one before it, so the laws that some network can
give it include those of the one before: in theory a pixel costs no more bits. One masked network is no such network.
A position reads features of its own group and of those before, so a finer grouping also masks those of pixels that
came in the same group, which relayed what lies farther away. Kernels of width 3 let the 64 pixels see 1,396 earlier
ones in all with ``digits_g4`` (of 1,536 that come in groups before), 1,396 with ``digits_multiscale`` (of 1,638) and
1,084 with ``digits_sequential`` (of 2,016); of width 9, which is ``digits_sequential,kernel=9``, 1,536, 1,638 and
2,005. And one kernel has to serve as many patterns of masks as there are groups.

A difference is that of the bits of an image, averaged over the seeds that both groupings have; its standard error is
over images.
"""

from __future__ import annotations

import argparse
import json
import math
from itertools import pairwise
from pathlib import Path

GROUPINGS = ("factorised", "g4", "multiscale", "sequential")


def bits(folder: Path) -> dict[int, float]:
    """Return bits per pixel of each held-out image."""
    lines = map(json.loads, (folder / "held_out.jsonl").read_text(encoding="utf-8").splitlines())
    return {line["part"]: line["bits"] / line["elements"] for line in lines}


def main() -> None:
    """Print and write the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--series", default="digits", help="digits (kernel 3) or digits9 (kernel 9)")
    options = parser.parse_args()
    found: dict[str, dict[int, dict[int, float]]] = {}
    for grouping in GROUPINGS:
        for folder in sorted(options.runs.glob(f"{options.series}-{grouping}-*")):
            if (folder / "held_out.jsonl").exists():
                found.setdefault(grouping, {})[int(folder.name.rpartition("-")[2])] = bits(folder)
    report: dict[str, list[dict[str, object]]] = {"groupings": [], "differences": []}
    for grouping, seeds in found.items():
        means = [sum(images.values()) / len(images) for images in seeds.values()]
        report["groupings"].append({"grouping": grouping, "seeds": sorted(seeds), "bits": means})
        print(
            f"{grouping:12} {sum(means) / len(means):.4f} bits per pixel, seeds {', '.join(f'{m:.4f}' for m in means)}"
        )
    for coarse, fine in pairwise(found):
        seeds = sorted(found[coarse].keys() & found[fine].keys())
        images = found[coarse][seeds[0]] if seeds else {}
        gaps = [sum(found[coarse][s][i] - found[fine][s][i] for s in seeds) / len(seeds) for i in images]
        mean = sum(gaps) / len(gaps)
        error = math.sqrt(sum((g - mean) ** 2 for g in gaps) / (len(gaps) - 1) / len(gaps))
        by_seed = [sum(found[coarse][s][i] - found[fine][s][i] for i in images) / len(images) for s in seeds]
        line = {
            "coarse": coarse,
            "fine": fine,
            "seeds": seeds,
            "gain": mean,
            "standard_error": error,
            "by_seed": by_seed,
        }
        report["differences"].append(line)
        print(f"{coarse} to {fine}: {mean:.4f} bits fewer, standard error {error:.4f} over {len(gaps)} images")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
