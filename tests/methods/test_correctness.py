"""Every model by every method, in float64: what is proven of ``tiny`` before anything is measured.

A new model needs a preset that begins with ``tiny``, whose smallest events span a space of at most 4,096,
and no test of its own. ``test_faults`` shows that each check can fail.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest

from arbench.methods import methods_for
from arbench.models import Source, names, resolve
from arbench.models.layers.dilated import DilatedStack
from arbench.models.pixelcnn import PixelCNN
from arbench.models.transformer import Transformer

Shared = Callable[[str], Source]
SPECS = [f"{name}:{p}" for name in names() for p in resolve(name).cls.presets if p.startswith("tiny")]
PAIRS = [(spec, m.op, m.name) for spec in SPECS for m in methods_for(resolve(spec).build())]
SAMPLERS = [(spec, op, name) for spec, op, name in PAIRS if op == "sample"]
FINITE = [spec for spec in SPECS if resolve(spec).build().distribution.finite]
CACHED = [s for s in SPECS if issubclass(resolve(s).cls, Transformer)]
"""Those whose steps keep keys and values."""
DILATED = [s for s in SPECS if any(isinstance(m, DilatedStack) for m in resolve(s).build().modules())]


@pytest.mark.parametrize("check", ["agrees", "rows_agree", "log_probs_agree", "resets", "counts_repeat"])
@pytest.mark.parametrize(("spec", "op", "method"), PAIRS)
def test_every_method_of_every_model(
    spec: str, op: str, method: str, check: str, checks: ModuleType, shared: Shared
) -> None:
    source = shared(spec)
    getattr(checks, check)(source, checks.by(source, op, method), checks.length(source))


@pytest.mark.parametrize(("spec", "op", "method"), [pair for pair in SAMPLERS if resolve(pair[0]).cls.feeds == "x"])
def test_given_elements_are_kept(spec: str, op: str, method: str, checks: ModuleType, shared: Shared) -> None:
    source = shared(spec)
    checks.keeps_given(source, checks.by(source, op, method), checks.length(source))


@pytest.mark.parametrize(
    "check", ["chunks_agree", "rewinds", "nothing_leaks", "no_gradient_from_later", "conditioning_matters"]
)
@pytest.mark.parametrize("spec", SPECS)
def test_every_model(spec: str, check: str, checks: ModuleType, shared: Shared) -> None:
    source = shared(spec)
    getattr(checks, check)(source, checks.length(source))


@pytest.mark.parametrize("check", ["sums_to_one", "frequencies_agree"])
@pytest.mark.parametrize("spec", FINITE)
def test_every_finite_law(spec: str, check: str, checks: ModuleType, shared: Shared) -> None:
    source = shared(spec)
    getattr(checks, check)(source, checks.space(source))


@pytest.mark.parametrize(("check", "least"), [("conditionals_integrate_to_one", 22), ("transform_is_uniform", 4)])
@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec not in FINITE])
def test_every_continuous_law(spec: str, check: str, least: int, checks: ModuleType, shared: Shared) -> None:
    source = shared(spec)
    getattr(checks, check)(source, checks.length(source, least))


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
