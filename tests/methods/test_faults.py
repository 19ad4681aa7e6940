"""Each check of ``test_correctness`` is seen to fail on a planted fault, and to hold without it."""

from __future__ import annotations

import re
from inspect import isfunction
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from arbench.models import Source

WAVE, LOGISTIC, PIXEL = "wavenet:tiny", "wavenet:tiny_logistic", "pixelcnn:tiny"
GAUSSIAN, MIXTURE = "wavenet:tiny_gaussian", "wavenet:tiny_gaussian_mixture"
CLASS = "pixelcnn:tiny_class"
FLOW = "parallel_wavenet:tiny"
NMT = "parallel_nmt:tiny"
LSTM, SEQ2SEQ, ROWS = "lstm:tiny", "seq2seq:tiny", "row_lstm:tiny"
SCAN, SCAN_CONV = "mingru:tiny", "mingru:tiny_conv"
TRANSFORMER, FROM_SOURCE = "transformer:tiny", "transformer:tiny_source"
STREAMS, SNAIL = "pixelcnnpp:tiny", "pixelsnail:tiny"
OP = dict.fromkeys(
    (WAVE, LOGISTIC, GAUSSIAN, MIXTURE, PIXEL, CLASS, TRANSFORMER, FROM_SOURCE, STREAMS, SNAIL), "sample"
)
STEPS = dict.fromkeys(OP, "cached") | {FLOW: "inversion"}
OP |= {FLOW: "score"}
JACOBI = {
    WAVE: "fixed_point",
    GAUSSIAN: "fixed_point",
    MIXTURE: "fixed_point",
    PIXEL: "fixed_point",
    FLOW: "inversion_fixed_point",
}

IN_STEPS = [
    *(("ring_off_by_one", spec, check) for spec in (WAVE, LOGISTIC, FLOW) for check in ("log_probs_agree",)),
    *(("wrong_dilation", spec, "log_probs_agree") for spec in (WAVE, LOGISTIC, FLOW)),
    *(("first_frame_stays", spec, "log_probs_agree") for spec in (WAVE, FLOW)),
    *(("conditioning_dropped", spec, "log_probs_agree") for spec in (WAVE, FLOW)),
    *((fault, PIXEL, "log_probs_agree") for fault in ("rows_forgotten", "line_not_cleared", "column_off_by_one")),
    *(("ring_off_by_one", spec, "agrees") for spec in (WAVE, GAUSSIAN, MIXTURE)),
    ("class_in_one_gate", CLASS, "log_probs_agree"),
    ("ring_off_by_one", FLOW, "agrees"),
    ("wrong_dilation", FLOW, "agrees"),
    ("conditioning_dropped", FLOW, "agrees"),
    *(
        (fault, spec, "log_probs_agree")
        for fault in ("first_slot_forgotten", "slot_written_too_late")
        for spec in (TRANSFORMER, FROM_SOURCE)
    ),
    *(
        (fault, spec, "log_probs_agree")
        for fault in ("line_above_forgotten", "tap_off_by_one")
        for spec in (STREAMS, SNAIL)
    ),
    ("first_of_two_rows", STREAMS, "log_probs_agree"),
    ("last_pixel_unseen", SNAIL, "log_probs_agree"),
    *(("stale_cache", spec, "resets") for spec in (WAVE, LOGISTIC, FLOW)),
    ("stale_image", PIXEL, "resets"),
    *(("rows_mix", spec, "rows_agree") for spec in OP),
    *(("prompt_not_read", spec, "keeps_given") for spec in (WAVE, LOGISTIC, PIXEL)),
    *(("work_by_threads", spec, "counts_repeat") for spec in OP),
]
IN_STEPS = [(fault, spec, STEPS[spec], check) for fault, spec, check in IN_STEPS]
IN_OTHERS = [
    *(("settles_at_once", spec, method, "agrees") for spec, method in JACOBI.items()),
    *(("rows_mix", spec, "sequential", "rows_agree") for spec in (WAVE, PIXEL)),
    *(("future_leaks", spec, "naive", "agrees") for spec in (WAVE, LOGISTIC)),
    ("mask_off_by_one", PIXEL, "naive", "log_probs_agree"),
    *(
        ("whole_storages", spec, "sequential", "split_and_stacked_caches_agree")
        for spec in (WAVE, LOGISTIC, TRANSFORMER, FROM_SOURCE)
    ),
    *(("position_off_by_one", TRANSFORMER, method, "log_probs_agree") for method in ("forecast", "speculative")),
    ("copies_in_another_row", STREAMS, "speculative", "log_probs_agree"),
    ("copies_in_another_row", SNAIL, "forecast", "log_probs_agree"),
    ("prompt_not_read", WAVE, "naive", "keeps_given"),
    *(
        ("accepts_all", spec, method, "agrees")
        for spec in (WAVE, PIXEL)
        for method in ("blocks", "forecast", "speculative")
    ),
    *(("accepts_all", GAUSSIAN, method, "agrees") for method in ("blocks", "forecast")),
    ("accepts_all", FLOW, "inversion_blocks", "agrees"),
    *(("rewinds_too_far", WAVE, method, "log_probs_agree") for method in ("forecast", "speculative", "rejection")),
    *(("rewinds_too_little", spec, "blocks", "log_probs_agree") for spec in (LOGISTIC, MIXTURE)),
    ("prompt_not_read", WAVE, "fixed_point", "keeps_given"),
    *(("cell_forgotten", spec, "sequential", "log_probs_agree") for spec in (LSTM, SEQ2SEQ)),
    ("encoder_state_dropped", SEQ2SEQ, "sequential", "log_probs_agree"),
    ("taps_shifted", SCAN_CONV, "sequential", "log_probs_agree"),
    *((fault, ROWS, "sequential", "log_probs_agree") for fault in ("row_above_forgotten", "rows_of_pictures_swapped")),
]
IN_FORWARD = [
    *(
        (fault, spec, check)
        for fault in ("future_leaks", "present_leaks")
        for spec in (WAVE, LOGISTIC, FLOW)
        for check in ("nothing_leaks", "no_gradient_from_later", "chunks_agree")
    ),
    *(("mask_off_by_one", PIXEL, check) for check in ("nothing_leaks", "no_gradient_from_later")),
    *(
        ("padded_too_far", spec, check)
        for spec in (WAVE, LOGISTIC, FLOW)
        for check in ("receptive_field", "chunks_agree")
    ),
    *((f"receptive_field_off_by_{by}", spec, "receptive_field") for by in (-1, 1) for spec in (WAVE, LOGISTIC, FLOW)),
    *(("conditioning_ignored", spec, "conditioning_matters") for spec in (WAVE, FLOW)),
    *((fault, spec, "chunks_agree") for fault in ("ring_off_by_one", "conditioning_dropped") for spec in (WAVE, FLOW)),
    ("rows_forgotten", PIXEL, "chunks_agree"),
    *(("rewinds_too_far", spec, "rewinds") for spec in (WAVE, LOGISTIC, PIXEL, FLOW)),
    *(
        ("attends_to_later", spec, check)
        for spec in (TRANSFORMER, FROM_SOURCE)
        for check in ("nothing_leaks", "no_gradient_from_later", "chunks_agree")
    ),
    *(("mask_of_chunks_off_by_one", spec, "chunks_agree") for spec in (TRANSFORMER, FROM_SOURCE)),
    ("position_off_by_one", TRANSFORMER, "rewinds"),
    ("source_ignored", FROM_SOURCE, "conditioning_matters"),
    *(("rewinds_too_little", spec, "rewinds") for spec in (LOGISTIC, PIXEL)),
    *(
        (fault, spec, check)
        for fault in ("not_moved_right", "not_moved_down")
        for spec in (STREAMS, SNAIL)
        for check in ("nothing_leaks", "no_gradient_from_later", "chunks_agree")
    ),
    *(("attends_to_itself", SNAIL, check) for check in ("nothing_leaks", "no_gradient_from_later", "chunks_agree")),
    *(("copies_in_another_row", spec, "rewinds") for spec in (STREAMS, SNAIL)),
    ("blind_spot", PIXEL, "no_blind_spot"),
    *(("present_leaks", GAUSSIAN, check) for check in ("nothing_leaks", "no_gradient_from_later")),
    ("class_in_one_gate", CLASS, "chunks_agree"),
    ("class_ignored", CLASS, "conditioning_matters"),
    *(("reads_what_it_gives", NMT, check) for check in ("nothing_leaks", "no_gradient_from_later")),
    ("copies_forgotten", NMT, "chunks_agree"),
    ("copies_forgotten", NMT, "rewinds"),
    ("stale_source", NMT, "conditioning_matters"),
    *(("cell_forgotten", spec, "chunks_agree") for spec in (LSTM, SEQ2SEQ)),
    *(("carry_shared", spec, "rewinds") for spec in (LSTM, SEQ2SEQ, SCAN)),
    ("source_not_read", SEQ2SEQ, "conditioning_matters"),
    *(("scan_from_nothing", spec, "chunks_agree") for spec in (SCAN, SCAN_CONV)),
    *(("scan_one_ahead", SCAN, check) for check in ("nothing_leaks", "no_gradient_from_later", "chunks_agree")),
    *(("reads_to_the_right", ROWS, check) for check in ("nothing_leaks", "no_gradient_from_later", "chunks_agree")),
]
IN_LAWS = [
    *(("wrong_density", spec, "sums_to_one") for spec in (WAVE, LOGISTIC, PIXEL)),
    ("mask_off_by_one", PIXEL, "sums_to_one"),
    ("future_leaks", WAVE, "sums_to_one"),
    ("reads_what_it_gives", NMT, "sums_to_one"),
    *(
        (fault, spec, "conditionals_integrate_to_one")
        for spec in (FLOW, GAUSSIAN, MIXTURE)
        for fault in ("wrong_density", "scale_not_in_the_density")
    ),
    ("weights_not_normalised", MIXTURE, "conditionals_integrate_to_one"),
    ("scale_not_in_the_density", FLOW, "log_determinant"),
    ("wrong_log_determinant", FLOW, "log_determinant"),
    ("future_leaks", FLOW, "log_determinant"),
]


IN_DRAWS = [
    *(("dull_noise", spec, "cached", "frequencies_agree") for spec in (WAVE, LOGISTIC, PIXEL)),
    ("channels_not_rounded", SNAIL, "cached", "frequencies_agree"),
    *(("keeps_all_guesses", spec, "rejection", "frequencies_agree") for spec in (WAVE, PIXEL)),
    ("likeliest_component", MIXTURE, "cached", "transform_is_uniform"),
    *(
        (fault, spec, method, "transform_is_uniform")
        for spec, method in ((FLOW, "parallel"), (GAUSSIAN, "cached"), (MIXTURE, "cached"))
        for fault in ("dull_noise", "noise_repeats")
    ),
]


def plant(faults: SimpleNamespace, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    by = name.removeprefix("receptive_field_off_by_")
    (getattr(faults, name) if by == name else faults.receptive_field_off(int(by)))(monkeypatch)


def size(checks: ModuleType, source: Source, check: str) -> int:
    """Return N for a check."""
    if check in ("sums_to_one", "frequencies_agree"):
        return checks.space(source)
    return {"log_determinant": 8, "transform_is_uniform": 4}.get(check) or checks.length(source)


@pytest.mark.parametrize(("fault", "spec", "method", "check"), IN_STEPS + IN_OTHERS + IN_DRAWS)
def test_faults_of_a_method_are_seen(
    fault: str,
    spec: str,
    method: str,
    check: str,
    checks: ModuleType,
    faults: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if method == "sequential":
        op = "score"
    else:
        op = "sample" if check in ("frequencies_agree", "transform_is_uniform") else OP[spec]
    plant(faults, fault, monkeypatch)
    source = checks.built(spec)
    with pytest.raises(AssertionError):
        getattr(checks, check)(source, checks.by(source, op, method), size(checks, source, check))


@pytest.mark.parametrize(("fault", "spec", "check"), IN_FORWARD + IN_LAWS)
def test_faults_of_a_model_are_seen(
    fault: str,
    spec: str,
    check: str,
    checks: ModuleType,
    faults: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant(faults, fault, monkeypatch)
    source = checks.built(spec)
    with pytest.raises(AssertionError):
        getattr(checks, check)(source, size(checks, source, check))


def test_no_check_is_left_out(checks: ModuleType) -> None:
    """Every check is used by ``test_correctness``, and was seen to fail here.

    A check is a public function of a model that returns nothing, in one of the modules of ``checks``.
    """
    parts = [part for part in vars(checks).values() if isinstance(part, ModuleType)]
    written = {
        name
        for part in parts
        for name, value in vars(part).items()
        if isfunction(value) and value.__module__ == part.__name__ and not name.startswith("_")
        if value.__annotations__.get("source") == "Source" and value.__annotations__["return"] == "None"
    }
    assert len(parts) >= 6
    assert written == {row[-1] for row in [*IN_STEPS, *IN_OTHERS, *IN_DRAWS, *IN_FORWARD, *IN_LAWS]}
    text = Path(__file__).with_name("test_correctness.py").read_text()
    assert not {name for name in written if not re.search(rf'checks\.{name}\(|"{name}"', text)}
