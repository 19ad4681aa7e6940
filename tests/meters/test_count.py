"""Counts of known programs, and of random programs against an oracle with a depth per element."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._higher_order_ops.associative_scan import associative_scan

from arbench.meters.count import CountBudgetExceeded, Counts, count
from arbench.meters.opaque import register_opaque

W1, W2 = torch.randn(8, 8), torch.randn(8, 8)
SIZES = [1, 4, 16, 64]


def depth(call):
    counts = count(call)
    assert counts.why_unknown is None
    return counts.depth


def net(x):
    return torch.relu(x @ W1) @ W2


@pytest.mark.parametrize("n", SIZES)
def test_feed_forward_depth_is_constant(n):
    x = torch.randn(n, 8)
    assert depth(lambda: net(x).log_softmax(-1)) == 4


@pytest.mark.parametrize("n", SIZES)
def test_fed_back_depth_is_linear(n):
    def sample():
        x = torch.zeros(1, 8)
        for _ in range(n):
            x = net(x)
        return x.log_softmax(-1)

    assert depth(sample) == 3 * n + 1


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    "read",
    [
        lambda t: t.item(),
        lambda t: int(t),
        lambda t: t.tolist(),
        lambda t: int(t.numpy()),
        lambda t: int(np.asarray(t)),
        lambda t: int(np.from_dlpack(t)),
    ],
)
def test_an_index_read_back_to_the_host_raises_a_floor(n, read):
    table = torch.eye(8)

    def sample():
        index = 0
        for _ in range(n):
            index = read(net(table[index : index + 1]).argmax())
        return table[index].log_softmax(-1)

    assert depth(sample) == 4 * n + 1


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("shared", [False, True])
def test_teacher_forced_attention_over_a_cache_is_constant(n, shared):
    layers, width = 3, 8
    x = torch.randn(n, width)

    def score():
        if shared:
            keys = torch.zeros(n, layers, width)
            caches = [keys[:, layer] for layer in range(layers)]
        else:
            caches = [torch.zeros(n, width) for _ in range(layers)]
        for t in range(n):
            h = x[t]
            for cache in caches:
                cache[t] = W1 @ h
                past = cache[: t + 1]
                h = h + (past @ h).softmax(0) @ past
        return h

    assert depth(score) == layers * 6


@pytest.mark.parametrize("n", [8, 16, 64])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_a_ring_buffer_is_as_deep_as_its_slots(n, dim):
    slots, dilation = 4, 3
    x = torch.randn(n, 8)

    def score():
        ring = torch.zeros(*(slots if d == dim else 8 if d == (dim + 1) % 3 else 1 for d in range(3)))
        for t in range(n):
            past = ring.select(dim, (t - dilation) % slots).flatten()
            slot = ring.select(dim, t % slots)
            slot.copy_((x[t] * 2).view(slot.shape))
            past + x[t]

    assert depth(score) == 3


@pytest.mark.parametrize("n", SIZES)
def test_writes_by_a_tensor_of_positions_do_not_chain(n):
    x, cache = torch.randn(n, 8), torch.zeros(n, 8)
    position = [torch.tensor([t]) for t in range(n)]

    def score():
        for t in range(n):
            cache.index_copy_(0, position[t], x[t : t + 1] * 2)
            cache[position[t]] = x[t : t + 1] * 3

    assert depth(score) == 2


def test_overwriting_forgets_and_updating_does_not():
    x, y = torch.zeros(4), torch.ones(4)
    assert depth(lambda: [x.add_(1) for _ in range(5)]) == 5

    def overwrite():
        for _ in range(5):
            x.add_(1)
            x.copy_(y)

    assert depth(overwrite) == 2

    def out():
        for _ in range(5):
            torch.add(y, y, out=x)
        torch.add(x, y, out=x)

    assert depth(out) == 2

    def half():
        x.add_(1)
        x[:2].zero_()
        x[:2] + 1
        x[1:3] + 1

    assert depth(half) == 2


def test_constants_are_no_links_and_random_numbers_are_one():
    x = torch.zeros(3)
    assert depth(lambda: (torch.zeros(3), torch.full((3,), 2.0), torch.arange(3))) == 0
    assert depth(lambda: torch.ones_like(x + 1)) == 1
    assert depth(lambda: x.fill_(2.0) + 1) == 1
    assert depth(lambda: x.__setitem__(0, 2.0)) == 0
    assert depth(lambda: torch.empty(3)) == 0
    assert depth(lambda: torch.rand(3)) == 1
    assert depth(lambda: (x + 1).normal_()) == 1
    assert depth(lambda: torch.bernoulli(torch.rand(3))) == 2


def test_views_add_nothing_and_count_nothing():
    x = torch.randn(4, 6)
    counts = count(
        lambda: (
            x.t(),
            x[1:, ::2],
            x.view(-1),
            x.unsafe_split(2),
            x.chunk(2),
            x.expand(3, 4, 6),
            x.reshape(6, 4),
            x.detach(),
            x.unfold(0, 2, 1),
            x.contiguous(),
            x.split([1, 3]),
        )
    )
    assert counts == Counts(0, 0, 0, 0, None)


def test_writing_through_one_chunk_leaves_the_others():
    gates = torch.randn(4, 8)

    def cell():
        i, f, g, o = (gates + 1).chunk(4, 0)
        for _ in range(3):
            i.sigmoid_()
        return f + 1, g + 1, o + 1

    assert depth(cell) == 4
    assert depth(lambda: [t.sigmoid_() for t in (gates + 1).unsafe_chunk(4, 1)]) == 2


@pytest.mark.parametrize(
    "shape",
    [
        lambda x: x[x > 0],
        lambda x: x.masked_select(x > 0),
        lambda x: (x > 0).nonzero(),
        lambda x: torch.where(x > 0),
        lambda x: x.gt(0).unique(),
        lambda x: torch.equal(x > 0, x.bool()),
        lambda x: x.__setitem__(x > 0, torch.ones(int(x.numel()))),
    ],
)
def test_shapes_that_depend_on_values_reach_the_host(shape):
    x, other = torch.ones(4), torch.ones(4)

    def call():
        shape(x)
        return other + 1

    assert depth(call) == 3


def test_indexing_by_positions_does_not_reach_the_host():
    x, other, index = torch.ones(4), torch.ones(4), torch.tensor([0, 2])

    def call():
        (x + 1)[index] * 2
        return other + 1

    assert depth(call) == 3
    assert depth(lambda: (x[index + 1], other + 1)) == 2
    assert depth(lambda: (x.__setitem__(x > 5, 1.0), other + 1)) == 2


@pytest.mark.parametrize("n", [1, 2, 3, 8, 100])
@pytest.mark.parametrize(
    "scan",
    [
        lambda x: x.cumsum(1),
        lambda x: x.cumprod(-1),
        lambda x: x.logcumsumexp(1),
        lambda x: x.cummax(dim=1),
        lambda x: torch.cumsum(x, 1, out=torch.empty_like(x)),
        lambda x: x.cumsum_(1),
    ],
)
def test_prefix_scans_count_the_logarithm(n, scan):
    x = torch.rand(3, n)
    assert depth(lambda: scan(x)) == max(1, math.ceil(math.log2(n)))


def test_an_associative_scan_out_of_operations_grows_with_the_logarithm():
    depths = []
    for n in (16, 32, 64, 128):
        x = torch.rand(n)
        depths.append(depth(lambda x=x: associative_scan(torch.add, x, 0, combine_mode="generic")))
    steps = np.diff(depths)
    assert steps[0] > 0
    assert (steps == steps[0]).all()


def test_freed_memory_that_is_allocated_again_has_depth_zero():
    x = torch.zeros(1000)
    deep = torch.ones(1000)

    def call():
        for _ in range(50):
            y = deep + 1
            y = y * 2
            del y
            z = torch.empty(1000)
            z[:5].add_(x[:5])
            del z

    assert depth(call) == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_change_counts(threads):
    x = torch.randn(64, 8)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        counts = count(lambda: net(x).log_softmax(-1))
    finally:
        torch.set_num_threads(before)
    assert counts == Counts(depth=4, ops=4, flops=2 * 2 * 64 * 8 * 8, bytes=4 * (8 * 64 * 8 + 2 * 64), why_unknown=None)


def test_inference_mode_counts_alike():
    x, weight, bias = torch.randn(4, 8), torch.randn(8, 8), torch.randn(8)

    def linear():
        return F.linear(x, weight, bias).relu()

    def inferred():
        with torch.inference_mode():
            return linear()

    assert count(inferred) == count(linear)
    assert count(linear).depth == 2


def test_memory_written_through_numpy_makes_depth_unknown():
    x = torch.zeros(4)

    def call():
        y = x + 1
        y.numpy()[0] = 5
        return y * 2

    assert count(call).depth is None
    assert "NumPy" in count(call).why_unknown
    assert depth(lambda: (x + 1).numpy().sum()) == 1


def test_sparse_tensors_make_depth_unknown():
    x = torch.eye(3)
    counts = count(lambda: torch.sparse.mm(x.to_sparse(), x) + 1)
    assert counts.depth is None
    assert "sparse" in counts.why_unknown
    with pytest.raises(TypeError, match="strided"):
        count(lambda: None, [x.to_sparse()])
    with pytest.raises(TypeError, match="float"):
        count(lambda: None, [1.0])


def test_custom_operators_need_a_formula():
    @torch.library.custom_op("arbench_test::thrice", mutates_args=())
    def thrice(x: torch.Tensor) -> torch.Tensor:
        return ((x + 1) * 2).exp()

    x = torch.ones(5)
    unknown = count(lambda: thrice(x) + 1)
    assert unknown.depth is None
    assert "arbench_test::thrice" in unknown.why_unknown
    register_opaque(
        torch.ops.arbench_test.thrice.default,
        depth=lambda x: 3,
        flops=lambda x: 7 * x.numel(),
        ops=lambda x: 3,
    )
    assert count(lambda: thrice(x + 1) + 1) == Counts(5, 5, 35, 120, None)


def test_a_spent_budget_stops_the_count_and_leaves_nothing_behind():
    x = torch.zeros(3)
    methods = dict(vars(torch.Tensor))

    def forever():
        while True:
            x + 1

    with pytest.raises(CountBudgetExceeded, match=r"0\.05 s"):
        count(forever, budget_s=0.05)
    assert dict(vars(torch.Tensor)) == methods
    assert count(lambda: x + 1, [x], budget_s=60).depth == 1


def test_an_error_in_the_call_is_raised():
    with pytest.raises(ZeroDivisionError):
        count(lambda: 1 // 0)


@st.composite
def squares(draw):
    """Return a view of two rows and two columns of a (4, 4) tensor, adjacent or apart, maybe transposed."""
    (i, di), (j, dj) = draw(st.tuples(*[st.sampled_from([(0, 1), (0, 2), (1, 1), (1, 2), (2, 1)])] * 2))
    turned = draw(st.booleans())
    return lambda t: (t.t() if turned else t)[i : i + 2 * di : di, j : j + 2 * dj : dj]


STEPS = st.tuples(
    st.sampled_from(["add_", "copy_", "zero_", "put", "read", "renew", "clone"]),
    st.sampled_from([(a, b) for a in range(3) for b in range(3) if a != b]),
    squares(),
    squares(),
)


def expected_depth(program):
    """Return the depth of the same program, kept for each element in plain Python."""
    elements = torch.arange(16).view(4, 4)
    model, floor, deepest = [[0] * 16 for _ in range(3)], 0, 0
    for kind, (target, source), to, of in program:
        at = to(elements).flatten().tolist()
        below = max(floor, *(model[source][e] for e in of(elements).flatten().tolist()))
        own = max(model[target][e] for e in at)
        if kind in ("renew", "clone"):
            new = floor if kind == "renew" else max(floor, *model[source]) + 1
            model[target] = [new] * 16
        elif kind == "read":
            new = floor = below
        else:
            new = {"add_": max(below, own), "copy_": below, "zero_": floor - 1, "put": below}[kind] + 1
            for e in at:
                model[target][e] = max(new, model[target][e]) if kind == "put" else new
        deepest = max(deepest, new)
    return deepest


@settings(max_examples=200, deadline=None)
@given(program=st.lists(STEPS, min_size=1, max_size=15))
def test_random_programs_agree_with_a_depth_per_element(program):
    buffers, rows = [torch.zeros(4, 4) for _ in range(3)], torch.tensor([0, 1])

    def run():
        for kind, (target, source), to, of in program:
            written, read = to(buffers[target]), of(buffers[source])
            match kind:
                case "add_":
                    written.add_(read)
                case "copy_":
                    written.copy_(read)
                case "zero_":
                    written.zero_()
                case "put":
                    written.index_copy_(0, rows, read)
                case "read":
                    read.tolist()
                case "renew":
                    buffers[target] = torch.zeros(4, 4)
                case "clone":
                    buffers[target] = buffers[source].clone()

    assert depth(run) == expected_depth(program)


def scanned(x: torch.Tensor) -> torch.Tensor:
    """Double, sum up, square; beside the chain, a longer row of operations that do not wait for each other."""
    for _ in range(9):
        x * 3
    return (x * 2).cumsum(0).square()


@pytest.mark.parametrize(("n", "scan"), [(4, 2), (5, 3), (64, 6)])
def test_the_links_of_the_deepest_chain_add_up_to_its_depth(n: int, scan: int) -> None:
    found = count(lambda: scanned(torch.ones(n)))
    assert dict(found.links) == {"aten::cumsum": scan, "aten::mul": 1, "aten::pow": 1}
    assert sum(found.links.values()) == found.depth


def test_a_chain_through_a_buffer_and_the_host_is_followed() -> None:
    def call() -> None:
        buffer = torch.zeros(4)
        for i in range(3):
            buffer[i + 1] = buffer[i].exp() + 1
        float(buffer[3].sin())
        torch.ones(2).cos()

    found = count(call)
    assert sum(found.links.values()) == found.depth
    assert found.links["aten::exp"] == found.links["aten::add"] == found.links["aten::copy_"] == 3
    assert found.links["aten::sin"] == found.links["aten::cos"] == 1


def test_a_number_that_is_written_is_not_taken_for_freed_memory_that_changed():
    """A number may get the identity of a tensor that was freed before it."""
    table = torch.randn(17, 16, generator=torch.Generator().manual_seed(0))

    def call(noise):
        x, before = torch.zeros(len(noise), dtype=torch.long), 0
        for i, z in enumerate(noise):
            x[i] = k = int((table[before] + z).argmax())
            before = k + 1
        return x

    for n in range(4, 64):
        assert count(lambda n=n: call(torch.zeros(n, 16))).depth == 2 * n, n


ROWS = torch.arange(12.0).view(4, 3)


@pytest.mark.parametrize(
    ("call", "known"),
    [
        (lambda: torch.tensor([sum(ROWS[i, j].item() for j in range(3)) for i in range(4)]), False),
        (lambda: torch.tensor([int(ROWS[i, 0].numpy()) for i in range(4)]), False),
        (lambda: torch.tensor([int(k) for k in ROWS.argmax(1)]), False),
        (lambda: torch.zeros(2).index_fill_(0, torch.tensor([0]), float(ROWS[0, 0])), False),
        (lambda: torch.tensor(ROWS.long().tolist()[0][0]), False),
        (lambda: ROWS[int(ROWS[0].argmax())] + 1, True),
        (lambda: ROWS + 1 if bool((ROWS > 0).any()) else ROWS, True),
    ],
    ids=["items", "numpy", "integers", "written", "list", "one index", "one truth"],
)
def test_python_that_computes_with_numbers_one_by_one_is_unknown_from_outside(call, known):
    assert (count(call, outside=True).depth is not None) == known
