"""Time check, from replies of processes to findings, with fake hosts."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from arbench.bench.workers.failure import WorkerFailure
from arbench.findings import NOTHING, Check, Finding
from arbench.gate.timing import check
from arbench.gate.timing.alone import Alone
from arbench.gate.timing.check import Gate, GateError
from arbench.gate.timing.effort import APART, ROUNDS, sizes
from arbench.gate.timing.hosts import HostError
from arbench.gate.timing.instances import BLAMED_ROUNDS
from arbench.gate.timing.matching import MissingError
from arbench.gate.timing.pool import HostPool
from arbench.gate.timing.protocol import CaseLists, Refusal, Timed, Verified
from arbench.gate.timing.trees import Tree

NAME = "wavenet:tiny/sample/cached/eager/cpu/float32/b1/n16"
OTHER = "wavenet:tiny/score/parallel/eager/cpu/float32/b1/n16"
HERE = Tree("old", Path("/old"), Path("/old/here"))
THERE = Tree("new", Path("/new"), Path("/new/there"))


def case(name: str) -> dict[str, Any]:
    """Return the fields of a case that a check reads, from its id."""
    model, op, method, *_, n = name.split("/")
    facts = dict(zip(("model", "preset"), model.split(":"), strict=True))
    return {"id": name, "op": op, "method": method, "n": int(n[1:]), **facts}


class Fake:
    """Host whose calls take fixed seconds, by case and side."""

    environment: dict[str, Any] = {"cpu": {"model": "fake"}}

    def __init__(self, seconds: dict[str, tuple[float, float, float]]) -> None:
        self.seconds = seconds
        self.status = ["ok", "ok"]
        self.fails: int | None = None
        self.clocks: Iterator[float] | None = None
        self.planned: list[Any] = []
        self.asked: list[Any] = []
        self.turned = 0

    def list_cases(self, options: list[dict[str, Any]], kernels: bool) -> CaseLists:
        self.asked.append(options)
        cases = {name: case(name) for name in self.seconds}
        return CaseLists(self.planned or [cases] * 3)

    def verify(self, side: int, case: Any) -> Verified:
        return Verified(self.status[side], None if self.status[side] == "ok" else "element 3 differs")

    def build(self, cases: Sequence[Any], sides: Sequence[int]) -> float:
        self.case = cases[0]["id"] or NAME
        if self.fails is not None:
            raise HostError("ValueError: broken", self.fails)
        return self.seconds[self.case][0]

    def turns(self, rounds: int, calls: int) -> Timed:
        self.turned += 1
        clock = None if self.clocks is None else next(self.clocks)
        return Timed([[side] * rounds for side in self.seconds[self.case]], clock)


def gated(fake: Fake, **how: Any) -> Gate:
    """Return a check in which every host is the same fake, without a trial of each version alone."""
    gate = Gate(HERE, THERE, [{"models": ["wavenet:tiny"], "n": [16]}], **{"alone": False, **how})

    @contextmanager
    def opened(count: int) -> Iterator[list[Fake]]:
        yield [fake] * count

    gate.pool.opened = opened  # type: ignore[method-assign,assignment]
    gate.pool.start_ahead = lambda count: None  # type: ignore[method-assign]
    return gate


def found(fake: Fake, **how: Any) -> list[Finding]:
    gate = gated(fake, **how)
    gate.run()
    assert {finding.model for finding in gate.findings} <= {"wavenet:tiny"}
    return gate.findings


def test_slower_faster_and_same() -> None:
    fake = Fake({NAME: (1e-3, 1.02e-3, 1e-3)})
    (slower,) = found(fake)
    assert (slower.outcome, slower.metric, slower.threshold) == ("regression", "seconds", 0.003)
    assert slower.change == pytest.approx(0.02)
    assert (slower.before, slower.after) == pytest.approx((1e-3, 1.02e-3))
    assert slower.text == "cached sampling of wavenet:tiny (N = 16) is 2.0% slower"
    assert fake.turned == 2 * 4 * 8  # run again alone
    (faster,) = found(Fake({NAME: (1e-3, 0.9e-3, 1e-3)}))
    assert (faster.outcome, faster.text[-12:]) == ("improvement", "10.0% faster")
    (same,) = found(Fake({NAME: (1e-3, 1.001e-3, 1e-3)}))
    assert same.outcome == "same"


def test_equal_code_that_differs_is_a_veto() -> None:
    (finding,) = found(Fake({NAME: (1e-3, 1.05e-3, 1.02e-3)}))
    assert finding.outcome == "undecided"
    assert "equal code differed by 2.0%" in finding.text


def test_only_the_case_that_changed_is_run_again() -> None:
    fake = Fake({NAME: (1e-3, 1.02e-3, 1e-3), OTHER: (1e-3, 1e-3, 1e-3)})
    outcomes = {finding.case: finding.outcome for finding in found(fake)}
    assert outcomes == {NAME: "regression", OTHER: "same"}
    assert fake.turned == 3 * 4 * 8


def test_a_case_may_have_a_threshold_of_its_own() -> None:
    fake = Fake({NAME: (1e-3, 1.02e-3, 1e-3), OTHER: (1e-3, 1.02e-3, 1e-3)})
    gate = gated(fake, chosen={"thresholds": {"sample/cached": 0.03}})
    gate.run()
    assert {f.case: (f.outcome, f.threshold) for f in gate.findings} == {
        NAME: ("same", 0.03),
        OTHER: ("regression", 0.003),
    }


def test_every_instance_is_kept() -> None:
    gate = gated(Fake({NAME: (1e-3, 1e-3, 1e-3)}))
    gate.run()
    assert len(gate.instances) == 32
    assert gate.instances[0]["ratio"] == gate.instances[0]["equal"] == 1
    assert gate.environment == Fake.environment


class Disturbed(Fake):
    """Host of equal code, of which a fifth of the calls are slowed by what else runs."""

    def turns(self, rounds: int, calls: int) -> Timed:
        draw = random.Random(self.turned)
        self.turned += 1
        slowed = [draw.gauss(0, 0.01) + (draw.random() < 0.2) * draw.expovariate(4) for _ in range(90)]
        return Timed([[math.exp(one) / 1e3 for one in slowed[side::3][:rounds]] for side in range(3)])


def test_slowed_calls_of_equal_code_make_no_side_look_faster() -> None:
    gate = gated(Disturbed({NAME: (1e-3, 1e-3, 1e-3)}), chosen={"instances": 250})
    gate.run()
    for name in ("ratio", "equal"):
        logs = [math.log(one[name]) for one in gate.instances]
        assert abs(fmean(logs)) < 3 * stdev(logs) / math.sqrt(len(logs))
        assert stdev(logs) / math.sqrt(len(logs)) < 0.0003, "it would not show a bias of 0.1%"


def test_a_wrong_answer_is_a_regression_and_is_not_timed() -> None:
    fake = Fake({NAME: (1e-3, 0.5e-3, 1e-3)})
    fake.status = ["ok", "inexact"]
    (finding,) = found(fake)
    assert (finding.outcome, finding.metric, fake.turned) == ("regression", "verification", 0)
    assert finding.text == "cached sampling of wavenet:tiny (N = 16) is inexact now: element 3 differs"
    fake.status = ["inexact", "inexact"]
    (finding,) = found(fake)
    assert finding.outcome == "unmeasured"
    assert finding.text == "cached sampling of wavenet:tiny (N = 16) is inexact: element 3 differs"


@pytest.mark.parametrize(("side", "outcome"), [(0, "unmeasured"), (1, "regression"), (2, "unmeasured")])
def test_what_fails_is_charged_to_its_side(side: int, outcome: str) -> None:
    fake = Fake({NAME: (1e-3, 1e-3, 1e-3)})
    fake.fails = side
    (finding,) = found(fake)
    assert finding.outcome == outcome
    assert finding.text.endswith("ValueError: broken")


def test_a_call_that_takes_too_long_is_reported() -> None:
    (finding,) = found(Fake({NAME: (2.0, 2.0, 2.0)}))
    assert finding.outcome == "unmeasured"
    assert finding.text.endswith("a call takes 2 s, too long for a check; choose a smaller N")


def test_cases_of_one_side_are_no_regression() -> None:
    fake = Fake({NAME: (1e-3, 1e-3, 1e-3)})
    fake.planned = [{NAME: case(NAME)}, {OTHER: case(OTHER)}, {}]
    outcomes = [(f.case, f.outcome, f.text) for f in found(fake)]
    assert outcomes == [
        (NAME, "removed", "cached sampling of wavenet:tiny (N = 16): new does not have it"),
        (OTHER, "added", "parallel scoring of wavenet:tiny (N = 16): old does not have it"),
    ]
    absent = Refusal("no such model", absent=True)
    fake.planned = [absent, {NAME: case(NAME)}, absent]
    (finding,) = found(fake)
    assert (finding.outcome, finding.text) == ("added", "wavenet:tiny: old does not have it (no such model)")


@pytest.mark.parametrize(("broken", "outcome"), [(0, "unmeasured"), (1, "regression")])
def test_what_no_longer_imports_is_not_taken_for_removed(broken: int, outcome: str) -> None:
    fake = Fake({})
    fake.planned = [{NAME: case(NAME)}] * 3
    fake.planned[broken] = Refusal("importing mine.py failed: SyntaxError", absent=False)
    (finding,) = found(fake)
    label = ("old", "new")[broken]
    assert (finding.outcome, finding.text) == (
        outcome,
        f"wavenet:tiny fails in {label}: importing mine.py failed: SyntaxError",
    )


def test_what_neither_has_is_refused() -> None:
    fake = Fake({})
    fake.planned = [Refusal(why, absent=True) for why in ("unknown model", "unknown model; did you mean", "")]
    with pytest.raises(MissingError, match=r"^unknown model; did you mean$"):
        found(fake)


def test_without_a_size_the_smallest_is_taken() -> None:
    large = NAME.replace("n16", "n64")
    fake = Fake({NAME: (1e-3,) * 3, large: (1e-3,) * 3})
    cases = {NAME: case(NAME), large: case(large)}
    fake.planned = [cases] * 3
    gate = gated(fake)
    gate.requests = [{"models": ["wavenet:tiny"]}]
    gate.run()
    assert [finding.case for finding in gate.findings] == [NAME]


def test_a_dropping_clock_is_reported() -> None:
    fake = Fake({NAME: (1e-3, 1e-3, 1e-3)})
    fake.clocks = iter([1980.0] * 20 + [1500.0] * 12)
    gate = gated(fake)
    gate.run()
    assert gate.notes == ["cached sampling of wavenet:tiny (N = 16): GPU clock dropped from 1980 to 1500 MHz"]


def test_models_in_files_are_each_trees_own() -> None:
    fake = Fake({NAME: (1e-3, 1e-3, 1e-3)})
    gate = gated(fake)
    gate.requests = [{"models": ["mine.py:Mine:tiny"], "n": [16]}]
    gate.run()
    assert [one["models"] for one in fake.asked[0]] == [
        ["/old/here/mine.py:Mine:tiny"],
        ["/new/there/mine.py:Mine:tiny"],
        ["/old/here/mine.py:Mine:tiny"],
    ]


def test_short_calls_are_repeated_and_long_ones_not() -> None:
    assert sizes(1e-5) == (ROUNDS[1], 30)
    assert sizes(2e-3) == (ROUNDS[1], 1)
    assert sizes(9e-3) == (22, 1), "on a noisy machine 10 rounds left a fifth of equal code undecided"
    assert sizes(1.0) == (ROUNDS[0], 1)


class Once(Fake):
    """Host whose first process hangs; the next one replies."""

    left = 1
    one = (1e-3, 1e-3, 1e-3)

    def turns(self, rounds: int, calls: int) -> Timed:
        if self.left:
            self.left -= 1
            raise HostError("no response for 120 s", gone=True)
        if rounds == BLAMED_ROUNDS:
            return Timed([[20 * seconds] + [seconds] * (rounds - 1) for seconds in self.one])  # the first may stall
        return super().turns(rounds, calls)


@pytest.mark.parametrize(
    ("one", "outcome"),
    [((1e-3, 3.0, 1e-3), "regression"), ((3.0, 1e-3, 1e-3), "unmeasured"), ((1e-3,) * 3, "unmeasured")],
)
def test_a_version_too_slow_to_finish_is_a_regression(
    one: tuple[float, float, float], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other case is not affected: it gets a fresh process."""
    fake = Once({NAME: (1e-3,) * 3, OTHER: (1e-3,) * 3})
    fake.one = one
    replaced: list[int] = []
    monkeypatch.setattr(HostPool, "replace", lambda self, hosts, place: replaced.append(place))
    findings = found(fake)
    assert sorted(finding.outcome for finding in findings) == sorted([outcome, "same"])
    assert replaced == [0]


def test_a_case_that_breaks_when_it_is_run_again_is_reported() -> None:
    class Breaks(Fake):
        def build(self, cases: Sequence[Any], sides: Sequence[int]) -> float:
            self.fails = 1 if self.turned == 32 else None
            return super().build(cases, sides)

    (finding,) = found(Breaks({NAME: (1e-3, 1.02e-3, 1e-3)}))
    assert (finding.outcome, finding.metric) == ("regression", "case")


def test_an_error_in_verification_is_a_regression_of_that_case_alone() -> None:
    class Raises(Fake):
        def verify(self, side: int, case: Any) -> Verified:
            if side == 1 and case["id"] == NAME:
                raise HostError("RuntimeError: broken", 1)
            return super().verify(side, case)

    outcomes = {f.case: f.outcome for f in found(Raises({NAME: (1e-3,) * 3, OTHER: (1e-3,) * 3}))}
    assert outcomes == {NAME: "regression", OTHER: "same"}


KILLED = "the worker was killed by SIGKILL (out of memory?)"


def scarce(gate: Gate, granted: int) -> None:
    """Let a check have fresh processes so many times, and none after that."""
    opened = gate.pool.opened
    left = [granted]

    @contextmanager
    def limited(count: int) -> Iterator[list[Fake]]:
        left[0] -= 1
        if left[0] < 0:
            raise HostError(KILLED, death=WorkerFailure("error", KILLED, -9))
        with opened(count) as fakes:
            yield fakes  # type: ignore[misc]

    gate.pool.opened = limited  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize(("granted", "timed"), [(1, 0), (2, 32)])
def test_processes_that_cannot_be_had_are_no_regression(granted: int, timed: int) -> None:
    """Neither for the first timing, nor for the second; what was measured and found before is kept."""
    fake = Fake({NAME: (1e-3, 1.02e-3, 1e-3), OTHER: (1e-3,) * 3})
    fake.planned = [{NAME: case(NAME)}, {NAME: case(NAME), OTHER: case(OTHER)}, {NAME: case(NAME)}]
    gate = gated(fake)
    scarce(gate, granted)
    gate.run()
    outcomes = {finding.case: finding.outcome for finding in gate.findings}
    assert outcomes == {OTHER: "added", NAME: "unmeasured"}
    assert gate.findings[-1].text == (
        "cached sampling of wavenet:tiny (N = 16) could not be timed to the end: "
        f"{KILLED}; free memory, or use fewer processes (--processes 2)"
    )
    assert len(gate.instances) == timed
    assert Check("", "", findings=gate.findings).exit_code() == NOTHING


def test_what_was_found_before_no_process_could_be_had_is_kept() -> None:
    """The process dies when the second case is verified, and no other one can be had."""

    class Dies(Fake):
        def verify(self, side: int, case: Any) -> Verified:
            if case["id"] == OTHER:
                raise HostError(KILLED, death=WorkerFailure("error", KILLED, -9))
            return Verified("inexact" if side else "ok", "element 3 differs")

    gate = gated(Dies({NAME: (1e-3,) * 3, OTHER: (1e-3,) * 3}))

    def none(hosts: list[Any], place: int) -> None:
        raise HostError(KILLED, death=WorkerFailure("error", KILLED, -9))

    gate.pool.replace = none  # type: ignore[method-assign]
    gate.run()
    assert [finding.outcome for finding in gate.findings] == ["regression", "unmeasured"]
    assert gate.findings[-1].text == (
        f"the check ended early: {KILLED}; free memory, or use fewer processes (--processes 2)"
    )


def test_a_new_model_in_a_folder_is_reported() -> None:
    fake = Fake({})
    gone = Refusal("no file", absent=True)
    fake.planned = [gone, {NAME: case(NAME)}, gone]
    gate = gated(fake)
    gate.requests = [{"models": ["models/mine.py:Mine"], "n": [16]}]
    gate.run()
    assert [f.text for f in gate.findings] == ["models/mine.py:Mine: old does not have it (no file)"]


def test_nothing_to_time_is_reported() -> None:
    gate = gated(Fake({}))
    gate.requests = [{"kernels": ["softmax"]}]
    with pytest.raises(
        GateError, match=r"^neither version has a case of softmax to time; name another model, kernel or device$"
    ):
        gate.run()


def test_more_instances_than_usual_are_not_too_long() -> None:
    (finding,) = found(Fake({NAME: (2e-3,) * 3}), chosen={"processes": 32, "instances": 16})
    assert finding.outcome == "same"


def test_a_size_that_only_one_version_has_hides_no_other() -> None:
    small = NAME.replace("n16", "n8")
    fake = Fake({NAME: (1e-3,) * 3})
    fake.planned = [{NAME: case(NAME)}, {NAME: case(NAME), small: case(small)}, {}]
    gate = gated(fake)
    gate.requests = [{"models": ["wavenet:tiny"]}]
    gate.run()
    assert [finding.case for finding in gate.findings] == [NAME]


@pytest.mark.parametrize(("side", "label"), [(0, "old"), (1, "new")])
def test_a_version_that_cannot_be_loaded_is_named(side: int, label: str) -> None:
    gate = gated(Fake({}))

    @contextmanager
    def broken(count: int) -> Iterator[list[Fake]]:
        raise HostError("RuntimeError: broken", side)
        yield

    gate.pool.opened = broken  # type: ignore[method-assign,assignment]
    with pytest.raises(GateError, match=rf"^{label} cannot be loaded: RuntimeError: broken$"):
        gate.run()


@pytest.mark.parametrize("grown", [False, True])
def test_a_model_that_hangs_while_it_is_planned_is_named(grown: bool) -> None:
    class Hanging(Fake):
        def list_cases(self, options: list[dict[str, Any]], kernels: bool) -> CaseLists:
            if grown and "n" in options[1]:
                return super().list_cases(options, kernels)
            raise HostError("no response for 120 s", gone=True)

    gate = gated(Hanging({NAME: (1e-3, 1e-3, 1e-3)}), alone=True)
    with pytest.raises(GateError, match=r"^no response for 120 s while wavenet:tiny was planned$"):
        gate.run()


def test_versions_that_cannot_share_a_process_get_their_own() -> None:
    class Choosy(Fake):
        def list_cases(self, options: list[dict[str, Any]], kernels: bool) -> CaseLists:
            if not gate.pool.apart:
                raise HostError("one of them replaces operators of 'aten' for the whole process", 1, apart=True)
            return super().list_cases(options, kernels)

    gate = gated(Choosy({NAME: (1e-3, 1.003e-3, 1e-3)}))
    gate.run()
    assert gate.pool.apart
    assert gate.notes == [
        "the versions cannot share a process: one of them replaces operators of 'aten' for the whole process; "
        "each ran in its own, with a threshold of 0.5%"
    ]
    (finding,) = gate.findings
    assert (finding.outcome, finding.threshold) == ("same", APART.threshold)


@pytest.mark.parametrize(
    ("shared", "alone", "outcome", "says"),
    [
        (
            1.0,
            7.6,
            "undecided",
            "is undecided: it takes the same time in a shared process, and takes 8.6 times as long",
        ),
        (1.02, 0.5, "regression", "is 2.0% slower"),
        (1.3, 0.15, "regression", "is 30.0% slower"),
        (1.02, -0.2, "undecided", "is undecided: it is 2.0% slower in a shared process, and takes 20% less time"),
        (0.9, -0.3, "improvement", "is 10.0% faster"),
        (0.7, -0.15, "improvement", "is 30.0% faster"),
    ],
)
def test_what_a_process_of_its_own_contradicts_is_undecided(
    shared: float, alone: float, outcome: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless both changed in the same direction: then only its amount is in doubt."""
    imported = Finding("time", "", "import_s", "same", "importing the package takes the same time")

    class Contradicts(Alone):
        def run(self, changes: Mapping[str, float]) -> tuple[list[Finding], dict[str, float]]:
            assert changes == {NAME: pytest.approx(shared - 1)}
            return [imported], {NAME: alone}

    monkeypatch.setattr(check, "Alone", Contradicts)
    gate = gated(Fake({NAME: (1e-3, shared * 1e-3, 1e-3)}), alone=True)
    gate.run()
    timed, other = gate.findings
    assert (timed.case, timed.outcome) == (NAME, outcome)
    assert timed.text.removesuffix(" in its own") == f"cached sampling of wavenet:tiny (N = 16) {says}"
    assert other == imported


def test_nothing_that_could_be_timed_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "Alone", None)
    gate = gated(Fake({NAME: (2.0, 2.0, 2.0)}), alone=True)
    gate.run()
    assert [one.outcome for one in gate.findings] == ["unmeasured"]
    assert Check("old", "new", findings=gate.findings).exit_code() == NOTHING


def test_a_trial_that_fails_costs_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fails(Alone):
        def run(self, changes: Mapping[str, float]) -> tuple[list[Finding], dict[str, float]]:
            raise HostError("the worker was killed by SIGKILL", 1, gone=True)

    monkeypatch.setattr(check, "Alone", Fails)
    gate = gated(Fake({NAME: (1e-3, 1.02e-3, 1e-3)}), alone=True)
    gate.run()
    assert [one.outcome for one in gate.findings] == ["regression"]
    assert gate.notes == ["each version alone: not tried, new fails: the worker was killed by SIGKILL"]


def test_larger_sizes_are_those_that_both_versions_plan_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {n: NAME.replace("n16", f"n{n}") for n in (8, 16, 32, 64, 128)}
    fake = Fake({NAME: (1e-3,) * 3})
    seen: list[Any] = []

    class Looks(Alone):
        def run(self, changes: Mapping[str, float]) -> tuple[list[Finding], dict[str, float]]:
            seen.append({name: [other for other, _ in sized] for name, sized in self._larger.items()})
            return [], {}

    monkeypatch.setattr(check, "Alone", Looks)
    both = {name: {**case(name), "id": ""} for n, name in sizes.items()}
    fake.planned = [both, {name: one for name, one in both.items() if "n128" not in name}, both]
    for how in ({}, {"grow": False}):
        gate = gated(fake, alone=True, **how)
        gate.requests = [{"models": ["wavenet:tiny"]}]
        gate.run()
    assert seen == [{sizes[8]: [sizes[16], sizes[32], sizes[64]]}, {sizes[8]: []}]
