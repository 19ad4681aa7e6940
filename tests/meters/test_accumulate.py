"""Operators that add to what they write chain, however they name their positions; those that only place do not."""

import pytest
import torch
import torch.nn.functional as F

from arbench.meters.count import count
from arbench.meters.operators import Use, bind, traits_of

N = 64
aten = torch.ops.aten
X, PAIR, AT, V, M = torch.ones(4), torch.ones(4), torch.tensor([1]), torch.ones(1), torch.tensor([True, False] * 2)
GRID = torch.ones(4, 4)

CHAINS = {
    "index_put_": lambda: X.index_put_((AT,), V, accumulate=True),
    "index_put_ by position": lambda: X.index_put_((AT,), V, True),
    "index_put_ with a mask": lambda: X.index_put_((M,), V, accumulate=True),
    "_index_put_impl_": lambda: aten._index_put_impl_(X, [AT], V, True),
    "index_put.out": lambda: aten.index_put.out(X, [AT], V, True, out=X),
    "put_": lambda: X.put_(AT, V, accumulate=True),
    "put.out": lambda: aten.put.out(X, AT, V, True, out=X),
    "index_add_": lambda: X.index_add_(0, AT, V),
    "index_add with out": lambda: torch.index_add(X, 0, AT, V, out=X),
    "index_reduce_": lambda: X.index_reduce_(0, AT, V, "prod"),
    "index_reduce_ without itself": lambda: X.index_reduce_(0, AT, V, "mean", include_self=False),
    "scatter_add_": lambda: X.scatter_add_(0, AT, V),
    "scatter_add with out": lambda: torch.scatter_add(X, 0, AT, V, out=X),
    "scatter_reduce_": lambda: X.scatter_reduce_(0, AT, V, "sum"),
    "scatter_reduce_ without itself": lambda: X.scatter_reduce_(0, AT, V, "amax", include_self=False),
    "scatter_ that adds": lambda: X.scatter_(0, AT, V, reduce="add"),
    "scatter_ that multiplies": lambda: X.scatter_(0, AT, 2.0, reduce="multiply"),
    "masked_scatter_": lambda: X.masked_scatter_(M, PAIR),
    "masked_fill_": lambda: X.masked_fill_(M, 1.0),
    "addcmul with out": lambda: torch.addcmul(X, PAIR, PAIR, out=X),
    "lerp_": lambda: X.lerp_(PAIR, 0.5),
    "addmm_": lambda: GRID.addmm_(GRID.clone().zero_(), GRID.clone().zero_()),
    "_foreach_add_": lambda: torch._foreach_add_([X], 1.0),
}
PLACED = {
    "index_put_": lambda: X.index_put_((AT,), V),
    "put_": lambda: X.put_(AT, V),
    "index_copy_": lambda: X.index_copy_(0, AT, V),
    "index_fill_": lambda: X.index_fill_(0, AT, 1.0),
    "scatter_": lambda: X.scatter_(0, AT, V),
}


@pytest.mark.filterwarnings("ignore:index_reduce", "ignore:The reduce argument")
@pytest.mark.parametrize("link", CHAINS.values(), ids=CHAINS)
def test_a_chain_of_64_links_has_depth_64(link):
    one = count(link).depth
    assert count(lambda: [link() for _ in range(N)]).depth == N + one - 1  # what is computed beside it does not chain


@pytest.mark.parametrize("link", PLACED.values(), ids=PLACED)
def test_writes_that_only_place_do_not_chain(link):
    assert count(lambda: [link() for _ in range(N)]).depth == 1


def operators():
    """Return PyTorch's operators that write an argument in place, each with its name."""
    schemas = [schema for schema in torch._C._jit_get_all_schemas() if schema.name.startswith("aten::")]
    for name in sorted({schema.name[6:] for schema in schemas if any(map(is_written, schema.arguments))}):
        packet = getattr(aten, name)
        for op in (getattr(packet, overload) for overload in packet.overloads()):
            if torch._C._dispatch_has_kernel(op.name()):
                yield name, op


def is_written(argument):
    return argument.alias_info is not None and argument.alias_info.is_write and not argument.is_out


def test_every_operator_that_may_accumulate_reads_its_destination_when_it_does():
    """The schema says which: an argument named ``accumulate`` beside one that is written."""
    seen = set()
    for name, op in operators():
        arguments = {argument.name: argument for argument in op._schema.arguments}
        if "accumulate" not in arguments or not is_written(arguments["self"]):
            continue
        seen.add(name)
        given = {"self": X, "indices": [AT], "index": AT, "source": V, "values": V}
        for accumulate, expected in ((True, Use.ACCUMULATED), (False, Use.PLACED)):
            uses = bind(traits_of(op), (), given | {"accumulate": accumulate})
            assert [use for use, tensor in uses if tensor is X] == [expected], op
    assert seen == {"index_put_", "_index_put_impl_", "put_"}


def test_every_other_operator_that_writes_in_place_is_taken_to_read():
    """Only named operators overwrite or place; a list of exceptions that grew by accident shows here."""
    exceptions = set()
    for name, op in operators():
        written = {argument.name for argument in op._schema.arguments if is_written(argument)}
        exceptions |= {name for operand in traits_of(op).operands if operand.name in written and not operand.use.reads}
    fills = {"zero_", "fill_", "copy_", "_foreach_zero_", "_foreach_copy_"}
    random = {"uniform_", "normal_", "random_", "exponential_", "geometric_", "log_normal_", "cauchy_", "bernoulli_"}
    places = {"index_put_", "_index_put_impl_", "index_copy_", "index_fill_", "scatter_", "put_"}
    assert exceptions == fills | random | places


def test_bytes_of_an_accumulating_write_are_read_and_written():
    table, index = torch.zeros(100, 8), torch.tensor([3, 5])
    rows = torch.ones(2, 8)
    placed = count(lambda: table.index_put_((index,), rows)).bytes
    assert count(lambda: table.index_put_((index,), rows, accumulate=True)).bytes == placed + rows.nbytes


def test_running_statistics_chain_while_they_are_trained():
    """``native_batch_norm`` updates them, though its schema does not say so."""
    x, mean, var = torch.randn(5, 3), torch.zeros(3), torch.ones(3)

    def normalise(training):
        for _ in range(N):
            F.batch_norm(x, mean, var, training=training)
        return mean + 1

    assert count(lambda: normalise(True)).depth == N + 1
    assert count(lambda: normalise(False)).depth == 1


def test_a_custom_operator_reads_what_it_writes():
    library = torch.library.Library("arbench_test_accumulate", "DEF")
    library.define("shift(Tensor x, *, Tensor(a!) out) -> ()")
    uses = [operand.use for operand in traits_of(torch.ops.arbench_test_accumulate.shift.default).operands]
    assert uses == [Use.READ, Use.UPDATED]
