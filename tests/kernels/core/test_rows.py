"""Axes merge as far as strides allow, and row offsets lead to the rows."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl

from arbench.kernels.core.launch import launch
from arbench.kernels.core.rows import Rows, row_offset, rows_of


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (torch.empty(()), Rows(1, (1, 1), ((0, 0, 0),))),
        (torch.empty(5), Rows(5, (1, 1), ((1, 0, 0),))),
        (torch.empty(2, 3, 4), Rows(24, (1, 1), ((1, 0, 0),))),
        (torch.empty(2, 1, 4)[:, :, ::2], Rows(4, (1, 1), ((2, 0, 0),))),
        (torch.empty(2, 6, 4)[:, ::2], Rows(24, (4, 1), ((8, 1, 0),))),
        (torch.empty(2, 6, 4)[:, :5, :3], Rows(30, (5, 3), ((24, 4, 1),))),
        (torch.empty(4, 6).T, Rows(24, (4, 1), ((1, 6, 0),))),
        (torch.empty(0, 3), Rows(0, (1, 1), ((1, 0, 0),))),
        (torch.empty(0, 8, 8, 8)[:, ::2, ::2, ::2].permute(3, 0, 2, 1), Rows(0, (1, 1), ((0, 0, 0),))),
        (torch.empty(1, 3).expand(2, 3), Rows(6, (3, 1), ((0, 1, 0),))),
    ],
)
def test_merging(x: torch.Tensor, expected: Rows) -> None:
    found = rows_of("f", x)
    assert found == expected
    n1, n2 = found.inner
    (s0, s1, s2) = found.strides[0]
    offsets = [(r // (n1 * n2)) * s0 + r // n2 % n1 * s1 + r % n2 * s2 for r in range(found.count)]
    actual = torch.arange(x.untyped_storage().nbytes() // 4).as_strided(x.shape, x.stride()).flatten().tolist()
    assert offsets == actual


def test_axes_merge_only_where_every_tensor_allows() -> None:
    a, b = torch.empty(4, 6), torch.empty(6, 4).T
    assert rows_of("f", a, b) == Rows(24, (6, 1), ((6, 1, 0), (1, 4, 0)))


def test_too_many_axes() -> None:
    x = torch.empty(2, 4, 4, 4, 4)[:, :3, :3, :3, :3]
    with pytest.raises(ValueError, match=r"^f: 5 leading axes of shape \(2, 3, 3, 3, 3\) do not merge into 3; "):
        rows_of("f", x)


@triton.jit
def place_of_row(out, row, n1, n2):
    tl.store(out, row_offset(row.to(tl.int64), n1, n2, 5, 3, 1))


def test_sizes_whose_product_32_bits_do_not_hold() -> None:
    out = torch.zeros(1, dtype=torch.int64, device="cuda" if torch.cuda.is_available() else "cpu")
    launch(place_of_row, (1,), out, 2**33 + 2**17 + 9, 2**16, 2**16)
    assert out.item() == 2 * 5 + 2 * 3 + 9
