"""Trial of each version alone, with fake processes: what it reports, confirms and doubts."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from arbench.bench.progress import Quiet
from arbench.bench.workers.failure import WorkerFailure
from arbench.findings import Finding
from arbench.gate.timing.alone import LARGEST_S, PAIRS, THRESHOLDS, Alone
from arbench.gate.timing.effort import Effort
from arbench.gate.timing.hosts import Cases, HostError
from arbench.gate.timing.pair import Pair, Two
from arbench.gate.timing.pool import HostPool
from arbench.gate.timing.trees import Tree

NAME, OTHER = "wavenet:tiny/sample/cached/n16", "wavenet:tiny/score/parallel/n16"
ROOT = Path(__file__).parents[3]
HERE = Tree("old", ROOT, ROOT)
SAME = (1.0, 1.0)


def sized(name: str, n: int) -> tuple[str, Cases]:
    model, op, method, *_ = name.split("/")
    one = {**dict(zip(("model", "preset"), model.split(":"), strict=True)), "op": op, "method": method, "n": n}
    return name.replace("n16", f"n{n}"), ({**one, "id": name}, {**one, "id": name}, {**one, "id": name})


class FakePair:
    """Two processes with given figures; those of a list are taken one after the other."""

    def __init__(self, pool: FakePool) -> None:
        self.pool = pool

    def ready(self) -> Two:
        return self.pool.next("import_s", SAME)

    def build(self, cases: Cases, check: bool = True) -> tuple[Two, float]:
        self.case = cases[1]
        self.pool.checked[-1].append(check)
        if (side := self.pool.fails.get((self.case["id"], self.case["n"]))) is not None:
            raise HostError("ValueError: broken", side, gone=self.pool.gone)
        self.pool.built.append((self.case["id"], self.case["n"]))
        return self.pool.next("first_s", SAME), self.pool.call_s * (self.case["n"] / 16) ** self.pool.power

    def time(self, rounds: int, calls: int) -> tuple[list[float], list[float]]:
        before, after = self.pool.next("seconds" if self.case["n"] == 16 else "largest_s", SAME)
        return [before] * rounds, [after] * rounds

    def peaks(self) -> tuple[int | None, int | None]:
        return self.pool.next("peak_bytes", (1000, 1000))

    def close(self) -> None:
        self.pool.closed += 1


class FakePool(HostPool):
    """Pool of fake pairs."""

    def __init__(self, **figures: Any) -> None:
        super().__init__(HERE, HERE, 0, 1, {}, 1.0)
        assert self.after.has_package
        self.figures = figures
        self.call_s, self.power = 1e-3, 1
        self.fails: dict[tuple[str, int], int] = {}
        self.gone = False
        self.built: list[tuple[str, int]] = []
        self.checked: list[list[bool]] = []
        self.opened_pairs = self.closed = 0

    def next(self, metric: str, usual: Any) -> Any:
        found = self.figures.get(metric, usual)
        return found.pop(0) if isinstance(found, list) else found

    def pair(self) -> Any:
        self.opened_pairs += 1
        self.checked.append([])
        return FakePair(self)


def run(
    pool: FakePool, changes: dict[str, float] | None = None, *, names: tuple[str, ...] = (NAME,), **chosen: float
) -> tuple[dict[str, Finding], dict[str, float], Alone]:
    larger = {name: [sized(name, n) for n in (32, 64, 128, 256)] for name in names}
    cases = {name: sized(name, 16)[1] for name in names}
    trial = Alone(pool, cases, larger, Effort(thresholds=chosen), random.Random(0), Quiet())
    findings, doubts = trial.run(changes or {})
    assert pool.opened_pairs == pool.closed
    process = ("arbench", "first_s")
    return {"process" if (one.case, one.metric) == process else one.metric: one for one in findings}, doubts, trial


def test_what_does_not_change_is_the_same_after_two_pairs() -> None:
    pool = FakePool()
    found, doubts, _ = run(pool, {NAME: 0.0})
    assert {metric: (one.outcome, one.threshold) for metric, one in found.items()} == {
        metric: ("same", threshold) for metric, threshold in (THRESHOLDS | {"process": THRESHOLDS["first_s"]}).items()
    }
    assert (doubts, pool.opened_pairs) == ({}, PAIRS[0])
    assert (found["import_s"].case, found["import_s"].text) == (
        "arbench",
        "the import of the package takes the same time",
    )
    assert found["peak_bytes"].text == "the peak memory of cached sampling of wavenet:tiny (N = 16) is the same"
    assert found["process"].text == "the first result of a process takes the same time"


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        ("import_s", "the import of the package"),
        ("first_s", "the first result of cached sampling of wavenet:tiny (N = 16)"),
        ("peak_bytes", "the peak memory of cached sampling of wavenet:tiny (N = 16)"),
        ("largest_s", "cached sampling of wavenet:tiny (N = 256)"),
    ],
)
def test_a_change_of_each_metric_is_found_and_measured_again(metric: str, text: str) -> None:
    memory = metric == "peak_bytes"
    pool = FakePool(**{metric: (1000, 1500)})
    found, _, _ = run(pool)
    one = found.pop(metric)
    assert (one.outcome, one.text) == ("regression", f"{text} {'is 50.0% higher' if memory else 'takes 50% longer'}")
    assert one.change == pytest.approx(0.5)
    both = {"first_s": "process"}.get(metric)
    assert {name for name, other in found.items() if other.outcome != "same"} == ({both} if both else set())
    assert pool.opened_pairs == sum(PAIRS)
    found, _, _ = run(FakePool(**{metric: (1000, 100)}))
    assert found[metric].outcome == "improvement"
    assert found[metric].text == f"{text} {'is 90.0% lower' if memory else 'takes 90% less time'}"
    found, _, _ = run(FakePool(**{metric: (1000, 8600)}))
    assert found[metric].text == f"{text} {'is 8.6 times as high' if memory else 'takes 8.6 times as long'}"
    within = THRESHOLDS[metric] * 0.9
    found, _, _ = run(FakePool(**{metric: (1000, 1000 * (1 + within))}))
    assert found[metric].outcome == "same"
    found, _, _ = run(FakePool(**{metric: (1000, 1000 * (1 + within))}), **{metric: within / 2})
    assert found[metric].outcome == "regression"


def test_a_change_that_does_not_show_in_every_pair_is_none() -> None:
    found, _, _ = run(FakePool(first_s=[(1.0, 2.0), *[SAME] * 20]))
    assert found["first_s"].outcome == "same"


def test_a_change_that_is_not_there_when_measured_again_is_undecided() -> None:
    pool = FakePool(import_s=[(1.0, 2.0)] * 3 + [SAME] * 2)
    found, _, _ = run(pool)
    assert found["import_s"].outcome == "undecided"
    assert "measured again" in found["import_s"].text


@pytest.mark.parametrize(("alone", "doubted"), [(8.6, True), (1.2, True), (1.05, False), (0.5, True)])
def test_a_change_alone_that_contradicts_the_shared_one_is_told(alone: float, doubted: bool) -> None:
    _, doubts, _ = run(FakePool(seconds=(1.0, alone)), {NAME: 0.0})
    assert doubts == ({NAME: pytest.approx(alone - 1)} if doubted else {})


def test_a_change_alone_like_the_shared_one_is_no_contradiction() -> None:
    _, doubts, _ = run(FakePool(seconds=(1.0, 1.5)), {NAME: 0.45})
    assert doubts == {}
    _, doubts, _ = run(FakePool(seconds=(1.0, 1.5)), {})
    assert doubts == {}, "a case without a change is not compared"


def test_the_largest_size_is_the_largest_whose_calls_are_short() -> None:
    pool = FakePool()
    pool.call_s, pool.power = LARGEST_S / 10, 2
    found, _, _ = run(pool)
    assert found["largest_s"].case == NAME.replace("n16", "n32")
    assert [n for _, n in pool.built] == [16, 16, 16, 32, 16, 16, 32]
    pool = FakePool()
    pool.call_s = 2 * LARGEST_S
    found, _, _ = run(pool)
    assert "largest_s" not in found


def test_trees_without_the_package_have_no_import_of_it(tmp_path: Path) -> None:
    pool = FakePool()
    pool.after = Tree("mine", tmp_path, tmp_path)
    found, _, _ = run(pool)
    assert found.keys() == THRESHOLDS.keys() - {"import_s"} | {"process"}


def test_first_results_come_before_all_comparisons() -> None:
    pool = FakePool()
    run(pool, names=(NAME, OTHER))
    assert len(pool.checked) == PAIRS[0]
    for checked in pool.checked:
        assert checked == [False, False, *[True] * (len(checked) - 2)]
        assert len(checked) > 3


@pytest.mark.parametrize("metric", ["import_s", "first_s"])
def test_a_change_of_milliseconds_in_what_is_done_once_is_none(metric: str) -> None:
    found, _, _ = run(FakePool(**{metric: (0.004, 0.020)}))
    assert found[metric].outcome == "same"


def test_what_all_cases_share_is_in_the_first_result_of_a_process() -> None:
    """Whichever case comes first pays for it, so that no case has it in every pair."""
    names = tuple(NAME.replace("cached", method) for method in ("cached", "naive", "blocks", "forecast"))
    pool = FakePool()

    def shared(metric: str, usual: Any) -> Any:
        if metric != "first_s":
            return usual
        return (1.0, 4.0) if len(pool.checked[-1]) == 1 else SAME

    pool.next = shared  # type: ignore[method-assign]
    found, _, _ = run(pool, names=names)
    assert found["process"].outcome == "regression"
    assert found["process"].text == "the first result of a process takes 4.0 times as long"


@pytest.mark.parametrize(
    ("peaks", "outcome", "says"),
    [
        ((None, None), None, ""),
        ((1000, None), "unmeasured", "is unknown in the new version"),
        ((None, 1000), "unmeasured", "is unknown in the old version"),
        ((0, 0), "same", "is the same"),
        ((0, 10**8), "regression", "times as high"),
    ],
)
def test_memory_that_is_unknown_or_none(peaks: Any, outcome: str | None, says: str) -> None:
    found, _, _ = run(FakePool(peak_bytes=peaks))
    assert (found["peak_bytes"].outcome if "peak_bytes" in found else None) == outcome
    assert outcome is None or says in found["peak_bytes"].text


@pytest.mark.parametrize(
    ("side", "gone", "outcome"), [(0, False, "unmeasured"), (1, False, "regression"), (1, True, "unmeasured")]
)
def test_a_case_that_fails_alone_costs_no_other(side: int, gone: bool, outcome: str) -> None:
    pool = FakePool()
    pool.fails, pool.gone = {(NAME, 16): side}, gone
    found, _, trial = run(pool, names=(NAME, OTHER))
    assert [one.outcome for one in trial.broken.values()] == [outcome]
    assert found["case"].outcome == outcome
    assert "cached sampling of wavenet:tiny (N = 16) fails in a process of its own: " in found["case"].text
    assert {name for name, _ in pool.built} == {OTHER}


@pytest.mark.parametrize(
    ("deaths", "signal", "side", "outcome"),
    [
        (1, 9, 1, None),
        (1, 11, 1, "undecided"),
        (1, 11, 0, "undecided"),
        (2, 9, 1, "regression"),
        (2, 9, 0, "unmeasured"),
    ],
)
def test_a_process_that_dies_is_tried_again(deaths: int, signal: int, side: int, outcome: str | None) -> None:
    """Only if the new version dies twice it is charged; the steps after the death are taken as before."""

    class Dying(FakePool):
        left = deaths

        def next(self, metric: str, usual: Any) -> Any:
            if metric == "seconds" and self.left:
                self.left -= 1
                why = f"the worker was killed by signal {signal}"
                raise HostError(why, side, death=WorkerFailure("error", why, code=-signal))
            return super().next(metric, usual)

    found, _, _ = run(Dying())
    assert (found["case"].outcome if "case" in found else None) == outcome
    assert ("peak_bytes" in found) == (deaths == 1)
    if outcome == "undecided":
        assert found["case"].text == (
            "cached sampling of wavenet:tiny (N = 16) crashes in a process of its own, but not when tried again: "
            "the worker was killed by signal 11"
        )


def test_deaths_of_both_versions_are_not_added() -> None:
    class Dying(FakePool):
        sides = [0, 1]

        def next(self, metric: str, usual: Any) -> Any:
            if metric == "seconds" and self.sides:
                raise HostError("killed", self.sides.pop(0), death=WorkerFailure("error", "killed", code=-9))
            return super().next(metric, usual)

    assert "case" not in run(Dying())[0]


def test_a_pair_that_dies_while_it_loads_is_replaced() -> None:
    class Dying(FakePool):
        left = 1

        def next(self, metric: str, usual: Any) -> Any:
            if metric == "import_s" and self.left:
                self.left -= 1
                raise HostError("killed", 1, death=WorkerFailure("error", "killed", code=-9))
            return super().next(metric, usual)

    found, _, _ = run(Dying())
    assert {one.outcome for one in found.values()} == {"same"}


def test_a_large_size_that_fails_costs_no_other_row() -> None:
    pool = FakePool(peak_bytes=(1000, 2000))
    pool.fails = {(NAME, 64): 1}
    found, _, _ = run(pool)
    assert (found["case"].case, found["case"].outcome) == (NAME.replace("n16", "n64"), "regression")
    assert "(N = 64) fails" in found["case"].text
    assert found["peak_bytes"].outcome == "regression"
    assert "largest_s" not in found


def test_pairs_start_the_two_versions_in_either_order(monkeypatch: pytest.MonkeyPatch) -> None:
    last: list[int] = []
    monkeypatch.setattr("arbench.gate.timing.pool.Pair", lambda trees, seed, which, how: last.append(which))
    pool = HostPool(HERE, HERE, 0, 1, {}, 1.0)
    for _ in range(4):
        pool.pair()
    assert last in ([0, 1, 0, 1], [1, 0, 1, 0])


def test_the_version_to_start_last_is_started_last(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Path] = []
    monkeypatch.setattr("arbench.gate.timing.pair.Process", lambda roots, *_, **__: started.extend(roots))
    trees = [Tree(name, Path(name), Path(name)) for name in ("old", "new")]
    for which in (0, 1):
        started.clear()
        Pair(trees, 0, which, {})
        assert started[-1] == trees[which].root
