"""Flows of nflows are measured with no code, and each fault that is planted in one is named."""

from __future__ import annotations

import pytest

pytest.importorskip("nflows", reason="needs nflows, of the extra flows: pip install 'arbench[flows]'")

import torch

from arbench.methods import Task, methods_for
from arbench.models import ModelError, resolve

pytestmark = pytest.mark.filterwarnings("ignore:torch.triangular_solve is deprecated")

SCORES = {("score", "parallel"), ("score", "nflows")}
DRAWS = {("sample", "layerwise"), ("sample", "fixed_point"), ("sample", "nflows")}
INVERSIONS = {("score", "inversion"), ("score", "inversion_fixed_point"), ("score", "nflows")}
HAS = {
    "nflows:MaskedAutoregressiveFlow,num_layers=2": SCORES | DRAWS,
    "nflows:IAF,num_layers=2": INVERSIONS | {("score", "own_samples"), ("sample", "parallel"), ("sample", "nflows")},
    "nflows:SimpleRealNVP": SCORES | {("sample", "parallel"), ("sample", "nflows")},
    "nflow.py:both_ways": INVERSIONS | DRAWS,
    "nflow.py:one_order": SCORES | DRAWS,
}


@pytest.mark.parametrize("spec", HAS)
def test_every_method_of_a_flow_is_right(verified, spec: str) -> None:
    found = verified(spec, n=6)
    assert found.keys() == HAS[spec]
    assert {line.status: line.error for line in found.values()} == {"ok": None}


def test_our_density_is_that_of_the_package() -> None:
    model = resolve("nflow.py:both_ways").build(0, torch.float64)
    x = model.observe(6, range(4), 0)[0].double()
    (score,) = (one for one in methods_for(model) if (one.op, one.name) == ("score", "inversion"))
    torch.testing.assert_close(score.run(model, Task(6, {}, x=x)).log_prob, model.flow.log_prob(x))


WRONG = {
    "leaks": ("layer 2 of 2 (MaskedAffineAutoregressiveTransform) leaks: the map of element ", set()),
    "half": ("the log-determinant of layer 1 of 2 (HalfTransform) is ", DRAWS),
    "wrong_sum": ("; that of each layer alone is right", DRAWS | {("score", "parallel")}),
    "early": ("as if its inversion stopped early", (SCORES | DRAWS) - {("sample", "nflows")}),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_fault_is_named_and_charged_to_what_it_spoils(verified, fault: str) -> None:
    said, right = WRONG[fault]
    found = verified(f"nflow.py:{fault}")
    assert {key for key, line in found.items() if line.status == "ok"} == right
    wrong = [line for line in found.values() if line.status != "ok"]
    assert {line.status for line in wrong} == {"inexact"}
    assert all(said in str(line.error) for line in wrong), [line.error for line in wrong]


def test_what_is_no_stack_of_layers_is_refused_in_one_line(said) -> None:
    assert said(ModelError, lambda: resolve("nflow.py:pictures").build(0)) == (
        "model 'nflow.pictures:given': an event of the flow has the shape (2, 2, 2); arbench takes vectors"
    )
