"""Columns and sentences on streams, from made-up cases."""

from __future__ import annotations

import msgspec
import pytest

from arbench.report import answers, frame, headline, rows
from arbench.report.page import page
from arbench.report.summary import summary
from arbench.results import Case, Results, Run


def streamed(batch: int = 1, n: int = 1024, rate_hz: float | None = 16000.0, device: str = "cpu", **chunks) -> Case:
    """Return a case of chunks of 16 ms, drawn in 10 ms each."""
    pace = dict(chunk=256, first_s=0.012, gap_median_s=0.010, gap_worst_s=0.02, gaps=24, noise_s=0.004) | chunks
    return Case(
        id=f"mine:tiny/sample/stream/eager/{device}/float32/b{batch}/n{n}",
        model="mine",
        preset="tiny",
        op="sample",
        method="stream",
        backend="eager",
        device=device,
        dtype="float32",
        batch=batch,
        n=n,
        element="audio sample",
        weights=7,
        status="ok",
        exactness="pointwise",
        rate_hz=rate_hz,
        median_s=0.04,
        workers=1,
        samples=8,
        **pace,
    )


CACHED = dict.fromkeys(("chunk", "first_s", "gap_median_s", "gap_worst_s", "gaps", "noise_s"))


def measured(*cases: Case, threads: int = 1) -> Results:
    plan = {"options": {"threads": threads}}
    results = Results(Run(1, "r", "2026-01-05T12:00:00+00:00", [], 0, None, plan, {}, {}))
    for case in cases:
        results.add(case)
    return results


def said(results: Results) -> tuple[str, ...]:
    (answer,) = answers(results)
    assert answer.sentences[-1] == "Sampling depth unknown."
    return answer.sentences[:-1]


def test_one_batch() -> None:
    assert said(measured(streamed())) == (
        "stream yields 256 audio samples (16 ms of sound) at a time at N = 1,024: first after 12.0 ms, then every "
        "10.0 ms (median), worst 20 ms of 24 gaps; 10.0% of the time makes noise, which other methods are given.",
        "In real time a core keeps up with 1 stream by the median gap, and with none by the worst: readers need a "
        "buffer.",
    )
    assert said(measured(streamed(gap_worst_s=0.011)))[1:] == (
        "In real time a core keeps up with 1 stream by the median gap, and with 1 by the worst.",
    )
    assert said(measured(streamed(gap_median_s=0.05, gap_worst_s=0.06)))[1:] == (
        "In real time a core does not keep up with one stream: 16 ms of sound take 50 ms.",
    )


def test_several_batches_name_the_largest_that_is_never_late() -> None:
    """The first is fast enough for two batches by turns, and the last is late."""
    batches = streamed(1, gap_median_s=0.003, gap_worst_s=0.009), streamed(4, gap_median_s=0.007, gap_worst_s=0.015)
    assert said(measured(*batches, streamed(8, gap_median_s=0.014, gap_worst_s=0.017)))[1:] == (
        "In real time a core keeps up with 8 streams by the median gap at batch 4, and with 4 by the worst at batch 4.",
        "Of batches 1, 4 and 8 the largest of which no chunk was late is 4.",
    )
    assert said(measured(streamed(1), streamed(2)))[1:] == (
        "In real time a core keeps up with 2 streams by the median gap at batch 2, and with none by the worst: readers "
        "need a buffer.",
        "Of batches 1 and 2 none was without a late chunk.",
    )
    never = said(measured(streamed(1, gap_median_s=0.03), streamed(16, gap_median_s=0.2)))
    assert never[1:] == (
        "In real time a core does not keep up with one stream: 16 ms of sound take 30 ms.",
        "Of batches 1 and 16 none was without a late chunk.",
    )


@pytest.mark.parametrize(
    ("gap_s", "late", "streams"),
    [
        (0.00043812, "437.5 µs of sound take 438.1 µs", "0.99"),
        (0.000437501, "437.5 µs of sound take just longer", "0.99"),
        (0.0004375, None, "1.0"),
        (0.0009, "0.44 ms of sound take 0.90 ms", "0.48"),
    ],
)
def test_what_is_just_late_is_not_said_to_be_in_time(gap_s: float, late: str | None, streams: str) -> None:
    results = measured(streamed(chunk=7, gap_median_s=gap_s, gap_worst_s=gap_s))
    assert (f"In real time a core does not keep up with one stream: {late}." in said(results)) == (late is not None)
    table = rows(results)
    assert dict(zip([one.title for one in table.columns], table.rows[0], strict=True))["streams"] == streams


def test_threads_are_cores_and_a_gpu_is_one() -> None:
    sure = streamed(2, gap_worst_s=0.011)
    text = "keep up with 2 streams by the median gap at batch 2, and with 2 by the worst at batch 2."
    for results in (measured(sure, threads=2), measured(msgspec.structs.replace(sure, threads=2))):
        assert said(results)[1] == f"In real time 2 cores {text}"
        assert frame(results)["streams"].tolist() == pytest.approx([1.6])
    for exchanges, streams in ((0, 3.2), (22, 1.6)):  # a native loop has at most two threads, whatever PyTorch may use
        native = msgspec.structs.replace(sure, verified={"step_bytes": 8, "exchanges": exchanges})
        assert frame(measured(native, threads=8))["streams"].tolist() == pytest.approx([streams])
    gpu = measured(streamed(2, gap_worst_s=0.011, device="cuda"), threads=4)
    assert said(gpu)[1] == f"In real time the GPU {text.replace('keep', 'keeps')}"
    assert frame(gpu)["streams"].tolist() == pytest.approx([3.2])


def test_no_second_chunk_and_no_audio() -> None:
    alone = measured(streamed(gap_median_s=None, gap_worst_s=None, gaps=0, noise_s=None, n=256))
    assert said(alone) == (
        "stream yields 256 audio samples (16 ms of sound) at a time at N = 256: first after 12.0 ms; no second whole "
        "chunk, so no gap is known: choose a larger N or a smaller chunk.",
    )
    (only,) = said(measured(streamed(rate_hz=None, gap_p99_s=0.0145, chunk=1)))
    assert only.startswith("stream yields 1 audio sample at a time at N = 1,024: first after 12.0 ms, then every ")
    assert "99% within 14.5 ms" in only


def test_a_chunk_is_no_larger_than_the_event_and_gaps_have_one_unit() -> None:
    (alone,) = said(measured(streamed(chunk=7, n=1, gap_median_s=None, gap_worst_s=None, gaps=0, noise_s=None)))
    assert alone.startswith("stream yields 1 audio sample (63 µs of sound) at a time at N = 1: first after 12.0 ms; ")
    mixed = measured(streamed(gap_median_s=0.00098, gap_p99_s=0.0015, gap_worst_s=0.021, noise_s=None))
    assert "then every 0.98 ms (median), 99% within 1.50 ms, worst 21 ms of 24 gaps" in said(mixed)[0]
    headings = [column.heading for column in rows(mixed).columns if "gap" in column.title and "str" not in column.title]
    assert headings == ["gap (ms)", "99% of gaps (ms)", "worst gap (ms)"]


def test_the_frame_states_streams_by_both_gaps() -> None:
    table = frame(measured(streamed(4), streamed(n=256, **CACHED), threads=2)).set_index("n")
    assert table.loc[1024, ["chunk", "first_s", "gap_median_s", "gap_worst_s", "gaps", "noise_s"]].tolist() == [
        *(256, 0.012, 0.010, 0.02, 24, 0.004)
    ]
    assert table.loc[1024, ["streams", "streams_worst"]].tolist() == pytest.approx([3.2, 1.6])
    assert table.loc[256, ["streams", "streams_worst", "first_s"]].isna().all()


def test_tables_have_columns_of_chunks_only_where_there_are_any() -> None:
    own = {"first chunk (ms)", "gap (ms)", "worst gap (ms)", "streams", "streams (worst gap)"}
    some, none = measured(streamed()), measured(streamed(**CACHED))
    for made, extra in ((rows, {"of it noise (ms)"}), (lambda results: headline(results, 1000)[0], set())):
        assert own | extra <= {column.heading for column in made(some).columns}
        assert not any("chunk" in column.heading or "gap" in column.heading for column in made(none).columns)
        assert "streams" not in {column.heading for column in made(none).columns}
    (table,) = headline(some, 80)
    assert table.columns[-2].heading == "streams (worst gap)"
    assert [column.heading for column in rows(measured(streamed(gap_p99_s=0.0145))).columns].count("99% of gaps (ms)")


def test_the_page_and_the_summary_explain_them_only_where_there_are_any() -> None:
    for text in (page, summary):
        made = {
            has: text(measured(streamed(**more)), *([[]] if text is page else []))
            for has, more in ((True, {}), (False, CACHED))
        }
        assert "ow many streams one core holds in real time" in made[True]
        assert "ow many streams one core holds in real time" not in made[False]
