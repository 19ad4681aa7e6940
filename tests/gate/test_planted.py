"""Faults planted in a model or a method, each found by a real check: count, store, plant, compare."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

from arbench.bench.progress import Quiet
from arbench.findings import Check
from arbench.gate.counters.check import open_gate
from arbench.methods import stepwise
from arbench.results import read

ASKED = {"methods": ["parallel", "cached"], "n": [4, 8, 12, 16]}
MODEL = """
import torch
from arbench.models.wavenet import WaveNet


class Mine(WaveNet):
    pass
"""


def written(folder: Path, body: str = "") -> str:
    """Write a model, of the same name in every folder; return its name for ``models``."""
    folder.mkdir()
    (folder / "mine.py").write_text(MODEL + body)
    return f"{folder}/mine.py:Mine:tiny"


@pytest.fixture(scope="module")
def healthy(inside: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the baseline of the model without a fault."""
    folder = tmp_path_factory.mktemp("healthy")
    gate = open_gate(folder / "exact.jsonl", {"models": [written(folder / "sound")], **ASKED}, update=True)
    gate.save(gate.prove(Quiet()))
    return folder / "exact.jsonl"


@pytest.fixture
def checked(healthy: Path, tmp_path: Path) -> Callable[..., Check]:
    """Return a function that checks a changed model."""

    def check(body: str, baseline: Path = healthy) -> Check:
        gate = open_gate(baseline, {"models": [written(tmp_path / "changed", body)]}, update=False)
        results = gate.prove(Quiet())
        return Check("before", "after", findings=gate.findings(results, 0.05))

    return check


def values(baseline: Path, method: str, metric: str) -> list[int]:
    rows = [row for row in read(baseline).cases.values() if row.method == method]
    return [getattr(row, metric) for row in sorted(rows, key=lambda row: row.n)]


def said(check: Check, metric: str) -> list[str]:
    return [finding.text for finding in check.of("regression") if finding.metric == metric]


ONE_MORE = """
    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return params * 1, state
"""


def test_an_unchanged_model_is_the_same(checked):
    check = checked("")
    assert [finding.outcome for finding in check.findings] == ["same"] * 8
    assert check.exit_code(strict=True) == 0


def test_one_more_operation_in_a_step(checked, healthy):
    check = checked(ONE_MORE)
    ops = values(healthy, "cached", "ops")
    step = (ops[1] - ops[0]) // 4
    assert said(check, "ops") == [
        f"cached sampling of mine.Mine:tiny launches {step + 1} operations a step, {step} before"
    ]
    (finding,) = [one for one in check.of("regression") if one.metric == "ops"]
    assert (finding.before, finding.after) == (ops[0], ops[0] + 4)
    assert finding.case == "mine.Mine:tiny/sample/cached/eager/cpu/float32/b1/n4"
    assert said(check, "flops") == said(check, "nfe") == said(check, "verification") == []
    assert len(check.of("same")) == 4  # scoring in parallel does not step
    assert check.exit_code() == 1


def test_a_cache_that_is_rebuilt_at_every_step(checked):
    check = checked(
        "    def extend(self, state, f, g0, g1):\n        return self.forward(f[:, :g1], state.code)[:, g0:g1], state\n"
    )
    (text,) = said(check, "flops")
    assert text.startswith("cached sampling of mine.Mine:tiny computes ")
    assert text.endswith(": it grows faster with N now")
    assert check.exit_code() == 1


def test_a_depth_that_grows_where_it_did_not(checked, healthy):
    check = checked(
        "    def forward(self, f, code):\n"
        "        zero = torch.zeros(())\n"
        "        for _ in range(16 * f.shape[1]):\n"
        "            zero = zero.neg()\n"
        "        return super().forward(f, code) + zero\n"
    )
    depth = values(healthy, "parallel", "depth")
    assert len(set(depth)) == 1
    (text,) = said(check, "depth")
    numbers = re.fullmatch(
        r"depth of parallel scoring of mine\.Mine:tiny is (\d+), (\d+), (\d+), (\d+) at N = 4, 8, 12, 16; "
        rf"it was {depth[0]} at each: it grows as O\(N\) now, as O\(1\) before",
        text,
    )
    assert numbers, text
    grown = list(map(int, numbers.groups()))
    assert [b - a for a, b in pairwise(grown)] == [64, 64, 64]
    assert check.exit_code() == 1


def test_doubled_peak_memory(checked, healthy):
    peaks = dict(zip(ASKED["n"], values(healthy, "parallel", "peak_bytes"), strict=True))
    check = checked(
        "    def forward(self, f, code):\n"
        f"        held = torch.zeros({peaks}[f.shape[1]], dtype=torch.uint8)\n"
        "        return super().forward(f, code)\n"
    )
    (text,) = said(check, "peak_bytes")
    assert text.startswith("peak memory of parallel scoring of mine.Mine:tiny doubled: ")
    (finding,) = [one for one in check.of("regression") if one.metric == "peak_bytes"]
    assert finding.change == pytest.approx(1.0)
    assert finding.threshold == 0.05
    assert check.exit_code() == 1


def test_an_improvement_is_reported_and_is_none_of_a_regression(checked, tmp_path):
    spec = written(tmp_path / "slow", ONE_MORE)
    gate = open_gate(tmp_path / "slow.jsonl", {"models": [spec], **ASKED}, update=True)
    gate.save(gate.prove(Quiet()))
    check = checked("", tmp_path / "slow.jsonl")
    assert check.of("regression", "undecided", "unmeasured") == []
    (text,) = [finding.text for finding in check.of("improvement") if finding.metric == "ops"]
    assert re.fullmatch(r"cached sampling of mine\.Mine:tiny launches (\d+) operations a step, (\d+) before", text)
    assert check.exit_code(strict=True) == 0


STALE = """
            if g == 5:
                params = params.roll(1, -1)
"""


def test_a_method_that_lost_exactness(inside, tmp_path):
    """The method runs its own code with a fault in it; the step's code is the file's, or the test fails."""
    asked = {"models": ["wavenet:tiny"], "n": [4, 8, 12], "methods": ["cached"], "ops": ["sample"]}
    gate = open_gate(tmp_path / "b.jsonl", asked, update=True)
    gate.save(gate.prove(Quiet()))
    code = Path(stepwise.__file__).read_text()
    step = "            params, state = source.extend(state, f, g, g + 1)\n"
    assert step in code
    faulty = ModuleType("faulty_stepwise")
    exec(compile(code.replace(step, step + STALE), "faulty_stepwise.py", "exec"), vars(faulty))
    gate = open_gate(tmp_path / "b.jsonl", {}, update=False)
    sound = stepwise.CACHED.run
    object.__setattr__(stepwise.CACHED, "run", faulty.cached)  # it is frozen
    try:
        check = Check("before", "after", findings=gate.findings(gate.prove(Quiet()), 0.05))
    finally:
        object.__setattr__(stepwise.CACHED, "run", sound)
    assert [finding.outcome for finding in check.findings] == ["regression", "same"]
    (text,) = said(check, "verification")
    assert text.startswith("cached sampling of wavenet:tiny lost exactness at N = 8, 12: log-probabilities differ")
    assert check.exit_code() == 1
