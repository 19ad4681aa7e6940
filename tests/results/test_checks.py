"""Facts of a wrong type and numbers out of range are refused in one line; unknown facts stay."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from arbench.bench.analyse import planned
from arbench.results import AnyLine, Integrity, Results, ResultsError, Writer, read
from arbench.results.checks import decoded
from arbench.stats import CLASSES

ROOT = Path(__file__).parents[2]
RECORDED = ("reports/cpu-2core/results.jsonl", "reports/cpu-2core/kernels/results.jsonl")


@pytest.fixture(scope="module")
def recorded() -> dict[str, dict[str, Any]]:
    """Return a line of each kind of a recorded run."""
    found: dict[str, dict[str, Any]] = {}
    for line in (ROOT / RECORDED[0]).read_bytes().splitlines():
        facts = msgspec.json.decode(line)
        if facts["kind"] != "case" or (facts["ci95_s"] and facts["verified"] and facts["rate_hz"]):
            found.setdefault(facts["kind"], facts)
    found["limits"] = {"kind": "limits", "measured_at": "2026-01-05T12:00:00", "limits": found["run"]["limits"]}
    found["resume"] = {
        "kind": "resume",
        **{name: found["run"][name] for name in ("run_id", "started_at", "argv", "environment", "limits")},
        "changed": [],
    }
    return found


def put(facts: Any, place: str, value: Any) -> Any:
    """Return facts with a value at a dotted place; a number is the place in a list."""
    name, _, rest = place.partition(".")
    key = int(name) if isinstance(facts, list) else name
    copy = facts.copy()
    copy[key] = put(facts[key], rest, value) if rest else value
    return copy


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


WRONG = [
    ("run", "limits.copy", 5),
    ("run", "limits.copy.0", "fast"),
    ("run", "limits.copy.0.bytes", 0),
    ("run", "limits.read.1.gb_per_s", -1.0),
    ("run", "limits.read.1.gb_per_s", 1e308),
    ("run", "limits.matmul", ["float32"]),
    ("run", "limits.matmul.float32", "105"),
    ("run", "limits.timer_s", "short"),
    ("run", "environment.cpu", 2),
    ("run", "environment.cpu.model", ["AMD"]),
    ("run", "environment.gpu", "H200"),
    ("run", "environment.threads.torch", "one"),
    ("run", "environment.versions.torch", 2.13),
    ("run", "environment.more", nested(40)),
    ("run", "plan.options", None),
    ("run", "plan.options.threads", {"one": 1}),
    ("run", "plan.cases", "all"),
    ("run", "plan.source", 7),
    ("resume", "environment.cpu", 2),
    ("resume", "limits.matmul", 1),
    ("limits", "limits.copy", {}),
    ("limits", "measured_at", "yesterday"),
    ("verification", "verified.nfe", -1),
    ("verification", "verified.call_s", "1 s"),
    ("verification", "verified.how", 1),
    ("case", "verified.accepted", [1]),
    ("case", "verified.excused_ties", None),
    ("case", "verified.working_set", 0),
    ("case", "n", 0),
    ("case", "batch", 0),
    ("case", "weights", -1),
    ("case", "depth", -1),
    ("case", "flops", 2**63),
    ("case", "median_s", 0.0),
    ("case", "median_s", 1e308),
    ("case", "rate_hz", 0.0),
    ("case", "ci95_s", [2.0, 1.0]),
    ("case", "range_s", [0.0, 1.0]),
    ("count", "nfe", -1),
    ("samples", "seconds", []),
    ("samples", "seconds", [0.0]),
    ("samples", "seconds", [1e308]),
    ("samples", "worker", -1),
    ("samples", "cold_s", 0),
    ("ratio", "ratio", 0.0),
    ("ratio", "ratio", 1e300),
    ("ratio", "ci95", [3.0, 2.0]),
    ("ratio", "ci95", [0.0, 2.0]),
    ("fit", "fitted", "N^7"),
    ("fit", "fitted", "N\n"),
    ("fit", "claimed", "at most N"),
    ("fit", "sizes", []),
    ("fit", "sizes.0", 0),
    ("fit", "sizes.1", 64),
    ("fit", "values", [1.0]),
    ("fit", "slope", 1e308),
    ("fit", "residual", -1.0),
]


@pytest.mark.parametrize(("kind", "place", "value"), WRONG)
def test_a_wrong_fact_is_refused_with_its_line(tmp_path, recorded, kind, place, value):
    path = tmp_path / "results.jsonl"
    lines = [recorded["run"]] + ([recorded[kind]] if kind != "run" else [])
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    read(path)
    lines[-1] = put(lines[-1], place, value)
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    with pytest.raises(ResultsError, match=rf"^{re.escape(str(path))}:{len(lines)}: [^\n]+$"):
        read(path)


@pytest.mark.parametrize(
    ("kind", "place"),
    [("run", "environment.more"), ("run", "environment.cpu.more"), ("run", "limits.more"), ("case", "verified.more")],
)
@pytest.mark.parametrize("value", ["text", 1, None, [1, {"a": [2]}]])
def test_facts_that_are_not_read_may_be_anything(tmp_path, recorded, kind, place, value):
    lines = [put(line, place, value) if line["kind"] == kind else line for line in (recorded["run"], recorded["case"])]
    path = tmp_path / "results.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    read(path)


@pytest.mark.parametrize("levels", [500, 1000, 100_000])
def test_a_thousand_brackets_are_refused(tmp_path, recorded, levels):
    path = tmp_path / "results.jsonl"
    raw = msgspec.json.encode(recorded["run"]).replace(
        b'"gpu":null', b'"gpu":null,"more":' + b"[" * levels + b"]" * levels
    )
    path.write_bytes(raw + b"\n")
    with pytest.raises(ResultsError, match=r":1: ('environment' has more than 32 levels|too many levels .*)$"):
        read(path)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_files_are_written_again_byte_for_byte(tmp_path, name):
    whole = (ROOT / name).read_bytes()
    with Writer(tmp_path / "results.jsonl") as writer:
        for line in whole.splitlines():
            writer.write(msgspec.json.decode(line, type=AnyLine))
    assert (tmp_path / "results.jsonl").read_bytes() == whole
    assert read(tmp_path).integrity == read(ROOT / name).integrity == Integrity()


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_of_growth_can_be_fitted_and_claimed(recorded, name):
    for claim in (name, f"<= {name}", f"<={name}"):
        msgspec.convert({**recorded["fit"], "fitted": name, "claimed": claim}, AnyLine)


def test_a_plan_with_a_case_twice_is_refused_in_one_line(recorded):
    facts = recorded["run"]
    cases = facts["plan"]["cases"]
    for wrong in ([*cases, cases[0]], [*cases, {**cases[0], "n": 0}], [*cases, {**cases[0], "a\nb": 1}]):
        run = msgspec.convert(put(facts, "plan.cases", wrong), AnyLine)
        with pytest.raises(ResultsError, match=r"^the plan in the results file lists no cases [^\n]+$"):
            planned(Results(run))
    assert len(planned(Results(msgspec.convert(facts, AnyLine)))) == len(cases)


PARTS = {"outside_s": 0.5, "fixed_s": 0.25, "slower_s": 0.125, "arithmetic_s": 0.0625, "memory_s": 0.0625}
WHOLE = {"kind": "profile", "case": "a", "seconds": 1.0, "profiled_s": 1.5, "calls": 3, "outside": "python", "most": []}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"memory_s": 0.07}, "the parts of 'operators_s', 0.5 s, are 0.5075 s together"),
        ({"memory_s": 0.05}, "the parts of 'operators_s', 0.5 s, are 0.4875 s together"),
        ({"memory_s": None, "fixed_s": 0.9}, "the parts of 'operators_s', 0.5 s, are 1.0875 s together"),
        ({"outside_s": 0.4}, "the parts of 'seconds', 1 s, are 0.9 s together"),
        ({"outside_s": 0.6}, "the parts of 'seconds', 1 s, are 1.1 s together"),
    ],
)
def test_the_parts_of_a_profile_add_up(more, said):
    line = {**WHOLE, **PARTS, "operators": 9, "operators_s": 0.5}
    decoded(msgspec.json.encode(line))
    decoded(msgspec.json.encode({**line, "memory_s": None}))
    with pytest.raises(ValueError, match=f"^{said}$"):
        decoded(msgspec.json.encode({**line, **more}))


@pytest.mark.parametrize(
    "file", ["/etc/passwd", "../profiles/a.json.gz", "profiles/../a.json.gz", "profiles/a.json", "a\n"]
)
def test_a_trace_lies_in_its_folder(file):
    line = {**WHOLE, **PARTS, "operators": 9, "operators_s": 0.5, "file": file}
    with pytest.raises(msgspec.ValidationError, match="file"):
        decoded(msgspec.json.encode(line))
