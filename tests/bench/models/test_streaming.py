"""A run with the method ``stream``: what is timed, kept and derived."""

from __future__ import annotations

from statistics import median

import pytest
import torch

from arbench.bench.inexact import InexactError
from arbench.bench.job import Job
from arbench.bench.models.subject import ModelSubject
from arbench.bench.plan import Options, make_plan
from arbench.distributions import Categorical

GAPS = {20: slice(1, 2), 28: slice(1, 4)}
"""Whole chunks of seven after the first, by N."""


def test_a_run_keeps_every_gap_and_derives_the_pace(measure):
    found = measure("wavenet:tiny", n=[20, 28], methods=["cached", "stream,chunk=7"], rounds=2)
    rows = {(case.method, case.n): case for case in found.cases.values()}
    assert {case.status for case in rows.values()} == {"ok"}
    for n, whole in GAPS.items():
        row = rows["stream,chunk=7", n]
        lines = [line for line in found.samples if line.case == row.id]
        assert [line.round for line in lines] == [0, 1]
        for line in lines:
            assert {len(call) for call in line.chunks} == {-(-n // 7)}
            assert len(line.noise_s) == len(line.chunks) == len(line.seconds)
            for call, noise, seconds in zip(line.chunks, line.noise_s, line.seconds, strict=True):
                assert 0 < noise < sum(call) <= seconds
        calls = [call for line in lines for call in line.chunks]
        gaps = [gap for call in calls for gap in call[whole]]
        assert (row.chunk, row.gaps) == (7, len(gaps))
        assert (row.gap_median_s, row.gap_worst_s) == (median(gaps), max(gaps))
        assert row.first_s == median(call[0] for call in calls)
        assert row.noise_s == median(noise for line in lines for noise in line.noise_s)
        assert row.depth == rows["cached", n].depth
        assert (rows["cached", n].chunk, rows["cached", n].first_s) == (None, None)
    assert not any(line.chunks or line.noise_s for line in found.samples if "/cached/" in line.case)
    assert {case["method"]: case.get("chunk") for case in found.run.plan["cases"]} == {
        "cached": None,
        "stream,chunk=7": 7,
    }


def test_a_stream_claims_what_the_method_with_its_operations_claims():
    cases = make_plan(Options(models=["wavenet:tiny"], methods=["stream", "cached"], n=[8])).cases
    assert {case.method: (case.claimed_depth, case.claimed_work, case.chunk) for case in cases} == {
        "cached": ("N", "N", None),
        "stream": ("N", "N", 256),
    }


def test_only_a_run_that_names_it_streams():
    assert "stream" not in {case.method for case in make_plan(Options(models=["wavenet:tiny"], n=[8])).cases}


def timed(monkeypatch):
    """Return the call of a stream as it is timed, and the elements for which noise was made since."""
    (case,) = make_plan(Options(models=["wavenet:tiny"], methods=["stream,chunk=7"], n=[20], batch=[2])).cases
    call = ModelSubject(Job("time", [case], seed=0, threads=1)).build()(case)
    made, noise = [], Categorical.noise

    def noted(self, seed, rows, elements, *more):
        made.append((rows, elements))
        return noise(self, seed, rows, elements, *more)

    monkeypatch.setattr(Categorical, "noise", noted)
    return call, made


def test_the_timed_call_makes_its_noise_and_draws_what_was_verified(monkeypatch):
    call, made = timed(monkeypatch)
    with torch.no_grad():
        outcome = call.run()
    assert made == [(range(2), range(7)), (range(2), range(7, 14)), (range(2), range(14, 20))]
    assert [len(one) for one in call.laps.calls] == [3]
    call.check(outcome)


def test_a_stream_whose_noise_is_not_the_verified_one_is_inexact(monkeypatch):
    call, _ = timed(monkeypatch)
    noise = Categorical.noise
    monkeypatch.setattr(Categorical, "noise", lambda self, seed, *more: noise(self, seed + 1, *more))
    with torch.no_grad():
        outcome = call.run()
    with pytest.raises(InexactError, match=r"^a later call differs from the verified one: "):
        call.check(outcome)
