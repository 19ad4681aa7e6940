"""Draws from logits: frequencies, random numbers bit for bit, ties, extremes, parts of a batch, temperature 0."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from arbench.kernels import sample_from_logits
from arbench.kernels.core import philox
from arbench.kernels.core.launch import interpreted, launch, launched
from arbench.kernels.core.philox import class_words, exponential, exponentials, gumbel
from arbench.kernels.logits import sample_programs

BACKENDS = pytest.mark.parametrize("backend", ["eager", "triton"])
inf, nan = float("inf"), float("nan")
MODULE = sys.modules[sample_from_logits.__module__]


@pytest.fixture
def online(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make rows of more than 8 classes wide ones, and see that the program for these ran, if any was to run."""
    monkeypatch.setattr(MODULE, "SINGLE_BLOCK_WIDTH", 8)
    before = launched["sample_online_kernel"]
    yield
    given = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    wide = given.get("backend", "triton") == "triton" and given.get("width", 9) > 8
    assert (launched["sample_online_kernel"] > before) == wide


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


# The random numbers


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((2**32 - 1,) * 4, 2**64 - 1, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            0x299F31D0A4093822,
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_published_answers_of_philox(counter: tuple[int, ...], key: int, expected: tuple[int, ...]) -> None:
    found = philox.philox(tuple(torch.tensor([word]) for word in counter), key)
    assert tuple(word.item() for word in found) == expected


@triton.jit
def bits_of(out, rows, seed, M: tl.constexpr, N: tl.constexpr):
    m, n = tl.arange(0, M), tl.arange(0, N)
    word = class_words(seed, tl.load(rows + m)[:, None], tl.arange(0, N // 4)[None, :])
    tl.store(out + m[:, None] * N + n[None, :], word.to(tl.int64))


@pytest.mark.parametrize("seed", [0, 1, 17, 2**31, 2**40 + 3, 2**63 + 5, 2**64 - 1])
def test_triton_has_the_same_bits(harness: ModuleType, seed: int) -> None:
    rows = torch.tensor([0, 1, 2**31, 2**32 - 1, 2**32, 2**33 + 7, 2**62, 5], device=harness.DEVICE)
    out = torch.empty(8, 64, dtype=torch.int64, device=harness.DEVICE)
    launch(bits_of, (1,), out, rows, seed - (seed >> 63 << 64), M=8, N=64)
    assert torch.equal(out, philox.words(seed, rows, 64))
    assert torch.equal(out[:, :9], philox.words(seed, rows, 9))
    assert out.min() >= 0
    assert out.max() < 2**32


@triton.jit
def exponential_of(out, words, N: tl.constexpr):
    o = tl.arange(0, N)
    like = tl.zeros((N,), out.dtype.element_ty)
    tl.store(out + o, exponentials(tl.load(words + o).to(tl.uint32), like))


EDGES = sorted({abs(2**k + d) for k in range(33) for d in (-1, 0, 1)} - {2**32, 2**32 + 1})
EDGES = EDGES + sorted(2**32 - 1 - word for word in EDGES if word < 2**30)


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 3e-7), (torch.float64, 1e-15)], ids=str)
def test_exponentials_over_the_whole_range_of_a_word(harness: ModuleType, dtype: torch.dtype, rtol: float) -> None:
    """Check rounding where a class may win, and that numbers are finite, positive and ordered up to the ends."""
    words = torch.tensor([*EDGES, *[0] * (256 - len(EDGES))], device=harness.DEVICE)
    out = torch.empty(256, dtype=dtype, device=harness.DEVICE)
    launch(exponential_of, (1,), out, words, N=256)
    t = (words.double() + 0.5) * 2.0**-32
    for found in (out, exponential(words, dtype)):
        assert found.min() > 0
        assert found.max() < 17.4
        common = words < 2**31
        harness.close(found[common], -torch.log1p(-t[common]), (rtol, 0))
        harness.close(found[words < 2**32 - 2**20], -torch.log1p(-t[words < 2**32 - 2**20]), (3e-5, 0))
        assert (found[words.argsort(stable=True)].diff() >= 0).all()
    assert exponential(torch.tensor([0, 2**32 - 1]), dtype).log().isfinite().all()


@pytest.mark.skipif(not interpreted(), reason="a compiled program keeps what it was compiled with")
@pytest.mark.parametrize("word", [0, 2**32 - 1])
@pytest.mark.parametrize("width", [5, 40])
def test_the_ends_of_the_uniform(
    harness: ModuleType, monkeypatch: pytest.MonkeyPatch, online: None, word: int, width: int
) -> None:
    """Make all words equal: the most likely class is drawn, and never one with logit -inf."""

    @triton.jit
    def constant(seed, row, block):
        words = class_words(seed, row, block)
        return words * 0 + seed.to(tl.uint32)

    monkeypatch.setattr(sample_programs, "class_words", constant)
    x = normal(3, width)
    x[:, 0] = -inf
    index, log_prob = sample_from_logits(x.to(harness.DEVICE), seed=word, backend="triton")
    assert torch.equal(index.cpu(), x.argmax(-1))
    assert log_prob.isfinite().all()


@pytest.mark.parametrize("width", [1, 3, 4, 300])
def test_gumbel_numbers_have_their_law(width: int) -> None:
    rows = torch.arange(60_000 // width)
    u = torch.exp(-torch.exp(-gumbel(23, rows, width, torch.float64))).flatten()
    counts = torch.histc(u, 50, 0, 1)
    assert chisquare(counts.numpy()).pvalue > 1e-3


# The draws


def frequencies(index: Tensor, probabilities: Tensor) -> float:
    """Return the p-value of draws against their probabilities; classes expected fewer than five times are merged."""
    counts = torch.bincount(index.flatten().cpu(), minlength=len(probabilities)).double()
    expected = probabilities.double() * index.numel()
    rare = expected < 5
    assert counts[probabilities == 0].sum() == 0
    counts = torch.cat([counts[~rare], counts[rare].sum(0, keepdim=True)])
    expected = torch.cat([expected[~rare], expected[rare].sum(0, keepdim=True)])
    some = expected > 0
    return chisquare(counts[some].numpy(), expected[some].numpy()).pvalue


LAW = torch.tensor([0.5, 0.0, 0.3, 0.15, 0.04, 0.009, 0.0009, 0.0001], dtype=torch.float64)


@pytest.mark.parametrize(
    ("backend", "rows", "seed", "temperature"),
    [
        ("triton", 12_000, 3, 1.0),
        ("triton", 4_000, 2**63, 2.0),
        ("eager", 200_000, 3, 1.0),
        ("eager", 100_000, 2**63, 0.5),
        ("eager", 100_000, 2**40, 3.0),
    ],
)
def test_frequencies(harness: ModuleType, backend: str, rows: int, seed: int, temperature: float) -> None:
    x = (5 + LAW.log()).float().to(harness.DEVICE).expand(rows, 8)
    index, log_prob = sample_from_logits(x, seed=seed, temperature=temperature, backend=backend)
    law = (LAW.log() / temperature).softmax(0)
    assert frequencies(index, law) > 1e-3
    harness.close(log_prob, law.log().to(harness.DEVICE)[index], (1e-5, 1e-5))


@pytest.mark.parametrize(("backend", "rows"), [("triton", 4_000), ("eager", 100_000)])
def test_frequencies_under_given_noise(harness: ModuleType, backend: str, rows: int) -> None:
    noise = gumbel(11, torch.arange(rows), 8, torch.float32).to(harness.DEVICE)
    x = LAW.log().float().to(harness.DEVICE).expand(rows, 8)
    assert frequencies(sample_from_logits(x, noise, backend=backend)[0], LAW) > 1e-3


def test_rare_classes_are_as_rare_as_they_should_be() -> None:
    """Use 128 classes of probability 2^-10 and a likely one: the rare ones make 1/8 together."""
    law = torch.full((129,), 2.0**-10)
    law[50] = 7 / 8
    index, _ = sample_from_logits(law.log().expand(10_000, -1), seed=5)
    assert frequencies((index != 50).long(), torch.tensor([7 / 8, 1 / 8])) > 1e-3


@pytest.mark.parametrize("width", [8, 9000])
def test_huge_logits_keep_their_noise(harness: ModuleType, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Use logits of 1e9: in float32 their sum with Gumbel noise is a multiple of 64, so the first class would win."""
    monkeypatch.setattr(MODULE, "SINGLE_BLOCK_WIDTH", 8)
    x = torch.zeros(60, width, device=harness.DEVICE)
    before = launched["sample_online_kernel"]
    small = sample_from_logits(x, seed=3, backend="triton")[0]
    assert launched["sample_online_kernel"] == before + (width > 8)
    for backend in ("triton", "eager"):
        assert torch.equal(sample_from_logits(x + 1e9, seed=3, backend=backend)[0], small)


@pytest.mark.usefixtures("online")
def test_draws_from_a_wide_row(harness: ModuleType) -> None:
    """Use classes in one lane, in other lanes, and in every iteration of the loop."""
    places = torch.tensor([0, 1023, 1024, 4095, 4096, 5119, 5120, 8999])
    x = torch.full((9000,), -inf)
    x[places] = 0
    x = x.to(harness.DEVICE).expand(100, 9000)
    index, log_prob = sample_from_logits(x, seed=9, backend="triton")
    law = torch.zeros(9000, dtype=torch.float64)
    law[places] = 1 / 8
    assert frequencies(index, law) > 1e-3
    assert torch.equal(index, sample_from_logits(x, seed=9, backend="eager")[0])
    harness.close(log_prob, torch.full_like(log_prob, -math.log(8)), (1e-5, 1e-5))


def near_ties(index: Tensor, other: Tensor, logits: Tensor, noise: Tensor, tolerance: float) -> int:
    """Return the number of draws that differ; assert that each pair of float64 scores is within the tolerance."""
    scores = logits.double() + noise.double()
    apart = (scores.gather(-1, index[..., None]) - scores.gather(-1, other[..., None])).squeeze(-1)
    assert (apart.abs() <= tolerance).all(), apart.abs().max()
    return int((index != other).sum())


@pytest.mark.parametrize("width", [1, 2, 129, 151, 256, 1134, 4097, 9000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_draws_are_the_same_on_every_backend(
    harness: ModuleType, width: int, dtype: torch.dtype, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = 40 if width < 4097 else 8
    x = harness.poisoned((3 * normal(rows, width)).to(harness.DEVICE, dtype))
    index, log_prob = harness.on_triton(lambda: sample_from_logits(x, seed=2**64 - 3, offset=9, backend="triton"))
    same, _ = sample_from_logits(x, seed=2**64 - 3, offset=9, backend="eager")
    noise = gumbel(2**64 - 3, 9 + torch.arange(rows, device=harness.DEVICE), width, torch.float64)
    differ = near_ties(index, same, x, noise, 1e-5)
    with capsys.disabled():
        if differ:
            print(f"{differ} of {rows} draws at width {width} differ in a near-tie")
    assert differ <= 1
    harness.close(log_prob, x.double().log_softmax(-1).gather(-1, index[:, None])[:, 0], (1e-5, 1e-5))


def test_the_widest_row_promised(harness: ModuleType) -> None:
    x = normal(1, 262_144).to(harness.DEVICE)
    found = harness.on_triton(lambda: sample_from_logits(x, seed=1, backend="triton"))
    expected = sample_from_logits(x.double(), seed=1, backend="eager")
    for a, b in zip(found, expected, strict=True):
        harness.close(a, b, (1e-5, 1e-5))


@pytest.mark.parametrize("width", [7, 151, 5000])
def test_given_noise_draws_as_argmax_does(harness: ModuleType, width: int) -> None:
    """Compare bit for bit, also in ties: scores are multiples of a half."""
    x = normal(6, width).mul(2).round().div(2).to(harness.DEVICE)
    noise = normal(6, width, seed=1).mul(2).round().div(2).to(harness.DEVICE)
    assert width < 151 or (((x + noise) == (x + noise).amax(-1, keepdim=True)).sum(-1) > 1).any()
    noise[0], x[0] = 0, 1.5
    index, _ = sample_from_logits(harness.poisoned(x), harness.poisoned(noise, 3), backend="triton")
    assert torch.equal(index, (x + noise).argmax(-1))
    assert index[0] == 0


@pytest.mark.parametrize("width", [6, 40])
@BACKENDS
@pytest.mark.usefixtures("online")
def test_parts_of_a_batch_draw_as_the_whole(harness: ModuleType, width: int, backend: str) -> None:
    """Use narrow and wide rows whose numbers pass 2^32."""
    x = normal(3, 2, 4, width).to(harness.DEVICE)

    def draw(part: Tensor, first: int, seed: int = 8) -> Tensor:
        return sample_from_logits(part, seed=seed, offset=2**32 - 10 + first, backend=backend)[0]

    whole = draw(x, 0)
    assert torch.equal(whole, torch.stack([draw(x[i], 8 * i) for i in range(3)]))
    assert torch.equal(whole.flatten()[17:], draw(x.flatten(0, 2)[17:], 17))
    assert not torch.equal(whole, draw(x, 0, seed=9))
    assert not torch.equal(whole, draw(x, 1))


@BACKENDS
def test_noise_belongs_to_a_class_whatever_the_alphabet(harness: ModuleType, backend: str) -> None:
    x = normal(20, 30).to(harness.DEVICE)
    x[:, 17:] = -inf
    wide, narrow = (sample_from_logits(x[:, :n], seed=2, backend=backend)[0] for n in (30, 17))
    assert torch.equal(wide, narrow)


def test_wide_rows_draw_as_narrow_ones(harness: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    x = normal(6, 4000).to(harness.DEVICE)
    noise = gumbel(3, torch.arange(6), 4000, torch.float32).to(harness.DEVICE)
    given: list[dict[str, Any]] = [{"seed": 2}, {"noise": noise}, {"temperature": 0}]
    held = [sample_from_logits(x, **how, backend="triton") for how in given]
    monkeypatch.setattr(MODULE, "SINGLE_BLOCK_WIDTH", 8)
    before = launched["sample_online_kernel"]
    for (index, log_prob), how in zip(held, given, strict=True):
        found = sample_from_logits(x, **how, backend="triton")
        assert torch.equal(found[0], index)
        harness.close(found[1], log_prob, (1e-6, 1e-6))
    assert launched["sample_online_kernel"] == before + len(given)


ROWS = torch.tensor(
    [
        [-inf] * 12,
        [-inf] * 5 + [2.0] + [-inf] * 6,
        [-inf] * 11 + [-1e30],
        [0.0] * 4 + [300.0] + [0.0] * 7,
        [1e-40] * 6 + [1e30] + [-1e30] * 5,
        [0.0] * 3 + [inf] + [1.0] * 8,
        [-inf] * 3 + [nan] + [1.0] * 8,
        [0.0] * 3 + [-nan] + [inf] + [1.0] * 7,
        [3e38] * 12,
        [-3e38] * 12,
    ]
)
DRAWN = [0, 5, 11, 4, 6, 3, 3, 3]


@pytest.mark.parametrize(
    ("backend", "wide", "how"),
    [
        *(("triton", wide, how) for wide in (False, True) for how in ("seed", "noise", "greedy")),
        *(("eager", False, how) for how in ("seed", "noise", "greedy")),
        ("numba", False, "noise"),
    ],
)
def test_infinities_and_extremes(
    harness: ModuleType, request: pytest.FixtureRequest, backend: str, wide: bool, how: str
) -> None:
    if wide:
        request.getfixturevalue("online")
    device = torch.device("cpu") if backend == "numba" else harness.DEVICE
    x = ROWS if backend == "numba" else harness.poisoned(ROWS.to(device))
    noise = gumbel(3, torch.arange(len(ROWS)), 12, torch.float32).to(device)
    given: dict[str, Any] = {"seed": {"seed": 5}, "noise": {"noise": noise}, "greedy": {"temperature": 0}}[how]
    index, log_prob = sample_from_logits(x, **given, backend=backend)
    assert index[:8].tolist() == DRAWN
    assert ((index >= 0) & (index < 12)).all()
    even = -math.log(12) if how != "greedy" else 0
    expected = torch.tensor([nan, 0, 0, 0, 0, nan, nan, nan, even, even], device=device)
    harness.close(log_prob, expected, (1e-5, 1e-5))


@BACKENDS
def test_temperature_0_takes_the_most_likely_class(harness: ModuleType, backend: str) -> None:
    x = normal(5, 33).to(harness.DEVICE)
    x[2, 4] = x[2, 9] = 7
    for how in ({}, {"seed": 3}, {"noise": normal(5, 33, seed=2).to(harness.DEVICE)}):
        index, log_prob = sample_from_logits(x, **how, temperature=0, backend=backend)
        assert torch.equal(index, x.argmax(-1))
        assert torch.equal(log_prob, torch.zeros_like(log_prob))


@pytest.mark.parametrize("temperature", [1e-30, 1e-3, 0.7, 50.0, 1e30])
@BACKENDS
def test_temperatures(harness: ModuleType, backend: str, temperature: float) -> None:
    x = (1e-3 * normal(9, 20)).to(harness.DEVICE)
    index, log_prob = sample_from_logits(x, seed=3, temperature=temperature, backend=backend)
    expected = (x.double() / temperature).log_softmax(-1).gather(-1, index[:, None])[:, 0]
    harness.close(log_prob, expected, (1e-5, 1e-5))
    if temperature < 1e-6:
        assert torch.equal(index, x.argmax(-1))


@given(shape=st.lists(st.integers(0, 4), min_size=1, max_size=4), data=st.data(), given_noise=st.booleans())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_shape(harness: ModuleType, shape: list[int], data: st.DataObject, given_noise: bool) -> None:
    axes = data.draw(st.permutations(range(len(shape))))
    x = normal(*shape, dtype=torch.float64).to(harness.DEVICE).permute(axes)
    noise = normal(*x.shape, seed=1, dtype=torch.float64).to(harness.DEVICE) if given_noise else None
    how: dict[str, Any] = {"noise": noise} if given_noise else {"seed": 7, "temperature": 0.3}
    if x.shape[-1] == 0:
        with pytest.raises(ValueError, match=r"^sample_from_logits: logits of shape .* have no classes"):
            sample_from_logits(x, **how, backend="triton")
        return
    found = sample_from_logits(x, **how, backend="triton")
    expected = sample_from_logits(x, **how, backend="eager")
    for a, b in zip(found, expected, strict=True):
        assert a.shape == x.shape[:-1]
        harness.close(a, b, (1e-12, 1e-12))


@BACKENDS
def test_nothing_is_differentiated(harness: ModuleType, backend: str) -> None:
    x = normal(3, 5).to(harness.DEVICE).requires_grad_()
    assert not any(one.requires_grad for one in sample_from_logits(x, seed=1, backend=backend))
    assert not any(one.requires_grad for one in sample_from_logits(x, x.detach(), backend=backend))


@pytest.mark.parametrize("width", [1, 2, 15, 16, 17, 151, 256, 1134])
@pytest.mark.parametrize("temperature", [1.0, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_numba_draws_as_the_reference_does(
    harness: ModuleType, width: int, temperature: float, dtype: torch.dtype
) -> None:
    """Compare bit for bit, also in ties; rows are slices of wider ones, in axes that do not merge."""
    x = (2 * normal(3, 5, 4, width + 3, dtype=dtype)).round() / 2
    x = x[:2, 1:4, ::2, 2 : width + 2].transpose(0, 1)
    noise = (4 * normal(3, 2, 2, width + 1, seed=1, dtype=dtype)).round()[..., 1:] / 4
    found = sample_from_logits(x, noise, temperature=temperature, backend="numba")
    expected = sample_from_logits(x, noise, temperature=temperature, backend="eager")
    assert torch.equal(found[0], expected[0])
    inverse = torch.tensor(1 / temperature).double()
    exact = (x.double() * inverse).log_softmax(-1).gather(-1, expected[0][..., None])[..., 0]
    harness.close(found[1], exact, (1e-6, 1e-6) if dtype == torch.float32 else (1e-13, 1e-13))


def test_numba_reads_nothing_beyond_a_row_whatever_the_noise() -> None:
    x = torch.zeros(3, 5)
    noise = torch.full((3, 5), -inf)
    noise[1], noise[2, 3] = nan, inf
    index, _ = sample_from_logits(x, noise, backend="numba")
    assert index.tolist() == [0, 0, 3]
    x[0] = inf
    assert sample_from_logits(x, noise, backend="numba")[0][0] == 0


def test_numba_refuses_what_it_cannot_do() -> None:
    x = torch.zeros(3, 2)
    for how, message in [
        ({"seed": 1}, "the Numba backend needs noise and a temperature above 0"),
        ({"noise": x, "temperature": 0}, "the Numba backend needs noise and a temperature above 0"),
        (
            {"noise": x.T.contiguous().T},
            "the Numba backend needs noise contiguous along the last axis, whose stride is 3",
        ),
    ]:
        with pytest.raises(ValueError, match="Numba") as caught:
            sample_from_logits(x, **how, backend="numba")
        assert str(caught.value) == f"sample_from_logits: {message}"
    with pytest.raises(TypeError, match=r"needs float32 or float64 logits, not torch\.float16$"):
        sample_from_logits(x.half(), x.half(), backend="numba")


X = torch.zeros(2, 3)


@BACKENDS
@pytest.mark.parametrize(
    ("logits", "given", "error", "message"),
    [
        (torch.zeros(()), {"seed": 1}, ValueError, "logits are a scalar; they need at least one axis"),
        (X[:, :0], {"seed": 1}, ValueError, "logits of shape (2, 0) have no classes; the last axis must not be empty"),
        (X.long(), {"seed": 1}, TypeError, "logits must be float64, float32, float16 or bfloat16, not torch.int64"),
        (
            X,
            {"noise": X.half()},
            TypeError,
            "noise is torch.float16, logits is torch.float32; convert them to one dtype",
        ),
        (X, {"noise": X[0]}, ValueError, "noise must be (2, 3) like the logits, not (3,)"),
        (X, {"noise": X.to("meta")}, ValueError, "noise is on meta, logits is on cpu; move them to one device"),
        (X, {}, ValueError, "there is no noise; pass noise or a seed, or temperature=0"),
        (X, {"noise": X, "seed": 1}, ValueError, "noise and a seed exclude each other; pass one"),
        (X, {"seed": -1}, ValueError, "seed must be from 0 to 2^64 - 1, not -1"),
        (X, {"seed": 2**64}, ValueError, f"seed must be from 0 to 2^64 - 1, not {2**64}"),
        (X, {"seed": 1.5}, TypeError, "seed must be an integer, not 1.5"),
        (X, {"seed": 1, "offset": 0.5}, TypeError, "offset must be an integer, not 0.5"),
        (X, {"seed": 1, "offset": -1}, ValueError, "offset must be from 0 to 2^62 - 1, not -1"),
        (X, {"seed": 1, "temperature": -1.0}, ValueError, "temperature must be 0 or from 1e-30 to 1e30, not -1.0"),
        (X, {"seed": 1, "temperature": nan}, ValueError, "temperature must be 0 or from 1e-30 to 1e30, not nan"),
        (X, {"seed": 1, "temperature": inf}, ValueError, "temperature must be 0 or from 1e-30 to 1e30, not inf"),
    ],
)
def test_misuse(backend: str, logits: Tensor, given: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        sample_from_logits(logits, **given, backend=backend)
    assert str(caught.value) == f"sample_from_logits: {message}"


@BACKENDS
def test_an_integer_of_any_type_is_a_seed(harness: ModuleType, backend: str) -> None:
    x = normal(6, 9).to(harness.DEVICE)
    plain, _ = sample_from_logits(x, seed=2**63 + 1, offset=7, backend=backend)
    other, _ = sample_from_logits(x, seed=np.uint64(2**63 + 1), offset=np.int64(7), backend=backend)
    assert torch.equal(other, plain)


def test_axes_that_do_not_merge(harness: ModuleType) -> None:
    x = torch.zeros(3, 3, 3, 3, 3, device=harness.DEVICE)[:2, :2, :2, :2]
    with pytest.raises(ValueError, match=r"^sample_from_logits: 4 leading axes of shape \(2, 2, 2, 2\) do not"):
        sample_from_logits(x, seed=1, backend="triton")
