"""arbench doctor: the limits and the noise of a machine, and its advice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from arbench.bench.noise import Trial
from arbench.cli.doctor import _exchange, _vectors, advice


def test_a_trial_in_json(answer, known_limits):
    found = answer("doctor", "--instances", 2, "--pairs", 2, "--json")
    assert (found.code, found.err) == (0, "")
    facts = json.loads(found.out)
    assert facts["limits"]["matmul"] == {"float32": 1e6}
    trial = facts["aa_trial"]
    assert (trial["instances"], trial["pairs"]) == (2, 2)
    assert trial["call_s"] > 0
    for way in ("apart", "in_turns"):
        assert 0 <= trial[way]["scatter"] <= 2**0.5 * trial[way]["worst"]
    assert facts["environment"]["versions"]["torch"]
    assert facts["clock"]["overhead_s"] > 0
    assert set(facts["native"]) == {"vectors", "vector_bytes", "exchange_s", "exchange_best_s"}
    assert facts["advice"]


def test_the_same_in_words(answer, known_limits):
    found = answer("doctor", "--instances", 2, "--pairs", 1)
    assert (found.code, found.err) == (0, "")
    for word in (
        "CPU  ",
        "threads  ",
        "copy  ",
        "matmul  ",
        "vectors  ",
        "A/A trial: ",
        "one after the other  scatter ",
    ):
        assert word in found.out
    assert found.out.splitlines()[-1].startswith("- ")


@pytest.mark.parametrize(("there", "said"), [(True, "not measured; pass --device cuda"), (False, "no CUDA device")])
def test_a_gpu_is_suggested_only_where_there_is_one(there, said, answer, known_limits, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    monkeypatch.setattr("arbench.bench.noise.aa_trial", lambda *_: Trial([1.0] * 2, [1.0] * 2, 1e-3))
    assert f"GPU       {said}" in answer("doctor").out.splitlines()


def test_what_a_native_sampler_needs_is_said_in_a_line_each():
    assert _vectors("AVX-512", 64) == "AVX-512 (64 bytes)"
    assert _vectors("AVX2", 32) == "AVX2 (32 bytes): native samplers run slower than on 64 bytes"
    assert _vectors(None, None) == "unknown"
    assert _exchange(2.34e-7, 1.2e-7) == ["exchange  0.23 us to pass 64 floats between two threads, 0.12 us at best"]
    assert _exchange(None, None) == []


def quiet(**more: Any) -> dict[str, Any]:
    """Return the facts of an idle machine, with some of them replaced."""
    facts = {"turns": 0.006, "apart": 0.02, "per_cpu": 0.1, "governor": "performance", "threads": 2, **more}
    return {
        "aa_trial": {"in_turns": {"scatter": facts["turns"]}, "apart": {"scatter": facts["apart"]}},
        "environment": {
            "cpu": {"governor": facts["governor"], "physical_cores": 2},
            "load": {"per_cpu": facts["per_cpu"]},
            "threads": {"torch": facts["threads"]},
        },
    }


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, "nothing to improve"),
        ({"governor": None, "per_cpu": None}, "nothing to improve"),
        ({"turns": 0.06}, "something else is running"),
        ({"apart": 0.06}, "compare times only within one run"),
        ({"per_cpu": 0.9}, "the load is 0.9 per CPU"),
        ({"governor": "powersave"}, "'powersave'"),
        ({"threads": 4}, "torch uses 4 threads on 2 cores"),
    ],
)
def test_advice(found, said):
    (line,) = advice(quiet(**found))
    assert said in line


def test_the_worst_comes_first():
    lines = advice(quiet(turns=0.06, apart=0.2, per_cpu=2.0, governor="powersave"))
    assert len(lines) == 3
    assert "something else is running" in lines[0]
