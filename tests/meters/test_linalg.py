"""Dense linear algebra by the stated conventions; products that PyTorch's registry does not know."""

import math

import pytest
import torch
import torch.nn.functional as F

from arbench.meters.count import count

SIZES = [1, 4, 16, 64]
LA = torch.linalg


def spd(n, *batch):
    a = torch.rand(*batch, n, n)
    return a @ a.mT + n * torch.eye(n)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    ("call", "links", "flops"),
    [
        (lambda a, b: LA.solve_triangular(a, b, upper=True), 1, lambda n: n * n * 3),
        (lambda a, b: LA.solve_triangular(a, b, upper=True, out=torch.empty_like(b)), 1, lambda n: n * n * 3),
        (lambda a, b: LA.solve_triangular(a, b.mT, upper=True, left=False), 1, lambda n: n * n * 3),
        (lambda a, b: torch.cholesky_solve(b, a), 2, lambda n: 2 * n * n * 3),
        (lambda a, b: torch.cholesky_inverse(a), 2, lambda n: round(2 * n**3 / 3)),
    ],
)
def test_solves_of_n_rows_are_recurrences_of_n_steps(n, call, links, flops):
    a, b = spd(n), torch.randn(n, 3)
    counts = count(lambda: call(a, b))
    assert (counts.depth, counts.flops) == (links * n, flops(n))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    ("call", "links", "flops"),
    [
        (lambda a, b: LA.cholesky(a), 1, lambda n: round(n**3 / 3)),
        (lambda a, b: LA.lu_factor(a), 1, lambda n: round(2 * n**3 / 3)),
        (lambda a, b: LA.qr(a), 2, lambda n: 2 * round(4 * n**3 / 3)),
        (lambda a, b: LA.solve(a, b), 3, lambda n: round(2 * n**3 / 3) + 2 * n * n * 3),
        (lambda a, b: LA.inv(a), 3, lambda n: 2 * n**3),
    ],
)
def test_factorisations_take_a_step_for_each_column(n, call, links, flops):
    a, b = spd(n), torch.randn(n, 3)
    counts = count(lambda: call(a, b))
    assert counts.depth in (links * n, links * n + 1)  # the check for errors is an operation of its own
    assert counts.flops == flops(n)


def test_a_batch_multiplies_the_work_and_not_the_depth():
    a, b = spd(6, 5), torch.randn(6, 2)
    one, five = (
        count(lambda: LA.solve_triangular(a[0], b, upper=True)),
        count(lambda: LA.solve_triangular(a, b, upper=True)),
    )
    assert (five.depth, five.flops) == (one.depth, 5 * one.flops)


@pytest.mark.parametrize("call", [LA.eigvalsh, LA.svd, LA.matrix_exp, LA.pinv, LA.eig])
def test_what_iterates_until_it_converges_is_unknown(call):
    a = spd(5)
    counts = count(lambda: call(a))
    assert (counts.depth, counts.flops) == (None, None)
    assert "linalg" in counts.why_unknown
    assert counts.ops > 0


def test_a_bilinear_product_is_two_products():
    x, y, w = torch.randn(3, 5), torch.randn(3, 6), torch.randn(4, 5, 6)
    found = count(lambda: F.bilinear(x, y, w))
    rows = w.permute(1, 0, 2).reshape(5, 24)
    twin = count(lambda: torch.bmm((x @ rows).view(3, 4, 6), y.unsqueeze(-1)))
    assert found.flops == twin.flops == 2 * 3 * 4 * 5 * 6 + 2 * 3 * 4 * 6 >= 720
    assert found.depth == twin.depth == 2
    assert count(lambda: torch.nn.Bilinear(5, 6, 4)(x, y)).flops == found.flops


A, B = torch.randn(2, 3, 5), torch.randn(2, 5, 7)


@pytest.mark.parametrize(
    "call",
    [
        lambda a, b: a[0] @ b[0],
        lambda a, b: a @ b,
        lambda a, b: a @ b[0],
        lambda a, b: a[0, 0] @ b[0, :, 0],
        lambda a, b: torch.vdot(a[0, 0], b[0, :, 0]),
        lambda a, b: a[0] @ b[0, :, 0],
        lambda a, b: torch.addmm(a.new_zeros(7), a[0], b[0]),
        lambda a, b: torch.baddbmm(a.new_zeros(1), a, b),
        lambda a, b: torch.addmv(a.new_zeros(3), a[0], b[0, :, 0]),
        lambda a, b: torch.addr(a.new_zeros(3, 7), a[0, :, 0], b[0, 0]),
        lambda a, b: torch.einsum("bij,bjk->ik", a, b),
        lambda a, b: torch.einsum("bij,bjk,kl->il", a, b, b[0].mT),
        lambda a, b: F.linear(a, b[0].mT),
        lambda a, b: torch.tensordot(a, b, dims=([2], [1])),
        lambda a, b: LA.multi_dot([a[0], b[0], b[0].mT]),
        lambda a, b: LA.matrix_power(a[0] @ a[0].mT, 3),
        lambda a, b: LA.solve_triangular(a[0] @ a[0].mT, a[0], upper=True),
        lambda a, b: F.bilinear(a, a, b.new_ones(4, 5, 5)),
    ],
)
def test_a_complex_multiply_add_counts_eight(call):
    real = count(lambda: call(A, B))
    x, y = A.to(torch.complex64), B.to(torch.complex64)
    complex_ = count(lambda: call(x, y))
    assert complex_.flops == 4 * real.flops > 0
    assert complex_.depth == real.depth


def test_a_complex_convolution_is_three_real_ones():
    x, w = torch.randn(1, 2, 8), torch.randn(3, 2, 2)
    real = count(lambda: F.conv1d(x, w)).flops
    assert count(lambda: F.conv1d(x + 0j, w + 0j)).flops == 3 * real > 0


@pytest.mark.parametrize("n", [8, 64])
def test_fourier_transforms(n):
    x = torch.randn(3, n)
    full = 3 * round(5 * n * math.log2(n))
    assert count(lambda: torch.fft.fft(torch.complex(x, x))).flops == full
    assert count(lambda: torch.fft.rfft(x)).flops == full / 2
    y = torch.fft.rfft(x)
    assert count(lambda: torch.fft.irfft(y, n)).flops == full / 2
