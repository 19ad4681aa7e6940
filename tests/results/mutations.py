"""Mutations of a results file, and what is done with each: it is read, reported, compared and followed."""

from __future__ import annotations

import hashlib
import json
import math
import random
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from arbench.bench.analyse import derive
from arbench.bench.case import CaseKey
from arbench.gate.stored import read_stored
from arbench.report import brief, headline, headlines, profiles, rows, sentences, taxonomy
from arbench.report.compare import CaseNames, CompareError, NothingSharedError, alone, changed_table, compare, tables
from arbench.report.compare import document as compared
from arbench.report.compare.figures import draw as draw_comparison
from arbench.report.drawings import draw
from arbench.report.history import document as followed
from arbench.report.history import history, lines, table
from arbench.report.history.figures import draw as draw_history
from arbench.report.page import page
from arbench.report.summary import summary
from arbench.results import Results, ResultsError, read

ROOT = Path(__file__).parents[2]
EXTREMES: list[Any] = [
    *(
        0,
        -1,
        1,
        2,
        0.5,
        -0.5,
        1e-15,
        1e-12,
        1e-9,
        1e9,
        1e12,
        1e15,
        1e24,
        1e30,
        -1e30,
        1e-300,
        1e300,
        1e308,
        -1e308,
        5e-324,
    ),
    *(2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30, 10**400),
]
TEXTS = [
    *(
        "",
        " ",
        "\x00",
        "\x1b[2J\x1b[31mred",
        "a\nb\tc\r",
        "\u202edesrever",
        "\u2028",
        "\ufffe",
        "\x85\x9b31m",
        "漢字🎵é",
        "N" * 300,
    ),
    *(
        "<script>alert(1)</script>",
        "![x](javascript:y)",
        "=1+1",
        "../../etc",
        "$x_1$",
        "{{ 1 }}",
        "%s%n",
        "-",
        "NaN",
        "null",
    ),
    *("1", "N", "N^2", "<= N", "score", "sample", "forward", "backward", "ok", "error", "cuda:0", "2026-13-45T99:99"),
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "\ud800"),
]
UNSEALED = {"kind": "seal", "lines": 0, "sha256": ""}
OTHERS: list[Any] = [None, True, False, [], {}, [[]], {"": {}}, [None], {"a": [1, {"b": None}]}]


def base(name: str, parts: Sequence[str], most: int) -> list[dict[str, Any]]:
    """Return the lines of a recorded run about some cases, with lines of the kinds that it lacks.

    Args:
        name: the file.
        parts: the cases whose ids begin with one of these.
        most: of each method, the number of sizes to keep.
    """
    found = [json.loads(line) for line in (ROOT / name).read_bytes().splitlines()]
    run, kept, sizes = found[0], [], dict[str, set[str]]()
    for line in found[1:]:
        about = str(line.get("id") or line.get("case") or "{model}:{preset}/{op}/{method}/".format(**line))
        method, _, size = about.rpartition("/")
        sized = sizes.setdefault(method, set())
        if not about.startswith(tuple(parts)) or line.get("round", 0) or line.get("worker", 0) > 1:
            continue
        if len(sized) < most or size in sized:
            sized.add(size)
            kept.append(line)
    ids = {line.get("id") for line in kept}
    run["plan"]["cases"] = [one for one in run["plan"]["cases"] if CaseKey(**one).id in ids]
    model, preset = run["plan"]["cases"][0]["model"], run["plan"]["cases"][0]["preset"]
    kept.insert(0, run)
    again = {name: run[name] for name in ("run_id", "started_at", "argv", "environment", "limits")}
    kept.append({"kind": "resume", **again, "changed": ["cpu.model"]})
    kept.append({"kind": "limits", "measured_at": "2026-11-24T10:49:07+00:00", "limits": run["limits"]})
    kept.append({"kind": "model", "model": model, "preset": preset, "family": "fully sequential", "element": "sample"})
    timed = [line for line in kept if line["kind"] == "case" and line["status"] == "ok"]
    for case in timed:
        same = [one["id"] for one in timed if (one["op"], one["n"]) == ("score", case["n"])]
        if case["op"] == "sample" and same:
            kept.append({"kind": "slowdown", "sample": case["id"], "score": same[0], "ratio": 20.0, "ci95": [19, 21.0]})
    for case in timed[:2]:
        kept.append(profile_of(case["id"]))
    run["sealed"] = True
    kept.insert(len(kept) // 2, dict(UNSEALED))
    kept.append({**UNSEALED, "end": True})
    return kept


def profile_of(case: str) -> dict[str, Any]:
    """Return the line of a profile in which everything is known."""
    parts = {"outside_s": 0.5, "fixed_s": 0.25, "slower_s": 0.125, "arithmetic_s": 0.0625, "memory_s": 0.0625}
    most = [{"name": "aten::addmm", "calls": 9, "seconds": 0.25, "limit_s": 0.125}]
    facts = {"seconds": 1.0, "profiled_s": 1.5, "calls": 3, "outside": "python", "operators": 9, "operators_s": 0.5}
    texts = {"why_unknown": "a reason", "unseen": "a reason", "file": "profiles/a.json.gz"}
    return {"kind": "profile", "case": case, **facts, **parts, "most": most, **texts}


def stored_base(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what pytest-benchmark would store about the cases of a run, and about a benchmark of somebody else."""
    known = [line for line in lines if line["kind"] == "case" and line["median_s"]]
    keys = {CaseKey(**one).id: one for one in lines[0]["plan"]["cases"]}
    counted = ("depth", "nfe", "flops", "ops", "bytes", "count_source")
    infos = [{**keys[one["id"]], **{name: one[name] for name in counted}, "times": 1} for one in known]
    medians = [one["median_s"] for one in known] + [math.nan]
    return {
        "machine_info": {
            "arbench": lines[0]["environment"],
            "cpu": {"brand_raw": "Chip", "count": 2},
            "system": "Linux",
        },
        "commit_info": {"id": "0123456789abcdef", "dirty": False, "time": "2026-11-24T10:49:07+00:00"},
        "benchmarks": [
            {"fullname": f"test_{number}", "stats": {"median": median, "rounds": 9}, "extra_info": info}
            for number, (median, info) in enumerate(zip(medians, [*infos, {}], strict=True))
        ],
        "datetime": "2026-11-24T10:49:07",
        "version": "5.1",
    }


def encoded(lines: Iterable[dict[str, Any]], rng: random.Random | None = None) -> bytes:
    """Return a results file, with every seal that was not mutated as it has to be."""
    raw = b""
    for count, line in enumerate(lines):
        if line.items() >= UNSEALED.items():
            line = {**line, "lines": count, "sha256": hashlib.sha256(raw).hexdigest()}
        ascii = rng is None or rng.random() < 0.5
        raw += json.dumps(line, ensure_ascii=ascii).encode(errors="surrogatepass") + b"\n"
    return raw


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value within a value."""
    if place:
        yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from _places(one, (*place, key))


def _nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def _changed(rng: random.Random, value: Any) -> Any:
    """Return a value of another size or text, which may pass for a measurement; sometimes one of another type."""
    if rng.random() < 0.6:
        if isinstance(value, str):
            return rng.choice(TEXTS) if rng.random() < 0.7 else f"{value}{rng.choice(TEXTS)}"
        if isinstance(value, int | float) and not isinstance(value, bool):
            return rng.choice([value * 2, value * 1000, value + 1, value / 3, value * 1e-6, value // 7, 0, -value])
    kind = rng.randrange(6)
    if kind <= 2:
        return rng.choice(EXTREMES)
    if kind == 3:
        return rng.choice(TEXTS)
    return rng.choice(OTHERS) if kind == 4 else _nested(rng.choice([1, 2, 40, 900]))


def _edit(rng: random.Random, line: dict[str, Any]) -> None:
    """Change one place within a line."""
    place = rng.choice(list(_places(line)))
    parent: Any = line
    for key in place[:-1]:
        parent = parent[key]
    key = place[-1]
    what = rng.randrange(8)
    if what == 0:
        del parent[key]
    elif what == 1:
        other = rng.choice(list(parent if isinstance(parent, dict) else range(len(parent))))
        parent[key], parent[other] = parent[other], parent[key]
    elif what == 2 and isinstance(parent, list):
        parent.insert(key, parent[key])
    elif what == 2:
        parent[rng.choice(TEXTS)] = parent[key]
    else:
        parent[key] = _changed(rng, parent[key])


def mutated(rng: random.Random, lines: list[dict[str, Any]]) -> bytes:
    """Return a results file with one to three mutations."""
    found = list(lines)
    for _ in range(rng.choice([1, 1, 2, 3])):
        at, what = rng.randrange(len(found)), rng.randrange(10)
        if what == 0:
            del found[at]
        elif what == 1:
            found.insert(at, found[rng.randrange(len(found))])
        elif what == 2:
            other = rng.randrange(len(found))
            found[at], found[other] = found[other], found[at]
        else:
            if rng.random() < 0.2:
                at = 0  # the run line, with plan, environment and limits
            found[at] = json.loads(json.dumps(found[at]))  # of its own: the same line may stand elsewhere too
            _edit(rng, found[at])
        if not found:
            break
    raw = encoded(found, rng)
    if rng.random() < 0.1:
        raw = raw[: rng.randrange(len(raw) + 1)]
    if rng.random() < 0.05 and raw:
        at = rng.randrange(len(raw))
        raw = raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :]
    return raw


def survives(path: Path, before: Results, metric: str, figures: bool = False, follow: bool = True) -> bool:
    """Do everything with a file that the commands do; return whether it could be read.

    Args:
        path: the file; one of pytest-benchmark, with the suffix .json, has no report.
        before: a whole file, to compare it with.
        metric: what to compare and follow.
        figures: whether to draw the page and the figures too.
        follow: whether to follow the metric from one file to the other too, which takes longest.

    Raises:
        Exception: what a user would see as a traceback.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*torn last line")
        for step in (*([_reported] if path.suffix != ".json" else []), _compared, *([_followed] if follow else [])):
            try:
                step(path, before, metric, figures)
            except ResultsError as error:
                if "\n" in str(error):
                    raise
                return False
            except (CompareError, NothingSharedError):
                pass
    return True


def _reported(path: Path, before: Results, metric: str, figures: bool) -> None:
    results = read(path)
    stopped = {case.id: case.stopped_by for case in results.cases.values() if case.stopped_by}
    for line in derive(results, stopped):
        results.add(line)
    told = profiles(results)
    for one in told:
        _text("\n".join(one.lines))
    _text(summary(results, profiles=told))
    brief(results, 110)
    taxonomy(results)
    headlines(results)
    sentences(results)
    for shown in (*headline(results, 80), *headline(results, 120), rows(results)):
        _text("\n".join(shown.lines()))
    if figures:
        drawings = draw(results)
        _text(page(results, drawings, profiles=told))
        _text(summary(results, drawings, profiles=told))
        for one in drawings:
            _text(one.svg)


def _compared(path: Path, before: Results, metric: str, figures: bool) -> None:
    after = read_stored(path)
    for files in ({"before": before, "after": after}, {"after": after, "before": before}):
        found = compare(files, metric, times=True)
        names = CaseNames((c for each in files.values() for c in each.cases.values()), before)
        shown = [*tables(found, names, 100), changed_table(found, names)]
        _text("\n".join(line for one in shown if one is not None for line in one.lines()))
        alone(found, 3)
        compared(found)
        for one in draw_comparison(found, names) if figures and next(iter(files)) == "before" else ():
            _text(one.svg)


def _followed(path: Path, before: Results, metric: str, figures: bool) -> None:
    found = history([before, read_stored(path)], metric)
    if found.series:
        _text("\n".join(lines(table(found))))
        followed(found)
        for one in draw_history(found) if figures else ():
            _text(one.svg)


def _text(text: str) -> None:
    assert isinstance(text, str)
