"""Tests of MADE: any order, prefixes, shared and separate weights, every loss, its configurations, misuse."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from arbench.distributions import LOSSES
from arbench.methods import Task, methods_for
from arbench.models import ModelError, Source, resolve
from arbench.models.made import MADE

ORDER = [5, 0, 15, 3, 9, 1, 2, 4, 6, 7, 8, 10, 11, 12, 13, 14]


@pytest.fixture(autouse=True)
def no_grad() -> object:
    with torch.no_grad():
        yield


def probabilities(source: Source, n: int) -> Tensor:
    """Return the probability of every event of n elements, one axis per element."""
    levels = source.distribution.levels  # type: ignore[attr-defined]
    x = torch.cartesian_prod(*[torch.arange(levels)] * n)
    law = source.distribution.log_prob(source(x, source.encode({}, n)), x)
    return law.sum(1).exp().view([levels] * n)


@pytest.mark.parametrize("spec", ["made:tiny", "made:tiny_levels", "made:tiny_factors"])
def test_a_prefix_has_the_exact_marginal(spec: str) -> None:
    source = resolve(spec).build(2, torch.float64)
    whole, prefix = probabilities(source, 6), probabilities(source, 4)
    assert (whole.sum((4, 5)) - prefix).abs().max() <= 1e-12
    assert (whole - whole.flip(3)).abs().max() > 1e-6


@pytest.mark.parametrize("units", [63, 64, 190])
def test_with_a_unit_for_each_degree_every_earlier_element_is_read_and_no_other(units: int) -> None:
    net = MADE(pixels=64, hidden=(units, 2 * units)).net
    paths = torch.ones(1, 1)
    for product in net.products:
        paths = product.mask.double() if paths.numel() == 1 else paths @ product.mask.double()
    reads = paths.view(64, 64, 2).sum(-1) > 0
    assert torch.equal(reads, torch.ones(64, 64, dtype=torch.bool).triu(1))


def test_orders() -> None:
    """Orders read the same pictures differently; the random order is always the same."""
    raster = MADE(pixels=16, hidden=(4,), levels=17)
    x, _ = raster.observe(16, [0, 1], seed=3)
    for order, expected in (("reverse", list(range(16))[::-1]), (ORDER, ORDER)):
        found, _ = MADE(pixels=16, hidden=(4,), levels=17, order=order).observe(7, [0, 1], seed=3)
        assert torch.equal(found, x[:, expected[:7]])
    one, other = (MADE(pixels=16, hidden=(4,), order="random", seed=seed).order for seed in (0, 1))
    assert one == other
    assert sorted(one) == list(range(16))
    assert one != list(range(16))


def test_an_order_is_given_on_the_command_line() -> None:
    chosen = resolve(f"made:tiny,pixels=16,order={ORDER}".replace(" ", ""))
    source = chosen.build()
    assert isinstance(source, MADE)
    assert source.order == ORDER
    assert isinstance(source.draft, MADE)
    assert source.draft.order == ORDER


def test_factors_are_networks_of_their_own() -> None:
    """Each factor is its own perceptron, here written out; no weight of one changes another."""
    source = resolve("made:tiny_factors").build(1, torch.float64)
    x, _ = source.observe(20, [0, 1], seed=0)
    params = source(x, source.encode({}, 20))
    net, inputs = source.net, torch.nn.functional.one_hot(x, 3).double()
    for d in range(20):
        first = net.first[d * (d - 1) // 2 : d * (d + 1) // 2]
        h = torch.einsum("bie,ieh->bh", inputs[:, :d], first) + net.biases[0][d]
        for weight, bias in zip(net.later, list(net.biases)[1:], strict=True):
            h = torch.relu(h) @ weight[d] + bias[d]
        torch.testing.assert_close(params[:, d], h, rtol=0, atol=1e-12)
    net.first[10 * 9 // 2 : 10 * 11 // 2] += 1
    moved = (source(x, source.encode({}, 20)) != params).any(-1).any(0)
    assert moved.nonzero().flatten().tolist() == [10]


@pytest.mark.parametrize("sharing", ["all", "none"])
@pytest.mark.parametrize("levels", [2, 5])
def test_an_event_needs_the_weights_of_a_model_of_its_size(sharing: str, levels: int) -> None:
    config = dict(hidden=(7, 4), levels=levels, sharing=sharing)
    large = MADE(pixels=64, **config)
    for n in (4, 16, 64):
        small = MADE(pixels=n, **config)
        assert large.weights(n) == sum(p.numel() for p in small.parameters())


@pytest.mark.parametrize("sharing", ["all", "none"])
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_selected_by_name(loss: str, sharing: str) -> None:
    """A loss finds its distribution, and every method that fits it scores or samples."""
    spec = f"made:tiny_levels,loss={loss},components=3,sharing={sharing},hidden=[70]"
    source = resolve(spec).build(1, torch.float64)
    x, _ = source.observe(12, [0, 1], seed=2)
    assert x.is_floating_point() != source.distribution.finite
    x = x.double() if x.is_floating_point() else x
    noise = source.distribution.noise(0, [0, 1], range(12))
    first: dict[str, Tensor] = {}
    for method in methods_for(source):
        if method.exactness != "pointwise":
            continue
        found = method.run(source, Task(12, {}, noise=noise, x=x, record=True))
        value = found.x if method.op == "sample" else found.log_prob
        assert value is not None
        assert value.isfinite().all()
        torch.testing.assert_close(value, first.setdefault(method.op, value), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("spec", ["made:tiny_gaussian", "maf:tiny", "iaf:tiny"])
def test_a_guess_far_off_spoils_nothing_before_it(spec: str, dtype: torch.dtype) -> None:
    """Inputs are clamped: an infinity times a masked zero would be a NaN."""
    source = resolve(spec).build(1, dtype)
    f = source.observe(40, [0], seed=0)[0].to(dtype)
    far = f.clone()
    far[:, 20:] = torch.finfo(dtype).max
    before, after = (source(one, source.encode({}, 40)) for one in (f, far))
    assert torch.equal(after[:, :21], before[:, :21])
    assert after.isfinite().all()


def test_a_unit_has_its_weights_side_by_side_in_any_dtype() -> None:
    for dtype in (torch.float32, torch.float64):
        net = resolve("made:tiny").build(dtype=dtype).net
        assert [product.weight.t().is_contiguous() for product in net.products] == [False, True, True]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("order=rastr", "unknown order 'rastr'; did you mean 'raster'?"),
        ("order=[1,2]", "an order needs each of the numbers 0 to 63 once; 0 is missing"),
        (f"order={[*range(64), 3]}", "an order needs each of the numbers 0 to 63 once; got 65 entries"),
        ("pixels=4,order=[0,1,2,1.5]", "an order needs each of the numbers 0 to 3 once; 3 is missing"),
        ("sharing=some", "unknown sharing 'some'; available: all, none"),
        ("pixels=63", "no square has 63 pixels; near: 49, 64"),
        ("pixels=1", "a picture needs at least 4 pixels"),
        ("levels=1", "a pixel needs at least 2 levels, got 1"),
        ("hidden=[]", "needs at least 2 elements and hidden layers with units, got 64 and []"),
        ("sharing=none,hidden=[0]", "hidden layers need at least 1 unit each, got [0]"),
        ("loss=gausian", "unknown loss 'gausian'; did you mean 'gaussian'?"),
    ],
)
def test_misuse_is_one_line(setting: str, said: str) -> None:
    setting = setting.replace(" ", "")
    with pytest.raises(ModelError) as caught:
        resolve(f"made:tiny_levels,{setting}").build()
    assert str(caught.value) == f"model 'made:tiny_levels,{setting}': {said}"


@pytest.mark.parametrize("n", [0, 65])
def test_no_event_is_longer_than_the_picture(n: int) -> None:
    with pytest.raises(ValueError, match=f"an event has 1 to 64 pixels, got {n}$"):
        resolve("made:tiny").build().schedule(n)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "weights"),
    [
        ("mnist", 785 * 512 + 513 * 512 + 513 * 1568),
        ("mnist_gaussian", 785 * 1024 + 1025 * 1024 + 1025 * 1568),
        ("digits", 1089 * 512 + 513 * 512 + 513 * 1088),
        ("factors", 64 * 63 // 2 * 16 + 64 * (16 + 34)),
        ("paper", 785 * 8000 + 8001 * 8000 + 8001 * 1568),
    ],
)
def test_published_presets_score_and_sample(preset: str, weights: int) -> None:
    source = resolve(f"made:{preset}").build()
    assert source.weights(source.ladder[-1]) == weights == sum(p.numel() for p in source.parameters())
    x, _ = source.observe(24, [0], seed=0)
    noise = source.distribution.noise(0, [0], range(24), torch.float32)
    done = {
        m.op: m.run(source, Task(24, {}, noise=noise, x=x))
        for m in methods_for(source)
        if m.name in ("parallel", "cached")
    }
    assert done["score"].log_prob is not None
    assert done["score"].log_prob.isfinite().all()
    assert done["sample"].x.shape == (1, 24)
