"""Models to check, what they read, and what methods found, computed once for each model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain, count, pairwise
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from arbench.distributions import uniforms
from arbench.methods import Method, Outcome, Task, methods_for
from arbench.models import Source, resolve

EXACT = 1e-10
"""Relative difference of two float64 ways to one number."""
MARGIN = 1e-9
"""Smallest margin of a draw: one nearer to another outcome is the seed's fault, not the method's."""
SPACE = 4096
"""Most events to sum over."""
Value = TypeVar("Value")


def built(spec: str) -> Source:
    """Return a fresh model in float64, bolder than it starts: larger weights, and biases that are not zero.

    At the start a PixelCNN's draws are nearly those of a fair coin, whatever comes before them.
    """
    source = resolve(spec).build(seed=3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    for parameter in source.parameters():
        if not parameter.any():
            parameter.normal_(0, 0.3, generator=generator)
        else:
            parameter.mul_(1.5)
    return source


shared = cache(built)
"""The same, built once for a whole test process. A test that plants a fault or changes the model uses ``built``."""

_KEPT: WeakKeyDictionary[Source, dict[Any, Any]] = WeakKeyDictionary()


def once(source: Source, key: object, make: Callable[[], Value]) -> Value:
    """Return what ``make`` returned the first time for this model and key. Nobody may change it: see ``content``."""
    kept = _KEPT.setdefault(source, {})
    if key not in kept:
        made = make()
        kept[key] = made, [one._version for one in tensors(made)]
    found: Value = kept[key][0]
    return found


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in a value that ``once`` keeps."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Task | Outcome):
        yield from tensors(vars(value))
    elif isinstance(value, dict | tuple | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from tensors(part)


def content(source: Source) -> Any:
    """Return all that could change of a model: its weights, attributes and draft."""
    parts = list(source.modules())
    tensors = (one for part in parts for one in chain(part._parameters.values(), part._buffers.values()))
    weights = [hash(one.detach().numpy().tobytes()) for one in tensors if one is not None]
    attributes = [list(map(id, vars(part).values())) for part in (*parts, source.distribution)]
    return weights, attributes, source.draft and content(source.draft)


def spoilt(source: Source) -> list[Any]:
    """Return the keys of what ``once`` keeps for a model and a test has changed in place."""
    kept = _KEPT.get(source, {})
    return [key for key, (value, versions) in kept.items() if [one._version for one in tensors(value)] != versions]


def length(source: Source, least: int = 41) -> int:
    """Return the smallest N from ``least`` on for which the model has events."""
    for n in count(least):
        try:
            source.schedule(n)
        except ValueError:
            continue
        return n
    raise AssertionError


def space(source: Source) -> int:
    """Return the largest N with at most ``SPACE`` events."""
    levels, n = source.distribution.levels, 0  # type: ignore[attr-defined]
    while levels ** length(source, n + 1) <= SPACE:
        n = length(source, n + 1)
    assert n > 1, "the smallest preset needs a space of at most 4,096 events of two elements or more"
    return n


def by(source: Source, op: str, name: str | None = None) -> Method:
    """Return the method with that name, or the reference without one."""
    fitting = [m for m in methods_for(source) if m.op == op]
    return next(m for m in fitting if (m.name == name if name else m.reference))


def job(source: Source, method: Method, n: int, rows: range) -> Task:
    """Return real events or noise for a method, addressed by row, with their context."""
    x, context = _observed(source, n, rows)
    noise = source.distribution.noise(5, rows, range(n))
    if method.op == "sample":
        return Task(n, context, noise=noise, chance=chance(source, 5, rows, n), record=True)
    if method.name == "own_samples":
        own = by(source, "sample").run(source, Task(n, context, noise=noise)).x
        return Task(n, context, noise=noise, x=own)
    return Task(n, context, x=x)


def _observed(source: Source, n: int, rows: range) -> tuple[Tensor, dict[str, Tensor]]:
    """Return real events and their context, in float64 where they are real numbers."""

    def double(value: Tensor) -> Tensor:
        return value.double() if value.is_floating_point() else value

    x, context = once(source, ("observed", n, rows), lambda: source.observe(n, list(rows), seed=5))
    return double(x), {k: double(v) for k, v in context.items()}


def ran(source: Source, method: Method, n: int, rows: range) -> tuple[Task, Outcome]:
    """Return the job of a method and what it found, run once for a model."""

    def run() -> tuple[Task, Outcome]:
        task = job(source, method, n, rows)
        return task, method.run(source, task)

    return once(source, (method.op, method.name, n, rows), run)


def chance(source: Source, seed: int, rows: range, n: int) -> Tensor:
    """Return what methods need beyond the noise."""
    return uniforms(seed + 2**63, rows, range(n), 1 + source.distribution.noise_width)


def feed(source: Source, n: int, rows: range) -> tuple[Tensor, Task]:
    """Return real events for a network that reads events, or noise for one that reads noise."""
    task = job(source, by(source, "sample"), n, rows)
    if source.feeds == "z":
        assert task.noise is not None
        return task.noise.squeeze(-1), task
    return _observed(source, n, rows)[0], task


def repeated(context: dict[str, Tensor], times: int) -> dict[str, Tensor]:
    """Return one event's context for many."""
    return {k: v.expand(times, *v.shape[1:]) for k, v in context.items()}


def implied(source: Source, found: Outcome, task: Task) -> Tensor:
    """Return the parameters that a feed implies: one parallel forward."""
    return source(found.f, source.encode(task.context, task.n))


def changed(source: Source, f: Tensor) -> Tensor:
    """Return another feed in every element."""
    levels = source.distribution.levels if source.distribution.finite else 0  # type: ignore[attr-defined]
    return (f + 1) % levels if levels else f + 1


def group_of(source: Source, n: int) -> Tensor:
    """Return each element's group, (N,)."""
    sizes = torch.tensor([b - a for a, b in pairwise(source.schedule(n))])
    return torch.arange(len(sizes)).repeat_interleave(sizes)
