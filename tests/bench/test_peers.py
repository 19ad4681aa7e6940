"""A peer is planned, verified, counted and timed beside our methods, and its faults are its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import arbench
from arbench.bench.plan import Options, Plan, PlanError, make_plan
from arbench.methods import Task
from arbench.methods.peers import resolve
from arbench.methods.stepwise import CACHED
from arbench.models import resolve as model
from arbench.report import rows
from arbench.results import Case, Results

BIGRAM = "wavenet:tiny,layers=1,cycle=1,kernel=1,local=0,classes=0"
"""A WaveNet whose parameters depend on the sample before only."""
Peer = Callable[..., str]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    resolve.cache_clear()


@pytest.fixture
def peer(tmp_path: Path, load: Callable[[Path], ModuleType]) -> Peer:
    """Return a function that writes a peer, and returns what to give to ``--peer``."""
    table = load(Path(__file__).parents[1] / "methods" / "peers" / "table.py")
    return partial(table.write, tmp_path)


@pytest.fixture
def measured(inside: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Results]:
    """Return a function that measures a peer beside ``cached`` in this process."""
    planning = arbench.bench.workers.planning
    monkeypatch.setattr(planning, "planned", lambda options, progress=None: make_plan(options))

    def run(spec: str) -> Results:
        return arbench.measure(BIGRAM, methods=["cached"], peers=[spec], n=[12], workers=1, rounds=1, count_budget=2.0)

    return run


def by_method(results: Results) -> dict[str, Case]:
    return {case.method: case for case in results.cases.values()}


def test_a_peer_is_one_more_method(measured: Callable[[str], Results], peer: Peer) -> None:
    spec = peer()
    results = measured(spec)
    found = by_method(results)
    assert [found[name].status for name in ("cached", "table")] == ["ok", "ok"]
    facts = found["table"].verified
    assert facts is not None
    assert facts["outcome"] == (found["cached"].verified or {})["outcome"], "the same draws"
    assert "largest_difference" in facts, "log-probabilities are compared too"
    assert found["table"].count_source == "counted"
    assert found["table"].depth is not None
    assert found["table"].depth > 12, "one element after the other"
    assert found["table"].median_s is not None
    assert results.run.plan["peers"] == {spec: None}
    assert rows(results).notes[-1] == "table is generate of table, with the model's weights. It is a table."


@pytest.mark.parametrize(
    ("adapter", "theirs", "status", "error"),
    [
        (
            ("return first[0], after", "return first[0], after.roll(1, 0)"),
            ("", ""),
            "inexact",
            "log-probabilities differ",
        ),
        (
            ("", ""),
            ("return torch.stack(found)", "found[5] = (found[5] + 1) % 4\n        return torch.stack(found)"),
            "inexact",
            "element 5 of row 0 is",
        ),
        (("", ""), ("found = self.first, []", "found = self.first, [] if n < 0 else None"), "error", "AttributeError"),
        (("", ""), ("return torch.stack(found)", "raise SystemExit(0)"), "error", "called sys.exit(0)"),
        (
            ("", ""),
            ("return torch.stack(found)", "return torch.stack(found[:-1])"),
            "inexact",
            "events of shape (1, 11)",
        ),
    ],
)
def test_faults_of_a_peer_are_its_own(
    measured: Callable[[str], Results],
    peer: Peer,
    adapter: tuple[str, str],
    theirs: tuple[str, str],
    status: str,
    error: str,
) -> None:
    found = by_method(measured(peer(adapter, theirs)))
    assert found["cached"].status == "ok"
    assert found["table"].status == status
    assert error in (found["table"].error or "")


def test_models_of_one_run_have_networks_of_their_own(peer: Peer) -> None:
    """A network draws by the noise of its own call, also after another model's was built."""
    method = resolve(peer())
    first, second = (model(BIGRAM).build(seed) for seed in (0, 1))
    noise = first.distribution.noise(0, [0], range(20), torch.float32)
    with torch.no_grad():
        for source in (first, second, first):
            task = Task(20, {}, noise=noise)
            assert torch.equal(method.run(source, task).x, CACHED.run(source, task).x)


def plan_of(*models: str, **options: Any) -> Plan:
    return make_plan(Options(models=models, n=[8], **options))


def test_a_peer_comes_beside_all_methods_or_those_named(peer: Peer) -> None:
    spec = peer()
    every = {case.method for case in plan_of(BIGRAM, peers=[spec]).cases}
    assert {"parallel", "cached", "naive", "table"} < every
    case = plan_of(BIGRAM, peers=[spec], methods=["cached"], ops=["sample"]).cases[-1]
    assert (case.method, case.op, case.method_spec, case.reference) == ("table", "sample", f"peer:{spec}", False)


def test_a_peer_is_left_out_for_other_kinds_of_models(peer: Peer) -> None:
    found = plan_of(BIGRAM, "made:tiny", peers=[peer()], methods=["cached"]).cases
    assert [(case.model, case.method) for case in found] == [
        ("wavenet", "cached"),
        ("wavenet", "table"),
        ("made", "cached"),
    ]


@pytest.mark.parametrize(
    ("models", "options", "why"),
    [
        (
            ["wavenet:tiny"],
            {},
            "peer 'table' cannot be wavenet:tiny: it looks back one sample; add kernel=1",
        ),
        (["made:tiny"], {}, "peer 'table' is a WaveNet, and no model of this run is; choose another with --model"),
        ([BIGRAM], {"ops": ["score"]}, "--peer needs sampling; add --op sample"),
    ],
)
def test_what_a_peer_cannot_be_is_refused(peer: Peer, models: list[str], options: Any, why: str) -> None:
    with pytest.raises(PlanError) as refused:
        plan_of(*models, peers=[peer()], **options)
    assert str(refused.value) == why


@pytest.mark.parametrize("spec", ["r9y9", "r9y9=/nowhere/at/all", "nobody=here"])
def test_a_wrong_peer_is_refused(spec: str) -> None:
    with pytest.raises(PlanError, match=r"peer|NAME=PATH"):
        plan_of(BIGRAM, peers=[spec])
