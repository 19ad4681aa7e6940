"""The checks of ``test_correctness`` are seen to fail on faults planted in masked perceptrons and flows."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.models.layers import masked_mlp
from arbench.models.layers.affine_flow import AffineFlow, FlowState
from arbench.models.layers.factor_mlps import FactorMLPs
from arbench.models.layers.masked import Masked
from arbench.models.layers.masked_mlp import MaskedMLP, MLPState

Patch = pytest.MonkeyPatch
SHARED, FACTORS, MAF, IAF = "made:tiny", "made:tiny_factors", "maf:tiny", "iaf:tiny"
OP = {SHARED: "sample", FACTORS: "sample", MAF: "sample", IAF: "score"}
STEPS = {SHARED: "cached", FACTORS: "cached", MAF: "cached", IAF: "inversion"}


def degrees_off_by_one(patch: Patch) -> None:
    """Every unit reads one element more than its degree."""

    class Wide(Masked):
        def __init__(self, mask: Tensor, generator: torch.Generator, by_output: bool = False) -> None:
            super().__init__(torch.cat([mask[:1], mask[:-1]]), generator, by_output)

    patch.setattr(masked_mlp, "Masked", Wide)


def unit_forgotten(patch: Patch) -> None:
    """Steps leave out the last unit that an element completes."""
    completed = MaskedMLP._completed

    def off(self: MaskedMLP, layer: int, g0: int, g1: int) -> tuple[int, int]:
        lo, hi = completed(self, layer, g0, g1)
        return lo, hi - 1

    patch.setattr(MaskedMLP, "_completed", off)


def stale_sums(patch: Patch) -> None:
    """The sums of one draw are the start of the next of its batch."""
    kept: dict[tuple[int, int], Tensor] = {}
    start = MaskedMLP.start

    def stale(self: MaskedMLP, batch: int, ready: Any) -> MLPState:
        state = start(self, batch, ready)
        state.sums = kept.setdefault((id(self), batch), state.sums)
        return state

    patch.setattr(MaskedMLP, "start", stale)


def sums_stay_when_going_back(patch: Patch) -> None:
    """A copy of a state shares its sums."""
    patch.setattr(MLPState, "copied", lambda self: self, raising=False)


def layers_not_chained(patch: Patch) -> None:
    """Steps feed every layer of a flow what the first one reads."""
    extend = AffineFlow.extend

    def off(self: AffineFlow, state: FlowState, f: Tensor, g0: int, g1: int) -> Any:
        state.last = [(torch.zeros_like(mean), torch.zeros_like(scale)) for mean, scale in state.last]
        return extend(self, state, f, g0, g1)

    patch.setattr(AffineFlow, "extend", off)


def factors_shifted(patch: Patch) -> None:
    """Steps take the network of the factor before."""
    extend = FactorMLPs.extend

    def off(self: FactorMLPs, state: Any, inputs: Tensor, g0: int, g1: int) -> Tensor:
        return extend(self, state, inputs, max(g0 - 1, 0), max(g0 - 1, 0) + g1 - g0)

    patch.setattr(FactorMLPs, "extend", off)


def factor_reads_itself(patch: Patch) -> None:
    """In each factor's network, the weights for the previous element read the element itself."""
    ready = FactorMLPs.ready

    def off(self: FactorMLPs, n: int) -> Any:
        (first, bias), *later = ready(self, n)
        moved = first.view(n, self.inputs, n, -1).roll(1, dims=0)
        return [(moved.reshape(first.shape), bias), *later]

    patch.setattr(FactorMLPs, "ready", off)


LEAKS = ("nothing_leaks", "no_gradient_from_later")
OF_MODELS = [
    *((degrees_off_by_one, spec, check) for spec in (SHARED, MAF, IAF) for check in (*LEAKS, "chunks_agree")),
    *((factor_reads_itself, FACTORS, check) for check in (*LEAKS, "sums_to_one")),
    (degrees_off_by_one, SHARED, "sums_to_one"),
    (degrees_off_by_one, IAF, "log_determinant"),
    *((unit_forgotten, spec, "chunks_agree") for spec in (SHARED, MAF, IAF)),
    *((sums_stay_when_going_back, spec, "rewinds") for spec in (SHARED, MAF, IAF)),
    *((layers_not_chained, spec, "chunks_agree") for spec in (MAF, IAF)),
    (factors_shifted, FACTORS, "chunks_agree"),
]
OF_METHODS = [
    *((unit_forgotten, spec, STEPS[spec], "log_probs_agree") for spec in (SHARED, MAF, IAF)),
    *((stale_sums, spec, STEPS[spec], "resets") for spec in (SHARED, MAF, IAF)),
    *((layers_not_chained, spec, STEPS[spec], "agrees") for spec in (MAF, IAF)),
    *((sums_stay_when_going_back, SHARED, method, "log_probs_agree") for method in ("forecast", "speculative")),
    (sums_stay_when_going_back, IAF, "inversion_blocks", "agrees"),
    (factors_shifted, FACTORS, "cached", "log_probs_agree"),
    (factors_shifted, FACTORS, "forecast", "agrees"),
]


@pytest.mark.parametrize(("fault", "spec", "check"), OF_MODELS)
def test_faults_of_a_model_are_seen(
    fault: Callable[[Patch], None], spec: str, check: str, checks: ModuleType, monkeypatch: Patch
) -> None:
    fault(monkeypatch)
    source = checks.built(spec)
    sizes = {"sums_to_one": checks.space, "log_determinant": lambda source: 8}
    with pytest.raises(AssertionError):
        getattr(checks, check)(source, sizes.get(check, checks.length)(source))


@pytest.mark.parametrize(("fault", "spec", "method", "check"), OF_METHODS)
def test_faults_of_a_method_are_seen(
    fault: Callable[[Patch], None], spec: str, method: str, check: str, checks: ModuleType, monkeypatch: Patch
) -> None:
    fault(monkeypatch)
    source = checks.built(spec)
    with pytest.raises(AssertionError):
        getattr(checks, check)(source, checks.by(source, OP[spec], method), checks.length(source))
