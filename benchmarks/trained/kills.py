"""Kill training runs at random moments, resume them, and compare their weights with those of an uninterrupted run.

    python benchmarks/trained/kills.py --out reports/trained/kills.jsonl [--runs 10]

Each run is killed once (SIGKILL, at a moment drawn uniformly from the length of the uninterrupted run; a run that ends
before does not count), and resumed. It must end with the same bytes of weights, moments and moving average, and with
the same curve and best evaluation, in float64 on one thread. A line a run is appended.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors import safe_open
from safetensors.numpy import load_file

SIZES = "--steps 120 --every 5 --batch 4 --n 64 --eval-n 4000 --prefix 0"
COMMAND = f"train --model lstm:tiny --dtype float64 --threads 1 {SIZES}"
ARBENCH = str(Path(sys.executable).with_name("arbench"))


def start(folder: Path, resume: bool) -> subprocess.Popen[bytes]:
    """Start, or resume, the run in a folder."""
    words = [ARBENCH, *COMMAND.split(), "--out", str(folder), *(["--resume"] if resume else [])]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL)


def ended(folder: Path, resume: bool) -> None:
    """Run to the end."""
    if code := start(folder, resume).wait():
        raise SystemExit(f"the run in {folder} ended with exit code {code}")


def curve(folder: Path) -> list[dict[str, float]]:
    """Return the evaluations of a run, without their times."""
    lines = map(json.loads, (folder / "curve.jsonl").read_text(encoding="utf-8").splitlines())
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def best(folder: Path) -> dict[str, object]:
    """Return how far a run has come, without the time that it took."""
    with safe_open(folder / "state.safetensors", framework="numpy") as file:
        found = json.loads(file.metadata()["arbench.training"])
    return {key: value for key, value in found.items() if key != "seconds"}


def differing(one: Path, other: Path) -> list[str]:
    """Return what differs between two runs: tensors of the states and checkpoints, the curve, the best evaluation."""
    found = [name for name, read in (("curve", curve), ("best evaluation", best)) if read(one) != read(other)]
    for name in ("state.safetensors", "model.safetensors"):
        a, b = load_file(one / name), load_file(other / name)
        found += [f"{name}: {key}" for key in sorted(a.keys() | b.keys()) if key not in a or key not in b]
        found += [f"{name}: {key}" for key in a.keys() & b.keys() if a[key].tobytes() != b[key].tobytes()]
    return found


def main() -> int:
    """Run the trial; return 1 if a resumed run differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chosen, failed = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        begun = time.monotonic()
        ended(whole, resume=False)
        length = time.monotonic() - begun
        number = kills = 0
        while kills < options.runs:
            folder = Path(place) / str(number)
            moment = chosen.uniform(0, length)
            process = start(folder, resume=False)
            try:
                process.wait(moment)
                killed = False
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed = True
            curve = folder / "curve.jsonl"
            reached = len(curve.read_text().splitlines()) if curve.exists() else 0
            ended(folder, resume=(folder / "state.safetensors").exists())
            wrong = differing(whole, folder)
            failed += bool(wrong)
            kills += killed
            line = {
                "run": number,
                "seconds": moment,
                "of_s": length,
                "killed": killed,
                "evaluations_before": reached,
                "differing": wrong,
            }
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            state = f"killed after {moment:.1f} s of {length:.1f}" if killed else "ended before it was killed"
            print(
                f"run {number}: {state}, {reached} evaluations: {'DIFFERS' if wrong else 'the same weights'}",
                flush=True,
            )
            number += 1
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
