"""Counts: extrapolated values equal counted ones, evaluations are in program order, budgets are kept."""

from __future__ import annotations

import dataclasses
from itertools import groupby
from typing import Any

import msgspec
import pytest
import torch

from arbench.bench.case import CaseKey
from arbench.bench.job import Job
from arbench.bench.models import counting
from arbench.bench.models.counting import Counter, counter_for, evaluations
from arbench.bench.models.setup import ModelSetup, run
from arbench.bench.models.subject import ModelSubject
from arbench.bench.models.witness import Witness
from arbench.bench.plan import Options, make_plan
from arbench.meters import CountBudgetExceeded, Counts
from arbench.methods import METHODS, methods_for
from arbench.models import Source, names, resolve
from arbench.results import COUNTERS, Count, read

PRESETS = [f"{name}:{preset}" for name in names() for preset in resolve(name).cls.presets]
TINY = [spec for spec in PRESETS if ":tiny" in spec]
REPEATING = ("naive", "sequential")


NATIVE = {method.name for method in METHODS if method.twin is not None}
"""Methods whose operations cannot be seen: those of a twin are counted for them."""


def families(spec: str, **options: object) -> list[list[CaseKey]]:
    """Return the cases of each method whose own operations are counted."""
    cases = make_plan(Options(models=[spec], **options)).cases  # type: ignore[arg-type]
    cases = [case for case in cases if case.method not in NATIVE]
    return [list(group) for _, group in groupby(cases, key=lambda case: case.key)]


FIRST = {spec.partition(":")[0]: spec for spec in reversed(TINY)}
"""First tiny preset of each model."""
QUICK = [spec for spec in TINY if spec in FIRST.values() or "grouped" in spec]
"""Presets that differ in how they grow: a model's others differ in alphabet, loss or conditioning."""
REPEATED = ("wavenet", "pixelcnn", "transformer", "mingru")
"""Models of which ``naive`` and ``sequential`` are counted: a window, two dimensions, all of the past, a scan."""
LONG = {
    *((spec, method) for spec in TINY if spec not in FIRST.values() for method in REPEATING),
    *((spec, method) for model, spec in FIRST.items() if model not in REPEATED for method in REPEATING),
    ("pixelcnnpp:tiny", "cached"),
    *((spec, "parallel") for spec in TINY if spec.startswith("grouped_pixelcnn:tiny_")),
    ("pixelcnnpp:tiny_class", "cached"),
    ("pixelsnail:tiny", "cached"),
    ("pixelsnail:tiny_grey", "cached"),
    *((spec, m.name) for spec in TINY for m in METHODS if m.like and spec != "wavenet:tiny"),
}
"""Counts that take seconds, or are those of another method. Other models have the same kinds of growth."""
FAMILIES = [
    pytest.param(
        spec,
        m.op,
        m.name,
        sizes,
        marks=() if spec in QUICK and (spec, m.name) not in LONG and sizes == 1 else pytest.mark.slow,
    )
    for spec in PRESETS
    for m in methods_for(resolve(spec).cls)
    if not m.data_dependent and m.name not in NATIVE
    for sizes in (1, 2)
]


UNEVEN = {
    ("row_lstm:tiny", "naive"),
    *((f"multiscale_pixelcnn:{preset}", "naive") for preset in ("tiny", "tiny_colour", "tiny_class")),
}
"""Methods whose operations grow as N^1.5, or unevenly from scale to scale: no class predicts them."""
HALF_POWERS = {("grouped_pixelcnn:tiny_rows", "naive")}
"""Methods of which only FLOPs grow as N^1.5, for which there is no class: FLOPs are unknown."""


def counter(case: CaseKey, budget_s: float = 60.0) -> Counter:
    setup = ModelSetup(case.spec, case.dtype, case.device, seed=0)
    source = setup.build()
    twin = setup.twin(source)
    return counter_for(setup, source, twin, case, Witness(setup, twins={None: twin}), budget_s)


@pytest.fixture
def extrapolate_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extrapolate every size beyond the ladder that can be, without a check at a larger size."""
    monkeypatch.setattr(counting, "DIRECT_S", 0.0)
    monkeypatch.setattr(counting, "SPOT_S", 0.0)


@pytest.mark.parametrize(("spec", "op", "method", "sizes"), FAMILIES)
def test_extrapolated_is_what_would_be_counted(
    spec: str, op: str, method: str, sizes: int, extrapolate_all: None
) -> None:
    """The smallest default size beyond the counted ones; the two smallest with ``make test-slow``."""
    cases = families(spec, ops=[op], methods=[method])[0]
    one = counter(cases[0])
    if {case.n for case in cases} <= set(one.source.count_ladder):
        one.source.count_ladder = sorted(one.source.count_ladder)[:-1]
    cases = [case for case in cases if case.n not in one.source.count_ladder][:sizes]
    assert cases
    found = {count.case: count for count in one.counts(cases)}
    for case in cases:
        count, direct = found[case.id], counter(case).direct(case, 60.0)
        assert count.count_source == ("counted" if (spec, method) in UNEVEN else "extrapolated")
        # bytes of a naive PixelCNN have a term N^1.5, which no polynomial has: they are unknown
        known = [name for name in COUNTERS if getattr(count, name) is not None]
        assert {"depth", "nfe", "ops"} <= set(known)
        assert "flops" in known or (spec, method) in HALF_POWERS
        for name in known:
            assert getattr(count, name) == getattr(direct, name), name


def test_what_depends_on_values_is_never_extrapolated(extrapolate_all: None) -> None:
    for cases in families("wavenet:tiny", n=[40]):
        (last,) = [count for count in counter(cases[0]).counts(cases) if count.case == cases[0].id]
        assert last.count_source == ("counted" if cases[0].data_dependent else "extrapolated")


def turns_a_batch(spec: str) -> bool:
    return spec.split(":")[0] in ("lstm", "seq2seq")


@pytest.mark.parametrize("spec", [pytest.param(spec, marks=() if spec in QUICK else pytest.mark.slow) for spec in TINY])
def test_a_batch_is_counted_with_the_same_depth_and_more_work(spec: str) -> None:
    for (one, *_), (three, *_) in zip(families(spec, batch=[1]), families(spec, batch=[3]), strict=True):
        if one.data_dependent or one.method in REPEATING:
            continue
        n = resolve(spec).build().count_ladder[0]
        alone, together = (counter(case).direct(msgspec.structs.replace(case, n=n), 60.0) for case in (one, three))
        assert alone.nfe == together.nfe
        assert alone.depth is not None
        assert alone.ops is not None
        # in PyTorch's recurrent layers, transposing a batch of one to time first needs no copy
        copies = 2 * (alone.nfe or 0) if turns_a_batch(spec) else 0
        assert together.depth in range(alone.depth, alone.depth + copies + 1)
        assert together.ops in range(alone.ops, alone.ops + copies + 1)
        assert alone.flops is not None
        assert together.flops is not None
        assert alone.flops < together.flops <= 3 * alone.flops


EVALUATIONS = {"naive": "G", "cached": "G", "sequential": "G", "inversion": "G", "parallel": "1", "own_samples": "1"}


@pytest.mark.parametrize("spec", [pytest.param(spec, marks=() if spec in QUICK else pytest.mark.slow) for spec in TINY])
def test_evaluations_of_the_network(spec: str) -> None:
    for case, *_ in families(spec):
        one = counter(case)
        n = one.source.count_ladder[0]
        case = msgspec.structs.replace(case, n=n)
        task = one.setup.task(one.source, case)
        with torch.no_grad(), evaluations(one.source) as calls:
            run(one.source, case, task)
        nfe = calls() if spec != "wavenet:tiny" else one.direct(case, 60.0).nfe
        assert nfe is not None
        groups = len(one.source.schedule(n)) - 1
        if case.data_dependent:
            assert 1 <= nfe <= (2 * groups if case.returning else groups + 1), case.method
        else:
            assert nfe == {"G": groups, "1": 1}[EVALUATIONS[case.method]], case.method


def test_evaluations_leave_the_model_as_it_was() -> None:
    source = resolve("wavenet:tiny").build()
    before = dict(source.__dict__)
    with evaluations(source) as calls:
        assert calls() == 0
    with pytest.raises(IndexError), evaluations(source):
        source.forward(torch.full((1, 4), 99), source.encode(source.observe(4, [0], 0)[1], 4))
    assert source.__dict__ == before
    assert source.forward.__func__ is type(source).forward  # type: ignore[attr-defined]


def test_calls_inside_a_call_are_not_lost() -> None:
    """``module(x)`` counts like ``module.forward(x)``, and ``extend`` counts too."""
    source = resolve("wavenet:tiny").build()
    _, context = source.observe(4, [0], 0)
    f, code = torch.zeros(1, 4, dtype=torch.long), source.encode(context, 4)
    with evaluations(source) as calls:
        source(f, code)
        source.forward(f, code)
        source.extend(source.start(1, 4, code), f, 0, 4)
        assert calls() == 3


def test_what_depends_on_values_is_counted_in_float64() -> None:
    for case, *_ in families("wavenet:tiny", dtype="bfloat16"):
        one = counter(case)
        dtype = {p.dtype for p in one.source.parameters()}
        assert dtype == {torch.float64 if case.data_dependent else torch.bfloat16}
        task = one.setup.task(one.source, case)
        assert task.context["local"].dtype in dtype


def test_peak_bytes_are_taken_where_they_are_cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    case = families("wavenet:tiny", ops=["sample"], methods=["cached"])[0][0]
    peak = counter(case).direct(msgspec.structs.replace(case, n=8), 60.0).peak_bytes
    assert peak is not None
    assert peak > 0
    monkeypatch.setattr(counting, "DIRECT_S", 0.0)
    assert counter(case).direct(msgspec.structs.replace(case, n=8), 60.0).peak_bytes is None


def test_a_spent_budget_leaves_rows_without_counts() -> None:
    cases = families("wavenet:tiny", ops=["sample"], methods=["cached"])[0]
    found = list(counter(cases[0], budget_s=0.0).counts(cases))
    nothing = dict.fromkeys((*COUNTERS, "peak_bytes"))
    slow = "counting took longer than 0 s, a quarter of the budget for counting"
    reasons = [slow] + ["not tried: counting a smaller size already took too long"] * (len(cases) - 1)
    assert found == [
        Count(case.id, **nothing, count_source="none", why_unknown=why)
        for case, why in zip(cases, reasons, strict=True)
    ]


OPAQUE = """
import torch

@torch.library.custom_op("arbench_test::twice_{name}", mutates_args=())
def twice(x: torch.Tensor) -> torch.Tensor:
    return x * 2


class Mine(WaveNet):
    claims = {{("score", "parallel"): Claim("1", "N")}}

    def forward(self, f, context):
        return twice(super().forward(f, context)) / 2
"""


def test_a_row_whose_depth_is_unknown_says_why(measure, model_file, tmp_path) -> None:
    """A custom operator without a depth formula: its reason reaches the rows of the results file."""
    spec = model_file(OPAQUE.format(name="end_to_end"))
    measured = measure(spec, n=[8, 16], methods=["parallel"], out=tmp_path / "out")
    results = read(tmp_path / "out")
    assert results == measured
    reason = "arbench_test::twice_end_to_end is a custom operator without a registered depth formula"
    rows = list(results.cases.values())
    assert [(row.n, row.status, row.depth, row.why_unknown) for row in rows] == [
        (8, "ok", None, reason),
        (16, "ok", None, reason),
    ]
    assert all(row.ops for row in rows)
    assert {line.why_unknown for line in results.counts.values()} == {reason}


def test_an_extrapolated_row_whose_depth_is_unknown_says_why(model_file, extrapolate_all: None) -> None:
    cases = families(model_file(OPAQUE.format(name="beyond")), ops=["score"], methods=["parallel"], n=[512])[0]
    *_, last = counter(cases[0]).counts(cases)
    assert (last.count_source, last.depth) == ("extrapolated", None)
    assert last.ops is not None
    assert "arbench_test::twice_beyond" in (last.why_unknown or "")


COMPILED = """
import torch
from torch.utils._python_dispatch import _disable_current_modes


def hiding(graph, inputs):
    def run(*args):
        with _disable_current_modes():
            return graph(*args)
    return run


class Mine(WaveNet):
    claims = {("sample", "cached"): Claim("N", "N")}

    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return squashed(params), state


@torch.compile(backend=hiding, dynamic=True)
def squashed(params):
    for _ in range(4):
        params = torch.tanh(params)
    return params
"""


@pytest.mark.slow
def test_a_compiled_model_is_counted_as_its_eager_twin_and_its_rows_say_so(model_file) -> None:
    """The frames are compiled before the count, which sees none of their operations."""
    cases = families(model_file(COMPILED), ops=["sample"], methods=["cached"], n=[8])[0]
    body = COMPILED.replace("@torch.compile(backend=hiding, dynamic=True)", "")
    plain = families(model_file(body, "plain.py"), ops=["sample"], methods=["cached"], n=[8])[0][0]
    one = counter(cases[0])
    with torch.no_grad():
        run(one.source, cases[0], one.setup.task(one.source, cases[0]))
    found, expected = one.direct(cases[0], 60.0), counter(plain).direct(plain, 60.0)
    assert found.twin == "compiled functions ran as plain PyTorch"
    assert expected.twin is None
    for name in (*COUNTERS, "peak_bytes"):
        assert getattr(found, name) == getattr(expected, name) is not None, name


def test_a_twin_reaches_counted_and_extrapolated_rows(monkeypatch, extrapolate_all: None) -> None:
    inner = counting.count
    monkeypatch.setattr(counting, "count", lambda *args, **kw: dataclasses.replace(inner(*args, **kw), twin="another"))
    cases = families("wavenet:tiny", ops=["score"], methods=["parallel"], n=[8, 512])[0]
    found = [count for count in counter(cases[0]).counts(cases) if count.case in {case.id for case in cases}]
    assert [(count.count_source, count.twin) for count in found] == [
        ("counted", "another"),
        ("extrapolated", "another"),
    ]


def test_unseen_work_leaves_rows_without_counts_and_with_a_reason(monkeypatch) -> None:
    """Such a case is tried at each size, since none of its sizes gives a number to extrapolate."""
    why = "a captured graph was replayed"
    unseen = Counts(None, None, None, None, why)
    inner = counting.count
    monkeypatch.setattr(counting, "count", lambda *args, **kw: (inner(*args, **kw), unseen)[1])
    cases = families("wavenet:tiny", ops=["score"], methods=["parallel"], n=[8, 64])[0]
    for count in counter(cases[0]).counts(cases):
        assert [getattr(count, name) for name in ("depth", "flops", "ops", "bytes", "peak_bytes")] == [None] * 5
        assert count.why_unknown == why


def test_other_backends_carry_the_count_of_plain_pytorch_and_say_so() -> None:
    cases = families("wavenet:tiny", ops=["sample"], methods=["cached"], n=[8], backend="numba")[0]
    subject = ModelSubject(Job("prove", cases, 0, 1, direct=True))
    (line,) = subject.count(cases, 60.0)
    eager = counter(families("wavenet:tiny", ops=["sample"], methods=["cached"], n=[8])[0][0])
    assert line.depth == eager.direct(msgspec.structs.replace(cases[0], backend="eager"), 60.0).depth
    assert line.twin == "the same model on plain PyTorch"


def test_native_code_carries_the_count_of_its_twin_and_says_so(extrapolate_all: None) -> None:
    sizes = [8, 40]
    cases = make_plan(Options(models=["wavenet:tiny"], ops=["sample"], methods=["fused", "cached"], n=sizes)).cases
    found, expected = (
        {line.case: line for line in ModelSubject(Job("prove", mine, 0, 1)).count(mine, 60.0)}
        for name in ("fused", "cached")
        for mine in [[case for case in cases if case.method == name]]
    )
    assert len(found) > len(sizes), "sizes of the ladder are counted too"
    for id, line in found.items():
        same = expected[id.replace("/fused/", "/cached/")]
        assert line.twin == "cached, which takes the same steps"
        assert [getattr(line, name) for name in COUNTERS] == [getattr(same, name) for name in COUNTERS]
        assert None not in [getattr(line, name) for name in COUNTERS]
        assert line.count_source == same.count_source == ("extrapolated" if line.case.endswith("/n40") else "counted")
        assert (line.ladder_of is None) == (line.case in {case.id for case in cases})


def test_the_budget_of_a_ladder_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes counted within the budget keep their counts; the size that exceeds it and all later ones have none."""
    case = families("wavenet:tiny", ops=["score"], methods=["parallel"])[0][0]
    one, direct = counter(case), Counter.direct
    tried = []

    def limited(self: Counter, case: CaseKey, budget_s: float) -> Count:
        tried.append(case.n)
        if case.n > 8:
            raise CountBudgetExceeded
        return direct(self, case, budget_s)

    monkeypatch.setattr(Counter, "direct", limited)
    cases = [msgspec.structs.replace(case, n=n) for n in (64, 32)]
    found = list(one.counts(cases))
    assert [count.count_source for count in found] == ["counted", "counted", "none", "none"]
    assert tried == [4, 8, 12, 32], "once spent, no further size is tried"


def test_a_size_of_the_ladder_names_its_case() -> None:
    """A size of the ladder names N and a case of the run; a size that is itself a case needs neither."""
    cases = families("wavenet:tiny", ops=["score"], methods=["parallel"], n=[8, 20])[0]
    found = {count.case: (count.n, count.ladder_of) for count in counter(cases[0]).counts(cases)}
    sizes = {msgspec.structs.replace(cases[0], n=n).id: n for n in (4, 8, 12, 16, 20, 24)}
    assert {sizes[case]: whose for case, whose in found.items()} == {
        4: (4, cases[0].id),
        8: (None, None),
        12: (12, cases[0].id),
        16: (16, cases[0].id),
        20: (None, None),
        24: (24, cases[0].id),
    }


BENDS = """
class Mine(WaveNet):
    claims = {("sample", "cached"): Claim("N", "N")}

    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return (params + 0 if g0 >= 30 else params), state
"""


def test_a_law_that_breaks_beyond_the_ladder_is_not_trusted_again(model_file, monkeypatch) -> None:
    """The first counted size that contradicts the polynomial ends its use; all larger sizes are counted."""
    cases = families(model_file(BENDS), ops=["sample"], methods=["cached"], n=[32, 40, 48])[0]
    one = counter(cases[0])
    found = {count.case: count for count in one.counts(cases)}
    monkeypatch.setattr(counting, "DIRECT_S", 60.0)
    assert found[cases[0].id].count_source == "counted"
    for case in cases:
        direct = counter(case).direct(case, 60.0)
        assert found[case.id].ops == direct.ops
        assert found[case.id].depth == direct.depth


ODD = """
class Mine(WaveNet):
    claims = {("sample", "cached"): Claim("N", "N")}

    def start(self, batch, n, code):
        self.odd = n % 2
        return super().start(batch, n, code)

    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return (params + 0 if self.odd else params), state
"""


def test_an_extrapolation_is_checked_at_a_size_with_the_remainder_of_each(model_file, extrapolate_all: None) -> None:
    """The sizes of the ladder are even, and at odd ones the model does more."""
    cases = families(model_file(ODD), ops=["sample"], methods=["cached"], n=[48, 51])[0]
    found = list(counter(cases[0]).counts(cases))
    assert [one.n for one in found if one.n is not None and one.n > 24] == [27]
    odd = next(one for one in found if one.case == cases[1].id)
    assert odd.count_source != "extrapolated"
    assert odd.ops in (None, counter(cases[1]).direct(cases[1], 60.0).ops)


LATE = """
class Mine(WaveNet):
    claims = {("sample", "cached"): Claim("N", "N")}

    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return (params + 0 if g0 >= 50 else params), state
"""


@pytest.mark.parametrize(("sizes", "spot"), [([60, 68], 68), ([80, 320], None)], ids=["a case", "another size"])
def test_an_extrapolation_is_checked_at_the_largest_size_that_can_be_counted(
    model_file, monkeypatch, sizes: list[int], spot: int | None
) -> None:
    """The model does more from step 50 on, beyond the ladder, which a busy machine can count too."""
    monkeypatch.setattr(counting, "DIRECT_S", 0.0)
    cases = families(model_file(LATE), ops=["sample"], methods=["cached"], n=sizes)[0]
    one = counter(cases[0], budget_s=8.0)
    limit = 62 if spot is None else spot + 1
    predict = Counter._extrapolators

    def priced(self: Counter, case: CaseKey) -> dict[str, Any]:
        found = predict(self, case)
        self.per_operation = 2.0 / found["ops"](msgspec.structs.replace(case, n=limit))
        return found

    monkeypatch.setattr(Counter, "_extrapolators", priced)
    found = {count.case: count for count in one.counts(cases)}
    checked = [count.n for count in found.values() if count.n is not None and count.n > 24]
    assert checked == ([] if spot else [60])
    small = found[cases[0].id]
    assert small.count_source == "counted"
    assert small.ops == counter(cases[0]).direct(cases[0], 60.0).ops
    large = found[cases[1].id]
    if large.count_source == "none":  # too long on this machine: a size is tried, and not extrapolated
        assert (large.why_unknown or "").startswith("counting took longer than ")
    else:
        assert large.count_source == "counted"


def test_counting_changes_no_draw() -> None:
    case = families("wavenet:tiny", ops=["sample"], methods=["cached"])[0][0]
    case = msgspec.structs.replace(case, n=24)
    one = counter(case)
    task = one.setup.task(one.source, case)
    with torch.no_grad():
        before = run(one.source, case, task).x
        one.direct(case, 60.0)
        assert torch.equal(run(one.source, case, task).x, before)
    assert isinstance(one.source, Source)


PICKY = """
class Mine(WaveNet):
    claims = {{("score", "parallel"): Claim("1", "N")}}

    def forward(self, f, context):
        if f.shape[1] % {unit}:
            raise ValueError("not so")
        return super().forward(f, context)
"""


@pytest.mark.parametrize(("unit", "sizes"), [(8, [8, 16, 24, 512]), (512, [512])])
def test_sizes_of_the_ladder_that_a_model_refuses_are_left_out(unit: int, sizes: list[int], model_file) -> None:
    """The ladder is 4, 8, 12, 16 and 24; a size of the run that fails is a failure."""
    cases = families(model_file(PICKY.format(unit=unit)), ops=["score"], methods=["parallel"], n=[512])[0]
    one = counter(cases[0])
    found = list(one.counts(cases))
    assert [line.n or 512 for line in found if line.depth is not None] == sizes
    assert sorted(one.refused) == [n for n in (4, 8, 12, 16, 24) if n % unit]
    assert set(one.refused.values()) == {"ValueError: not so (mine.py:9)"}
    asked = families(model_file(PICKY.format(unit=3), "other.py"), ops=["score"], methods=["parallel"], n=[8])[0]
    with pytest.raises(ValueError, match="not so"):
        list(counter(asked[0]).counts(asked))


def test_a_size_that_cannot_be_counted_says_what_the_ladder_refused(model_file) -> None:
    cases = families(model_file(PICKY.format(unit=512)), ops=["score"], methods=["parallel"], n=[512])[0]
    one = counter(cases[0])
    one.refused[4] = "ValueError: not so (mine.py:9)"
    one.exhausted = True
    assert (one._within_budget(cases[0]).why_unknown or "").endswith(
        "; N = 4 of count_ladder fails (ValueError: not so (mine.py:9)): list small sizes that the model takes"
    )
