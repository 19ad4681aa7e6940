"""Every model by every method, in float64: what is proven of ``tiny`` before anything is measured.

A new model needs a preset that begins with ``tiny``, whose smallest events span a space of at most 4,096,
and no test of its own. ``test_faults`` shows that each check can fail.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from arbench.methods import METHODS, methods_for
from arbench.models import Source, names, resolve
from arbench.models.layers.dilated import DilatedStack
from arbench.models.pixelcnn import PixelCNN
from arbench.models.transformer import Transformer

Shared = Callable[[str], Source]
SPECS = [f"{name}:{p}" for name in names() for p in resolve(name).cls.presets if p.startswith("tiny")]
BUILT = {spec: resolve(spec).build() for spec in SPECS}
PAIRS = [(spec, m.op, m.name) for spec, source in BUILT.items() for m in methods_for(source)]
SAMPLERS = [(spec, op, name) for spec, op, name in PAIRS if op == "sample"]
FINITE = [spec for spec, source in BUILT.items() if source.distribution.finite]
CACHED = [s for s in SPECS if issubclass(resolve(s).cls, Transformer)]
"""Those whose steps keep keys and values."""
DILATED = [s for s, source in BUILT.items() if any(isinstance(m, DilatedStack) for m in source.modules())]
FIRST = {spec.partition(":")[0]: spec for spec in reversed(SPECS)}
"""First tiny preset of each model."""
LAWS = [(spec.partition(":")[0], type(BUILT[spec].distribution).__name__) for spec in SPECS]
NEW = [LAWS.index(law) == number for number, law in enumerate(LAWS)]
"""For each preset, whether it is the first of its model with its law."""
LIKE = {method.name for method in METHODS if method.like}
"""Methods that take the steps of another: other presets of a model are in ``test_streams`` and ``test_fused``."""
NATIVE = {method.name for method in METHODS if method.twin is not None}
"""Methods in native code, whose operations cannot be seen."""
EVERY_PART = ("parallel", "sequential", "forecast", "inversion", "inversion_blocks")
"""Methods that together call every part of a model: ``forward``, ``extend`` and ``rewind``."""
LARGE = ("pixelcnnpp:tiny", "pixelsnail:tiny")
"""Those whose steps cost several times as much as any other's."""


def few(pairs: list[tuple[str, str, str]]) -> list[Any]:
    """Return pairs of which those are slow that run only what other pairs run; see ``is_fast``."""
    return [pytest.param(*pair, marks=() if is_fast(*pair) else pytest.mark.slow) for pair in pairs]


def is_fast(spec: str, op: str, method: str) -> bool:
    """Return whether a pair is fast.

    All methods of a model's first preset are, and one in one pass and one step by step of its others. Of large models
    the naive method is as well, and of one of them a method that goes back: whole pixels do so in a way of their own.
    """
    if spec in FIRST.values() and spec not in LARGE:
        return True
    return (
        method in ("parallel", "sequential", "cached", "inversion")
        or (spec in LARGE and method == "naive")
        or (spec, method) == (LARGE[1], "forecast")
    )


@pytest.mark.parametrize("check", ["agrees", "log_probs_agree"])
@pytest.mark.parametrize(
    ("spec", "op", "method"),
    [
        pytest.param(*pair, marks=pytest.mark.slow if pair[2] in LIKE and pair[0] not in FIRST.values() else ())
        for pair in PAIRS
    ],
)
def test_every_method_of_every_model(
    spec: str, op: str, method: str, check: str, checks: ModuleType, shared: Shared
) -> None:
    source = shared(spec)
    getattr(checks, check)(source, checks.by(source, op, method), checks.length(source))


@pytest.mark.parametrize("check", ["rows_agree", "resets"])
@pytest.mark.parametrize(("spec", "op", "method"), few(PAIRS))
def test_calls_of_every_method_are_independent(
    spec: str, op: str, method: str, check: str, checks: ModuleType, shared: Shared
) -> None:
    source = shared(spec)
    getattr(checks, check)(source, checks.by(source, op, method), checks.length(source))


@pytest.mark.parametrize(
    ("spec", "op", "method"),
    [
        pytest.param(
            *pair,
            marks=()
            if pair[0] == "wavenet:tiny" or (pair[0] in FIRST.values() and pair[2] in EVERY_PART)
            else pytest.mark.slow,
        )
        for pair in PAIRS
        if pair[2] not in NATIVE and (pair[0] in ("wavenet:tiny", "pixelcnn:tiny") or pair[2] in EVERY_PART)
    ],
)
def test_counts_repeat(spec: str, op: str, method: str, checks: ModuleType, shared: Shared) -> None:
    source = shared(spec)
    checks.counts_repeat(source, checks.by(source, op, method), 0)


@pytest.mark.parametrize(
    ("spec", "op", "method"), few([pair for pair in SAMPLERS if resolve(pair[0]).cls.feeds == "x"])
)
def test_given_elements_are_kept(spec: str, op: str, method: str, checks: ModuleType, shared: Shared) -> None:
    source = shared(spec)
    checks.keeps_given(source, checks.by(source, op, method), checks.length(source))


@pytest.mark.parametrize(("op", "method"), sorted({(op, method) for spec, op, method in PAIRS if spec in LARGE}))
def test_what_is_slow_of_a_large_model_is_fast_of_many(op: str, method: str) -> None:
    others = {spec for spec, *pair in PAIRS if pair == [op, method] and spec not in LARGE}
    assert len([spec for spec in others if is_fast(spec, op, method)]) >= 10


@pytest.mark.parametrize(
    "check", ["chunks_agree", "rewinds", "nothing_leaks", "no_gradient_from_later", "conditioning_matters"]
)
@pytest.mark.parametrize("spec", SPECS)
def test_every_model(spec: str, check: str, checks: ModuleType, shared: Shared) -> None:
    source = shared(spec)
    getattr(checks, check)(source, checks.length(source))


@pytest.mark.parametrize("spec", FINITE)
def test_every_finite_law_sums_to_one(spec: str, checks: ModuleType, shared: Shared) -> None:
    checks.sums_to_one(shared(spec), checks.space(shared(spec)))


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec not in FINITE])
def test_every_continuous_law_integrates_to_one(spec: str, checks: ModuleType, shared: Shared) -> None:
    checks.conditionals_integrate_to_one(shared(spec), checks.length(shared(spec), 22))


@pytest.mark.parametrize(
    ("spec", "method"),
    [
        *(
            pytest.param(
                spec, "cached" if resolve(spec).cls.feeds == "x" else None, marks=() if new else pytest.mark.slow
            )
            for spec, new in zip(SPECS, NEW, strict=True)
        ),
        ("wavenet:tiny", "naive"),
        ("wavenet:tiny_gaussian", "naive"),
    ],
)
def test_every_law_is_drawn_from(spec: str, method: str | None, checks: ModuleType, shared: Shared) -> None:
    """Step by step, or in one pass where the feed is noise. Other exact methods draw the same: ``agrees``.

    A model's presets with the same law are slow, but for the first.
    """
    source = shared(spec)
    sampler = checks.by(source, "sample", method)
    if source.distribution.finite:
        checks.frequencies_agree(source, sampler, checks.space(source))
    else:
        checks.transform_is_uniform(source, sampler, checks.length(source, 4))


REJECTED = [spec for spec, op, method in SAMPLERS if method == "rejection"]
IN_FAST = ("wavenet:tiny", "pixelcnn:tiny", "grouped_pixelcnn:tiny")
"""One element a step, several colours, several elements a step: what rejection can tell apart of models."""


@pytest.mark.parametrize(
    "spec", [pytest.param(spec, marks=() if spec in IN_FAST else pytest.mark.slow) for spec in REJECTED]
)
def test_rejection_keeps_the_law(spec: str, checks: ModuleType, shared: Shared) -> None:
    """It is the only method that promises no more than the law."""
    source = shared(spec)
    checks.frequencies_agree(source, checks.by(source, "sample", "rejection"), checks.space(source))


def test_every_method_is_exact_or_has_its_law_checked() -> None:
    assert {method.name for method in METHODS if method.exactness == "distribution"} == {"rejection"}


@pytest.mark.parametrize("spec", [spec for spec in SPECS if resolve(spec).cls.feeds == "z"])
def test_the_log_determinant_of_every_inverse_flow(spec: str, checks: ModuleType, shared: Shared) -> None:
    checks.log_determinant(shared(spec), 8)


@pytest.mark.parametrize("spec", DILATED)
def test_the_receptive_field_is_exact(spec: str, checks: ModuleType, shared: Shared) -> None:
    checks.receptive_field(shared(spec), 0)


@pytest.mark.parametrize("spec", [spec for spec in SPECS if issubclass(resolve(spec).cls, PixelCNN)])
def test_there_is_no_blind_spot(spec: str, checks: ModuleType, shared: Shared) -> None:
    checks.no_blind_spot(shared(spec), 0)


@pytest.mark.parametrize(
    ("spec", "op", "method"),
    [p for p in PAIRS if p[0] in DILATED + CACHED and p[2] in ("cached", "sequential", "inversion")],
)
def test_split_and_stacked_caches_have_one_depth(
    spec: str, op: str, method: str, checks: ModuleType, shared: Shared
) -> None:
    source = shared(spec)
    checks.split_and_stacked_caches_agree(source, checks.by(source, op, method), checks.length(source, 33))


CHANGES: dict[str, Callable[[Any], object]] = {
    "weights": lambda source: next(source.parameters()).data.add_(1),
    "backend": lambda source: source.use("numba"),
    "method": lambda source: setattr(source, "extend", None),
    "draft": lambda source: next(source.draft.parameters()).data.add_(1),
}
"""Ways to change a model, most of which torch does not notice."""


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_a_shared_model_is_seen(change: Callable[[Any], object], checks: ModuleType) -> None:
    source = checks.built("wavenet:tiny")
    before = checks.content(source)
    assert checks.content(source) == before
    change(source)
    assert checks.content(source) != before


def test_a_change_of_a_shared_outcome_is_seen(checks: ModuleType) -> None:
    source = checks.built("wavenet:tiny")
    method = checks.by(source, "sample")
    task, found = checks.ran(source, method, 5, range(2))
    assert checks.spoilt(source) == []
    for changes, tensor in enumerate((found.x, found.params, task.noise, task.context["local"])):
        assert len(checks.spoilt(source)) == (changes > 0)
        tensor[:, -1:] += 1
        assert len(checks.spoilt(source)) >= 1
