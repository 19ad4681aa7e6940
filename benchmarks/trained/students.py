r"""Compare a Parallel WaveNet with its teacher: held-out density, divergence, and seconds against its best sampler.

    python benchmarks/trained/students.py --teacher RUNS/speech-teacher --student RUNS/speech-student \
        [--n 1000 4000 16000] [--out reports/trained/students.jsonl]

Both are folders of training runs. ``arbench run`` times the exact samplers of the teacher (``cached`` and ``fused``)
and the one pass of the student (``parallel``) in turns, at each N, on one thread. ``--out`` receives a line a student:
bits of both on the same dequantised held-out audio, the divergence at each evaluation, and the seconds of each sampler
with their interval: of 95% from six workers on, and the smallest and the largest of a worker below that. A sampler
without a time, or without draws that are those of the reference, is in the line with the reason. Lines of other
students stay. ``readme.py`` makes the table of the report from it.

A run that arbench does not end with exit code 0 leaves the file as it was.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from arbench.models.weights import read as read_checkpoint
from arbench.models.weights import spec_of
from arbench.results import Case, Results, read

ARBENCH = Path(sys.executable).with_name("arbench")
TEACHER, STUDENT = ("cached", "fused"), ("parallel",)
"""Exact samplers that are timed."""


def quality(student: Path) -> dict[str, Any]:
    """Return what the folder of a distillation says of student and teacher."""
    figures = json.loads((student / "distilled.json").read_text(encoding="utf-8"))
    curve = [json.loads(line) for line in (student / "curve.jsonl").read_text(encoding="utf-8").splitlines()]
    names = ("teacher_bits", "student_bits", "unit", "elements", "divergence_bits", "power_loss", "samples", "power")
    return {
        **{name: figures[name] for name in names},
        "best_step": min(curve, key=lambda line: line["quality"])["step"],
        "best_by": figures.get("best_by", "divergence"),
        "divergence": [[line["step"], round(line.get("divergence", line["quality"]), 4)] for line in curve],
    }


def timed(teacher: str, student: str, sizes: Sequence[int], workers: int, rounds: int) -> Results:
    """Time samplers of both, and return the run. Raises SystemExit if a method is inexact or the run was cut short."""
    words = ["run", "--model", teacher, "--model", student, "--n", ",".join(map(str, sizes)), "--op", "sample"]
    words += ["--method", ",".join((*STUDENT, *TEACHER)), "--workers", str(workers), "--rounds", str(rounds)]
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run([ARBENCH, *words, "--count-budget", "1", "--no-samples", "--out", f"{place}/run"])
        if done.returncode:
            raise SystemExit(f"arbench run ended with exit code {done.returncode}, for the reason above; nothing kept")
        return read(Path(place) / "run")


def samplers(cases: Iterable[Case], model: str, methods: Sequence[str], n: int) -> dict[str, dict[str, Any]]:
    """Return seconds and their interval, or why there are none, for each method of a model at one N."""
    known = {case.method: case for case in cases if (case.model, case.n) == (model, n)}
    found: dict[str, dict[str, Any]] = {}
    for method in methods:
        case = known.get(method)
        if case is None:
            found[method] = {"why": "not measured"}
        elif case.status != "ok" or case.median_s is None:
            found[method] = {"why": case.error or case.status}
        elif case.exactness != "pointwise":
            found[method] = {"why": f"its draws are {case.exactness}, not those of the reference"}
        else:
            found[method] = {"s": case.median_s, "ci95_s": case.ci95_s, "range_s": case.range_s}
    return found


def seconds(cases: Sequence[Case], teacher: str, student: str, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Return a line for each N. Raises SystemExit if teacher or student has no time there."""
    lines = []
    for n in sizes:
        line: dict[str, Any] = {"n": n}
        for who, model, methods in (("teacher", teacher, TEACHER), ("student", student, STUDENT)):
            line[who] = samplers(cases, model, methods, n)
            if not any("s" in one for one in line[who].values()):
                why = "; ".join(f"{method}: {one['why']}" for method, one in line[who].items())
                raise SystemExit(f"the {who} {model} has no time at N = {n:,} ({why}); nothing kept")
        lines.append(line)
    return lines


def best(methods: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the fastest of the methods that have a time."""
    return min((name for name, one in methods.items() if "s" in one), key=lambda name: methods[name]["s"])


def main() -> None:
    """Measure, and merge a line into the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--student", type=Path, required=True)
    parser.add_argument("--n", type=int, nargs="+", default=[1000, 4000, 16000])
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("reports/trained/students.jsonl"))
    options = parser.parse_args()
    said = [read_checkpoint(folder / "model.safetensors") for folder in (options.teacher, options.student)]
    line = {
        "student": options.student.name,
        "teacher": options.teacher.name,
        "of": [f"{one.model}:{one.preset}" for one in said],
        **quality(options.student),
    }
    specs = [spec_of(str(folder)) for folder in (options.teacher, options.student)]
    results = timed(specs[0], specs[1], options.n, options.workers, options.rounds)
    line["seconds"] = seconds([*results.cases.values()], said[0].model, said[1].model, options.n)
    file = options.out
    known = [json.loads(one) for one in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    lines = [*(one for one in known if one["student"] != line["student"]), line]
    file.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    print(
        f"{line['student']}: {line['student_bits']:.3f}, {line['teacher']}: {line['teacher_bits']:.3f} {line['unit']}"
    )
    for one in line["seconds"]:
        for who in ("teacher", "student"):
            for method, at in one[who].items():
                took = f"{at['s']:.3g} s" if "s" in at else at["why"]
                print(f"N = {one['n']:,}: {who}, {method}: {took}")
        ratio = one["teacher"][best(one["teacher"])]["s"] / one["student"][best(one["student"])]["s"]
        print(
            f"N = {one['n']:,}: the student is {ratio:.3g} times as fast as the best of the teacher's that were timed"
        )


if __name__ == "__main__":
    main()
