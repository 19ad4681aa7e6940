"""Arguments of the mixture's kernels that are refused, each with the whole line."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from arbench.kernels import (
    LOGISTIC_MIXTURE_LOG_PROB,
    LOGISTIC_MIXTURE_SAMPLE,
    Kernel,
    logistic_mixture_log_prob,
    logistic_mixture_sample,
)

BOTH = pytest.mark.parametrize(
    "kernel", [LOGISTIC_MIXTURE_LOG_PROB, LOGISTIC_MIXTURE_SAMPLE], ids=lambda kernel: kernel.name
)
GIVEN = torch.zeros(4, dtype=torch.long)
GOOD: dict[str, Any] = dict(levels=256, components=2, channels=1)


@BOTH
@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (dict(levels=1), ValueError, "levels must lie in 2 .. 16777216, not 1"),
        (dict(levels=2.5), TypeError, "levels must be an integer, not 2.5"),
        (dict(components=1.0), TypeError, "components must be an integer, not 1.0"),
        (dict(levels=2**24 + 1), ValueError, "levels must lie in 2 .. 16777216, not 16777217"),
        (dict(components=0), ValueError, "components must lie in 1 .. 1024, not 0"),
        (dict(components=1025), ValueError, "components must lie in 1 .. 1024, not 1025"),
        (dict(channels=2), ValueError, "channels must be 1 or 3, not 2"),
        (
            dict(components=3),
            ValueError,
            "the last axis of params must have 9 elements for 3 components and 1 channels; the shape is (4, 6)",
        ),
        (
            dict(channels=3),
            ValueError,
            "the last axis of params must have 20 elements for 2 components and 3 channels; the shape is (4, 6)",
        ),
        (
            dict(params=torch.zeros(())),
            ValueError,
            "the last axis of params must have 6 elements for 2 components and 1 channels; the shape is ()",
        ),
        (
            dict(params=torch.zeros(4, 6, dtype=torch.long)),
            TypeError,
            "params must be float64, float32, float16 or bfloat16, not torch.int64",
        ),
    ],
)
def test_misuse(kernel: Kernel, changed: dict[str, Any], error: type[Exception], message: str) -> None:
    second = {"x": torch.zeros(4, dtype=torch.long)}
    if kernel is LOGISTIC_MIXTURE_SAMPLE:
        second = {"noise": torch.zeros(4, 3)}
    with pytest.raises(error) as caught:
        kernel.call(**{"params": torch.zeros(4, 6), **second, **GOOD, **changed}, backend="eager")
    assert str(caught.value) == f"{kernel.name}: {message}"


@pytest.mark.parametrize(
    ("call", "second", "error", "message"),
    [
        (logistic_mixture_log_prob, {"x": torch.zeros(4)}, TypeError, "x must be int64, not torch.float32"),
        (
            logistic_mixture_log_prob,
            {"x": torch.zeros(3, dtype=torch.long)},
            ValueError,
            "x must have shape (4,) for params of shape (4, 6), not (3,)",
        ),
        (
            logistic_mixture_log_prob,
            {"x": torch.zeros(4, dtype=torch.long, device="meta")},
            ValueError,
            "x is on meta, params is on cpu; move them to one device",
        ),
        (
            logistic_mixture_log_prob,
            {"x": GIVEN, "backend": "numba", "params": torch.zeros(4, 6).half()},
            TypeError,
            "the Numba backend needs float32 or float64 params, not torch.float16",
        ),
        (
            logistic_mixture_log_prob,
            {"x": GIVEN, "backend": "numba", "params": torch.zeros(6, 4).T},
            ValueError,
            "the Numba backend needs params contiguous along the last axis, whose stride is 4",
        ),
        (
            logistic_mixture_sample,
            {"noise": torch.zeros(3, 4).T, "backend": "numba"},
            ValueError,
            "the Numba backend needs noise contiguous along the last axis, whose stride is 4",
        ),
        (
            logistic_mixture_sample,
            {"noise": torch.zeros(4, 2)},
            ValueError,
            "noise must have shape (4, 3) for params of shape (4, 6), not (4, 2)",
        ),
        (
            logistic_mixture_sample,
            {"noise": torch.zeros(4, 3).double()},
            TypeError,
            "noise is torch.float64, params is torch.float32; convert them to one dtype",
        ),
    ],
)
def test_misuse_of_levels_and_noise(call: Any, second: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        call(**{"params": torch.zeros(4, 6), **second, **GOOD})
    assert str(caught.value) == f"{call.__name__}: {message}"
