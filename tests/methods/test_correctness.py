"""Every model by every method, in float64: one list of checks, each also seen to fail on a planted fault.

A new model needs no test here, only the length of its smallest event space in ``SPACES``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
import torch
from scipy import integrate, stats
from torch import Tensor

from arbench.meters import count
from arbench.methods import Method, Task, methods_for
from arbench.models import Source, dilated, names, pixelcnn, resolve
from arbench.models.wavenet import WaveNet

SPACES = {"wavenet:tiny": 6, "wavenet:tiny_logistic": 6, "pixelcnn:tiny": 12}
"""N of the event space that is summed over: at most 4,096 events."""

SPECS = [
    f"{name}:{preset}"
    for name in names()
    for preset in resolve(name).cls.presets
    if preset.startswith("tiny")
]
FINITE = [spec for spec in SPECS if resolve(spec).build().distribution.finite]
CONTINUOUS = [spec for spec in SPECS if spec not in FINITE]
Build = Callable[[], Source]


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def built(spec: str) -> Source:
    return resolve(spec).build(seed=3, dtype=torch.float64)


def length(spec: str) -> int:
    return 48 if spec.startswith("pixelcnn") else 41


def job(source: Source, op: str, n: int, rows: range, record: bool = False) -> Task:
    x, context = source.observe(n, list(rows), seed=5)
    context = {k: v.double() if v.is_floating_point() else v for k, v in context.items()}
    noise = source.distribution.noise(5, rows, range(n))
    if op == "sample":
        return Task(n, context, noise=noise, record=record)
    x = x.double() if source.feeds == "z" else x
    return Task(n, context, x=x)


def by(source: Source, op: str, name: str) -> Method:
    return next(m for m in methods_for(source) if (m.op, m.name) == (op, name))


def pointwise(source: Source, op: str) -> list[Method]:
    found = [m for m in methods_for(source) if m.op == op and m.exactness == "pointwise"]
    return [m for m in found if m.name != "own_samples"]


def feed(source: Source, n: int, batch: int = 1, first: int = 0) -> tuple[Tensor, Task]:
    task = job(source, "sample", n, range(first, first + batch))
    if source.feeds == "z":
        assert task.noise is not None
        return task.noise.squeeze(-1), task
    return source.observe(n, list(range(first, first + batch)), seed=5)[0], task


# --- the checks ---------------------------------------------------------------------------------------


def check_methods_agree(source: Source, n: int) -> None:
    """Draws equal across methods and batches; noise found by inversion satisfies x = f(z)."""
    law = source.distribution
    for op in ("sample", "score"):
        alone = [job(source, op, n, range(r, r + 1), record=True) for r in range(3)]
        together = job(source, op, n, range(3), record=True)
        for method in pointwise(source, op):
            found = method.run(source, together)
            code = source.encode(together.context, n)
            if law.finite and op == "sample":
                assert together.noise is not None
                params = source(found.f, code)
                assert law.margin(params, together.noise).min() > 1e-9
                assert torch.equal(law.draw(params, together.noise), found.x), method.name
                assert torch.equal(found.x, pointwise(source, op)[0].run(source, together).x), method.name
            elif not law.finite:
                residual = (found.x - law.draw(source(found.f, code), found.f.unsqueeze(-1))).abs()
                assert (residual <= 1e-10 * (1 + found.x.abs())).all(), method.name
            for r, task in enumerate(alone):
                one = method.run(source, task)
                assert torch.allclose(one.f[0].double(), found.f[r].double(), rtol=0, atol=1e-9), method.name


def check_log_probs(source: Source, n: int) -> None:
    """Each element's log-probability: step by step as in one pass."""
    for op in ("sample", "score"):
        task = job(source, op, n, range(3), record=True)
        for method in pointwise(source, op):
            found = method.run(source, task)
            assert found.params is not None
            expected = source.distribution.log_prob(source(found.f, source.encode(task.context, n)), found.x)
            mine = source.distribution.log_prob(found.params, found.x)
            assert (mine - expected).abs().max() <= 1e-10 * (1 + expected.abs().max()), method.name
            if found.log_prob is not None:
                assert torch.equal(found.log_prob, mine), method.name


def check_chunks(source: Source, n: int) -> None:
    """``extend`` in chunks that do not divide N equals ``forward``."""
    f, task = feed(source, n, batch=3)
    code = source.encode(task.context, n)
    expected = source(f, code)
    for chunk in (1, 7, n - 2, n):
        state = source.start(3, n, code)
        ends = [*range(0, n, chunk), n]
        parts = []
        for g0, g1 in pairwise(ends):
            params, state = source.extend(state, f, g0, g1)
            parts.append(params)
        assert (torch.cat(parts, 1) - expected).abs().max() <= 1e-10, chunk


def events(source: Source, n: int) -> Tensor:
    levels = source.distribution.levels  # type: ignore[attr-defined]
    assert levels**n <= 4096
    return torch.cartesian_prod(*[torch.arange(levels)] * n)


def repeated(task: Task, times: int) -> dict[str, Tensor]:
    return {k: v.expand(times, *v.shape[1:]) for k, v in task.context.items()}


def probabilities(source: Source, n: int) -> Tensor:
    x = events(source, n)
    task = job(source, "sample", n, range(1))
    return (
        by(source, "score", "parallel")
        .run(source, Task(n, repeated(task, len(x)), x=x))
        .log_prob.sum(1)
        .exp()
    )  # type: ignore[union-attr]


def check_total_probability(source: Source, n: int) -> None:
    assert abs(float(probabilities(source, n).sum()) - 1) <= 1e-6


def check_frequencies(source: Source, n: int) -> None:
    """Chi-squared of 20,000 draws of ``naive`` against the enumerated law; rare events pooled."""
    draws = 20_000
    noise = source.distribution.noise(11, range(draws), range(n))
    context = repeated(job(source, "sample", n, range(1)), draws)
    x = by(source, "sample", "naive").run(source, Task(n, context, noise=noise)).x
    levels = source.distribution.levels  # type: ignore[attr-defined]
    place = torch.tensor([levels ** (n - 1 - i) for i in range(n)])
    seen = torch.bincount((x * place).sum(1), minlength=levels**n).double()
    expected = probabilities(source, n) * draws
    order = expected.argsort()
    bins = (expected[order].cumsum(0) / 5).floor().long().clamp_max(int(draws / 5) - 1)
    _, bins = bins.unique(return_inverse=True)
    pooled = [
        torch.zeros(int(bins.max()) + 1).double().index_add_(0, bins, v[order]) for v in (seen, expected)
    ]
    keep = pooled[1] >= 5
    observed = torch.cat([pooled[0][keep], pooled[0][~keep].sum()[None]])
    wanted = torch.cat([pooled[1][keep], pooled[1][~keep].sum()[None]])
    observed, wanted = observed[wanted > 0], wanted[wanted > 0]
    assert stats.chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue > 1e-4


def check_density(source: Source, n: int) -> None:
    """Each one-dimensional conditional integrates to 1."""
    f, task = feed(source, n)
    params = source(f, source.encode(task.context, n))
    for at in range(0, n, 7):
        mean, scale = float(params[0, at, 0]), float(params[0, at, 1].exp())

        def density(x: float, at: int = at) -> float:
            return float(source.distribution.log_prob(params[:, at], torch.tensor([x]).double()).exp())

        total, _ = integrate.quad(density, mean - 60 * scale, mean + 60 * scale, points=[mean], limit=200)
        assert abs(total - 1) <= 1e-6


def influence(source: Source, n: int) -> Tensor:
    """(N, N): whether parameters of element i change when element j of the feed does, in any of some events.

    One pass a change, all of one shape: a row's last digit may depend on its place in a batch. Several
    events, since a narrow network's ReLUs can all be off in one.
    """
    levels = getattr(source.distribution, "levels", 0)
    found = torch.zeros(n, n, dtype=torch.bool)
    for row in range(12):
        f, task = feed(source, n, first=row)
        code = source.encode(task.context, n)
        before = source(f, code)
        for j in range(n):
            changed = f.clone()
            changed[0, j] = (changed[0, j] + 1) % levels if levels else changed[0, j] + 1
            found[:, j] |= (source(changed, code) != before)[0].any(-1)
    return found


def check_causality(source: Source, n: int) -> None:
    """Bit-equal before a change, and no gradient from what comes later."""
    reaches = influence(source, n)
    assert not reaches.triu().any()
    # not all: two layers of a PixelCNN do not reach from a row's beginning to the end of the row above
    assert reaches.diagonal(-1).double().mean() > 0.9
    with torch.enable_grad():
        f, task = feed(source, n)
        entered = []
        if source.feeds == "z":
            f = f.clone().requires_grad_()
            entered.append(f)
        else:
            name = next(name for name in ("_embed", "_scaled") if hasattr(source, name))
            inner = getattr(source, name)

            def leaf(x: Tensor) -> Tensor:
                entered.append(inner(x).detach().requires_grad_())
                return entered[-1]

            source.__dict__[name] = leaf
        try:
            params = source(f, source.encode(task.context, n))
            for at in (0, n // 2, n - 1):
                (grad,) = torch.autograd.grad(
                    params[0, at].sum(), entered, retain_graph=True, allow_unused=True
                )
                flat = grad.reshape(grad.shape[1], -1) if grad.dim() < 4 else grad.flatten(1, 3).T
                assert flat[at:].abs().sum() == 0
                assert at == 0 or flat[:at].abs().sum() > 0
        finally:
            source.__dict__.pop("_embed", None)
            source.__dict__.pop("_scaled", None)


def check_receptive_field(source: WaveNet) -> None:
    """A non-zero effect at the oldest sample inside the field, none beyond it."""
    field = source.stack.receptive_field
    n = field + 4
    reaches = influence(source, n)
    assert reaches[n - 1, n - 1 - field : n - 1].all()
    assert not reaches[n - 1, : n - 1 - field].any()


def check_log_determinant(source: Source, n: int) -> None:
    z, task = feed(source, n)
    code = source.encode(task.context, n)

    def flow(z: Tensor) -> Tensor:
        return source.distribution.draw(source(z, code), z.unsqueeze(-1))[0]

    with torch.enable_grad():
        jacobian = torch.autograd.functional.jacobian(flow, z)[:, 0]
    assert jacobian.triu(1).abs().max() == 0
    x = flow(z).unsqueeze(0)
    again, log_determinant = source.distribution.invert(source(z, code), x)
    assert (again.squeeze(-1) - z).abs().max() <= 1e-10
    assert abs(float(-log_determinant.sum() - jacobian.slogdet().logabsdet)) <= 1e-10


def check_reset(source: Source, n: int) -> None:
    """Two draws in a row, with another batch and length between them, are the same draw."""
    other = n if source.element == "sub-pixel" else n - 5
    for op in ("sample", "score"):
        for method in pointwise(source, op):
            first = method.run(source, job(source, op, n, range(2)))
            method.run(source, job(source, op, other, range(7, 8)))
            again = method.run(source, job(source, op, n, range(2)))
            assert torch.equal(first.f, again.f), method.name


def check_given(source: Source, n: int) -> None:
    """Given elements stay, and the rest is what a draw that began with them would have been."""
    free = job(source, "sample", n, range(2))
    whole = pointwise(source, "sample")[0].run(source, free)
    other = (whole.x + 1) % source.distribution.levels  # type: ignore[attr-defined]
    for method in pointwise(source, "sample"):
        for m in (1, 7, n):
            same = method.run(source, Task(n, free.context, noise=free.noise, given=whole.x[:, :m]))
            assert torch.equal(same.x, whole.x), method.name
            forced = method.run(source, Task(n, free.context, noise=free.noise, given=other[:, :m]))
            assert torch.equal(forced.x[:, :m], other[:, :m]), method.name
            params = source(forced.x, source.encode(free.context, n))
            assert free.noise is not None
            assert torch.equal(source.distribution.draw(params, free.noise)[:, m:], forced.x[:, m:]), (
                method.name
            )


# --- they hold ----------------------------------------------------------------------------------------

EVERY = [check_methods_agree, check_log_probs, check_chunks, check_causality, check_reset]


@pytest.mark.parametrize("check", EVERY)
@pytest.mark.parametrize("spec", SPECS)
def test_every_model(spec: str, check: Callable[[Source, int], None]) -> None:
    check(built(spec), length(spec))


@pytest.mark.parametrize("spec", FINITE)
def test_finite(spec: str) -> None:
    assert spec in SPACES, "say how long the smallest event space of a new model is"
    check_total_probability(built(spec), SPACES[spec])
    check_frequencies(built(spec), SPACES[spec])
    check_given(built(spec), length(spec))


@pytest.mark.parametrize("spec", CONTINUOUS)
def test_continuous(spec: str) -> None:
    check_density(built(spec), 22)
    check_log_determinant(built(spec), 8)


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.startswith("wavenet")])
def test_receptive_field_of_wavenet(spec: str) -> None:
    source = built(spec)
    assert isinstance(source, WaveNet)
    check_receptive_field(source)


def test_pixelcnn_has_no_blind_spot() -> None:
    """With enough layers every earlier sub-pixel within reach matters, to the right above as well."""
    config = dict(layers=5, channels=24, colours=3, levels=2, kernels=(3, 3))
    source = pixelcnn.PixelCNN(**config, seed=1).double().requires_grad_(False)
    reaches = influence(source, 3 * 4 * 4)
    assert torch.equal(reaches, torch.ones(48, 48, dtype=torch.bool).tril(-1))


@pytest.mark.parametrize("spec", SPECS)
def test_conditioning_matters(spec: str) -> None:
    source = built(spec)
    f, task = feed(source, length(spec))
    params = source(f, source.encode(task.context, task.n))
    for name, value in task.context.items():
        other = value + 1 if value.is_floating_point() else (value + 1) % 5
        changed = source(f, source.encode({**task.context, name: other}, task.n))
        assert not torch.equal(changed, params), name


def depth(source: Source, method: Method, n: int) -> tuple[int | None, int, int]:
    task = job(source, method.op, n, range(1))
    found = count(lambda: method.run(source, task))
    return found.depth, found.ops, found.flops


@pytest.mark.parametrize("spec", SPECS)
def test_counts_repeat_on_any_number_of_threads(spec: str) -> None:
    source, threads = built(spec), torch.get_num_threads()
    n = 12 if spec.startswith("pixelcnn") else 11
    for method in methods_for(source):
        if method.name == "own_samples":
            continue
        first = depth(source, method, n)
        try:
            torch.set_num_threads(2 if threads == 1 else 1)
            assert depth(source, method, n) == first, method.name
        finally:
            torch.set_num_threads(threads)
        assert depth(source, method, n) == first, method.name


def test_split_and_stacked_caches_have_the_same_depth() -> None:
    depths = {}
    for kind in ("split", "stacked"):
        source = built("wavenet:tiny")
        assert isinstance(source, WaveNet)
        start = source.stack.start

        def as_tensors(batch: int, start: Callable = start, kind: str = kind) -> dilated.StackState:
            state = start(batch)
            rings = [torch.stack(ring) for ring in state.rings]
            if kind == "stacked":
                whole = torch.cat(rings)
                rings = list(whole.split([len(ring) for ring in rings]))
            state.rings = rings  # type: ignore[assignment]
            return state

        source.stack.start = as_tensors  # type: ignore[method-assign]
        cached = by(source, "sample", "cached")
        depths[kind] = [depth(source, cached, n)[0] for n in (8, 16, 32)]
        task = job(source, "sample", 32, range(1))
        assert torch.equal(cached.run(source, task).x, cached.run(built("wavenet:tiny"), task).x)
    assert depths["split"] == depths["stacked"]
    assert None not in depths["split"]


# --- and are seen to fail -----------------------------------------------------------------------------


def shifted_pad(monkeypatch: pytest.MonkeyPatch) -> None:
    """The causal padding of every layer's forward is one too short on the left."""
    pad = dilated.pad

    def leaky(x: Tensor, widths: tuple[int, ...]) -> Tensor:
        *rest, left, right = widths
        return pad(x, (*rest, left - 1, right + 1)) if left else pad(x, widths)

    monkeypatch.setattr(dilated, "pad", leaky)


def mask_off_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first layer's centre lets a colour see itself."""
    mask = pixelcnn.group_mask
    monkeypatch.setattr(pixelcnn, "group_mask", lambda a, b, strict: mask(a, b, strict=False))


class Young(list):
    """A ring that is read one slot too young."""

    def __getitem__(self, i):
        return super().__getitem__((i + 1) % len(self) if isinstance(i, int) else i)


def ring_off_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    start = dilated.DilatedStack.start

    def off(self, batch):
        state = start(self, batch)
        state.rings = [Young(ring) for ring in state.rings]
        return state

    monkeypatch.setattr(dilated.DilatedStack, "start", off)


def stale_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of one draw is the start of the next."""
    kept: dict[tuple[int, int], dilated.StackState] = {}
    start = dilated.DilatedStack.start

    def stale(self, batch):
        state = kept.setdefault((id(self), batch), start(self, batch))
        state.t = 0
        return state

    monkeypatch.setattr(dilated.DilatedStack, "start", stale)


def dropped_conditioning(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps stay at the first frame of the conditioning."""
    monkeypatch.setattr(dilated.Affine, "frame", lambda self, t: 0)


def wrong_dilation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps take the first of the widest layers for half as wide as it is."""
    step = dilated.DilatedStack._step

    def off(self, state, x, affine):
        right = self.dilations
        widest = right.index(max(right))
        self.dilations = [d // 2 if i == widest else d for i, d in enumerate(right)]
        try:
            return step(self, state, x, affine)
        finally:
            self.dilations = right

    monkeypatch.setattr(dilated.DilatedStack, "_step", off)


def wrong_determinant(monkeypatch: pytest.MonkeyPatch) -> None:
    from arbench.distributions import Logistic

    invert = Logistic.invert
    monkeypatch.setattr(
        Logistic, "invert", lambda self, p, x: (invert(self, p, x)[0], -invert(self, p, x)[1])
    )


def wrong_density(monkeypatch: pytest.MonkeyPatch) -> None:
    from arbench.distributions import Categorical, DiscretizedLogisticMixture, Logistic

    for law in (Categorical, DiscretizedLogisticMixture, Logistic):
        log_prob = law.log_prob
        monkeypatch.setattr(
            law, "log_prob", lambda self, p, x, log_prob=log_prob: log_prob(self, p, x) + 1e-3
        )


def dull_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws at half the noise: too often the likeliest element."""
    from arbench.distributions import Categorical

    draw = Categorical.draw
    monkeypatch.setattr(Categorical, "draw", lambda self, p, z: draw(self, p, z / 2))


def forgotten_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt is put in place but not read."""
    from arbench.methods import base

    init = base.Unknown.__init__

    def off(self, source, task):
        init(self, source, task)
        self.f[:, :1] = 0

    monkeypatch.setattr(base.Unknown, "__init__", off)


WAVE, PIXEL, FLOW = "wavenet:tiny", "pixelcnn:tiny", "parallel_wavenet:tiny"
FAULTS = [
    (shifted_pad, WAVE, check_causality),
    (shifted_pad, FLOW, check_causality),
    (shifted_pad, FLOW, check_log_determinant),
    (shifted_pad, WAVE, check_chunks),
    (mask_off_by_one, PIXEL, check_causality),
    (mask_off_by_one, PIXEL, check_total_probability),
    (ring_off_by_one, WAVE, check_methods_agree),
    (ring_off_by_one, WAVE, check_log_probs),
    (ring_off_by_one, FLOW, check_methods_agree),
    (ring_off_by_one, WAVE, check_chunks),
    (stale_cache, WAVE, check_reset),
    (stale_cache, FLOW, check_reset),
    (dropped_conditioning, WAVE, check_log_probs),
    (dropped_conditioning, FLOW, check_methods_agree),
    (wrong_dilation, WAVE, check_log_probs),
    (wrong_dilation, FLOW, check_log_probs),
    (wrong_determinant, FLOW, check_log_determinant),
    (wrong_density, WAVE, check_total_probability),
    (wrong_density, "wavenet:tiny_logistic", check_total_probability),
    (wrong_density, FLOW, check_density),
    (dull_noise, WAVE, check_frequencies),
    (forgotten_prompt, WAVE, check_given),
]


@pytest.mark.parametrize(("fault", "spec", "check"), FAULTS, ids=lambda p: getattr(p, "__name__", p))
def test_faults_are_seen(
    fault: Callable[[pytest.MonkeyPatch], None],
    spec: str,
    check: Callable[[Source, int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n = SPACES[spec] if check in (check_total_probability, check_frequencies) else length(spec)
    n = 8 if check is check_log_determinant else n
    fault(monkeypatch)
    with pytest.raises(AssertionError):
        check(built(spec), n)


def test_a_wrong_receptive_field_is_seen() -> None:
    source = built("wavenet:tiny")
    assert isinstance(source, WaveNet)
    source.stack.dilations[-1] += 1
    claimed = built("wavenet:tiny")
    assert isinstance(claimed, WaveNet)
    field = claimed.stack.receptive_field
    assert not influence(source, field + 4)[field + 3, 3:].all()
