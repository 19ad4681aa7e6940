"""Profiles in words: three lines each, why one case takes longer than another, and what the report shows of them."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from arbench.report import differences, profiles
from arbench.report.page import page
from arbench.report.summary import summary
from arbench.results import Case, Operator, Profile, Run

MOST = [
    Operator("aten::addmm", 20_000, 0.05, 0.002),
    Operator("mine::fused", 1, 0.02, None),
    Operator("aten::tanh", 9, 9e-6, 9e-9),
    Operator("aten::cat", 9, 9e-7, 0.0),
]
KNOWN: dict[str, Any] = {
    "seconds": 0.512,
    "profiled_s": 0.9,
    "calls": 7,
    "outside": "python",
    "outside_s": 0.256,
    "operators": 40_000,
    "operators_s": 0.256,
    "fixed_s": 0.128,
    "slower_s": 0.12672,
    "arithmetic_s": 0.00064,
    "memory_s": 0.00064,
    "most": MOST,
}


def line(case: str, **more: Any) -> Profile:
    return Profile(case=case, **{**KNOWN, **more})


@pytest.fixture
def profiled(build):
    """Return a function from profiles to a run that has them."""

    def made(*lines: Profile, edit=lambda one: one):
        results = build(edit=edit)
        for one in lines:
            assert one.case in results.cases
            results.add(one)
        return results

    return made


CACHED, NAIVE = "wavenet:nv/sample/cached/512", "wavenet:nv/sample/naive/512"


def test_a_profile_has_three_lines(profiled):
    (told,) = profiles(profiled(line(CACHED, file="profiles/wavenet.json.gz")))
    assert told.lines == (
        "wavenet:nv sample cached, N = 512: a call takes 0.51 s (0.40 s when it was timed), 1.0 ms for each "
        "audio sample, whose limit is 2.5 µs",
        "50% Python between operators, 25% fixed cost of 40,000 operators, 25% operators slower than their limit, "
        "<1% arithmetic, <1% memory",
        "most time in addmm 10% (20,000 x 2.5 µs, limit 0.10 µs), mine::fused 4% (20 ms), tanh <1% (9 x 1.0 µs, "
        "limit 1.0 ns); with the profiler 1.8x as long; trace: profiles/wavenet.json.gz",
    )


def test_the_time_of_an_element_is_that_of_a_call_over_those_of_all_events(profiled):
    def several(one):
        return replace(one, batch=5) if isinstance(one, Case) else one

    (told,) = profiles(profiled(line(CACHED), edit=several))
    assert "0.20 ms for each audio sample, whose limit is 0.50 µs" in told.lines[0]


@pytest.mark.parametrize(
    ("more", "parts"),
    [
        (
            {"outside": "idle"},
            "50% GPU idle, waiting for its next kernel, 25% fixed cost of 40,000 operators, 25% operators slower than "
            "their limit, <1% arithmetic, <1% memory",
        ),
        ({"why_unknown": "mine::fused has no formula"}, "<1% memory (mine::fused has no formula)"),
        (
            {
                **dict.fromkeys(("fixed_s", "slower_s", "arithmetic_s", "memory_s")),
                "why_unknown": "what compiled functions read and write is not seen",
            },
            "50% Python between operators, 50% operators, not divided (what compiled functions read and write is not "
            "seen)",
        ),
        (
            {
                **dict.fromkeys(("fixed_s", "slower_s", "arithmetic_s", "memory_s")),
                "outside": "unseen",
                "unseen": "it is native",
                "why_unknown": "it is native",
            },
            "50% Python or code that no trace shows (it is native), 50% operators, not divided",
        ),
    ],
)
def test_what_is_unknown_says_why(profiled, more, parts):
    (told,) = profiles(profiled(line(CACHED, **more)))
    assert told.parts.endswith(parts)
    assert ("limit is" in told.case) == (line(CACHED, **more).memory_s is not None)


def test_the_limit_of_a_native_loop_is_that_of_its_weights(profiled):
    """2^18 bytes for each element, at the bandwidth of as many, 10 GB/s, take 26 us."""

    def native(one):
        if isinstance(one, Run):
            one.limits = {**one.limits, "read": [{"bytes": 1 << 18, "gb_per_s": 10.0}]}
        if isinstance(one, Case) and one.id == CACHED:
            one.verified, one.flops = {**(one.verified or {}), "step_bytes": 1 << 18}, 1
        return one

    unknown = dict.fromkeys(("fixed_s", "slower_s", "arithmetic_s", "memory_s"))
    (told,) = profiles(profiled(line(CACHED, outside="unseen", unseen="native", **unknown), edit=native))
    assert told.case.endswith(", whose limit is 26 µs")


def test_a_compiled_graph_has_no_digest(profiled):
    graph = Operator("## Call CompiledFxGraph fqmepojyr7yjjdguzm ##", 32, 0.0512, None)
    (told,) = profiles(profiled(line(CACHED, most=[graph])))
    assert told.operators == "most time in compiled graph 10% (32 x 1.6 ms); with the profiler 1.8x as long"


@pytest.mark.parametrize(
    ("median_s", "said"), [(0.4, ""), (0.405, ""), (0.3, " (0.30 s when it was timed)"), (0.6, "")]
)
def test_the_time_of_the_run_is_given_where_it_differs(profiled, median_s, said):
    def timed(one):
        if isinstance(one, Case) and one.id == CACHED:
            one.median_s, one.ci95_s = median_s, None
        return one

    (told,) = profiles(profiled(line(CACHED, seconds=0.5, outside_s=0.244), edit=timed))
    assert told.case.startswith(f"wavenet:nv sample cached, N = 512: a call takes 0.50 s{said}, 0.98 ms for each")


def test_a_profile_without_operators(profiled):
    (told,) = profiles(profiled(line(CACHED, most=[])))
    assert told.operators == "no operator takes any time; with the profiler 1.8x as long"


def test_profiles_are_in_the_order_of_the_table(profiled):
    names = [one.case.split(",")[0] for one in profiles(profiled(line(CACHED), line(NAIVE)))]
    assert names == ["wavenet:nv sample naive", "wavenet:nv sample cached"]


SLOW = {
    "seconds": 1.024,
    "outside_s": 0.7,
    "fixed_s": 0.14,
    "slower_s": 0.1826,
    "memory_s": 0.0008,
    "operators": 90_000,
    "operators_s": 0.324,
}


def test_why_a_method_takes_longer(profiled):
    results = profiled(line(NAIVE, **SLOW), line(CACHED))
    assert differences(results) == [
        "wavenet:nv, sample at N = 512: naive takes 2.0x as long as cached (+0.51 s a call): +0.44 s Python between "
        "operators, +56 ms operators slower than their limit; 90,000 calls of operators against 40,000"
    ]
    assert differences(results, of_methods=False) == []


def test_a_part_that_takes_less_time_is_named_too(profiled):
    less = {**SLOW, "outside_s": 0.9, "fixed_s": 0.04, "slower_s": 0.0826}
    assert (
        "+0.64 s Python between operators, -44 ms operators slower than their limit, -88 ms fixed cost of operators"
        in (differences(profiled(line(NAIVE, **less), line(CACHED)))[0])
    )


def test_why_a_model_takes_longer_with_the_same_method(profiled):
    def renamed(one):
        """Make PixelCNN's cases those of another model of audio samples."""
        if isinstance(one, Case) and one.model == "pixelcnn":
            one.element, one.n = "audio sample", 512 if one.n == 432 else one.n
        return one

    other = "pixelcnn:cifar10/sample/cached/432"
    results = profiled(line(CACHED), edit=renamed)
    other = next(one for one in results.cases if one.startswith("pixelcnn") and one.endswith("sample/cached/432"))
    results.add(line(other, **SLOW))
    model = results.cases[other].model + ":" + results.cases[other].preset
    assert differences(results, of_methods=False) == [
        f"cached, sample at N = 512: {model} takes 2.0x as long as wavenet:nv (+0.51 s a call): +0.44 s Python between "
        "operators, +56 ms operators slower than their limit; 90,000 calls of operators against 40,000"
    ]


def test_what_is_not_divided_is_not_compared(profiled):
    assert differences(profiled(line(NAIVE, **SLOW), line(CACHED, memory_s=None, arithmetic_s=None))) == []


def test_the_page_and_the_summary_link_traces_that_are_there(profiled, tmp_path: Path):
    run, elsewhere = tmp_path / "a run", tmp_path / "elsewhere"
    (run / "profiles").mkdir(parents=True)
    (run / "profiles" / "there.json.gz").write_bytes(gzip.compress(b"{}"))
    results = profiled(line(CACHED, file="profiles/there.json.gz"), line(NAIVE, file="profiles/gone.json.gz"))
    for folder, link in ((run, "profiles/there.json.gz"), (elsewhere, "../a%20run/profiles/there.json.gz")):
        told = profiles(results, run, folder)
        texts = page(results, [], profiles=told), summary(results, profiles=told)
        assert f'<a href="{link}">trace</a>' in texts[0]
        assert f"[trace]({link})" in texts[1]
        for text in texts:
            assert "50% Python between operators" in text
            assert "gone.json.gz" not in text
            assert "ui.perfetto.dev" in text


def test_without_profiles_there_is_no_section(profiled):
    results = profiled()
    assert profiles(results) == []
    assert "Where the time goes" not in page(results, []) + summary(results)


def test_names_are_printable(profiled):
    evil = Operator("aten::\x1b[31m\n<b>", 1, 0.1, None)
    (told,) = profiles(profiled(line(CACHED, most=[evil], why_unknown="a\nb\x1b")))
    assert all(text.isprintable() for text in told.lines)
