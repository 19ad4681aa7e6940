"""Flows of zuko are measured with no code, and each fault that is planted in one is named."""

from __future__ import annotations

import pytest

pytest.importorskip("zuko", reason="needs zuko, of the extra flows: pip install 'arbench[flows]'")

import torch

from arbench.bench.options import Options, PlanError
from arbench.bench.plan import make_plan
from arbench.methods import Task, methods_for
from arbench.models import ModelError, resolve

SCORES = {("score", "parallel"), ("score", "zuko")}
DRAWS = {("sample", "layerwise"), ("sample", "fixed_point"), ("sample", "zuko")}
INVERSE = {
    ("score", "inversion"),
    ("score", "inversion_fixed_point"),
    ("score", "own_samples"),
    ("score", "zuko"),
    ("sample", "parallel"),
    ("sample", "zuko"),
}
HAS = {
    "zuko:MAF": SCORES | DRAWS,
    "zuko:MAF,features=8,transforms=2,randperm=true,passes=3": SCORES | DRAWS,
    "zuko:IAF": INVERSE,
    "zuko:NSF,transforms=2,inverse=true": INVERSE,
    "zuko:SOSPF,transforms=2": SCORES | DRAWS,
    "zuko:BPF,transforms=1": SCORES | DRAWS,
    "zuko:RealNVP": SCORES | {("sample", "parallel"), ("sample", "zuko")},
    "zukos.py:one_order": SCORES | DRAWS,
    "zukos.py:Splines": SCORES | DRAWS,
    "zukos.py:made": SCORES | DRAWS,
}


@pytest.mark.parametrize("spec", HAS)
def test_every_method_of_a_flow_is_right(verified, spec: str) -> None:
    found = verified(spec)
    assert found.keys() == HAS[spec]
    assert {line.status: line.error for line in found.values()} == {"ok": None}


def test_our_density_is_that_of_the_package() -> None:
    model = resolve("zukos.py:one_order").build(0, torch.float64)
    x = model.observe(8, range(4), 0)[0].double()
    (score,) = (one for one in methods_for(model) if (one.op, one.name) == ("score", "parallel"))
    torch.testing.assert_close(score.run(model, Task(8, {}, x=x)).log_prob, model.flow(None).log_prob(x))


LEAK = "layer 2 of 3 (MaskedAutoregressiveTransform) leaks: the map of element "
STOPS = "is inverted wrongly from place {} of its 8 on, by up to "
WRONG = {
    "leaks": (LEAK, set()),
    "reads_itself": (
        "layer 3 of 3 (MaskedAutoregressiveTransform) leaks: the map of element 0 changes with that element itself",
        set(),
    ),
    "half": ("the log-determinant of layer 1 of 3 (MaskedAutoregressiveTransform) is ", DRAWS),
    "WrongSum": ("; that of each layer alone is right", DRAWS | {("score", "parallel")}),
    "early": (
        f"layer 2 of 3 (MaskedAutoregressiveTransform) {STOPS.format(4)}",
        (SCORES | DRAWS) - {("sample", "zuko")},
    ),
    "mixes_rows": ("a row of a batch changes with the other rows", set()),
    "one_link": ("layer 3 of 3 (MaskedAutoregressiveTransform) leaks: the map of element ", set()),
    "one_feature": ("the log-determinant of layer 2 of 3 (MaskedAutoregressiveTransform) is ", DRAWS),
    "tails": ("the log-determinant of layer 3 of 3 (MaskedAutoregressiveTransform) is ", DRAWS),
    "off_in_the_tails": (
        "layer 2 of 3 (MaskedAutoregressiveTransform) inverts the map of an element wrongly, by up to ",
        SCORES,
    ),
    "rounded": (
        "layer 2 of 3 (MaskedAutoregressiveTransform) inverts the map of an element wrongly, by up to ",
        SCORES,
    ),
    "tolerant": ("as if its inversion stopped early", (SCORES | DRAWS) - {("sample", "zuko")}),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_fault_is_named_and_charged_to_what_it_spoils(verified, fault: str) -> None:
    said, right = WRONG[fault]
    found = verified(f"zukos.py:{fault}")
    assert {key for key, line in found.items() if line.status == "ok"} == right
    wrong = [line for line in found.values() if line.status != "ok"]
    assert {line.status for line in wrong} == {"inexact"}
    assert all(said in str(line.error) for line in wrong), [line.error for line in wrong]


def test_a_search_that_stops_early_is_named(verified) -> None:
    found = verified("zukos.py:coarse", n=4)
    assert {key for key, line in found.items() if line.status == "ok"} == SCORES
    said = str(found["sample", "zuko"].error)
    assert "layer 1 of 1 (MaskedAutoregressiveTransform) inverts the map of an element wrongly" in said
    assert said.endswith("as if its search stopped early")


def test_a_search_that_allows_itself_much_is_named(verified) -> None:
    found = verified("zukos.py:loose", n=4)
    assert {key for key, line in found.items() if line.status == "ok"} == SCORES
    assert "inverts the map of an element wrongly, by up to" in str(found["sample", "zuko"].error)


def test_tails_of_scores_are_checked_where_draws_are_found_by_a_search(verified) -> None:
    found = verified("zukos.py:searched_tails", n=4)
    assert {key for key, line in found.items() if line.status == "ok"} == DRAWS
    assert "with values 4 times as large as usual, " in str(found["score", "zuko"].error)


def test_depth_is_layers_times_features_and_the_row_says_so() -> None:
    one, other = (resolve(f"zuko:MAF,features=8,transforms={layers}").build(0) for layers in (1, 3))
    assert one.remark.startswith("Its layers take the features in one order: sampling goes layer by layer")
    assert other.remark == (
        "Its layers take the features in different orders, so none follows from those before it alone: sampling goes "
        "layer by layer, with an evaluation of a layer for each feature, so its depth is that of layers x features. "
        "There is no cached: the package's networks have no step for one feature."
    )


def test_a_flow_has_one_number_of_features_or_is_built_for_each() -> None:
    plan = make_plan(Options(models=("zuko:MAF,features=8",)))
    assert {case.n for case in plan.cases} == {8}
    plan = make_plan(Options(models=("zuko:MAF",), n=(4, 6), methods=("parallel",)))
    assert [case.n for case in plan.cases] == [4, 6]
    assert plan.cases[0].weights < plan.cases[1].weights
    a, b = (resolve("zuko:MAF").build(3).at(5).state_dict() for _ in range(2))
    assert all(torch.equal(a[name], b[name]) for name in a)


REFUSED = {
    "zuko:CNF": "model 'zuko:CNF' solves a differential equation, and has no layers",
    "zuko:MAFF": "model 'zuko' has no preset 'MAFF'; did you mean 'MAF'?",
    "zuko:MAF,features=0": "features is 0; give a whole number from 1 on",
    "zuko:MAF,context=2": "arbench gives a flow no conditioning: build it with none",
    "zukos.py:conditioned": "arbench gives a flow no conditioning: build it with none",
    "zukos.py:uniform": "the flow's base is Uniform; arbench draws normal base elements",
    "zukos.py:mixture": "GMM makes a Mixture, which has no transform and no base",
    "zukos.py:continuous": "the flow solves a differential equation, and has no layers that arbench could invert",
}


@pytest.mark.parametrize("spec", REFUSED)
def test_what_is_no_stack_of_layers_is_refused_in_one_line(said, spec: str) -> None:
    assert REFUSED[spec] in said(ModelError, lambda: resolve(spec).build(0))


def test_another_n_and_another_backend_are_refused(said) -> None:
    def of(**options: object) -> str:
        return said(PlanError, lambda: make_plan(Options(models=("zuko:MAF,features=8",), **options)))

    assert of(n=(8, 9)) == (
        "zuko:MAF,features=8: the flow has 8 features; choose --n 8, or leave features out for a flow of each N, "
        "got N = 9"
    )
    assert of(backend="compile") == (
        "model 'zuko:MAF,features=8' runs on plain PyTorch alone; leave out the backend 'compile'"
    )
    assert "cached needs a step from the elements before one to that one" in of(methods=("cached",))
