"""The results file: lines that are written are read back, and broken lines are refused by their number."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbench.results import (
    KEY,
    Case,
    Count,
    Fit,
    Limits,
    Operator,
    Profile,
    Ratio,
    Results,
    ResultsError,
    Resume,
    Run,
    Samples,
    Slowdown,
    Verification,
    Writer,
    locate,
    read,
)

RUN = Run(
    schema=1,
    run_id="r",
    started_at="2026-01-05T12:00:00+00:00",
    argv=["run", "--seed", "3"],
    seed=3,
    git=None,
    plan={"options": {"n": [8, 16]}},
    environment={"cpu": {"model": None}},
    limits={},
)
CASE = Case(
    id="m:tiny/sample/cached/eager/cpu/float32/b1/n8",
    model="m",
    preset="tiny",
    op="sample",
    method="cached",
    backend="eager",
    device="cpu",
    dtype="float32",
    batch=1,
    n=8,
    element="audio sample",
    weights=12,
    status="ok",
    exactness="pointwise",
    verified={"how": "x = draw(forward(x), noise)"},
    depth=41,
    nfe=8,
    flops=10**15,
    ops=99,
    bytes=2**40,
    median_s=1e-3,
    ci95_s=(9e-4, 1.1e-3),
    workers=6,
    samples=12,
    count_source="counted",
    stopped_by="target",
)
FIT = Fit(
    **dict(zip(KEY, CASE.key, strict=True)),
    metric="depth",
    claimed="N",
    fitted="N",
    sizes=[8, 16],
    values=[41.0, 81.0],
    intercept=1.0,
    slope=5.0,
    exponent=1.0,
    exponent_ci95=(0.9, 1.1),
    residual=0.0,
    verdict="holds",
    why="exact",
)
LINES = [
    RUN,
    Resume("r", "2026-01-05T13:00:00+00:00", ["run"], {"cpu": {"model": "Example"}}, {}, ["cpu.model"]),
    Limits("2026-01-05T14:00:00+00:00", {"matmul": {"float32": 80.5}}),
    Count(CASE.id, 41, 8, 10**15, 99, 2**40, None, "counted"),
    Verification(CASE.id, "inexact", "pointwise", {"first_difference": [0, 3]}, "element 3\nis 'wrong'"),
    Samples(CASE.id, 0, 1, 1.7e9, [1e-3, 1.1e-3], cold_s=0.5),
    CASE,
    Ratio(CASE.id, "other", 2.5, None, range=(2.4, 2.6), workers=2),
    Slowdown(CASE.id, "other", 22.5, None, range=(21.0, 24.0), workers=2),
    FIT,
    Profile(
        case=CASE.id,
        seconds=1e-3,
        profiled_s=1.5e-3,
        calls=7,
        outside="python",
        outside_s=6e-4,
        operators=90,
        operators_s=4e-4,
        fixed_s=2e-4,
        slower_s=1e-4,
        arithmetic_s=6e-5,
        memory_s=4e-5,
        most=[Operator("aten::addmm", 30, 2e-4, 5e-5), Operator("mine::fused", 8, 1e-4, None)],
        file="profiles/m-tiny-sample-cached.json.gz",
    ),
]


CHUNKED = ("threads", "chunks", "chunk", "first_s", "gap_median_s", "gap_worst_s", "gap_p99_s", "gaps", "noise_s")
"""Fields of methods that draw chunk by chunk."""
SPOKEN = ("prompt", "state_bytes", "token_bytes")
"""Fields of language models."""


def encoded(lines: list) -> bytes:
    later = [b',"why_unknown":null', b',"twin":null', b',"sealed":false', b',"outside":false', b',"grows_by":null']
    later += [f',"{name}":null'.encode() for name in (*CHUNKED, *SPOKEN)]
    written = [msgspec.json.encode(line) for line in lines]
    for each in later:
        written = [line.replace(each, b"") for line in written]
    return b"".join(line + b"\n" for line in written)


def as_lines(results: Results) -> list:
    """Return all lines in memory, kind by kind."""
    keyed = (results.counts, results.verifications, results.cases, results.ratios, results.slowdowns, results.fits)
    keyed += (results.profiles,)
    listed = [results.run, *results.resumes, *results.limits, *results.samples]
    return [*listed, *(line for kind in keyed for line in kind.values())]


def alike(lines: list) -> list[bytes]:
    return sorted(msgspec.json.encode(line) for line in lines)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


def refused(path: Path) -> str:
    with pytest.raises(ResultsError) as error:
        read(path)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def test_every_kind_round_trips(path):
    assert {type(line) for line in LINES} == {
        Run,
        Resume,
        Limits,
        Count,
        Verification,
        Samples,
        Case,
        Ratio,
        Slowdown,
        Fit,
        Profile,
    }
    with Writer(path) as writer:
        for line in LINES:
            writer.write(line)
    assert path.read_bytes().count(b"\n") == len(LINES)
    assert alike(as_lines(read(path))) == alike(LINES)
    assert alike(as_lines(read(path.parent))) == alike(LINES)  # the folder of a run stands for its file


def test_why_a_depth_is_unknown_is_written_only_where_it_is_set(path):
    unknown = [
        Count(CASE.id, None, 8, None, 99, None, None, "counted", "opaque"),
        msgspec.structs.replace(CASE, depth=None, why_unknown="opaque"),
    ]
    with Writer(path) as writer:
        for line in (RUN, LINES[3], CASE):
            writer.write(line)
        known = path.read_bytes()
        for line in unknown:
            writer.write(line)
    assert b"why_unknown" not in known
    assert b'"error":null' in known
    assert path.read_bytes().removeprefix(known) == encoded(unknown)
    results = read(path)
    assert (results.counts[CASE.id].why_unknown, results.cases[CASE.id].why_unknown) == ("opaque", "opaque")


def test_a_twin_is_written_only_where_one_was_counted(path):
    twin = "compiled functions ran as plain PyTorch"
    counted = [msgspec.structs.replace(line, twin=twin) for line in (LINES[3], CASE)]
    with Writer(path) as writer:
        for line in (RUN, LINES[3], CASE):
            writer.write(line)
        without = path.read_bytes()
        for line in counted:
            writer.write(line)
    assert b"twin" not in without
    assert path.read_bytes().removeprefix(without) == encoded(counted)
    results = read(path)
    assert (results.counts[CASE.id].twin, results.cases[CASE.id].twin) == (twin, twin)


def test_what_is_known_of_chunks_is_written_only_where_there_are_any(path):
    plain = Samples(CASE.id, 0, 0, 1.7e9, [1e-3])
    chunked = [
        Samples(CASE.id, 0, 1, 1.7e9, [3e-3], chunks=[[2e-3, 1e-3]], noise_s=[0.0]),
        msgspec.structs.replace(CASE, chunk=4, first_s=2e-3, gap_median_s=1e-3, gap_worst_s=1e-3, gaps=1, noise_s=0.0),
    ]
    with Writer(path) as writer:
        for line in (RUN, plain, CASE):
            writer.write(line)
        without = path.read_bytes()
        for line in chunked:
            writer.write(line)
        with pytest.raises(ValueError, match="length >= 1"):
            writer.write(msgspec.structs.replace(plain, chunks=[[]]))
    assert not any(name.encode() in without for name in CHUNKED)
    results = read(path)
    assert results.samples == [plain, chunked[0]]
    assert results.cases[CASE.id] == chunked[1]


def test_what_is_known_of_language_models_is_written_only_for_them(path):
    told = msgspec.structs.replace(CASE, prompt=128, state_bytes=4096, token_bytes=0)
    with Writer(path) as writer:
        for line in (RUN, CASE):
            writer.write(line)
        assert not any(name.encode() in path.read_bytes() for name in SPOKEN)
        writer.write(told)
    assert read(path).cases[CASE.id] == told


def test_the_folder_of_a_run_means_its_file(tmp_path):
    assert locate(tmp_path) == tmp_path / "results.jsonl"
    assert locate(tmp_path / "other.jsonl") == tmp_path / "other.jsonl"


def test_the_last_line_of_a_key_wins(path):
    later = [
        Count(CASE.id, 7, 8, None, None, None, None, "extrapolated"),
        Verification(CASE.id, "ok", "pointwise", None),
        msgspec.structs.replace(CASE, median_s=2.0),
        Ratio(CASE.id, "other", 3.5, None),
        msgspec.structs.replace(FIT, verdict="fails"),
    ]
    path.write_bytes(encoded(LINES + later))
    results = read(path)
    assert results.counts[CASE.id].depth == 7
    assert results.verifications[CASE.id].status == "ok"
    assert results.cases[CASE.id].median_s == 2.0
    assert results.ratios[CASE.id, "other"].ratio == 3.5
    assert results.fits[(*CASE.key, "depth")].verdict == "fails"


def test_fits_of_other_metrics_and_samples_add_up(path):
    more = [msgspec.structs.replace(FIT, metric="work"), Samples(CASE.id, 0, 1, 1.7e9, [2e-3])]
    path.write_bytes(encoded(LINES + more))
    results = read(path)
    assert [key[-1] for key in results.fits] == ["depth", "work"]
    assert [line.seconds for line in results.samples] == [[1e-3, 1.1e-3], [2e-3]]


def test_a_torn_last_line_is_dropped_with_a_warning(path):
    path.write_bytes(encoded(LINES)[:-20])
    with pytest.warns(UserWarning, match=re.escape(f"{path}: a torn last line was dropped")):
        results = read(path)
    assert alike(as_lines(results)) == alike(LINES[:-1])


MIDDLE = 3
DAMAGED = "; the file is damaged, or no results file: restore it, or measure again with arbench run --out FOLDER"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (encoded([FIT])[:40], "Input data was truncated"),
        (b"", "Input data was truncated"),
        (b"\xff\xfe\xfd", "JSON is malformed: invalid character (byte 0)"),
        (b"model,n,seconds", "JSON is malformed: invalid character (byte 0)"),
        (b"[1, 2]", "Expected `object`, got `array`"),
        (b'{"name": "bench"}', "Object missing required field `kind`"),
        (b'{"kind": "weather"}', "Invalid value 'weather'"),
        (b'{"kind": "ratio", "case": "a"}', "Object missing required field `reference`"),
        (encoded([FIT])[:-2] + b',"colour":"red"}', "Object contains unknown field `colour`"),
        (encoded([FIT]).strip().replace(b'"holds"', b'"maybe"'), "Invalid enum value 'maybe'"),
        (encoded([FIT]).strip().replace(b"41.0", b"null"), "Expected `float`, got `null`"),
        (encoded([RUN]).strip(), "a second 'run' line"),
    ],
)
def test_a_line_that_does_not_validate_is_refused_by_its_number(path, raw, said):
    path.write_bytes(encoded(LINES[:MIDDLE]) + raw + b"\n" + encoded(LINES[MIDDLE:]))
    assert refused(path).startswith(f":{MIDDLE + 1}: {said}")


def test_a_last_line_that_is_whole_and_broken_is_refused_too(path):
    path.write_bytes(encoded(LINES[:MIDDLE]) + b'{"kind":"fi\n')
    assert refused(path) == f":{MIDDLE + 1}: Input data was truncated{DAMAGED}"


@pytest.mark.parametrize("schema", [0, 2, 99])
def test_an_unknown_schema_is_refused(path, schema):
    path.write_bytes(encoded([msgspec.structs.replace(RUN, schema=schema), *LINES[1:]]))
    assert refused(path) == f":1: schema {schema} is unknown; this arbench reads schema 1"


def test_an_empty_file_is_refused(path):
    path.touch()
    assert refused(path) == ": empty; a results file begins with a 'run' line"


def test_a_file_without_a_run_line_is_refused(path):
    path.write_bytes(encoded(LINES[1:]))
    assert refused(path) == ":1: a results file begins with a 'run' line"


def test_a_missing_file_is_refused(path):
    assert refused(path) == ": No such file or directory; arbench run --model NAME --out FOLDER writes it"


seconds, times = st.floats(1e-15, 1e9), st.floats(0, 1e11)
lines = st.lists(
    st.one_of(
        st.builds(Samples, st.text(), st.integers(0, 9), st.integers(0, 9), times, st.lists(seconds, min_size=1)),
        st.builds(
            Verification,
            st.text(),
            st.just("ok"),
            st.just("pointwise"),
            st.none() | st.dictionaries(st.text(), st.text() | st.integers(-9, 9) | st.none()),
            st.text(),
        ),
        st.sampled_from(LINES[1:]),
    ),
    max_size=4,
)


@given(lines, st.data())
def test_any_prefix_reads_as_the_whole_lines_before_it(tmp_path_factory, more, data):
    path = tmp_path_factory.getbasetemp() / f"prefix-{os.getpid()}.jsonl"
    path.unlink(missing_ok=True)
    with Writer(path) as writer:
        for line in [RUN, *more]:
            writer.write(line)
    whole = path.read_bytes()
    assert whole == encoded([RUN, *more])
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    kept = whole[:cut].count(b"\n")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        if kept == 0:
            assert refused(path) == ": empty; a results file begins with a 'run' line"
        else:
            expected = Results(RUN)
            for line in more[: kept - 1]:
                expected.add(line)
            assert alike(as_lines(read(path))) == alike(as_lines(expected))
    assert len(said) == (not whole[:cut].endswith(b"\n") and cut > 0)
