"""Verification judges laws, noise and rejection sampling by oracles of their own: each planted fault is caught."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from arbench.bench.inexact import InexactError
from arbench.bench.models.setup import ModelSetup
from arbench.bench.models.verify.method import verify_method
from arbench.bench.plan import Options, make_plan

SOFTMAX, LOGISTIC, PIXEL = "wavenet:tiny", "wavenet:tiny_logistic", "pixelcnnpp:tiny"
GAUSSIAN, MIXTURE, FLOW = "wavenet:tiny_gaussian", "wavenet:tiny_gaussian_mixture", "parallel_wavenet:tiny"
EVERY = (SOFTMAX, LOGISTIC, PIXEL, GAUSSIAN, MIXTURE, FLOW)
MIXTURES = (LOGISTIC, PIXEL, MIXTURE)
LEVELS = (SOFTMAX, LOGISTIC, PIXEL)

IN_PROBABILITIES = {
    "probability_shifted": EVERY,
    "probability_scaled": EVERY,
    "bits_for_nats": EVERY,
    "warm": EVERY,
    "another_level": EVERY,
    "wrong_density": EVERY,
    "last_component_forgotten": MIXTURES,
    "edges_forgotten": (LOGISTIC, PIXEL),
    "logits_not_normalised": (SOFTMAX,),
    "weights_not_normalised": (MIXTURE,),
    "no_log_determinant": (FLOW, GAUSSIAN),
    "wrong_log_determinant": (FLOW,),
    "scale_not_in_the_density": (FLOW, GAUSSIAN, MIXTURE),
    "half_dropped": (GAUSSIAN, MIXTURE),
    "mean_for_scale": (FLOW, GAUSSIAN, MIXTURE),
}
IN_DRAWS = {
    "dull_noise": EVERY,
    "next_level_drawn": LEVELS,
    "likeliest_component": (MIXTURE,),
    "mean_for_scale": (FLOW, GAUSSIAN, MIXTURE),
}
OF_EACH_KIND = (SOFTMAX, MIXTURE, FLOW)
IN_NOISE = {
    "noise_of_one_element": OF_EACH_KIND,
    "noise_of_one_row": OF_EACH_KIND,
    "noise_of_one_seed": OF_EACH_KIND,
    "noise_of_even_seeds": (SOFTMAX,),
    "noise_of_low_bits": (SOFTMAX,),
    "noise_from_the_row_before": OF_EACH_KIND,
    "noise_comes_back": OF_EACH_KIND,
    "noise_repeats": OF_EACH_KIND,
    "noise_mirrored": (SOFTMAX,),
    "noise_follows_by_size": (SOFTMAX,),
    "noise_of_one_value": (SOFTMAX, *MIXTURES),
    "noise_too_narrow": OF_EACH_KIND,
    "noise_without_tail": OF_EACH_KIND,
    "noise_in_steps": OF_EACH_KIND,
    "noise_by_length": OF_EACH_KIND,
}


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def verified(
    spec: str,
    op: str,
    method: str | None = None,
    plant: Callable[[], None] = lambda: None,
    size: int = 0,
    dtype: str = "float32",
    backend: str = "eager",
    **options: Any,
) -> dict[str, Any]:
    """Verify the fastest method of an operation, with a fault in place before the model runs."""
    cases = make_plan(Options(models=[spec], ops=[op], dtype=dtype, **options)).cases
    sizes = sorted({case.n for case in cases})
    quick = (method,) if method else ("own_samples", "parallel", "fixed_point")
    case = next(case for name in quick for case in cases if case.n == sizes[size] and case.method == name)
    setup = ModelSetup(spec, dtype, "cpu", 0, backend=backend)
    source = setup.build()
    twin = setup.twin(source)
    plant()
    return verify_method(setup, source, twin, case)[0]


@pytest.mark.parametrize("spec", EVERY)
def test_what_is_right_says_that_an_oracle_judged_it(spec: str) -> None:
    for op in ("score", "sample"):
        facts = verified(spec, op)
        assert facts["law"] == "oracle"
        assert facts["law_sum"] < 1e-6
        assert facts["law_difference"] < 1e-4
        assert facts["law_tried"] > 100
    assert facts["noise_tested"] > 32_000
    assert facts["law_drawn"] > 2_000


def rows(faults: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(fault, spec) for fault, specs in faults.items() for spec in specs]


BY_TURNS = [(*row, ("score", "sample")[number % 2]) for number, row in enumerate(rows(IN_PROBABILITIES))]


@pytest.mark.parametrize(("fault", "spec", "op"), BY_TURNS)
def test_wrong_probabilities_are_caught(
    fault: str, spec: str, op: str, faults: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InexactError):
        verified(spec, op, plant=lambda: getattr(faults, fault)(monkeypatch))


@pytest.mark.parametrize(("fault", "spec"), rows(IN_DRAWS))
def test_wrong_draws_are_caught(
    fault: str, spec: str, faults: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InexactError):
        verified(spec, "sample", plant=lambda: getattr(faults, fault)(monkeypatch), dtype="float64")


@pytest.mark.parametrize(("fault", "spec"), rows(IN_NOISE))
def test_noise_that_is_not_independent_is_caught(
    fault: str, spec: str, faults: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InexactError, match=r"noise"):
        verified(spec, "sample", plant=lambda: getattr(faults, fault)(monkeypatch))


@pytest.mark.parametrize("spec", [SOFTMAX, pytest.param(LOGISTIC, marks=pytest.mark.slow)])
@pytest.mark.parametrize("op", ["score", "sample"])
def test_numba_is_judged_by_what_numba_gives(
    op: str, spec: str, faults: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert verified(spec, op, backend="numba")["law"] == "oracle"
    with pytest.raises(InexactError, match="log-probabilit"):
        verified(spec, op, plant=lambda: faults.scaled_on_numba(monkeypatch), backend="numba")
    assert verified(spec, op)["law"] == "oracle"  # where Numba does not run


@pytest.mark.parametrize(
    "fault", ["probability_shifted", "last_component_forgotten", "edges_forgotten", "noise_repeats"]
)
@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
def test_faults_are_caught_in_every_dtype(
    dtype: str, fault: str, faults: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InexactError):
        verified(LOGISTIC, "sample", plant=lambda: getattr(faults, fault)(monkeypatch), dtype=dtype)


REJECTION = (
    "accepts_wrongly",
    "accepts_too_often",
    "accepts_by_the_root",
    "rest_from_the_target",
    "rest_from_the_absolute",
    "keeps_all_guesses",
)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("chance_is_the_noise", "noise"),
        ("chance_follows_from_the_noise", "two noise values of an element follow"),
        ("chance_of_another_seed", "not those of its seed"),
    ],
)
def test_uniforms_of_rejection_that_are_not_independent_are_caught(
    fault: str, said: str, faults: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InexactError, match=said):
        verified(SOFTMAX, "sample", "rejection", lambda: getattr(faults, fault)(monkeypatch))


@pytest.mark.parametrize("spec", [SOFTMAX, "transformer:tiny", "lstm:tiny"])
@pytest.mark.parametrize("fault", REJECTION)
def test_wrong_rejection_is_caught(
    fault: str, spec: str, faults: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InexactError, match=r"rejection sampling|draws"):
        verified(spec, "sample", "rejection", lambda: getattr(faults, fault)(monkeypatch))
