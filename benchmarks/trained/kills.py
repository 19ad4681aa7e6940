"""Kill trainings and distillations at random moments, resume them, and compare them with an uninterrupted run.

    python benchmarks/trained/kills.py --out reports/trained/kills.jsonl [--kind train density sequence] [--runs 10]

The kinds are the training of a model, the distillation of a density (a Parallel WaveNet), and that of translations (a
Parallel NMT). Each run is killed once (SIGKILL, at a moment drawn uniformly from the length of the uninterrupted run; a
run that ends before does not count), and resumed. It must end with the same bytes of weights, moments and moving
average, and with the same curve, best evaluation, held-out bits and translations, in float64 on one thread. A line a
run takes the place of those that ``--out`` had of the same kind.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import soundfile
from safetensors import safe_open
from safetensors.numpy import load_file

from arbench.data import pairs, voices

COMMON = "--dtype float64 --threads 1"
TRAIN = f"train --model lstm:tiny --steps 120 --every 5 --batch 4 --n 64 --eval-n 4000 --prefix 0 {COMMON}"
SPEECH = f"--batch 2 --n 200 --eval-n 400 {COMMON} --data {{place}}/clip.wav"
TEACHER_OF_SPEECH = f"train --model wavenet:tiny_gaussian,loss=logistic_mixture,components=2 --steps 40 {SPEECH}"
DENSITY = (
    f"distill --teacher {{place}}/density --student parallel_wavenet:tiny --samples 3 --steps 120 --every 5 {SPEECH}"
)
SENTENCES = f"{COMMON} --data {{place}}/pairs.tsv"
TEACHER_OF_SENTENCES = (  # long enough that its translations end
    f"train --model nmt_teacher:tiny,levels=8,source_levels=8 --steps 600 --n 20 --batch 16 --lr 1e-2 {SENTENCES}"
)
SEQUENCE = (
    "distill --teacher {place}/sequence --student parallel_nmt:tiny,levels=8 --steps 120 --every 5 --n 40 --batch 8 "
    f"{SENTENCES}"
)
ARBENCH = str(Path(sys.executable).with_name("arbench"))
FILES = ("held_out.jsonl", "translation.json", "distilled.json", "lessons.safetensors", "alignments.safetensors")
"""Files of a run that have the same bytes however it came to its end."""


def start(command: str, folder: Path, resume: bool) -> subprocess.Popen[bytes]:
    """Start, or resume, the run in a folder."""
    words = [ARBENCH, *command.split(), "--out", str(folder), *(["--resume"] if resume else [])]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL)


def ended(command: str, folder: Path, resume: bool = False) -> None:
    """Run to the end."""
    if code := start(command, folder, resume).wait():
        raise SystemExit(f"the run in {folder} ended with exit code {code}")


def speech(place: Path) -> str:
    """Train a teacher of half a second of speech, and return the command of the distillation."""
    clip = next(iter(voices().values()))
    soundfile.write(place / "clip.wav", clip.samples[16000:24000], clip.rate)
    ended(TEACHER_OF_SPEECH.format(place=place), place / "density")
    return DENSITY.format(place=place)


def sentences(place: Path) -> str:
    """Train a teacher of short sentences, and return the command of the distillation."""
    short = [pair for pair in pairs() if max(len(side.encode()) for side in pair) < 16]
    (place / "pairs.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in short), encoding="utf-8")
    ended(TEACHER_OF_SENTENCES.format(place=place), place / "sequence")
    return SEQUENCE.format(place=place)


KINDS: dict[str, Callable[[Path], str]] = {"train": lambda place: TRAIN, "density": speech, "sequence": sentences}
"""By kind, what prepares a folder and returns the command."""


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
    """Return what differs between two runs: tensors of the states and checkpoints, the curve, figures, lessons."""
    found = [name for name, read in (("curve", curve), ("best evaluation", best)) if read(one) != read(other)]
    for name in ("state.safetensors", "model.safetensors"):
        a, b = load_file(one / name), load_file(other / name)
        found += [f"{name}: {key}" for key in sorted(a.keys() | b.keys()) if key not in a or key not in b]
        found += [f"{name}: {key}" for key in a.keys() & b.keys() if a[key].tobytes() != b[key].tobytes()]
    for name in FILES:
        content = [path.read_bytes() if (path := run / name).exists() else None for run in (one, other)]
        found += [name] if content[0] != content[1] else []
    return found


def main() -> int:
    """Run the trial; return 1 if a resumed run differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=[*KINDS])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failed = 0
    for kind in options.kind:
        forget(kind, options.out)
        with tempfile.TemporaryDirectory() as place:
            failed += trial(kind, Path(place), options.runs, random.Random(options.seed), options.out)
    return bool(failed)


def forget(kind: str, out: Path) -> None:
    """Remove the lines of a kind from a file, if it is there."""
    if out.exists():
        lines = out.read_text(encoding="utf-8").splitlines(keepends=True)
        out.write_text("".join(line for line in lines if json.loads(line)["kind"] != kind), encoding="utf-8")


def trial(kind: str, place: Path, runs: int, chosen: random.Random, out: Path) -> int:
    """Kill so many runs of a kind; return how many differ."""
    command = KINDS[kind](place)
    whole = place / "whole"
    begun = time.monotonic()
    ended(command, whole)
    length = time.monotonic() - begun
    number = kills = failed = 0
    while kills < runs:
        folder = place / str(number)
        moment = chosen.uniform(0, length)
        process = start(command, folder, resume=False)
        try:
            process.wait(moment)
            killed = False
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed = True
        reached = len((folder / "curve.jsonl").read_text().splitlines()) if (folder / "curve.jsonl").exists() else 0
        ended(command, folder, resume=(folder / "state.safetensors").exists())
        wrong = differing(whole, folder)
        failed += bool(wrong)
        kills += killed
        line = {
            "kind": kind,
            "run": number,
            "seconds": moment,
            "of_s": length,
            "killed": killed,
            "evaluations_before": reached,
            "differing": wrong,
        }
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        state = f"killed after {moment:.1f} s of {length:.1f}" if killed else "ended before it was killed"
        verdict = "DIFFERS" if wrong else "the same weights"
        print(f"{kind} {number}: {state}, {reached} evaluations: {verdict}", flush=True)
        number += 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
