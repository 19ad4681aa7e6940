"""Suites: reading a TOML file, overriding its options, and refusals."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import groupby

import pytest

from arbench.bench.options import Options, PlanError
from arbench.bench.plan import make_plan
from arbench.bench.runner import run_plan
from arbench.bench.suite import Entry, entries, load, shipped, suite_options
from arbench.models import FAMILIES, names, resolve
from arbench.results import ResultsError, read

MINE = """
title = "Mine"
[options]
workers = 2
rounds = 3
count-budget = 2
batch = 2
[[models]]
model = "wavenet:tiny"
n = [8, 16]
methods = ["parallel", "cached"]
[[models]]
model = "pixelcnn:tiny"
n = 12
ops = "score"
[[models]]
model = "wavenet:tiny"
n = 8
batch = [1, 2, 4]
methods = "cached"
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


def test_a_suite_is_read(mine):
    suite = load(str(mine))
    assert (suite.title, suite.options) == ("Mine", {"workers": 2, "rounds": 3, "count_budget": 2})
    assert suite.entries == (
        Entry("wavenet:tiny", (8, 16), (2,), ("parallel", "cached")),
        Entry("pixelcnn:tiny", (12,), (2,), (), ("score",)),
        Entry("wavenet:tiny", (8,), (1, 2, 4), ("cached",)),
    )


def test_its_cases_stand_together_and_none_twice(mine):
    plan = make_plan(suite_options(str(mine)))
    assert plan.options.workers == 2
    assert Counter((c.model, c.method, c.batch, c.n) for c in plan.cases) == Counter(
        [
            ("wavenet", "parallel", 2, 8),
            ("wavenet", "parallel", 2, 16),
            ("wavenet", "cached", 2, 8),
            ("wavenet", "cached", 2, 16),
            ("wavenet", "cached", 1, 8),
            ("wavenet", "cached", 4, 8),
            ("pixelcnn", "parallel", 2, 12),
            ("pixelcnn", "sequential", 2, 12),
        ]
    )
    for kind in ("worker_key", "key"):
        runs = [key for key, _ in groupby(plan.cases, key=lambda case: getattr(case, kind))]
        assert len(runs) == len(set(runs)), kind
    assert [(one.model, one.preset) for one in plan.models] == [("wavenet", "tiny"), ("pixelcnn", "tiny")]
    assert {one.family for one in plan.models} == {FAMILIES["sequential"]}


def test_other_options_override_the_suite(mine):
    asked = replace(suite_options(str(mine)), n=[8], batch=[1], ops=["sample"], models=["wavenet"], rounds=1)
    assert entries(asked)[0] == Entry("wavenet:tiny", [8], [1], ("parallel", "cached"), ["sample"])
    plan = make_plan(asked)
    assert [(c.model, c.method, c.batch, c.n) for c in plan.cases] == [("wavenet", "cached", 1, 8)]
    assert (plan.options.workers, plan.options.rounds) == (2, 1)
    whole = make_plan(replace(suite_options(str(mine)), methods=["cached"]))
    assert {(c.model, c.method) for c in whole.cases} == {("wavenet", "cached")}  # the suite only scores PixelCNN


def test_a_relative_path_is_found_again_from_elsewhere(mine, monkeypatch):
    monkeypatch.chdir(mine.parent)
    plan = make_plan(Options(suite="mine.toml"))
    monkeypatch.chdir("/")
    assert make_plan(plan.options).cases == plan.cases


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("title =", "titel =", "has an unknown key 'titel'; did you mean 'title'?"),
        ("rounds = 3", "runds = 3", "[options] has an unknown key 'runds'; did you mean 'rounds'?"),
        ("rounds = 3", 'rounds = "3"', "[options] 'rounds': Expected int | null, got str"),
        ("rounds = 3", "rounds = ", "Invalid value (at line 5, column 10)"),
        ("n = 12", "m = 12", "[[models]] 2 has an unknown key 'm'; available: model, n, batch, methods, ops"),
        ("n = 12", "n = [12, 0]", "[[models]] 2 'n' must be at least 1, got 0"),
        ("n = 12", "n = 12.5", "[[models]] 2 'n': Expected int | array, got float"),
        ('model = "pixelcnn:tiny"', "", "[[models]] 2 has no 'model'; add model = \"NAME\""),
    ],
)
def test_a_suite_that_says_what_none_can(mine, old, new, said):
    assert old in MINE
    mine.write_text(MINE.replace(old, new))
    with pytest.raises(PlanError, match=f"^{re.escape(f'suite {mine}: {said}')}$"):
        suite_options(str(mine))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("wavenet:tiny", "wavnet:tiny", "unknown model 'wavnet'; did you mean 'wavenet'?"),
        ('"parallel", "cached"', '"cachd"', "unknown method 'cachd'; did you mean 'cached'?"),
        ('ops = "score"', 'ops = "scor"', "unknown op 'scor'; did you mean 'score'?"),
        ("rounds = 3", "rounds = 0", "--rounds must be at least 1, got 0"),
        (
            'ops = "score"',
            'ops = "score"\nmethods = "cached"',
            "model 'pixelcnn' has none of the methods requested; it has: score parallel,",
        ),
    ],
)
def test_a_suite_that_cannot_be_run(mine, old, new, said):
    assert old in MINE
    mine.write_text(MINE.replace(old, new, 1))
    with pytest.raises(PlanError, match=f"^{re.escape(said)}"):
        make_plan(suite_options(str(mine)))


def test_an_empty_suite_and_one_that_is_no_text(tmp_path):
    empty, raw = tmp_path / "empty.toml", tmp_path / "raw.toml"
    empty.touch()
    raw.write_bytes(b"title = '\xff'")
    with pytest.raises(PlanError, match=r"empty\.toml: has no \[\[models\]\]; add one table for each model$"):
        load(str(empty))
    said = "not UTF-8 text (invalid start byte at byte 9); save it as UTF-8"
    with pytest.raises(PlanError, match=rf"raw\.toml: {re.escape(said)}$"):
        load(str(raw))
    with pytest.raises(PlanError, match=r"emty\.toml: No such file or directory; did you mean 'empty\.toml'\?$"):
        load(str(tmp_path / "emty.toml"))


def test_a_run_of_a_suite_goes_on_while_the_suite_asks_the_same(mine, pretend, tmp_path):
    pretend()
    plan = make_plan(suite_options(str(mine)))
    run_plan(plan, tmp_path / "out")
    assert list(read(tmp_path / "out").models.values()) == plan.models
    recorded = Options(**read(tmp_path / "out").run.plan["options"])
    assert recorded.suite == str(mine)
    mine.write_text(MINE.replace("rounds = 3", "rounds = 9"))  # the recorded options apply
    again = run_plan(make_plan(recorded), tmp_path / "out", resume=True)
    assert list(again.models.values()) == plan.models
    before = (tmp_path / "out" / "results.jsonl").read_bytes()
    mine.write_text(MINE.replace("n = 12", "n = 27"))
    with pytest.raises(ResultsError, match=f"{mine} has changed since; restore it"):
        run_plan(make_plan(recorded), tmp_path / "out", resume=True)
    assert (tmp_path / "out" / "results.jsonl").read_bytes() == before


def test_every_suite_that_ships_can_be_run():
    for name, suite in shipped().items():
        assert suite.title
        assert make_plan(suite_options(name)).cases


def test_the_taxonomy_holds_every_model_of_a_family_and_a_sweep_over_batches():
    plan = make_plan(suite_options("taxonomy"))
    built_in = {name for name, place in names().items() if place.startswith("arbench.")}
    assert {c.model for c in plan.cases} == {name for name in built_in if resolve(name).cls.family}
    assert max(c.n for c in plan.cases) <= 256
    assert plan.options.workers == 1
    swept = {(c.model, c.preset): set() for c in plan.cases}
    for case in plan.cases:
        swept[case.model, case.preset].add(case.batch)
    assert sum({1, 64} <= batches for batches in swept.values()) >= 2
