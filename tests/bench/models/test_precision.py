"""A row is computed in the dtype that it names."""

from __future__ import annotations

import pytest
import torch

from arbench.bench.models.precision import Precision


def halves() -> bool:
    """Return whether PyTorch's LSTM has bfloat16 on this processor."""
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            torch.nn.LSTM(4, 4, batch_first=True)(torch.zeros(1, 2, 4))
    except RuntimeError:
        return False
    return True


LSTM = pytest.mark.skipif(not halves(), reason="PyTorch's LSTM has no bfloat16 on this processor")
EACH = pytest.mark.parametrize(
    ("spec", "dtype"),
    [
        ("wavenet:tiny", "float16"),
        ("wavenet:tiny", "bfloat16"),
        pytest.param("lstm:tiny", "bfloat16", marks=LSTM),
        ("transformer:tiny", "bfloat16"),
    ],
)
"""PyTorch's recurrent layers have no float16 on a CPU."""
AUTOCAST = """
import torch
from arbench.models import resolve

class Mine(resolve("{spec}").cls):
    def forward(self, f, code):
        with torch.autocast("cpu", torch.{dtype}):
            return super().forward(f, code).float()

    def extend(self, state, f, g0, g1):
        with torch.autocast("cpu", torch.{dtype}):
            params, state = super().extend(state, f, g0, g1)
        return params.float(), state
"""


def autocast(model_file, spec: str, dtype: str) -> str:
    return model_file(AUTOCAST.format(spec=spec, dtype=dtype), f"{spec.partition(':')[0]}.py")


@EACH
def test_half_precision_in_a_float32_row_is_seen(measure, model_file, spec, dtype):
    results = measure(autocast(model_file, spec, dtype), n=[16], methods=["parallel", "cached", "sequential"])
    for row in results.cases.values():
        assert row.status == "inexact"
        assert row.error.endswith(f" returns {dtype}, in a row named float32")


@EACH
def test_half_precision_that_no_operation_shows_is_seen_in_the_numbers(measure, model_file, spec, dtype, monkeypatch):
    monkeypatch.setattr(Precision, "check", lambda self: None)
    results = measure(autocast(model_file, spec, dtype), n=[16], methods=["parallel"])
    for row in results.cases.values():
        assert row.status == "inexact"
        assert row.error.startswith("parameters differ from float64's by ")
