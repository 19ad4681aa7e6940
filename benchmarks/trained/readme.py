"""Write the tables of reports/trained/README.md from the files beside it.

    python benchmarks/trained/readme.py [--folder reports/trained]

A table stands between ``<!-- NAME -->`` and ``<!-- end of NAME -->``; what is around it is written by hand. A table
whose file is missing stays as it is.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from arbench.report import frontier_table, passes_table
from arbench.report.markdown import escape, grid
from arbench.report.table import Table
from arbench.results import FILE_NAME, read

GROUPINGS = {
    "factorised": ("all at once", 1),
    "g4": ("`digits_g4`", 4),
    "multiscale": ("by doublings", 10),
    "sequential": ("one at a time", 64),
}
SERIES = {"digits": "3", "digits9": "9"}
BLOCK = re.compile(r"(<!-- (?P<name>[a-z]+) -->\n).*?(<!-- end of (?P=name) -->)", re.DOTALL)
Line = dict[str, Any]


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table; headings that end in ``:`` are of numbers."""
    lines = [f"| {' | '.join(one.rstrip(':') for one in head)} |"]
    lines.append(f"|{'|'.join('---:' if one.endswith(':') else '---' for one in head)}|")
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def lines_of(file: Path) -> list[Line]:
    """Return the lines of a file of JSON lines."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def digits(file: Path) -> list[str]:
    """Return bits by grouping, and then the differences between one grouping and the next."""
    lines = lines_of(file)
    rows, gains = [], []
    for series, kernel in SERIES.items():
        for grouping, (name, groups) in GROUPINGS.items():
            known = [one for one in lines if (one["series"], one.get("grouping")) == (series, grouping)]
            if known:
                means = [one["bits"] for one in known]
                rows.append(
                    [kernel, name, str(groups), f"{fmean(means):.3f}", ", ".join(f"{one:.3f}" for one in means)]
                )
        for coarse, fine in pairwise(GROUPINGS):
            known = [
                one for one in lines if (one["series"], one.get("coarse"), one.get("fine")) == (series, coarse, fine)
            ]
            if known:
                gain, error = (fmean(one[name] for one in known) for name in ("gain", "standard_error"))
                each = ", ".join(f"{one['gain']:+.3f}" for one in known)
                groups = f"{GROUPINGS[coarse][1]} to {GROUPINGS[fine][1]}"
                gains.append([kernel, groups, f"{gain:+.3f}", f"{error:.3f}", each])
    head = ["kernel", "grouping", "groups:", "bits a pixel:", "by seed"]
    error = "standard error over images, at most:"
    return [
        *markdown(head, rows),
        "",
        *markdown(["kernel", "groups", "bits saved by the finer one:", error, "by seed"], gains),
    ]


def of_run(table: Callable[..., Table | None]) -> Callable[[Path], list[str]]:
    """Return a function that renders a table of a run without its heading."""

    def rendered(file: Path) -> list[str]:
        found = table(read(file))
        if found is None:
            raise SystemExit(f"{file} has nothing for {table.__name__}")
        return grid(found)[2:-1]

    return rendered


def measures(clips: Sequence[Line]) -> list[Line]:
    """Return the lines of clips without what they are of."""
    return [{key: value for key, value in one.items() if key != "model"} for one in clips]


def sounds(file: Path) -> list[str]:
    """Return the means over the clips of each model, and of the real ones beside them."""
    clips: dict[str, list[Line]] = defaultdict(list)
    for line in lines_of(file):
        clips[line["model"]].append(line)
    for model in [*clips]:  # real clips are often the same ones beside several models
        same = [one for one in clips if measures(clips[one]) == measures(clips[model])]
        if model != same[0]:
            del clips[model]
    names = ("level_dbfs", "peak_dbfs", "dynamics_db", "from_real_db", "from_white_db")
    octaves = list(next(iter(clips.values()))[0]["octaves_db"])
    rows = []
    for model, some in clips.items():
        means = [[one[name] for one in some if one[name] is not None] for name in names]
        shape = " ".join(f"{fmean(one['octaves_db'][band] for one in some):.0f}" for band in octaves)
        name = "held-out speech" if model.startswith("real, ") else escape(model)
        rows.append([name, str(len(some)), *(f"{fmean(m):.1f}" if m else "—" for m in means), shape])
    head = ["sound", "clips:", "level, dBFS:", "peak, dBFS:", "dynamics, dB:", "spectrum from real, dB:"]
    return markdown([*head, "from white noise, dB:", f"octaves of {', '.join(octaves)} Hz, dB of the whole"], rows)


def translations(file: Path) -> list[str]:
    """Return exact translations by model and decoding."""
    rows = [
        [
            escape(one["model"]),
            f"`{one['kind']}`",
            one["decoding"],
            f"{one['exact']:.2%}",
            f"{one['interval'][0]:.2%} to {one['interval'][1]:.2%}",
            f"{one['symbol_error_rate']:.3%}",
            f"{one['pairs']:,}",
        ]
        for one in lines_of(file)
    ]
    head = ["run", "model", "decoding", "exact:", "95%:", "symbols wrong:", "held-out pairs:"]
    return markdown(head, rows)


def students(file: Path) -> list[str]:
    """Return densities of students and teachers, the divergence, and the seconds of a draw."""
    rows, times = [], []
    for one in lines_of(file):
        (step, first), (last, best) = one["divergence"][0], min(one["divergence"], key=lambda line: line[1])
        fell = f"{first:.3f} (step {step:,}) to {best:.3f} (step {last:,})"
        bits = [f"{one[name]:.3f}" for name in ("student_bits", "teacher_bits")]
        rows.append([one["student"], *bits, fell, f"{one['divergence_bits']:.3f}", f"{one['power_loss']:.3f}"])
        for at in one["seconds"]:
            teacher, student = at["teacher_s"], at["student_s"]
            took = [f"{teacher:.3g} ({at['teacher_method']})", f"{student:.3g}", f"{teacher / student:.3g}"]
            times.append([one["student"], f"{at['n']:,}", *took])
    unit = lines_of(file)[0]["unit"]
    fell = "divergence on validation noise, first and best evaluation"
    head = ["student", f"{unit}, held out:", "of its teacher:", fell, "held out:", "power loss (silence: 1):"]
    return [
        *markdown(head, rows),
        "",
        *markdown(["student", "N:", "teacher's best sampler, s:", "student, s:", "times as fast:"], times),
    ]


TABLES: dict[str, tuple[str, Callable[[Path], list[str]]]] = {
    "digits": ("digits.jsonl", digits),
    "frontier": (f"frontier/{FILE_NAME}", of_run(frontier_table)),
    "passes": (f"frontier/{FILE_NAME}", of_run(passes_table)),
    "sounds": ("sounds.jsonl", sounds),
    "translations": ("translations.jsonl", translations),
    "students": ("students.jsonl", students),
}
"""By name of the table, the file that it is of and what makes it."""


def filled(text: str, folder: Path) -> str:
    """Return a README with its tables made anew. Raises SystemExit for a name that is no table."""

    def table(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in TABLES:
            raise SystemExit(f"README.md has a place for '{name}'; there are {', '.join(TABLES)}")
        file, make = TABLES[name]
        if not (folder / file).exists():
            return found[0]
        return "\n".join([found[1], *make(folder / file), "", found[3]])

    return BLOCK.sub(table, text)


def main() -> None:
    """Write the README again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("reports/trained"))
    options = parser.parse_args()
    file = options.folder / "README.md"
    file.write_text(filled(file.read_text(encoding="utf-8"), options.folder), encoding="utf-8")


if __name__ == "__main__":
    main()
