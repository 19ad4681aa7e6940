"""Fused operators against their unfused twins, at several lengths."""

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from arbench.meters.count import count

LENGTHS = [1, 3, 8, 16]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_fused_lstm_counts_as_the_twin_that_float64_runs(length, layers, bidirectional):
    lstm = torch.nn.LSTM(3, 4, layers, bidirectional=bidirectional)
    x = torch.randn(length, 2, 3)
    fused = count(lambda: lstm(x))
    lstm, x = lstm.double(), x.double()
    twin = count(lambda: lstm(x))
    assert fused.ops < twin.ops
    assert (fused.depth, fused.flops) == (twin.depth, twin.flops)


def test_the_lstm_grows_with_its_length():
    lstm = torch.nn.LSTM(3, 4)
    depths = [count(lambda n=n: lstm(torch.ones(n, 1, 3))).depth for n in LENGTHS]
    assert depths == [7 * n + 1 for n in LENGTHS]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    "mask",
    [
        lambda n: {},
        lambda n: {"is_causal": True},
        lambda n: {"attn_mask": torch.ones(n, n, dtype=torch.bool)},
        lambda n: {"attn_mask": torch.zeros(n, n)},
    ],
)
def test_fused_attention_counts_as_the_unfused(length, mask):
    q, k, v = (torch.randn(2, 2, length, 4) for _ in range(3))
    masks = mask(length)

    def attend():
        return F.scaled_dot_product_attention(q, k, v, **masks)

    fused = count(attend)
    with sdpa_kernel(SDPBackend.MATH):
        twin = count(attend)
    assert fused.ops < twin.ops
    assert (fused.depth, fused.flops) == (twin.depth, twin.flops)


def test_the_fast_path_of_the_encoder_layer_is_unfolded():
    layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    x = torch.randn(3, 5, 4)
    counts = count(lambda: layer(x))
    assert counts.depth is not None
    assert counts.depth > 10
    assert counts.flops == 2 * 15 * 4 * (12 + 4 + 8 + 8) + 2 * 2 * (3 * 2) * 5 * 5 * 2
    assert torch.backends.mha.get_fastpath_enabled()
