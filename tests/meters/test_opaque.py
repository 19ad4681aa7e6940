"""Registration of formulas."""

import pytest
import torch

from arbench.meters.opaque import opaque_of, register_opaque


def test_only_overloads_are_registered():
    with pytest.raises(TypeError, match=r"append '\.default'"):
        register_opaque(torch.ops.aten.lstm, depth=lambda *_: 1)


def test_the_last_registration_wins():
    @torch.library.custom_op("arbench_test::registered", mutates_args=())
    def registered(x: torch.Tensor) -> torch.Tensor:
        return x + 1

    op = torch.ops.arbench_test.registered.default
    assert opaque_of(op) is None
    for links in (3, 5):
        register_opaque(op, depth=lambda x, links=links: links)
        assert opaque_of(op).depth(None) == links
