"""FLOPs against sums written out by hand and against PyTorch's own counter; bytes by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from arbench.meters.count import count

A, B = torch.randn(3, 5), torch.randn(5, 7)
BATCH_A, BATCH_B = torch.randn(2, 3, 5), torch.randn(2, 5, 7)
V, X = torch.randn(5), torch.randn(2, 6, 16)


@pytest.mark.parametrize(
    ("call", "flops"),
    [
        (lambda: A @ B, 2 * 3 * 5 * 7),
        (lambda: torch.mm(A, B, out=torch.empty(3, 7)), 2 * 3 * 5 * 7),
        (lambda: torch.ops.aten.linear.out(A, B.t(), out=torch.empty(3, 7)), 2 * 3 * 5 * 7),
        (lambda: A @ V, 2 * 3 * 5),
        (lambda: V @ V, 2 * 5),
        (lambda: torch.vdot(V, V), 2 * 5),
        (lambda: torch.addmm(torch.zeros(7), A, B), 2 * 3 * 5 * 7),
        (lambda: torch.zeros(3, 7).addmm_(A, B), 2 * 3 * 5 * 7),
        (lambda: torch.addmv(torch.zeros(3), A, V), 2 * 3 * 5),
        (lambda: torch.zeros(3).addmv_(A, V), 2 * 3 * 5),
        (lambda: BATCH_A @ BATCH_B, 2 * 2 * 3 * 5 * 7),
        (lambda: BATCH_A @ B, 2 * 2 * 3 * 5 * 7),
        (lambda: torch.baddbmm(torch.zeros(1), BATCH_A, BATCH_B), 2 * 2 * 3 * 5 * 7),
        (lambda: torch.zeros(2, 3, 7).baddbmm_(BATCH_A, BATCH_B), 2 * 2 * 3 * 5 * 7),
        (lambda: torch.addbmm(torch.zeros(3, 7), BATCH_A, BATCH_B), 2 * 2 * 3 * 5 * 7),
        (lambda: torch.einsum("bij,bjk->bik", BATCH_A, BATCH_B), 2 * 2 * 3 * 5 * 7),
        (lambda: F.linear(BATCH_A, B.t(), torch.zeros(7)), 2 * 2 * 3 * 5 * 7),
        (lambda: F.embedding(torch.tensor([1, 2]), A), 0),
        (lambda: F.conv1d(X, torch.randn(4, 6, 2)), 2 * 2 * 4 * 15 * 12),
        (lambda: F.conv1d(X, torch.randn(4, 6, 2), dilation=4, padding=4), 2 * 2 * 4 * 20 * 12),
        (lambda: F.conv1d(X, torch.randn(4, 6, 3), padding="same"), 2 * 2 * 4 * 16 * 18),
        (lambda: F.conv1d(X, torch.randn(4, 6, 3), torch.zeros(4), stride=2), 2 * 2 * 4 * 7 * 18),
        (lambda: F.conv1d(X, torch.randn(6, 1, 2), groups=6), 2 * 2 * 6 * 15 * 2),
        (lambda: F.conv_transpose1d(X, torch.randn(6, 4, 4), stride=4), 2 * 2 * 6 * 16 * 16),
        (lambda: F.conv2d(X.view(2, 6, 4, 4), torch.randn(4, 6, 3, 3), padding=2, dilation=2), 2 * 2 * 4 * 16 * 54),
    ],
)
def test_flops(call, flops):
    assert count(call).flops == flops

    def inferred():
        with torch.inference_mode():
            call()

    assert count(inferred).flops == flops


def test_flops_agree_with_pytorchs_counter():
    model = torch.nn.Sequential(
        torch.nn.Conv1d(6, 8, 2, dilation=2),
        torch.nn.ReLU(),
        torch.nn.ConvTranspose1d(8, 4, 3),
        torch.nn.Conv1d(4, 4, 3, groups=2),
        torch.nn.Flatten(),
        torch.nn.Linear(56, 5),
    )
    with torch.no_grad(), FlopCounterMode(display=False) as theirs:
        model(X)
    assert count(lambda: model(X)).flops == theirs.get_total_flops() > 0


TABLE, INDEX = torch.randn(100, 8), torch.tensor([3, 5])


@pytest.mark.parametrize(
    ("call", "size"),
    [
        (lambda: A + A, 4 * 3 * 15),
        (lambda: A.add_(1), 4 * 2 * 15),
        (lambda: A.zero_(), 4 * 15),
        (lambda: A.copy_(torch.zeros(5)), 4 * (5 + 5 + 15)),
        (lambda: torch.add(A, A, out=torch.empty(3, 5)), 4 * 3 * 15),
        (lambda: A.double(), 12 * 15),
        (lambda: A @ B, 4 * (15 + 35 + 21)),
        (lambda: F.embedding(INDEX, TABLE), 2 * 8 + 2 * 4 * 16),
        (lambda: TABLE.index_select(0, INDEX), 2 * 8 + 2 * 4 * 16),
        (lambda: TABLE[INDEX], 2 * 8 + 2 * 4 * 16),
        (lambda: TABLE[:, INDEX], 2 * 8 + 2 * 4 * 200),
        (lambda: TABLE.gather(1, INDEX.view(2, 1)), 2 * 8 + 2 * 4 * 2),
        (lambda: TABLE.index_copy_(0, INDEX, B.new_empty(2, 8)), 2 * 8 + 2 * 4 * 16),
        (lambda: TABLE.index_put_((INDEX,), V[:1]), 2 * 8 + 4 + 4 * 16),
        (lambda: TABLE.index_put_((INDEX, INDEX), V[:2]), 4 * 8 + 8 + 4 * 2),
        (lambda: TABLE.index_fill_(1, INDEX[:1], 2.0), 8 + 4 * 100),
        (lambda: TABLE.scatter_(1, INDEX.view(2, 1) % 8, 1.0), 3 * 2 * 8 + 4 * 2),
        (lambda: A.t().reshape(-1), 2 * 4 * 15),
        (lambda: A.sum().item(), 4 * 15 + 4 + 4),
    ],
)
def test_bytes(call, size):
    assert count(call).bytes == size


@pytest.mark.parametrize("p", [1.0, 2.0])
@pytest.mark.parametrize("rows", [3, 40])
def test_only_euclidean_distances_are_products(p, rows):
    x, y = torch.randn(rows, 5), torch.randn(rows, 5)
    assert (count(lambda: torch.cdist(x, y, p)).flops >= 2 * rows * rows * 5) is (p == 2)


def test_a_product_without_a_formula_has_unknown_work():
    x, w, bias = torch.randn(5, 1, 2), torch.randn(3, 2, 4), torch.randn(4)
    counts = count(lambda: torch.conv_tbc(x, w, bias))
    assert (counts.depth, counts.flops, counts.ops) == (1, None, 1)
    assert "conv_tbc" in counts.why_unknown
