"""Verification catches planted faults on every preset, size and dtype, and passes correct models."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations, product
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.bench.inexact import InexactError
from arbench.bench.models.setup import ModelSetup, method_of
from arbench.bench.models.verify import method as method_check
from arbench.bench.models.verify.method import verify_method
from arbench.bench.models.verify.model import verify_model
from arbench.bench.plan import Options, make_plan
from arbench.distributions import Categorical
from arbench.methods import Outcome, Task
from arbench.methods.ahead import Window
from arbench.models import names, resolve
from arbench.models.wavenet import WaveNet

PRESETS = [f"{name}:{preset}" for name in names() for preset in resolve(name).cls.presets]
TINY = [spec for spec in PRESETS if ":tiny" in spec]
FIRST = {spec.partition(":")[0]: spec for spec in reversed(TINY)}
"""First tiny preset of each model."""
LONGER = {FIRST[model] for model in ("wavenet", "pixelcnn", "lstm", "transformer", "maf")}
"""Presets that are verified at a second size: each has another kind of state."""
DTYPES = ("float32", "float64", "bfloat16", "float16")
STEPPED = {"x": ("sample", "cached"), "z": ("score", "inversion")}
"""Method whose steps get the planted faults, by the feed of the model."""
WAVES = [spec for spec in PRESETS if spec.split(":")[0] in ("wavenet", "parallel_wavenet")]
PIXELS = [spec for spec in PRESETS if spec.split(":")[0] == "pixelcnn"]
CONDITIONED = [spec for spec in WAVES if resolve(spec).config.get("local")]
IN_WAVES = ("wrong_dilation", "ring_off_by_one", "future_leaks", "present_leaks", "padded_too_far")
IN_PIXELS = ("line_not_cleared", "rows_forgotten", "column_off_by_one", "mask_off_by_one")
FAULTS = [
    *((fault, spec) for fault in IN_WAVES for spec in WAVES),
    *((fault, spec) for fault in ("conditioning_dropped", "conditioning_ignored") for spec in CONDITIONED),
    *((fault, spec) for fault in IN_PIXELS for spec in PIXELS),
]
BEFORE_BUILDING = ("mask_off_by_one",)
SIZES = {"smallest": 0, "middle": 2, "large": 4}
"""Index of a size in the default ladder."""
FAST = {
    **dict.fromkeys(PRESETS, ()),
    **dict.fromkeys([*WAVES, *PIXELS], ("smallest",)),
    **dict.fromkeys(TINY, ("smallest", "middle")),
    "wavenet:paper": (),
    "wavenet:vocoder": (),
}
"""Sizes of each preset that the fast tests use."""


def turning() -> list[Any]:
    """Return every preset, size and dtype; fast are tiny ones at their smallest size, in a dtype whose turn it is.

    Some models are also fast at their middle size, in another dtype. Published presets run at their
    smallest size in the tests of planted faults, and with ``make test-slow``.
    """
    quick = []
    for number, spec in enumerate(TINY):
        sizes = FAST[spec] if spec in LONGER else FAST[spec][:1]
        quick += [(spec, size, DTYPES[(number + 2 * k) % len(DTYPES)]) for k, size in enumerate(sizes)]
    return [
        pytest.param(*row, marks=() if row in quick else pytest.mark.slow) for row in product(PRESETS, SIZES, DTYPES)
    ]


def sized(rows: list[tuple[str, ...]]) -> list[Any]:
    """Return rows that end in a preset, at every size and dtype, most of them marked slow.

    Half precision is slow on a CPU, so published presets take bfloat16 alone into the fast suite.
    """
    every = [(*row, size, dtype) for row in rows for size in SIZES for dtype in DTYPES]
    quick = [row for row in every if row[-2] in FAST[row[-3]] and (row[-3] in TINY or row[-1] != "float16")]
    chosen = covering(quick)
    return [pytest.param(*row, marks=() if row in chosen else pytest.mark.slow) for row in every]


def covering(rows: list[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """Return few of the rows, which together contain every pair of values that two columns have in any row."""
    of = {row: set(combinations(enumerate(row), 2)) for row in random.Random(0).sample(rows, len(rows))}
    missing, chosen = set().union(*of.values()), set()
    while missing:
        best = max(of, key=lambda row: len(missing & of[row]))
        chosen.add(best)
        missing -= of[best]
    return chosen


def test_few_rows_contain_every_pair() -> None:
    rows = list(product("abcdef", range(4), "xyz"))
    chosen = covering(rows)
    assert len(chosen) <= 30 < len(rows)
    for i, j in combinations(range(3), 2):
        assert {(row[i], row[j]) for row in chosen} == {(row[i], row[j]) for row in rows}


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def cases_at(spec: str, dtype: str, size: str, seed: int = 0, **options: Any) -> tuple[ModelSetup, list[CaseKey]]:
    """Return a setup and the cases of all methods at one size of the preset's ladder."""
    cases = make_plan(Options(models=[spec], dtype=dtype, seed=seed, **options)).cases
    n = sorted({case.n for case in cases})[SIZES[size]]
    return ModelSetup(spec, dtype, "cpu", seed), [case for case in cases if case.n == n]


def check(setup: ModelSetup, cases: list[CaseKey], plant: Callable[[], None] = lambda: None) -> None:
    source = setup.build()
    twin = setup.twin(source)
    plant()
    for case in cases:
        verify_method(setup, source, twin, case)
    verify_model(setup, source, twin, cases[0])


@pytest.mark.parametrize(("spec", "size", "dtype"), turning())
def test_what_is_right_passes(spec: str, size: str, dtype: str) -> None:
    """Every method passes; ``naive`` runs only at the smallest size, and the fixed point only on tiny presets.

    The next test runs the first tiny preset of each model in another dtype, and all of them with ``make test-slow``.
    """
    setup, cases = cases_at(spec, dtype, size)
    slow = () if spec in TINY else ("fixed_point", "inversion_fixed_point")
    check(setup, [c for c in cases if c.method not in slow and (c.method != "naive" or size == "smallest")])


SEEDS = [
    (spec, DTYPES[(number + 1) % len(DTYPES)], 1 + number % 3)
    for number, spec in enumerate(TINY)
    if spec in FIRST.values()
]


@pytest.mark.parametrize(
    ("spec", "dtype", "seed"),
    [pytest.param(*row, marks=() if row in SEEDS else pytest.mark.slow) for row in product(TINY, DTYPES, range(1, 4))],
)
def test_what_is_right_passes_with_any_seed(spec: str, dtype: str, seed: int) -> None:
    setup, cases = cases_at(spec, dtype, "smallest", seed, batch=[2])
    check(setup, [case for case in cases if case.method != "naive"])


@pytest.mark.parametrize(("fault", "spec", "size", "dtype"), sized(FAULTS))
def test_planted_faults_are_caught(
    fault: str, spec: str, size: str, dtype: str, faults: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    op, method = STEPPED[resolve(spec).cls.feeds]
    setup, cases = cases_at(spec, dtype, size, ops=[op], methods=[method])

    def plant() -> None:
        getattr(faults, fault)(monkeypatch)

    early = fault in BEFORE_BUILDING
    if early:
        plant()
    with pytest.raises(InexactError):
        check(setup, cases, (lambda: None) if early else plant)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spec", ["wavenet:tiny", "parallel_wavenet:tiny"])
def test_conditioning_that_stands_still_is_caught_in_silence(
    spec: str, dtype: str, faults: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clip of 64 samples for seed 0 is silent, so its conditioning is constant."""
    setup, cases = cases_at(spec, dtype, "smallest")
    local = setup.task(setup.build(), cases[0]).context["local"]
    assert torch.equal(local, local[..., :1].expand_as(local))
    faults.first_frame_stays(monkeypatch)
    source = setup.build()
    with pytest.raises(InexactError, match="forward and extend differ"):
        verify_model(setup, source, setup.twin(source), cases[0])


IN_GROUPS = [spec for spec in TINY if not spec.startswith("factorised:")]
TURNS = [(spec, DTYPES[number % len(DTYPES)]) for number, spec in enumerate(IN_GROUPS)]


@pytest.mark.parametrize(
    ("spec", "dtype"),
    [pytest.param(*row, marks=() if row in TURNS else pytest.mark.slow) for row in product(IN_GROUPS, DTYPES)],
)
def test_an_iteration_that_stops_early_is_caught(
    spec: str, dtype: str, faults: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every model except those of a single group, whose first guess is the answer."""
    setup, cases = cases_at(spec, dtype, "middle")
    cases = [case for case in cases if case.data_dependent]
    faults.settles_at_once(monkeypatch)
    source = setup.build()
    with pytest.raises(InexactError):
        verify_method(setup, source, setup.twin(source), cases[0])


# Wrong answers of a method ------------------------------------------------------------


def sampled(dtype: str = "float32", method: str = "cached") -> tuple[ModelSetup, CaseKey]:
    setup, cases = cases_at("wavenet:tiny", dtype, "middle")
    return setup, next(case for case in cases if case.method == method)


def put(monkeypatch: pytest.MonkeyPatch, run: Callable[..., Outcome]) -> None:
    """Replace the algorithm that is verified."""
    monkeypatch.setattr(method_check, "method_of", lambda case, source: replace(method_of(case, source), run=run))


def answer(
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Outcome], Outcome],
    dtype: str = "float32",
    method: str = "cached",
) -> dict[str, Any]:
    """Verify a case whose outcome is changed."""
    setup, case = sampled(dtype, method)
    source = setup.build()
    right = method_of(case, source).run
    put(monkeypatch, lambda source, task: change(right(source, task)))
    return verify_method(setup, source, setup.twin(source), case)[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("at", [0, 17, 255])
def test_one_wrong_element_is_found(at: int, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def flip(outcome: Outcome) -> Outcome:
        x = outcome.x.clone()
        x[0, at] = (x[0, at] + 1) % 4
        return replace(outcome, x=x, f=x)

    with pytest.raises(InexactError, match=f"element {at} of row 0") as caught:
        answer(monkeypatch, flip, dtype)
    assert caught.value.facts["first_difference"] == [0, at]
    assert caught.value.facts["differing"] >= 1


@pytest.mark.parametrize(
    ("change", "method", "says"),
    [
        (lambda o: replace(o, params=None), "cached", "did not record"),
        (lambda o: replace(o, params=o.params + 1e-3 * o.params.roll(1, 1)), "cached", "log-probabilit"),
        (lambda o: replace(o, f=(o.f + 1) % 4), "cached", "fed the network another event"),
        (lambda o: replace(o, log_prob=None), "sequential", "without a log-probability"),
        (lambda o: replace(o, log_prob=o.log_prob + 1e-3), "sequential", "log-probabilit"),
        (
            lambda o: replace(o, log_prob=o.log_prob.sum(1)),
            "sequential",
            r"log-probabilities are \(1,\), elements \(1, 256\)",
        ),
        (lambda o: replace(o, log_prob=o.log_prob * torch.nan), "sequential", "log-probabilit"),
        (lambda o: replace(o, x=(o.x + 1) % 4), "sequential", "scored another event"),
    ],
)
def test_answers_that_are_not_answers(
    change: Callable[[Any], Outcome], method: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InexactError, match=says):
        answer(monkeypatch, change, method=method)


def test_what_passes_says_how_it_was_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = answer(monkeypatch, lambda outcome: outcome, "float64")
    assert facts["elements"] == 256
    assert facts["excused_ties"] == facts["near_ties"] == 0
    assert 0 <= facts["largest_difference"] <= facts["tolerance"] < 1e-8
    assert 0 <= facts["parameters_from_float64"] <= method_check.PARAMETERS["float64"]
    assert facts["how"].startswith("x = draw(forward(x), noise)")


@pytest.mark.parametrize(("rounds", "said"), [(torch.bfloat16, "bfloat16"), (torch.float32, None), (None, None)])
def test_a_method_says_to_which_dtype_it_rounds_weights(rounds, said, monkeypatch: pytest.MonkeyPatch) -> None:
    setup, case = sampled()
    case = msgspec.structs.replace(case, n=16)
    monkeypatch.setattr(method_check, "method_of", lambda *names: replace(method_of(*names), rounds=rounds))
    source = setup.build(rounds=rounds)
    assert verify_method(setup, source, setup.twin(source), case)[0].get("rounded_weights") == said


def test_draws_are_excused_at_near_ties_and_no_more_often_than_margins_predict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In bfloat16, the other outcome passes in the nearest ties, but not in all ties that could be excused."""
    setup, case = sampled("bfloat16")
    case = msgspec.structs.replace(case, batch=32)
    source = setup.build()
    twin, law = setup.twin(source), source.distribution

    def contrary(within: float) -> Callable[..., Outcome]:
        """Return a sampler that takes the second-best value wherever the margin is within some rounding errors."""

        def run(source: Any, task: Task) -> Outcome:
            assert task.noise is not None
            exact_context = {k: v.double() if v.is_floating_point() else v for k, v in task.context.items()}
            x = torch.zeros(case.batch, case.n, dtype=torch.long)
            codes = source.encode(task.context, case.n), twin.encode(exact_context, case.n)
            mine, exact = (m.start(case.batch, case.n, c) for m, c in zip((source, twin), codes, strict=True))
            kept = []
            for t in range(case.n):
                params, mine = source.extend(mine, x, t, t + 1)
                true, exact = twin.extend(exact, x, t, t + 1)
                noise = task.noise[:, t : t + 1]
                rounding = 8 * torch.finfo(torch.bfloat16).eps * true.abs().amax(-1)
                error = torch.maximum((params.double() - true).abs().amax(-1), rounding)
                near = law.margin(true, noise.double()) < within * error
                best = (true + noise.double()).topk(2).indices
                x[:, t : t + 1] = torch.where(near, best[..., 1], law.draw(params, noise))
                kept.append(params)
            return Outcome(x, x, torch.cat(kept, 1))

        return run

    put(monkeypatch, contrary(0.3))
    assert verify_method(setup, source, twin, case)[0]["excused_ties"] >= 3
    put(monkeypatch, contrary(3.9))
    with pytest.raises(InexactError, match=r"draws differ at near ties; margins predict at most"):
        verify_method(setup, source, twin, case)


def test_parameters_that_are_not_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    setup, case = sampled(method="parallel")
    source = setup.build()
    source.out_bias.data[0] = torch.inf
    with pytest.raises(InexactError, match="parameters are not finite") as caught:
        verify_method(setup, source, setup.twin(source), case)
    assert caught.value.facts["first_difference"] == [0, 0]
    with torch.no_grad():
        for weights in source.parameters():
            weights.copy_(torch.full_like(weights, 1e38))
    said = "^the model's parameters are not finite: those of element 0 of row 0; check its weights$"
    with pytest.raises(InexactError, match=said):
        verify_model(setup, source, setup.twin(source), case)


@pytest.mark.parametrize(
    "spec",
    [
        "wavenet:tiny",
        "wavenet:tiny_logistic",
        "wavenet:tiny_gaussian",
        "wavenet:tiny_gaussian_mixture",
        "pixelcnnpp:tiny",
    ],
)
def test_draws_from_what_is_not_a_number_are_refused_and_break_nothing_before(spec: str) -> None:
    """A method goes on with the levels that NaN draws, which are levels; verification says why they mean nothing."""
    setup, cases = cases_at(spec, "float32", "smallest")
    source = setup.build()
    for weights in source.parameters():
        weights.data.fill_(torch.nan)
    (case,) = [case for case in cases if (case.op, case.method) == ("sample", "cached")]
    said = "parameters are not finite" if source.distribution.finite else "^element 0 of row 0 is nan; the model's law "
    with pytest.raises(InexactError, match=said):
        verify_method(setup, source, setup.twin(source), case)


def test_a_model_that_is_not_its_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    setup, case = sampled(method="parallel")
    source = setup.build()
    twin = setup.twin(source)
    source.out_bias.data[0] += 0.5
    with pytest.raises(InexactError, match="parameters differ from float64's"):
        verify_method(setup, source, twin, case)


# Further faults of a model -------------------------------------------------


def broken(monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[..., Any], batch: int = 1) -> None:
    """Verify a WaveNet with one changed method."""
    setup, case = sampled()
    case = msgspec.structs.replace(case, batch=batch)
    inner = getattr(WaveNet, name)
    monkeypatch.setattr(WaveNet, name, lambda self, *args: change(inner, self, *args))
    source = setup.build()
    verify_model(setup, source, setup.twin(source), case)


def test_a_model_that_ignores_its_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InexactError, match="change no later parameter"):
        broken(monkeypatch, "forward", lambda inner, self, f, code: inner(self, torch.zeros_like(f), code))


def test_a_model_whose_rows_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    def mixed(inner: Any, self: Any, f: Any, code: Any) -> Any:
        params = inner(self, f, code)
        return params + params.mean(0)

    def mixed_steps(inner: Any, self: Any, state: Any, f: Any, g0: int, g1: int) -> Any:
        params, state = inner(self, state, f, g0, g1)
        return params + params.mean(0), state

    extend = WaveNet.extend
    monkeypatch.setattr(WaveNet, "extend", lambda self, *args: mixed_steps(extend, self, *args))
    with pytest.raises(InexactError, match="changes with the other rows"):
        broken(monkeypatch, "forward", mixed, batch=3)


def test_a_step_that_reads_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """With teacher forcing it would agree with ``forward``, because the later elements are given."""

    def ahead(inner: Any, self: Any, state: Any, f: Any, g0: int, g1: int) -> Any:
        params, state = inner(self, state, f, g0, g1)
        return params + 1e-3 * f[:, g0:g1, None], state

    def forward(self: Any, f: Any, code: Any, inner: Any = WaveNet.forward) -> Any:
        return inner(self, f, code) + 1e-3 * f[..., None]

    monkeypatch.setattr(WaveNet, "forward", forward)
    with pytest.raises(InexactError):
        broken(monkeypatch, "extend", ahead)


@pytest.mark.parametrize("bias", ["likeliest", "unlikeliest"])
def test_draws_of_another_law_are_seen(bias: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that promises only the law is judged by its draws alone."""
    setup, cases = cases_at("wavenet:tiny", "float32", "middle", methods=["rejection"])
    draw = Categorical.draw
    sign = 1 if bias == "likeliest" else -1

    def greedy(self: Categorical, params: Tensor, z: Tensor) -> Tensor:
        return draw(self, sign * params, 0 * z)

    def plant() -> None:
        monkeypatch.setattr(Categorical, "draw", greedy)
        monkeypatch.setattr(Window, "settled", lambda self, same, g1: g1 - self.at)

    check(setup, cases)
    with pytest.raises(InexactError, match=r"draws are -?\d+(\.\d+)? standard deviations off"):
        check(setup, cases, plant)
