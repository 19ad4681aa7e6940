"""Write the tables of reports/trained/README.md from the files beside it.

    python benchmarks/trained/readme.py [--folder reports/trained]

A table stands between ``<!-- NAME -->`` and ``<!-- end of NAME -->``; what is around it is written by hand. Where a
file is missing, a sentence says that it has not been measured yet, and which command does.
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from arbench.models.registry import BUILT_IN
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
ADAPTIVE = ("order 32 fitted, scale adaptive", "order 32 recursive, scale adaptive")
"""Baselines that speech is to beat."""
TIMED = ("seconds", "cpu_seconds")
EARLIER = "†"
RESULTS = f"frontier/{FILE_NAME}"
SHIPPED = Path(__file__).with_name("shipped.toml")
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


def run_of(folder: Path, name: str) -> Line:
    """Return what a run measured, as ``harvest.py`` keeps it."""
    found: Line = json.loads((folder / "runs" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def baseline(folder: Path, data: str, name: str, part: str = "all") -> float:
    """Return the bits of a baseline."""
    (bits,) = (
        float(one["bits"])
        for one in lines_of(folder / "baselines.jsonl")
        if (one["data"], one["part"], one["baseline"]) == (data, part, name)
    )
    return bits


def processor_time(folder: Path, name: str) -> str:
    """Return the seconds of a processor that all processes of a run took."""
    known = [one["cpu_seconds"] for one in lines_of(folder / "times.jsonl") if one["run"] == name]
    return f"{sum(known):,.0f} s" if known else "—"


def baselines(folder: Path) -> list[str]:
    """Return bits of what every model has to beat."""
    units = {"digits": "a pixel of 17 levels", "text": "a byte", "speech": "a sample of 256 mu-law levels"}
    rows = []
    for one in lines_of(folder / "baselines.jsonl"):
        if one["part"] == "all":
            rows.append([f"{one['data']}, {units[one['data']]}", one["baseline"], f"{one['bits']:.3f}"])
    return markdown(["data", "baseline", "bits:"], rows)


def digits(folder: Path) -> list[str]:
    """Return bits by grouping, and then the differences between one grouping and the next."""
    lines = lines_of(folder / "digits.jsonl")
    rows, gains = [], []
    for series, kernel in SERIES.items():
        for grouping, (name, groups) in GROUPINGS.items():
            known = [one for one in lines if (one["series"], one.get("grouping")) == (series, grouping)]
            if known:
                means = [one["bits"] for one in known]
                rows.append([kernel, name, str(groups), f"{fmean(means):.3f}", by_seed(known, "bits", ".3f")])
        for coarse, fine in combinations(GROUPINGS, 2):
            known = [
                one for one in lines if (one["series"], one.get("coarse"), one.get("fine")) == (series, coarse, fine)
            ]
            if known:
                gain, error = (fmean(one[name] for one in known) for name in ("gain", "standard_error"))
                groups = f"{GROUPINGS[coarse][1]} to {GROUPINGS[fine][1]}"
                spread = f"{stdev(one['gain'] for one in known):.3f}" if len(known) > 1 else "one seed"
                gains.append([kernel, groups, f"{gain:+.3f}", f"{error:.3f}", spread, by_seed(known, "gain", "+.3f")])
    error, spread = "standard error over images, at most:", "standard deviation over seeds:"
    return [
        *markdown(["kernel", "grouping", "groups:", "bits a pixel:", "by seed"], rows),
        "",
        *markdown(["kernel", "groups", "bits saved by the finer one:", error, spread, "by seed"], gains),
        "",
        f"{EARLIER} Of an earlier run, whose bits of each image were not kept.",
    ]


def by_seed(lines: Sequence[Line], name: str, form: str) -> str:
    """Return a figure of each seed."""
    return ", ".join(f"{one[name]:{form}}{'' if one.get('images', one.get('kept')) else EARLIER}" for one in lines)


def speech(folder: Path) -> list[str]:
    """Return bits of each held-out recording by the WaveNet and by linear prediction."""
    found = run_of(folder, "speech-wavenet")
    recordings = [
        one["part"]
        for one in lines_of(folder / "baselines.jsonl")
        if (one["data"], one["baseline"]) == ("speech", ADAPTIVE[0]) and one["part"] != "all"
    ]
    parts = [
        (name, bits / count)
        for name, bits, count in zip(recordings, found["part_bits"], found["part_elements"], strict=True)
    ]
    rows = [
        [name, *(f"{value:.3f}" for value in (bits, *(baseline(folder, "speech", one, name) for one in ADAPTIVE)))]
        for name, bits in (*parts, ("all", found["bits"]))
    ]
    return markdown(["recording", "`wavenet:unconditional`:", *(f"{one}:" for one in ADAPTIVE)], rows)


def within(folder: Path) -> list[str]:
    """Return the curve of the WaveNet of half an hour, and its held-out bits."""
    found = run_of(folder, "speech-wavenet-30min")
    rows = [[f"{step:,}", f"{bits:.3f}", f"{seconds / 60:.0f}"] for step, _, bits, seconds in found["curve"]]
    each = (bits / count for bits, count in zip(found["part_bits"], found["part_elements"], strict=True))
    return [
        *markdown(["step:", "validation bits:", "minutes:"], rows),
        "",
        f"Held out: {found['bits']:.3f} {found['unit']} after step {found['best_step']:,}; processor time "
        f"{processor_time(folder, 'speech-wavenet-30min')}. The recordings in turn: "
        f"{', '.join(f'{one:.3f}' for one in each)}.",
    ]


def density(folder: Path) -> list[str]:
    """Return the bits of the teacher of a Parallel WaveNet."""
    one = run_of(folder, "speech-teacher")
    took = f"{processor_time(folder, 'speech-teacher')} of a processor"
    steps = f"after {one['best_step']:,} of {one['steps']:,} steps, {took}"
    return [f"Held out, over {one['elements']:,} samples: {one['bits']:.3f} {one['unit']}, {steps}."]


def teacher(folder: Path) -> list[str]:
    """Return the translations of the teacher."""
    one = run_of(folder, "nmt-teacher")
    exact = one["translation"]["greedy"]
    low, high = exact["interval"]
    return [
        f"The teacher `{one['model']}` ({one['steps']:,} steps, {processor_time(folder, 'nmt-teacher')} of processor "
        f"time) translates {exact['exact']:.2%} of {exact['pairs']:,} held-out numbers exactly as the reference "
        f"has them (95%: {low:.2%} to {high:.2%}), by greedy decoding.",
    ]


def text(folder: Path) -> list[str]:
    """Return bits of the held-out text by models and baselines, the best last."""
    rows = []
    for file in sorted((folder / "runs").glob("text-*.json")):
        one = run_of(folder, file.stem)
        cost = [f"{one['weights']:,}", f"{one['best_step']:,} of {one['steps']:,}", processor_time(folder, file.stem)]
        rows.append((one["bits"], [f"`{one['model']}`", *cost]))
    for one in lines_of(folder / "baselines.jsonl"):
        if (one["data"], one["part"]) == ("text", "all"):
            rows.append((one["bits"], [one["baseline"], "", "", ""]))
    head = ["model", "weights:", "best step:", "processor time:", "held-out bits a byte:"]
    return markdown(head, ([*cells, f"{bits:.3f}"] for bits, cells in sorted(rows, reverse=True)))


def shipped(folder: Path) -> list[str]:
    """Return what ships, and what its tests repeat."""
    rows = []
    for one in json.loads((folder / "shipped.json").read_text(encoding="utf-8")):
        repeated = "translations alone" if one["file"].startswith("parallel_nmt") else "bits"
        if one.get("translations") and repeated == "bits":
            repeated = "bits, translations"
        name, bits = one["file"].removesuffix(".safetensors"), f"{one['bits']:.4f} {one['unit']}"
        rows.append([f"`{name}`", bits, f"{one['elements']:,}", f"{one['bytes'] / 1e6:.1f}", repeated])
    return markdown(["checkpoint", "held out", "elements:", "MB:", "a test measures again"], rows)


def missing(folder: Path) -> list[str]:
    """Return the checkpoints that are to ship and do not yet."""
    files = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    there = {one["file"].rpartition(".")[0] for one in json.loads((folder / "shipped.json").read_text("utf-8"))}
    rows = [[f"`{name}`", f"`{entry['run']}`"] for name, entry in files.items() if name not in there]
    families = [name for name in BUILT_IN if not any(file.startswith(f"{name}-") for file in files)]
    return [
        *(markdown(["to ship, and not there yet", "run"], rows) if rows else ["All of `shipped.toml` are there."]),
        "",
        f"No training of these has been made, and none is in `runs.toml`: {', '.join(f'`{one}`' for one in families)}.",
    ]


def kills(folder: Path) -> list[str]:
    """Return how many runs were killed and resumed, and how many of them ended otherwise."""
    names = {"train": "training", "density": "distillation of a density", "sequence": "distillation of translations"}
    rows = []
    for kind, name in names.items():
        killed = [one for one in lines_of(folder / "kills.jsonl") if one["kind"] == kind and one["killed"]]
        rows.append([name, f"{len(killed)}", f"{sum(bool(one['differing']) for one in killed)}"])
    return markdown(["runs", "killed and resumed:", "of these not as if uninterrupted:"], rows)


def phonemes(folder: Path) -> list[str]:
    """Return the error rates of the translator of words that nobody here trained."""
    one = json.loads((folder / "g2p.json").read_text(encoding="utf-8"))
    rows = [
        ["phone errors", f"{one['errors'] / one['phones']:.2%}", f"{one['errors']:,} of {one['phones']:,}"],
        ["words wrong", f"{one['wrong_words'] / one['words']:.2%}", f"{one['wrong_words']:,} of {one['words']:,}"],
        ["bits a symbol of the first pronunciation", f"{one['bits']:.3f}", f"{one['elements']:,}"],
    ]
    return markdown([f"in-sample, {one['words']:,} of {one['of']:,} words, greedy", "rate:", "of:"], rows)


def times(folder: Path) -> list[str]:
    """Return the seconds of all runs that the report keeps."""
    runs: dict[str, list[Line]] = defaultdict(list)
    for line in lines_of(folder / "times.jsonl"):
        runs[line["run"]].append(line)
    rows = [
        [f"`{name}`", f"{len(some)}", *(f"{sum(one[key] for one in some):,.0f}" for key in TIMED)]
        for name, some in sorted(runs.items())
    ]
    total = [f"{sum(one[key] for some in runs.values() for one in some) / 3600:.2f} h" for key in TIMED]
    return markdown(["run", "processes:", "seconds:", "of a processor:"], [*rows, ["all", "", *total]])


def of_run(table: Callable[..., Table | None]) -> Callable[[Path], list[str]]:
    """Return a function that renders a table of a run without its heading."""

    def rendered(folder: Path) -> list[str]:
        file = folder / RESULTS
        found = table(read(file))
        if found is None:
            raise SystemExit(f"{file} has nothing for {table.__name__}")
        return grid(found)[2:-1]

    return rendered


def measures(clips: Sequence[Line]) -> list[Line]:
    """Return the lines of clips without what they are of."""
    return [{key: value for key, value in one.items() if key != "model"} for one in clips]


def sounds(folder: Path) -> list[str]:
    """Return the means over the clips of each model, and of the real ones beside them."""
    clips: dict[str, list[Line]] = defaultdict(list)
    for line in lines_of(folder / "sounds.jsonl"):
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
    table = markdown([*head, "from white noise, dB:", f"octaves of {', '.join(octaves)} Hz, dB of the whole"], rows)
    if any("held_out" in one for some in clips.values() for one in some):
        earlier = (
            "Of an earlier run, whose real clips were drawn at random, so that two nearly coincide: drawn clips are "
        )
        table += ["", f"{earlier}compared with all real ones, and a real one with the others."]
    return table


def translations(folder: Path) -> list[str]:
    """Return exact translations by model and decoding: as ``translations.py`` compared them, else as the run ended."""
    file = folder / "translations.jsonl"
    compared = lines_of(file) if file.exists() else []
    known = {one["model"] for one in compared}
    lessons = []
    for place in sorted((folder / "runs").glob("nmt-*.json")):
        run = run_of(folder, place.stem)
        if run["run"] not in known:
            same = {"model": run["run"], "kind": run["model"]}
            compared += [{**same, "decoding": name, **exact} for name, exact in run.get("translation", {}).items()]
        if taught := run.get("distilled"):
            share = f"{taught['lessons_exact']['exact']:.2%} of these are the reference"
            lessons.append(f"`{run['run']}` learnt {taught['lessons']:,} translations of its teacher; {share}.")
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
        for one in sorted(compared, key=lambda one: str(one["model"]))
    ]
    head = ["run", "model", "decoding", "exact:", "95%:", "symbols wrong:", "held-out pairs:"]
    return [*markdown(head, rows), *("", *lessons)] if lessons else markdown(head, rows)


def students(folder: Path) -> list[str]:
    """Return densities of students and teachers, the divergence, and the seconds of a draw."""
    lines = lines_of(folder / "students.jsonl")
    rows, drawn = [], []
    for one in lines:
        (step, first), last = one["divergence"][0], one["best_step"]
        best = dict(one["divergence"])[last]
        fell = f"{first:.3f} (step {step:,}) to {best:.3f} (step {last:,})"
        bits = [f"{one[name]:.3f}" for name in ("student_bits", "teacher_bits")]
        rows.append([one["student"], *bits, fell, f"{one['divergence_bits']:.3f}", f"{one['power_loss']:.3f}"])
        for at in one["seconds"]:
            timed = {who: {name: m for name, m in at[who].items() if "s" in m} for who in ("teacher", "student")}
            fastest = {who: min(m["s"] for m in methods.values()) for who, methods in timed.items()}
            took = ["; ".join(took_by(name, m) for name, m in at[who].items()) for who in ("teacher", "student")]
            drawn.append([one["student"], f"{at['n']:,}", *took, f"{fastest['teacher'] / fastest['student']:.3g}"])
    chosen = {one["student"]: one["best_by"] for one in lines}
    unit = lines[0]["unit"]
    fell = "divergence on validation noise, first and best evaluation"
    head = ["student", f"{unit}, held out:", "of its teacher:", fell, "held out:", "power loss (silence: 1):"]
    quick = "times as fast as the teacher's fastest:"
    return [
        *markdown(head, rows),
        "",
        *markdown(["student", "N:", "teacher, seconds of a draw", "student, seconds of a draw", quick], drawn),
        "",
        *(f"The best evaluation of {name} is the one of the least {by}." for name, by in chosen.items()),
        "In brackets the interval of 95% over workers, or the fastest and the slowest worker where fewer than six ran.",
    ]


def took_by(method: str, one: Line) -> str:
    """Return the seconds of a sampler with their interval, or why it has none."""
    if "s" not in one:
        return f"{method}: no time ({escape(one['why'])})"
    low, high = one["ci95_s"] or one["range_s"] or (one["s"], one["s"])
    return f"{method} {one['s']:.3g} ({low:.3g} to {high:.3g})"


HARVEST = "python benchmarks/trained/harvest.py --runs runs"
FRONTIER = "python benchmarks/trained/frontier.py"
TABLES: dict[str, tuple[tuple[str, ...], Callable[[Path], list[str]], str]] = {
    "baselines": (("baselines.jsonl",), baselines, "python -m arbench.train.baselines"),
    "digits": (("digits.jsonl",), digits, "python benchmarks/trained/digits_order.py"),
    "speech": (("baselines.jsonl", "runs/speech-wavenet.json"), speech, HARVEST),
    "within": (("runs/speech-wavenet-30min.json",), within, HARVEST),
    "density": (("runs/speech-teacher.json",), density, HARVEST),
    "teacher": (("runs/nmt-teacher.json",), teacher, HARVEST),
    "text": (("baselines.jsonl", "runs/text-transformer.json"), text, HARVEST),
    "frontier": ((RESULTS,), of_run(frontier_table), FRONTIER),
    "passes": ((RESULTS,), of_run(passes_table), FRONTIER),
    "sounds": (("sounds.jsonl",), sounds, "python benchmarks/trained/listen.py"),
    "translations": (("runs/nmt-teacher.json",), translations, HARVEST),
    "students": (("students.jsonl",), students, "python benchmarks/trained/students.py"),
    "shipped": (("shipped.json",), shipped, "python benchmarks/trained/ship.py"),
    "missing": (("shipped.json",), missing, "python benchmarks/trained/ship.py"),
    "kills": (("kills.jsonl",), kills, "python benchmarks/trained/kills.py --out reports/trained/kills.jsonl"),
    "phonemes": (("g2p.json",), phonemes, "python benchmarks/g2p_error.py --out reports/trained/g2p.json"),
    "times": (("times.jsonl",), times, HARVEST),
}
"""By name of the table, the files that it is of, what makes it, and the command that makes the last of the files."""


def filled(text: str, folder: Path) -> str:
    """Return a README with its tables made anew. Raises SystemExit for a name that is no table."""

    def table(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in TABLES:
            raise SystemExit(f"README.md has a place for '{name}'; there are {', '.join(TABLES)}")
        files, make, command = TABLES[name]
        lacks = [file for file in files if not (folder / file).exists()]
        lines = [f"Not measured yet: `{command}` makes `{lacks[0]}`."] if lacks else make(folder)
        return "\n".join([found[1], *lines, "", found[3]])

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
