"""Stacks of layers are verified layer by layer, and what is wrong is named."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from arbench.bench.job import Job
from arbench.bench.models.subject import ModelSubject
from arbench.bench.options import Options
from arbench.bench.plan import make_plan
from arbench.methods import Task, lacking, methods_for
from arbench.models import resolve
from arbench.models.layers.stacks import in_one_order
from arbench.results import Verification

N = 8


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)


def verified(spec: str, dtype: str = "float32", methods: tuple[str, ...] = ()) -> dict[tuple[str, str], Verification]:
    plan = make_plan(Options(models=(f"stacked.py:{spec}",), methods=methods, n=(N,), batch=(2,), dtype=dtype))
    job = Job("prove", plan.cases, 0, 1, share_s=100.0)
    names = {case.id: (case.op, case.method) for case in plan.cases}
    return {names[m.line.case]: m.line for m in ModelSubject(job).verify(job) if isinstance(m.line, Verification)}


HAS = {
    "Affine": {("score", "parallel"), ("sample", "layerwise"), ("sample", "fixed_point")},
    "Affine:inverse": {
        ("score", "inversion"),
        ("score", "inversion_fixed_point"),
        ("score", "own_samples"),
        ("sample", "parallel"),
    },
    "Affine:mixed": {
        ("score", "inversion"),
        ("score", "inversion_fixed_point"),
        ("sample", "layerwise"),
        ("sample", "fixed_point"),
    },
    "Mixes": {("score", "parallel"), ("sample", "layerwise"), ("sample", "fixed_point")},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("spec", HAS)
def test_a_stack_has_the_methods_of_its_layers_and_all_are_right(spec: str, dtype: str) -> None:
    found = verified(spec, dtype)
    assert found.keys() == HAS[spec]
    assert {line.status: line.error for line in found.values()} == {"ok": None}


def test_the_density_is_that_of_the_definition() -> None:
    model = resolve("stacked.py:Affine:tiny").build(0, torch.float64)
    x = model.observe(4, range(3), 0)[0].double()
    (score,) = (one for one in methods_for(model) if one.op == "score")
    z, log_det = x, torch.zeros(3, dtype=torch.float64)
    for i in range(3):
        weight, order = model.weight[i, :, :4, :4], [0, 1, 2, 3] if i != 1 else [3, 2, 1, 0]
        w = torch.zeros_like(z)
        for place, at in enumerate(order):
            before = order[:place]
            m, s = torch.tanh(weight[:, at, before] @ z[:, before].T)
            w[:, at] = z[:, at] * s.exp() + m
            log_det += s
        z = w
    u = (z - 0.5) / math.exp(0.25)
    wanted = (-(u**2) / 2 - math.log(2 * math.pi) / 2 - 0.25).sum(1) + log_det
    torch.testing.assert_close(score.run(model, Task(4, {}, x=x)).log_prob, wanted)


def test_a_draw_takes_an_evaluation_for_each_place_of_each_layer() -> None:
    found = verified("Affine")
    assert found["sample", "layerwise"].verified["nfe"] == 3 * N
    assert found["score", "parallel"].verified["nfe"] == 3
    assert 3 < found["sample", "fixed_point"].verified["nfe"] <= 3 * N


WRONG = {
    "Leaks": ("layer 2 of 3 (Affine1) leaks: the map of element ", {}),
    "ReadsItself": ("layer 3 of 3 (Affine2) leaks: the map of element 0 changes with that element itself", {}),
    "Half": ("the log-determinant of layer 2 of 3 (Affine1) is ", {("sample", "layerwise"), ("sample", "fixed_point")}),
    "WrongInverse": (
        "layer 1 of 3 (Affine0) inverts the map of an element wrongly, by up to 0.001, as if its search stopped early",
        {("score", "parallel")},
    ),
}


@pytest.mark.parametrize("spec", WRONG)
def test_a_fault_is_named_and_charged_to_what_it_spoils(spec: str) -> None:
    said, right = WRONG[spec]
    found = verified(spec)
    assert {key for key, line in found.items() if line.status == "ok"} == set(right)
    for line in found.values():
        if line.status != "ok":
            assert line.status == "inexact"
            assert said in str(line.error)


def test_a_layer_that_leaks_names_what_it_must_not_read() -> None:
    error = str(verified("Leaks")["score", "parallel"].error)
    assert error.endswith("changes with element 0, which comes later in its order")


@pytest.mark.parametrize("most", [1, 4, N - 1])
def test_an_inversion_that_stops_early_is_found(most: int) -> None:
    line = verified("Affine", methods=(f"stacked.py:after_{most}",))["sample", f"stacked.after_{most}"]
    assert line.status == "inexact"
    assert "carried to the base elements, differs from the noise by" in str(line.error)


def test_a_right_inversion_of_the_users_own_is_right() -> None:
    assert verified("Affine", methods=(f"stacked.py:after_{N}",))["sample", f"stacked.after_{N}"].status == "ok"


def test_orders_of_layers_are_compared_where_a_permutation_has_brought_them() -> None:
    def of(spec: str) -> bool:
        return in_one_order(resolve(f"stacked.py:{spec}").build(0).layers(N))

    assert of("Affine:one_order")
    assert not of("Affine:tiny")
    assert not of("Mixes:one_order")
    one = resolve("stacked.py:Affine:one_order").build(0).layers(N)
    moves = resolve("stacked.py:Mixes").build(0).layers(N)[2]
    assert not in_one_order([one[0], moves, one[1]])
    moved = type(one[1])(one[1].name, one[1].maps, one[1].rank[moves.taken])
    assert in_one_order([one[0], moves, moved])


def test_what_a_stack_lacks_is_said() -> None:
    model = resolve("stacked.py:Affine:tiny").build(0)
    why = {(one.op, one.name): said for one, said in lacking(model).items()}
    assert (
        why["sample", "cached"]
        == "needs a step from the elements before one to that one, and a stack of layers has none"
    )
    assert why["sample", "parallel"] == (
        "needs layers that are one pass this way, and layer 1 of 3 reads events: it has to be inverted"
    )
    assert why["score", "inversion"] == "has nothing to invert: this way every layer is one pass, so take parallel"
    with pytest.raises(NotImplementedError, match="has layers and no incremental step"):
        model.start(1, N, None)
