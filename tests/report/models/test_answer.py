"""The answer: sampling beside scoring at one N, with its interval."""

from __future__ import annotations

import re

import msgspec
import pytest

from arbench.methods import METHODS
from arbench.report import answers, frame, headline
from arbench.report.cells import slowdown_label, speed_up_label
from arbench.report.drawings import draw
from arbench.report.labels import DEPENDS_ON_WEIGHTS
from arbench.report.summary import summary
from arbench.results import Case, Model, Ratio, Slowdown, Trained

COSTS = {("naive", 256): 80.0, ("naive", 512): 90.0, ("cached", 256): 20.0, ("cached", 512): 30.0}
"""Seconds of sampling over those of scoring."""
MORE = {("cached", 4096): 40.0, ("fixed_point", 4096): 25.0}


def costing(costs, ci95=True):
    """Return an edit that gives WaveNet's samplers these costs, 1% apart between processes, and no other ratios."""

    def edit(line):
        if isinstance(line, Ratio):
            return None
        if not isinstance(line, Case) or (line.model, line.op) != ("wavenet", "sample"):
            return line
        cost = costs.get((line.method, line.n))
        if cost is None:
            return line
        ends = (0.99 * cost, 1.01 * cost)
        ids = line.id, f"wavenet:nv/score/parallel/{line.n}"
        found = [line, Slowdown(*ids, cost, ends if ci95 else None, None if ci95 else ends, 6)]
        reference = costs.get(("naive", line.n))
        if line.method != "naive" and reference:
            speed = reference / cost
            found.append(Ratio(line.id, f"wavenet:nv/sample/naive/{line.n}", speed, (0.99 * speed, 1.01 * speed)))
        return found

    return edit


def said(results) -> tuple[str, ...]:
    return next(one.sentences for one in answers(results) if one.model == "wavenet:nv")


def test_the_answer_is_at_the_largest_n_that_most_samplers_reached(build) -> None:
    assert said(build(edit=costing(COSTS | MORE))) == (
        "At N = 512 sampling takes 30.0x [29.7, 30.3] as long as scoring: cached/parallel.",
        "The reference, naive, takes 90.0x [89.1, 90.9]; cached is 3.00x [2.97, 3.03] as fast.",
        "At N = 4,096 it takes 25.0x [24.7, 25.3]: fixed_point/parallel.",
        "Weights are random: the gain of fixed_point may not hold for trained ones.",
        "Scoring depth O(1) (parallel), sampling depth O(N) (cached).",
    )


def test_the_caveat_on_weights_names_the_methods_whose_steps_depend_on_values() -> None:
    assert set(DEPENDS_ON_WEIGHTS) == {one.name for one in METHODS if one.op == "sample" and one.data_dependent}


def test_trained_weights_need_no_caveat(build) -> None:
    results = build(edit=costing(COSTS | MORE))
    results.run.plan["options"] = {"weights": "trained.safetensors"}
    assert not any("random" in one for one in said(results))


def test_trained_weights_are_named_beside_random_ones(build) -> None:
    weights = Trained("speech", 3.714, "bits per audio sample", True, 0, 12, "0" * 64)
    known = [Model("wavenet", "nv", "", "audio sample", trained=weights)]
    sentences = said(build(edit=costing(COSTS | MORE), described=known))
    assert "Weights are trained on speech, 3.71 bits per audio sample, held out." in sentences
    assert not any("random" in one for one in sentences)


def test_bits_on_the_data_of_the_training_are_not_called_held_out(build) -> None:
    weights = Trained("speech", 3.714, "bits per audio sample", False, 0, 12, "0" * 64)
    known = [Model("wavenet", "nv", "", "audio sample", trained=weights)]
    sentences = said(build(edit=costing(COSTS), described=known))
    where = "on the data of the training itself"
    assert f"Weights are trained on speech, 3.71 bits per audio sample, {where}." in sentences


def test_a_range_of_few_processes_is_called_one(build) -> None:
    first, *_ = said(build(edit=costing(COSTS, ci95=False)))
    assert first.startswith("At N = 512 sampling takes 30.0x (range 29.7 to 30.3) as long as scoring")


def test_no_sampler_beats_the_reference(build) -> None:
    slow = {method: 1e3 * cost if method[0] == "cached" else cost for method, cost in COSTS.items()}
    assert said(build(edit=costing(slow)))[1] == (
        "No sampler is faster there than naive, the reference: cached is 0.00300x [0.00297, 0.00303] as fast."
    )


def doubtful(edit, ends):
    """Return the edit with these ends of the interval of every speed-up."""

    def wider(line):
        found = edit(line)
        if isinstance(found, Ratio):
            return msgspec.structs.replace(found, ci95=ends)
        if not isinstance(found, list):
            return found
        return [msgspec.structs.replace(one, ci95=ends) if isinstance(one, Ratio) else one for one in found]

    return wider


def test_a_speed_up_whose_interval_includes_1_is_not_called_one(build) -> None:
    results = build(edit=doubtful(costing(COSTS), (0.6, 3.3)))
    first, second, *_ = said(results)
    assert first.startswith("At N = 512 sampling takes 30.0x [29.7, 30.3] as long as scoring: cached/parallel.")
    assert second == (
        "No sampler is clearly faster there than naive, the reference, which takes 90.0x [89.1, 90.9]: "
        "cached is 3x [0.6, 3.3] as fast."
    )
    assert second.replace("[", "\\[").replace("]", "\\]") in summary(results, [])
    clear = said(build(edit=doubtful(costing(COSTS), (1.6, 3.3))))[1]
    assert clear.startswith("The reference, naive, takes ")


def test_without_scoring_a_doubtful_speed_up_is_called_so(build) -> None:
    def sampling(line):
        return None if getattr(line, "op", "sample") == "score" else line

    first, *_ = said(build(edit=doubtful(sampling, (0.5, 40.0))))
    assert first.startswith("At N = 1,024 no sampler is clearly faster than naive: fixed_point samples ")


def test_one_sampler_has_no_reference_beside_it(build) -> None:
    alone = {key: cost for key, cost in COSTS.items() if key[0] == "cached"}
    first, depth = said(build(edit=costing(alone)))
    assert first.startswith("At N = 512 sampling takes 30.0x ")
    assert depth.startswith("Scoring depth ")


def test_approximate_samplers_do_not_answer(build) -> None:
    def edit(line):
        for one in found if isinstance(found := costing(COSTS)(line), list) else [found]:
            if isinstance(one, Case) and one.method == "cached":
                one.exactness = "approximate"
        return found

    assert ": naive/parallel." in said(build(edit=edit))[0]


@pytest.mark.parametrize("later", [None, "error"])
def test_a_slowdown_whose_scoring_case_is_missing_or_failed_is_not_shown(build, later) -> None:
    results = build(edit=costing(COSTS))
    for id, case in list(results.cases.items()):
        if (case.model, case.op, case.n) == ("wavenet", "score", 512):
            del results.cases[id]
            if later is not None:
                results.add(msgspec.structs.replace(case, status=later))
    assert said(results)[0].startswith("At N = 256 sampling takes 20.0x ")
    shown = {case.n: slowdown_label(case, results) for case in results.cases.values() if case.method == "cached"}
    assert (shown[256], shown[512]) == ("20.0x [19.8, 20.2]", "—")


def test_sizes_that_were_never_shared_are_said(build) -> None:
    def apart(line):
        if isinstance(line, Ratio | Slowdown):
            return None
        if isinstance(line, Case) and (line.op == "score") == (line.n > 512):
            return line
        return None if isinstance(line, Case) else line

    assert said(build(edit=apart))[0] == (
        "Scoring and sampling were not timed at the same N: give smaller sizes or a larger --budget."
    )


def test_what_was_not_asked_for_is_not_missed(build) -> None:
    def sampling(line):
        return None if getattr(line, "op", "sample") == "score" else line

    speed, depth = said(build(edit=sampling))
    assert speed.startswith("At N = 1,024 fixed_point samples ")
    assert speed.endswith(" as fast as naive.")
    assert depth == "Sampling depth O(N) (cached)."


def without(*methods: str):
    """Return an edit that leaves out methods, and all ratios: the reference was not measured."""

    def edit(line):
        return None if isinstance(line, Ratio) or getattr(line, "method", None) in methods else line

    return edit


def test_without_the_reference_speed_is_that_over_the_first_exact_sampler(build) -> None:
    """Both took their samples in the same rounds, and cached is 790 us an element: fixed_point 30 ms and 40 us."""
    results = build(edit=without("naive", "parallel", "sequential"))
    (first, *_) = said(results)
    found = re.fullmatch(r"At N = 4,096 fixed_point samples ([\d.]+)x \[.*\] as fast as cached\.", first)
    assert found is not None
    assert float(found[1]) == pytest.approx(7.9e-4 * 4096 / (0.03 + 4e-5 * 4096), rel=0.05)
    table = headline(results, 100)[0]
    shown = {row[1]: row[[one.title for one in table.columns].index("speed-up")] for row in table.rows}
    assert shown["cached"] == "reference"
    assert shown["fixed_point"].startswith(f"{found[1]}x [")
    assert any(note.endswith("; speed-up over cached") for note in table.notes)
    line = frame(results).set_index("id").loc["wavenet:nv/sample/fixed_point/4096"]
    assert line.reference == "wavenet:nv/sample/cached/4096"


def test_the_stand_in_of_the_reference_is_arbenchs_own_and_plain(build) -> None:
    names = {"naive": "mine.draw", "cached": "cached,backend=compile", "fixed_point": "blocks"}

    def renamed(line):
        line = without("sequential")(line)
        if getattr(line, "method", None) in names:
            line = msgspec.structs.replace(line, method=names[line.method])
        return line

    results = build(edit=renamed)
    assert re.fullmatch(r"At N = 4,096 cached,backend=compile samples [\d.]+x .* as fast as blocks\.", said(results)[0])
    shown = {case.id: speed_up_label(case, results) for case in results.cases.values() if case.n == 256}
    assert shown["wavenet:nv/sample/fixed_point/256"] == "reference"  # which is named blocks here
    assert shown["wavenet:nv/sample/naive/256"].endswith("]")


def test_beside_its_scoring_the_answer_names_the_sampler_that_speed_refers_to(build) -> None:
    others = {key: cost for key, cost in (COSTS | MORE).items() if key[0] != "naive"}

    def edit(line):
        return without("naive")(line) and costing(others)(line)

    second = said(build(edit=edit))[1]
    assert re.fullmatch(r"cached takes 40\.0x \[39\.6, 40\.4\]; fixed_point is [\d.]+x \[.*\] as fast\.", second)


def test_the_summary_begins_with_the_answer_and_the_table_has_its_column(build) -> None:
    results = build(edit=costing(COSTS))
    text = summary(results, draw(results))
    order = ["At N = 512 sampling takes", "](figures/wavenet-nv-seconds.svg)", "- Verified: ", "| op |", "## Claims"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "| " not in text[: places[1]]
    table = headline(results, 200)[0]
    assert table.title.startswith("wavenet:nv · N = 512 · ")
    at = [column.title for column in table.columns].index("over scoring")
    shown = {row[1]: row[at] for row in table.rows}
    assert (shown["parallel"], shown["cached"]) == ("—", "30.0x [29.7, 30.3]")
