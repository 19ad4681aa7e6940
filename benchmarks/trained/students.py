r"""Compare a Parallel WaveNet with its teacher: held-out density, divergence, and seconds against its best sampler.

    python benchmarks/trained/students.py --teacher RUNS/speech-teacher --student RUNS/speech-student \
        [--n 1000 4000 16000] [--out reports/trained/students.jsonl]

Both are folders of training runs. ``arbench run`` times the exact samplers of the teacher (``cached`` and ``fused``)
and the one pass of the student in turns, at each N, on one thread. ``--out`` receives a line a student: bits of both on
the same dequantised held-out audio, the divergence at each evaluation, and the seconds. Lines of other students stay.
``readme.py`` makes the table of the report from it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from arbench.models.weights import read as read_checkpoint
from arbench.models.weights import spec_of
from arbench.results import Case, Results, read

ARBENCH = Path(sys.executable).with_name("arbench")


def quality(student: Path) -> dict[str, Any]:
    """Return what the folder of a distillation says of student and teacher."""
    figures = json.loads((student / "distilled.json").read_text(encoding="utf-8"))
    curve = [json.loads(line) for line in (student / "curve.jsonl").read_text(encoding="utf-8").splitlines()]
    names = ("teacher_bits", "student_bits", "unit", "elements", "divergence_bits", "power_loss", "samples", "power")
    return {
        **{name: figures[name] for name in names},
        "divergence": [[line["step"], round(line["quality"], 4)] for line in curve],
    }


def timed(teacher: str, student: str, sizes: Sequence[int], workers: int, rounds: int) -> Results:
    """Time samplers of both, and return the run."""
    words = ["run", "--model", teacher, "--model", student, "--n", ",".join(map(str, sizes)), "--op", "sample"]
    words += ["--method", "parallel,cached,fused", "--workers", str(workers), "--rounds", str(rounds)]
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run([ARBENCH, *words, "--count-budget", "1", "--no-samples", "--out", f"{place}/run"])
        if done.returncode not in (0, 1):
            raise SystemExit(f"arbench run ended with exit code {done.returncode}")
        return read(Path(place) / "run")


def fastest(results: Results, model: str) -> dict[int, Case]:
    """Return the fastest exact sampler of a model at each N."""
    found: dict[int, Case] = {}
    for case in results.cases.values():
        if case.model == model and case.status == "ok" and case.median_s and case.exactness == "pointwise":
            best = found.get(case.n)
            if best is None or case.median_s < (best.median_s or 0):
                found[case.n] = case
    return found


def seconds(results: Results, teacher: str, student: str) -> list[dict[str, Any]]:
    """Return a line for each N at which both were timed."""
    theirs, own = fastest(results, teacher), fastest(results, student)
    return [
        {
            "n": n,
            "teacher_s": theirs[n].median_s,
            "teacher_method": theirs[n].method,
            "student_s": own[n].median_s,
            "student_method": own[n].method,
        }
        for n in sorted(theirs.keys() & own.keys())
    ]


def main() -> None:
    """Measure, and merge a line into the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--student", type=Path, required=True)
    parser.add_argument("--n", type=int, nargs="+", default=[1000, 4000, 16000])
    parser.add_argument("--workers", type=int, default=3)
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
    line["seconds"] = seconds(results, *(one.model for one in said))
    file = options.out
    known = [json.loads(one) for one in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    lines = [*(one for one in known if one["student"] != line["student"]), line]
    file.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    print(
        f"{line['student']}: {line['student_bits']:.3f}, {line['teacher']}: {line['teacher_bits']:.3f} {line['unit']}"
    )
    for one in line["seconds"]:
        times = f"teacher {one['teacher_s']:.3g} s ({one['teacher_method']}), student {one['student_s']:.3g} s"
        print(f"N = {one['n']:,}: {times}, {one['teacher_s'] / one['student_s']:.3g} times as fast")


if __name__ == "__main__":
    main()
