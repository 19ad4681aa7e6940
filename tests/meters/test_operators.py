"""Traits of operators whose schemas are easy to misread."""

import pytest
import torch

from arbench.meters.operators import Kind, Use, argument, traits_of

aten = torch.ops.aten


@pytest.mark.parametrize(
    ("op", "kind"),
    [
        (aten.view.default, Kind.VIEW),
        (aten.split.Tensor, Kind.VIEW),
        (aten.unsafe_split.Tensor, Kind.VIEW),
        (aten.transpose_.default, Kind.VIEW),
        (aten.resize_.default, Kind.VIEW),
        (aten.empty.memory_format, Kind.ALLOCATION),
        (aten.new_empty_strided.default, Kind.ALLOCATION),
        (aten.zeros.default, Kind.CONSTANT),
        (aten.zero_.default, Kind.CONSTANT),
        (aten.arange.start_out, Kind.CONSTANT),
        (aten.fill_.Scalar, Kind.CONSTANT),
        (aten.fill_.Tensor, Kind.COMPUTATION),
        (aten.rand.default, Kind.COMPUTATION),
        (aten.normal_.default, Kind.COMPUTATION),
        (aten.linspace.Tensor_Tensor, Kind.COMPUTATION),
        (aten.add_.Tensor, Kind.COMPUTATION),
        (aten._local_scalar_dense.default, Kind.COMPUTATION),
    ],
)
def test_kinds(op, kind):
    assert traits_of(op).kind is kind


@pytest.mark.parametrize(
    ("op", "uses"),
    [
        (aten.add_.Tensor, [Use.UPDATED, Use.READ]),
        (aten.copy_.default, [Use.OVERWRITTEN, Use.READ]),
        (aten.mm.out, [Use.READ, Use.READ, Use.OVERWRITTEN]),
        (aten.index_put_.default, [Use.PLACED, Use.READ, Use.READ]),
        (aten.scatter_.src, [Use.PLACED, Use.READ, Use.READ]),
        (aten.scatter_.reduce, [Use.UPDATED, Use.READ, Use.READ]),
        (aten.masked_fill_.Scalar, [Use.UPDATED, Use.READ]),
        (aten.zeros_like.default, [Use.SHAPE]),
        (aten.bernoulli_.Tensor, [Use.OVERWRITTEN, Use.READ]),
        (aten.embedding.default, [Use.GATHERED, Use.READ]),
    ],
)
def test_uses(op, uses):
    assert [operand.use for operand in traits_of(op).operands] == uses


@pytest.mark.parametrize(
    "op",
    [
        aten._local_scalar_dense.default,
        aten.nonzero.default,
        aten.nonzero.out,
        aten.masked_select.default,
        aten._unique2.default,
        aten.unique_consecutive.default,
        aten.equal.default,
        aten.bincount.default,
        aten.repeat_interleave.Tensor,
    ],
)
def test_operators_that_reach_the_host(op):
    assert traits_of(op).host


def test_arguments_by_name():
    assert argument(aten.cumsum.default, "dim", ("x", 1), {}) == 1
    assert argument(aten.cumsum.default, "dim", ("x",), {"dim": 2}) == 2
    assert argument(aten.index_put_.default, "accumulate", ("x", [], "v"), {}) is False
    with pytest.raises(KeyError, match="nothing"):
        argument(aten.cumsum.default, "nothing", (), {})
