"""Bytes of a model's state: those of its own tensors, once each, without weights and conditioning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from arbench.bench.models.verify.held import held
from arbench.distributions import Categorical
from arbench.models import Source


@dataclass
class Foreign:
    """A cache as other packages have them: an object that holds objects."""

    layers: list[Any]


class Keeping(Source):
    """A model whose state is a row of four float32 numbers for each element that was read."""

    grows = True

    def __init__(self) -> None:
        super().__init__()
        self.distribution = Categorical(3)
        self.weight = nn.Parameter(torch.zeros(1000))

    def observe(self, n: int, rows: Any, seed: int, data: Any = None) -> Any:
        return torch.zeros(len(rows), n, dtype=torch.long), {"prompt": torch.zeros(len(rows), 50)}

    def start(self, batch: int, n: int, code: Any) -> Any:
        return code

    def extend(self, state: Any, f: Tensor, g0: int, g1: int) -> Any:
        rows = torch.zeros(len(f), g1 if self.grows else 2, 4)
        parts = {"rows": rows, "a view": rows[:, :1], "weights": self.weight, "code": state}
        return torch.zeros(len(f), g1 - g0, 3), Foreign([Foreign([parts]), type(self), self])

    def encode(self, context: Any, n: int) -> Any:
        return context["prompt"]

    def forward(self, f: Tensor, code: Any) -> Tensor:
        return torch.zeros(*f.shape, 3)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_state_that_grows_and_one_that_does_not(batch: int) -> None:
    model = Keeping()
    x, context = model.observe(5, range(batch), 0)
    assert held(model, x, context) == {"state_bytes": 5 * 16, "token_bytes": 16}
    assert held(model, x[:, :1], context) == {"state_bytes": 16}
    model.grows = False
    assert held(model, x, context) == {"state_bytes": 2 * 16, "token_bytes": 0}
