"""Reads by the host that bypass the dispatcher are reported, and shared memory is watched."""

import numpy as np
import pytest
import torch

from arbench.meters.host import reported


@pytest.mark.parametrize(
    "read",
    [
        lambda t: t.tolist(),
        lambda t: t.numpy(),
        lambda t: np.asarray(t),
        lambda t: np.from_dlpack(t),
        lambda t: repr(t),
    ],
)
def test_reads_are_reported_and_return_the_same_values(read):
    tensor, seen = torch.arange(3), []
    with reported(seen.append):
        result = read(tensor)
    assert any(each is tensor for each in seen)
    assert str(result) == str(read(tensor))


def test_methods_are_put_back_even_after_an_error():
    before = {name: getattr(torch.Tensor, name) for name in ("tolist", "numpy", "__dlpack__")}
    own = {name for name in before if name in vars(torch.Tensor)}
    with pytest.raises(ZeroDivisionError), reported(lambda _: None):
        raise ZeroDivisionError
    assert {name: getattr(torch.Tensor, name) for name in before} == before
    assert {name for name in before if name in vars(torch.Tensor)} == own


def test_parameters_are_reported_too():
    seen = []
    with reported(seen.append):
        torch.nn.Parameter(torch.ones(2)).tolist()
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("write", "written"),
    [
        (lambda tensor, array: None, False),
        (lambda tensor, array: array.fill(7), True),
        (lambda tensor, array: tensor.fill_(7), False),
    ],
)
def test_writes_through_shared_memory_are_noticed(write, written):
    tensor = torch.zeros(3)
    with reported(lambda _: None) as shared:
        write(tensor, tensor.numpy())
    assert shared.written() is written
