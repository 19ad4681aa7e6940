"""What must hold of any model by any method, in float64: a function a property, AssertionError where not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations, pairwise
from itertools import count as numbers
from typing import Any

import pytest
import torch
from scipy import integrate, stats
from torch import Tensor
from torch.overrides import TorchFunctionMode

from arbench.distributions import uniforms
from arbench.meters import count
from arbench.methods import Method, Outcome, Task, methods_for
from arbench.models import Source, pixelcnn, resolve
from arbench.models.layers import attention, dilated

EXACT = 1e-10
"""Relative difference of two float64 ways to one number."""
MARGIN = 1e-9
"""Least margin of a draw: what lies nearer to another outcome is the seed's fault, not the method's."""
SPACE = 4096
"""Most events that are summed over."""


def built(spec: str) -> Source:
    """The model in float64, less timid than it starts: weights larger, biases not zero.

    At the start a PixelCNN's draws are nearly those of a fair coin, whatever lies before them.
    """
    source = resolve(spec).build(seed=3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    for parameter in source.parameters():
        if not parameter.any():
            parameter.normal_(0, 0.3, generator=generator)
        else:
            parameter.mul_(1.5)
    return source


def length(source: Source, least: int = 41) -> int:
    """The smallest N from ``least`` on that the model has events of."""
    for n in numbers(least):
        try:
            source.schedule(n)
        except ValueError:
            continue
        return n
    raise AssertionError


def space(source: Source) -> int:
    """The largest N of at most ``SPACE`` events."""
    levels, n = source.distribution.levels, 0  # type: ignore[attr-defined]
    while levels ** length(source, n + 1) <= SPACE:
        n = length(source, n + 1)
    assert n > 1, "the smallest preset needs a space of at most 4,096 events of two elements or more"
    return n


def by(source: Source, op: str, name: str | None = None) -> Method:
    """The method of that name; the reference without one."""
    fitting = [m for m in methods_for(source) if m.op == op]
    return next(m for m in fitting if (m.name == name if name else m.reference))


def job(source: Source, method: Method, n: int, rows: range) -> Task:
    """Real events or noise for a method, addressed by row, with their context."""
    x, context = source.observe(n, list(rows), seed=5)
    context = {k: v.double() if v.is_floating_point() else v for k, v in context.items()}
    noise = source.distribution.noise(5, rows, range(n))
    if method.op == "sample":
        return Task(n, context, noise=noise, chance=chance(source, 5, rows, n), record=True)
    if method.name == "own_samples":
        own = by(source, "sample").run(source, Task(n, context, noise=noise)).x
        return Task(n, context, noise=noise, x=own)
    return Task(n, context, x=x.double() if x.is_floating_point() else x)


def chance(source: Source, seed: int, rows: range, n: int) -> Tensor:
    """What methods need beyond the noise."""
    return uniforms(seed + 2**63, rows, range(n), 1 + source.distribution.noise_width)


def feed(source: Source, n: int, rows: range) -> tuple[Tensor, Task]:
    """Real events for a network that reads them, noise for one that reads noise."""
    task = job(source, by(source, "sample"), n, rows)
    if source.feeds == "z":
        assert task.noise is not None
        return task.noise.squeeze(-1), task
    x = source.observe(n, list(rows), seed=5)[0]
    return x.double() if x.is_floating_point() else x, task


def implied(source: Source, found: Outcome, task: Task) -> Tensor:
    """The parameters that a feed implies: one parallel forward."""
    return source(found.f, source.encode(task.context, task.n))


# Of a method ------------------------------------------------------------------------------------------


def agrees(source: Source, method: Method, n: int) -> None:
    """Draws are those of the reference method; where real, x = draw(f) holds element by element."""
    task = job(source, method, n, range(3))
    found, law = method.run(source, task), source.distribution
    params = implied(source, found, task)
    if method.op == "score":
        assert torch.equal(found.x, task.x)  # type: ignore[arg-type]
    if method.exactness == "distribution":
        assert torch.equal(found.x, found.f)
        return  # whose law is another check
    if not law.finite:
        z = found.f.unsqueeze(-1) if source.feeds == "z" else task.noise
        if z is not None:
            assert law.margin(params, z).min() >= MARGIN
            residual = (found.x - law.draw(params, z)).abs()
            assert (residual <= EXACT * (1 + found.x.abs())).all()
    elif method.op == "sample":
        assert task.noise is not None
        assert law.margin(params, task.noise).min() >= MARGIN
        assert torch.equal(law.draw(params, task.noise), found.x)
        assert torch.equal(found.x, by(source, "sample").run(source, task).x)


def rows_agree(source: Source, method: Method, n: int) -> None:
    """A row of a batch is the row alone."""
    together = method.run(source, job(source, method, n, range(3)))
    assert together.params is not None
    for row in range(3):
        alone = method.run(source, job(source, method, n, range(row, row + 1)))
        assert alone.params is not None
        if source.distribution.finite:
            assert torch.equal(alone.x[0], together.x[row])
        assert torch.allclose(alone.f[0].double(), together.f[row].double(), rtol=0, atol=1e-9)
        assert torch.allclose(alone.params[0], together.params[row], rtol=0, atol=1e-9)


def log_probs_agree(source: Source, method: Method, n: int) -> None:
    """Each element's log-probability is that of one parallel pass over the same feed."""
    task = job(source, method, n, range(3))
    found, law = method.run(source, task), source.distribution
    assert found.params is not None
    expected = law.log_prob(implied(source, found, task), found.x)
    assert (law.log_prob(found.params, found.x) - expected).abs().max() <= EXACT
    if method.op == "score":
        assert found.log_prob is not None
        assert (found.log_prob - expected).abs().max() <= EXACT


def resets(source: Source, method: Method, n: int) -> None:
    """A draw does not depend on the one before, of another batch and length."""
    jobs = [job(source, method, n, range(2)), job(source, method, length(source, n // 2), range(7, 10))]
    fresh, *again = ([method.run(source, task) for task in jobs] for _ in range(3))
    for found in again:
        for before, after in zip(fresh, found, strict=True):
            assert torch.equal(before.f, after.f)
            assert torch.equal(before.params, after.params)  # type: ignore[arg-type]


def keeps_given(source: Source, method: Method, n: int) -> None:
    """Given elements stay, any whole groups; the rest is drawn from what they imply, and is the draw that
    happened to begin with them."""
    free, law, bounds = job(source, method, n, range(2)), source.distribution, source.schedule(n)
    assert free.noise is not None
    whole = method.run(source, free).x
    other = (whole + 1) % law.levels if law.finite else whole + 1  # type: ignore[attr-defined]
    for m in {bounds[min(1, len(bounds) - 1)], bounds[min(7, len(bounds) - 2)], n}:
        forced = method.run(source, replace(free, given=other[:, :m]))
        assert torch.equal(forced.x[:, :m], other[:, :m])
        assert forced.params is not None
        expected = implied(source, forced, free)
        assert torch.allclose(forced.params, expected, rtol=EXACT, atol=1e-9)
        if method.exactness == "distribution":
            continue
        drawn = law.draw(expected, free.noise)
        assert torch.allclose(drawn[:, m:].double(), forced.x[:, m:].double(), rtol=EXACT, atol=EXACT)
        again = method.run(source, replace(free, given=whole[:, :m])).x
        # a real trajectory magnifies roundings, so that only its beginning can be held
        close = whole if law.finite else whole[:, : m + 1]
        assert torch.allclose(again[:, : close.shape[1]].double(), close.double(), rtol=1e-9, atol=1e-9)


# Of a model -------------------------------------------------------------------------------------------


def chunks_agree(source: Source, n: int) -> None:
    """``extend`` in chunks that do not divide N equals ``forward``."""
    f, task = feed(source, n, range(3))
    code = source.encode(task.context, n)
    expected, groups = source(f, code), len(source.schedule(n)) - 1
    for chunk in {1, min(7, groups), max(groups - 2, 1), groups}:
        state, parts = source.start(3, n, code), []
        for g0, g1 in pairwise([*range(0, groups, chunk), groups]):
            params, state = source.extend(state, f, g0, g1)
            parts.append(params)
        assert (torch.cat(parts, 1) - expected).abs().max() <= EXACT, chunk


def rewinds(source: Source, n: int) -> None:
    """Going back from a wrong guess, twice, leaves no trace.

    A guess is right before the last group that going back keeps, whose feed it never read; a copy may even
    have been wrong there.
    """
    f, task = feed(source, n, range(2))
    code, bounds = source.encode(task.context, n), source.schedule(n)
    expected, groups = source(f, code), len(bounds) - 1
    g0, g2 = groups // 3, max(groups - 1, 1)
    state = source.start(2, n, code)
    if g0:
        _, state = source.extend(state, f, 0, g0)
    mark, moves = source.mark(state, g0), type(source).rewind is not Source.rewind
    for g1 in dict.fromkeys((g0, (g0 + g2) // 2, g2)):
        right = bounds[max(g1 - 1, g0) if moves else g0]
        wrong = torch.cat([f[:, :right], changed(source, f)[:, right:]], dim=1)
        _, state = source.extend(state, wrong, g0, groups)
        state = source.rewind(state, mark, f, g1)
        if g1 < groups:
            params, state = source.extend(state, f, g1, groups)
            assert (params - expected[:, bounds[g1] :]).abs().max() <= EXACT
        state = source.rewind(state, mark, f, g0)


def changed(source: Source, f: Tensor) -> Tensor:
    """Another feed in every element."""
    levels = source.distribution.levels if source.distribution.finite else 0  # type: ignore[attr-defined]
    return (f + 1) % levels if levels else f + 1


def group_of(source: Source, n: int) -> Tensor:
    """(N,) each element's group."""
    sizes = torch.tensor([b - a for a, b in pairwise(source.schedule(n))])
    return torch.arange(len(sizes)).repeat_interleave(sizes)


def influence(source: Source, n: int) -> Tensor:
    """(N, N): whether parameters of element i change when element j of the feed does, in any of some events.

    One pass a change, all of one shape: a row's last digit may depend on its place in a batch. Several
    events, since a narrow network's ReLUs can all be off in one.
    """
    found = torch.zeros(n, n, dtype=torch.bool)
    for row in range(12):
        f, task = feed(source, n, range(row, row + 1))
        code = source.encode(task.context, n)
        before, other = source(f, code), changed(source, f)
        for j in range(n):
            one = f.clone()
            one[0, j] = other[0, j]
            found[:, j] |= (source(one, code) != before)[0].any(-1)
    return found


def nothing_leaks(source: Source, n: int) -> None:
    """Parameters of the changed group and of those before are bit-equal; nearly every next one changes."""
    reaches, group = influence(source, n), group_of(source, n)
    assert not reaches[group[:, None] <= group].any()
    groups = int(group.max()) + 1
    next_one = [bool(reaches[group == g + 1][:, group == g].any()) for g in range(groups - 1)]
    # not all: two layers of a PixelCNN do not reach from a row's beginning to the end of the row above
    assert sum(next_one) >= 0.9 * (groups - 1)


class Entry(TorchFunctionMode):
    """Makes a leaf of whatever an integer feed becomes where it enters the network, elements in axis 1."""

    def __init__(self, f: Tensor) -> None:
        super().__init__()
        self.integers, self.leaves = [f], list[Tensor]()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        flat = [a for arg in args for a in (arg if isinstance(arg, tuple | list) else (arg,))]
        if isinstance(out, Tensor) and any(a is known for a in flat for known in self.integers):
            if out.is_floating_point():
                out = out.detach().requires_grad_()
                self.leaves.append(out)
            else:
                self.integers.append(out)
        return out


def no_gradient_from_later(source: Source, n: int) -> None:
    """Exactly zero gradient of an element's parameters from itself and later ones, some from earlier.

    A feed may enter at several places. Where it is only looked at or counted, as fertilities are, there is no
    gradient, from later ones either.
    """
    f, task = feed(source, n, range(1))
    code = source.encode(task.context, n)
    with torch.enable_grad():
        if f.is_floating_point():
            leaves = [f.clone().requires_grad_()]
            params = source(leaves[0], code)
        else:
            with Entry(f) as entry:
                params = source(f, code)
            leaves = entry.leaves
        bounds, group = source.schedule(n), group_of(source, n)
        assert leaves or len(bounds) == 2  # a single group has nothing to read
        for at in (0, 1, n // 2, n - 1):
            total, begin = params[0, at].sum(), bounds[int(group[at])]
            grads: tuple[Tensor | None, ...] = ()
            if leaves and total.requires_grad:
                grads = torch.autograd.grad(total, leaves, retain_graph=True, allow_unused=True)
            found = [
                grad.flatten(2).abs().sum(-1)[0] if grad.dim() > 2 else grad[0].abs()
                for grad in grads
                if grad is not None
            ]
            assert sum(one[begin:].sum() for one in found) == 0
            assert group[at] < 2 or sum(one[:begin].sum() for one in found) > 0


def receptive_field(source: Source, n: int) -> None:
    """An effect from every position inside the dilated stacks' fields, one behind the other; none beyond."""
    field = sum(m.receptive_field for m in source.modules() if isinstance(m, dilated.DilatedStack))
    n = field + 4
    reaches = influence(source, n)
    assert reaches[n - 1, n - 1 - field : n - 1].all()
    assert not reaches[n - 1, : n - 1 - field].any()


def no_blind_spot(source: Source, n: int) -> None:
    """With layers enough every earlier sub-pixel of a PixelCNN matters, to the right above as well."""
    assert isinstance(source, pixelcnn.PixelCNN)
    deep = pixelcnn.PixelCNN(layers=5, channels=24, colours=3, levels=2, kernels=(3, 3), seed=1)
    reaches = influence(deep.double().requires_grad_(False), 48)
    assert torch.equal(reaches, torch.ones(48, 48, dtype=torch.bool).tril(-1))


def conditioning_matters(source: Source, n: int) -> None:
    f, task = feed(source, n, range(1))
    params = source(f, source.encode(task.context, n))
    for name, value in task.context.items():
        other = value + 1 if value.is_floating_point() else (value + 1) % source.alphabets[name]
        assert not torch.equal(source(f, source.encode({**task.context, name: other}, n)), params), name


# Of a law ---------------------------------------------------------------------------------------------


def repeated(source: Source, n: int, times: int) -> dict[str, Tensor]:
    """One event's context for many."""
    context = job(source, by(source, "sample"), n, range(1)).context
    return {k: v.expand(times, *v.shape[1:]) for k, v in context.items()}


def probabilities(source: Source, n: int) -> Tensor:
    """Of every event, in order of their digits."""
    levels = source.distribution.levels  # type: ignore[attr-defined]
    x = torch.cartesian_prod(*[torch.arange(levels)] * n)
    found = by(source, "score").run(source, Task(n, repeated(source, n, len(x)), x=x))
    assert found.log_prob is not None
    return found.log_prob.sum(1).exp()


def sums_to_one(source: Source, n: int) -> None:
    assert abs(float(probabilities(source, n).sum()) - 1) <= 1e-6


def frequencies_agree(source: Source, n: int) -> None:
    """Chi-squared of 20,000 draws of the reference and of every method that promises no more than the law:
    of whole events, and with more power of their beginnings."""
    for method in methods_for(source):
        if method.op == "sample" and (method.reference or method.exactness == "distribution"):
            has_the_law(source, method, n)


def has_the_law(source: Source, method: Method, n: int) -> None:
    draws, levels = 20_000, source.distribution.levels  # type: ignore[attr-defined]
    noise = source.distribution.noise(11, range(draws), range(n))
    more = chance(source, 11, range(draws), n) if method.chance else None
    x = method.run(source, Task(n, repeated(source, n, draws), noise=noise, chance=more)).x
    whole = probabilities(source, n) * draws
    for length in {1, n // 2, n}:
        place = torch.tensor([levels ** (length - 1 - i) for i in range(length)])
        seen = torch.bincount((x[:, :length] * place).sum(1), minlength=levels**length).double()
        observed, wanted = pooled(seen, whole.view(levels**length, -1).sum(1))
        assert stats.chisquare(observed, wanted).pvalue > 1e-4, length


def pooled(seen: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """Both in bins of an expectation of 5 or more, the rarest events together."""
    expected, order = expected.sort()
    bin_of, filled, number = [], 0.0, 0
    for value in expected.tolist():
        bin_of.append(number)
        filled += value
        if filled >= 5:
            filled, number = 0.0, number + 1
    # what is left over at the end joins the last full bin
    index = torch.tensor(bin_of).clamp_max(number - 1)
    sums = [torch.zeros(number).double().index_add_(0, index, v) for v in (seen[order], expected)]
    return sums[0], sums[1] * (sums[0].sum() / sums[1].sum())


def conditionals_integrate_to_one(source: Source, n: int) -> None:
    """Each density to 1, and up to a point to what ``cdf`` says there."""
    f, task = feed(source, n, range(1))
    params, law = source(f, source.encode(task.context, n)), source.distribution
    for at in range(n):
        draws = law.draw(params[:, [at] * 512], law.noise(3, [0], range(512))).sort().values
        centre, spread = float(draws.median()), float(draws[0, 384] - draws[0, 128])

        def density(t: float, at: int = at, centre: float = centre, spread: float = spread) -> float:
            x = torch.tensor([[centre + spread * t]], dtype=torch.float64)
            return spread * float(law.log_prob(params[:, at : at + 1], x).exp())

        parts = [integrate.quad(density, a, b, limit=200)[0] for a, b in pairwise((-60, -8, -2, 0, 2, 8, 60))]
        assert abs(sum(parts) - 1) <= 1e-6
        below = float(law.cdf(params[:, at : at + 1], torch.full((1, 1), centre).double()))
        assert abs(sum(parts[:3]) - below) <= 1e-6


def transform_is_uniform(source: Source, n: int) -> None:
    """The probability integral transform of 20,000 draws: uniform in each element (Kolmogorov-Smirnov),
    independent between any two (chi-squared on 10 x 10 cells)."""
    draws, law = 20_000, source.distribution
    noise = law.noise(11, range(draws), range(n))
    found = by(source, "sample").run(source, Task(n, repeated(source, n, draws), noise=noise, record=True))
    assert found.params is not None
    u = law.cdf(found.params, found.x)
    assert u.min() > 0
    assert u.max() < 1
    for at in range(n):
        assert stats.kstest(u[:, at].numpy(), "uniform").pvalue > 1e-4, at
    cells = (u * 10).long()
    for i, j in combinations(range(n), 2):
        table = torch.bincount(cells[:, i] * 10 + cells[:, j], minlength=100)
        assert stats.chisquare(table.numpy()).pvalue > 1e-4, (i, j)


def log_determinant(source: Source, n: int) -> None:
    """Of a flow, against the whole Jacobian by autograd, at N up to 8."""
    for length in range(1, n + 1):
        z, task = feed(source, length, range(1))
        code = source.encode(task.context, length)

        def flow(z: Tensor, code: Any = code) -> Tensor:
            return source.distribution.draw(source(z, code), z.unsqueeze(-1))[0]

        with torch.enable_grad():
            jacobian = torch.autograd.functional.jacobian(flow, z)[:, 0]
        assert jacobian.triu(1).abs().max() == 0
        found = by(source, "score").run(source, Task(length, task.context, x=flow(z).unsqueeze(0)))
        assert (found.f - z).abs().max() <= EXACT
        _, determinant = source.distribution.invert(source(z, code), found.x)
        assert abs(float(determinant.sum() + jacobian.slogdet().logabsdet)) <= EXACT
        standard = source.distribution.log_prob(torch.zeros_like(source(z, code)), z)
        assert found.log_prob is not None
        assert abs(float((found.log_prob - standard).sum() + jacobian.slogdet().logabsdet)) <= EXACT


# Of counts --------------------------------------------------------------------------------------------


def counts_repeat(source: Source, method: Method, n: int) -> None:
    """The same integers in two runs, and on one thread and two."""
    n, threads = source.count_ladder[1], torch.get_num_threads()
    task, found = job(source, method, n, range(1)), []
    for number in (1, 1, 2):
        try:
            torch.set_num_threads(number)
            found.append(count(lambda: method.run(source, task)))
        finally:
            torch.set_num_threads(threads)
    assert found[0].depth is not None
    assert found[0] == found[1] == found[2]


@contextmanager
def caches(stacked: bool) -> Iterator[None]:
    """Keeps dilated stacks' rings as tensors (slots, B, R), so that storing in a slot is a copy, and keys and
    values of attention position by position.

    Args:
        stacked: whether those of all layers are slices of one tensor, or tensors of their own.
    """
    start, begin = dilated.DilatedStack.start, attention.Stack.start

    def tensors(self: dilated.DilatedStack, batch: int) -> dilated.StackState:
        state = start(self, batch)
        sizes = [len(ring) for ring in state.rings]
        if stacked:
            kept = self.gate_weight.new_zeros(sum(sizes), batch, self.residual).split(sizes)
        else:
            kept = [self.gate_weight.new_zeros(size, batch, self.residual) for size in sizes]
        state.rings = list(kept)  # type: ignore[arg-type]
        return state

    def slots(self: attention.Stack, batch: int, n: int) -> attention.Cache:
        cache = begin(self, batch, n)
        two, rows, heads, n, width = cache.slots[0].shape
        if stacked:
            whole = cache.slots[0].new_empty(n, len(cache.slots), two, rows, heads, width)
            cache.slots = list(whole.permute(1, 2, 3, 4, 0, 5))
        return cache

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dilated.DilatedStack, "start", tensors)
        patch.setattr(attention.Stack, "start", slots)
        yield


def split_and_stacked_caches_agree(source: Source, method: Method, n: int) -> None:
    """Caches of their own and slices of one storage: the same depth at every N, and the same result."""
    expected = method.run(source, job(source, method, n, range(1))).f
    depths: list[list[int | None]] = []
    for stacked in (False, True):
        with caches(stacked):
            tasks = [job(source, method, length(source, size), range(1)) for size in (8, 16, 32)]
            depths.append([count(lambda task=task: method.run(source, task)).depth for task in tasks])
            again = method.run(source, job(source, method, n, range(1))).f
            assert torch.equal(again, expected)
    assert None not in depths[0]
    assert depths[0] == depths[1]
