"""The state of a run: what it keeps of a model beside the weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from arbench.train import state


class Mixed(nn.Module):
    """A model with weights, running statistics and one mask that two names share."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4)
        self.register_buffer("mask", torch.ones(4))
        self.register_buffer("same", self.mask)
        self.register_buffer("made", torch.zeros(2), persistent=False)


def parts(seed: int):
    torch.manual_seed(seed)
    model = Mixed()
    average = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    return model, average, torch.optim.AdamW(model.parameters())


def test_running_statistics_go_on_where_they_stopped(tmp_path):
    model, average, adam = parts(0)
    model.norm(model.layer(torch.randn(5, 3))).sum().backward()
    adam.step()
    at = state.At(1, 0.5, 1, 0, 2.0, {"recipe": {}})
    state.write(tmp_path / "state.safetensors", model, average, adam, at)
    other, averaged, moments = parts(1)
    assert not torch.equal(model.norm.running_mean, other.norm.running_mean)
    found = state.read(tmp_path / "state.safetensors", other, averaged, moments, state.At(0, None, 0, 0, 0.0, at.facts))
    assert found == at
    assert int(other.norm.num_batches_tracked) == 1
    for (name, one), twin in zip(model.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(one, twin), name


def test_statistics_of_another_shape_are_those_of_another_run(tmp_path):
    model, average, adam = parts(0)
    at = state.At(1, 0.5, 1, 0, 2.0, {})
    state.write(tmp_path / "state.safetensors", model, average, adam, at)
    other, averaged, moments = parts(1)
    other.mask = torch.ones(5)
    with pytest.raises(state.StateFileError, match=r"the run has 'mask' of shape \(4,\), not \(5,\)"):
        state.read(tmp_path / "state.safetensors", other, averaged, moments, at)
