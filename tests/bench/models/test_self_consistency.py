"""A user's own law, which has no oracle, is judged by itself, and its row says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log
from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.bench.inexact import InexactError
from arbench.bench.models.self_consistency import agrees_with_itself
from arbench.bench.models.setup import ModelSetup
from arbench.bench.models.verify.method import verify_method
from arbench.bench.plan import Options, make_plan
from arbench.distributions import (
    Categorical,
    DiscretizedLogisticMixture,
    Distribution,
    GaussianMixture,
    Logistic,
    Normal,
)

KINDS: dict[str, Callable[[], Distribution]] = {
    "categorical": lambda: Categorical(7),
    "bins": lambda: DiscretizedLogisticMixture(40, 3),
    "normal": Normal,
    "logistic": Logistic,
    "gaussians": lambda: GaussianMixture(3),
}


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def parameters(law: Distribution) -> Tensor:
    return torch.randn(2, 9, law.params_width, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_a_law_that_is_right_agrees_with_itself(kind: str, seed: int) -> None:
    law = KINDS[kind]()
    for spread in (0.3, 1.0, 3.0):
        facts = agrees_with_itself(law, spread * parameters(law), seed)
        assert facts["law_sum"] < 0.01
        assert facts["law_draws"] > 1e-6


FAULTS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "shifted": ("log_prob", lambda right, law: lambda p, x: right(p, x) + 0.02),
    "warm": ("log_prob", lambda right, law: lambda p, x: right(p / 2, x)),
    "mirrored": (
        "log_prob",
        lambda right, law: lambda p, x: right(p, law.levels - 1 - x if law.finite else -x),
    ),
    "dull": ("draw", lambda right, law: lambda p, z: right(p, 0.5 * z)),
    "moved": ("draw", lambda right, law: lambda p, z: right(p, z) + (1 if not law.finite else 0)),
    "next": (
        "draw",
        lambda right, law: lambda p, z: (right(p, z) + 1) % law.levels if law.finite else right(p, z) * 1.5,
    ),
}


MOVABLE = [(fault, kind) for fault in FAULTS for kind in KINDS if fault != "moved" or not KINDS[kind]().finite]


@pytest.mark.parametrize(("fault", "kind"), MOVABLE)
def test_a_law_that_contradicts_itself_is_caught(fault: str, kind: str) -> None:
    law = KINDS[kind]()
    name, change = FAULTS[fault]
    setattr(law, name, change(getattr(law, name), law))
    with pytest.raises(InexactError, match=r"sum to|do not follow"):
        agrees_with_itself(law, parameters(law), 0)


def test_a_law_that_is_wrong_for_a_few_elements_is_caught() -> None:
    """Its probabilities sum to 2 wherever one level is the likeliest: at 1 of 300 elements."""

    class Few(Categorical):
        def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
            return super().log_prob(params, x) + log(2) * (params.argmax(-1) == 5)

    law = Few(7)
    params = torch.randn(1, 300, 7, generator=torch.Generator().manual_seed(3))
    params[..., 5] = -9
    assert agrees_with_itself(law, params, 0)["law_sum"] < 1e-6
    params[0, 123, 5] = 9
    with pytest.raises(InexactError, match=r"^the probabilities of an element sum to 2, allowed 1: element 123 "):
        agrees_with_itself(law, params, 0)


class Mine(Categorical):
    """A user's law: softmax at a temperature of 2."""

    def draw(self, params: Tensor, z: Tensor) -> Tensor:
        return super().draw(params / 2, z)

    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        return super().log_prob(params / 2, x)

    def margin(self, params: Tensor, z: Tensor) -> Tensor:
        return 2 * super().margin(params / 2, z)


def verified(
    law: Distribution,
    op: str = "sample",
    method: str = "fixed_point",
    dtype: str = "float32",
    spec: str = "wavenet:tiny",
) -> dict[str, Any]:
    """Verify a case of a model, and of its draft, with another law."""
    case = next(c for c in make_plan(Options(models=[spec], ops=[op], n=[64], dtype=dtype)).cases if c.method == method)
    setup = ModelSetup(spec, dtype, "cpu", 0)
    source = setup.build()
    twin = setup.twin(source)
    for model in (source, twin, source.draft, twin.draft):
        if model is not None:
            model.distribution = law
    return verify_method(setup, source, twin, case)[0]


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("case", ["sample fixed_point", "score parallel", "sample speculative"])
def test_the_row_says_that_a_law_judged_itself(case: str, dtype: str) -> None:
    facts = verified(Mine(4), *case.split(), dtype)
    assert facts["law"] == "self-consistent"
    assert facts["law_sum"] < 1e-2
    assert facts["law_draws"] > 1e-6


def test_a_law_that_inherits_is_another_law() -> None:
    class Same(Categorical):
        pass

    assert verified(Same(4))["law"] == "self-consistent"
    assert verified(Categorical(4))["law"] == "oracle"


class Real(Normal):
    """A user's law of a real number: a normal distribution whose second parameter is half a log-scale."""

    def _split(self, params: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale = super()._split(params)
        return mean, 2 * log_scale


class Wide(Real):
    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        return super().log_prob(params, x / 1.3) - log(1.3)


class Unscaled(Real):
    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        return super().log_prob(params, x) + 2 * params[..., 1]


@pytest.mark.parametrize("op", ["sample fixed_point", "score parallel"])
def test_a_law_of_real_numbers_is_judged_by_itself(op: str) -> None:
    def of(law: Distribution) -> dict[str, Any]:
        return verified(law, *op.split(), spec="wavenet:tiny_gaussian")

    assert of(Real())["law"] == "self-consistent"
    with pytest.raises(InexactError, match="do not follow"):
        of(Wide())
    with pytest.raises(InexactError, match="sum to"):
        of(Unscaled())


class Shifted(Mine):
    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        return super().log_prob(params, x) + 0.7


class Unlike(Mine):
    def log_prob(self, params: Tensor, x: Tensor) -> Tensor:
        return Categorical.log_prob(self, 20 * params, x)


class Still(Mine):
    def noise(self, seed: int, rows: Any, elements: range, *more: Any, **named: Any) -> Tensor:
        return super().noise(seed, rows, range(1), *more, **named).repeat(1, len(elements), 1)


class Alike(Mine):
    def noise(self, seed: int, rows: Any, *more: Any, **named: Any) -> Tensor:
        return super().noise(seed, [0] * len(rows), *more, **named)


class Seedless(Mine):
    def noise(self, seed: int, *more: Any, **named: Any) -> Tensor:
        return super().noise(0, *more, **named)


@pytest.mark.parametrize(
    ("law", "says"),
    [
        (Shifted, "sum to"),
        (Unlike, "do not follow"),
        (Still, "noise"),
        (Alike, "noise"),
        (Seedless, "noise"),
    ],
)
def test_a_users_law_with_a_fault_is_caught(law: type[Mine], says: str) -> None:
    with pytest.raises(InexactError, match=says):
        verified(law(4))


def test_rejection_from_a_law_whose_rest_is_another_is_caught() -> None:
    """The rest is drawn by softmax, which is not this law."""
    with pytest.raises(InexactError, match=r"rejection sampling|draws"):
        verified(Mine(4), "sample", "rejection")


def test_a_finite_law_without_a_number_of_levels_is_refused() -> None:
    law = Mine(4)
    del law.levels
    with pytest.raises(InexactError, match="levels"):
        agrees_with_itself(law, torch.zeros(1, 3, 4), 0)


def test_too_many_levels_are_not_summed() -> None:
    law = DiscretizedLogisticMixture(2**22, 1)
    assert agrees_with_itself(law, torch.zeros(1, 3, 3), 0) == {"law_sum": None, "law_draws": None}
