"""Peaks of programs whose memory is known. A float32 tensor of 1000 elements has 4000 bytes."""

import pytest
import torch
import torch.nn.functional as F

from arbench.meters.memory import peak_bytes

K = 4000
X = torch.ones(1000)


def chain(n):
    x = X
    for _ in range(n):
        x = x + 1
    return x


def hold(n):
    return [X + i for i in range(n)]


def grow():
    out = torch.empty(0)
    torch.add(X, X, out=out)


def replaced():
    x = X + 1
    del x
    return X + 2


@pytest.mark.parametrize(
    ("call", "peak"),
    [
        (lambda: None, 0),
        (lambda: X.view(10, 100).t(), 0),
        (lambda: X.clone().view(10, 100).t()[3], K),
        (lambda: X.clone().add_(1).mul_(2), K),
        (lambda: chain(1), K),
        (lambda: chain(50), 2 * K),
        (lambda: hold(50), 50 * K),
        (replaced, K),
        (grow, K),
        (lambda: torch.zeros(1000, 1000), 1000 * K),
        (lambda: torch.zeros(1000).expand(50, 1000), K),
        (lambda: torch.zeros(1000).expand(50, 1000).contiguous(), 51 * K),
        (lambda: torch.tensor([0.0] * 1000), K),
        (lambda: X.double(), 2 * K),
        (lambda: X.clone().split(100), K),
        (lambda: X.clone().unsafe_split(100), K),
        (lambda: torch.empty(2000, 0), 0),
    ],
)
def test_peak_bytes(call, peak):
    assert peak_bytes(call, "cpu") == peak


def test_inputs_written_in_place_are_not_counted():
    x, cache = torch.ones(1000), torch.zeros(4, 1000)

    def call():
        for i in range(4):
            cache[i] = x * 2
        x.add_(1)

    assert peak_bytes(call, "cpu") == K


def test_no_graph_is_kept_and_inference_mode_counts_alike():
    weight = torch.nn.Parameter(torch.ones(1000, 1000))

    def network():
        x = X.view(1, 1000)
        for _ in range(20):
            x = F.linear(x, weight).relu()
        return x

    def inferred():
        with torch.inference_mode():
            return network()

    assert peak_bytes(network, "cpu") == peak_bytes(inferred, "cpu") == 3 * K  # input, product, result


def test_other_devices_are_refused():
    with pytest.raises(ValueError, match="'cpu' or 'cuda'"):
        peak_bytes(lambda: None, "meta")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_the_peak_on_a_gpu_comes_from_its_allocator():
    x = torch.ones(1 << 20, device="cuda")
    assert peak_bytes(lambda: x + 1 + 1, "cuda") == 2 * x.nbytes
    assert peak_bytes(lambda: x.add_(1), "cuda") == 0
