"""The method ``stream``: its settings, and noise that it makes chunk by chunk. Its draws: ``test_correctness``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.methods import FreshNoise, MethodError, Outcome, Task, resolve
from arbench.models import Source


def by_name(name: str) -> Callable[[Source, Task], Outcome]:
    (found,) = resolve(name)
    return found.run


class Noted(FreshNoise):
    """Noise that notes for which elements it was made."""

    made: list[range]

    def make(self, elements: range) -> Tensor:
        self.made.append(elements)
        return super().make(elements)


@pytest.mark.parametrize("chunk", [1, 7, 64])
@pytest.mark.parametrize("by", ["cached", "fused"])
def test_each_chunk_is_drawn_from_noise_that_is_made_for_it(chunk: int, by: str, checks: ModuleType) -> None:
    source, n = checks.built("wavenet:tiny"), 24
    method = checks.by(source, "sample", "cached")
    task = checks.job(source, method, n, range(2))
    wanted = method.run(source, task)
    source.native = lambda code, *sizes, **_: Loop(source, code, *sizes)
    fresh = Noted(source.distribution, 5, range(2), torch.float64)
    object.__setattr__(fresh, "made", [])
    chunks: list[Tensor] = []
    sizes: list[int] = []

    def made(drawn: Tensor) -> None:
        chunks.append(drawn.clone())
        sizes.append(len(fresh.made))

    live = replace(task, noise=None, fresh=fresh, made=made)
    found = by_name(f"stream,chunk={chunk},by={by}")(source, live)
    assert torch.equal(found.x, wanted.x)
    assert torch.equal(found.params, wanted.params)  # type: ignore[arg-type]
    assert torch.equal(torch.cat(chunks, dim=1), wanted.x)
    assert fresh.made == [range(lo, min(lo + chunk, n)) for lo in range(0, n, chunk)]
    assert sizes == list(range(1, len(chunks) + 1)), "the noise of a chunk is made before it, and not before the last"


class Loop:
    """Stand-in for a native loop, with a feed of its own."""

    def __init__(self, source: Source, code: Any, batch: int, n: int) -> None:
        self.source, self.at = source, 0
        self.state, self.f = source.start(batch, n, code), torch.zeros(batch, n, dtype=torch.long)

    def draw(self, noise: Tensor, given: Tensor | None = None, record: bool = False) -> tuple[Tensor, Tensor | None]:
        assert given is None
        begin, kept = self.at, []
        for i in range(noise.shape[1]):
            params, self.state = self.source.extend(self.state, self.f, self.at, self.at + 1)
            self.f[:, self.at : self.at + 1] = self.source.distribution.draw(params, noise[:, i : i + 1])
            kept.append(params)
            self.at += 1
        return self.f[:, begin : self.at], torch.cat(kept, dim=1) if record else None


def test_a_native_loop_must_be_there_and_run(checks: ModuleType) -> None:
    source = checks.built("wavenet:tiny")
    task = checks.job(source, checks.by(source, "sample", "cached"), 5, range(1))
    (fused,), (cached,) = resolve("stream,by=fused"), resolve("stream")
    assert cached.lacks(source) is None
    assert fused.lacks(source) == "needs a native loop, which the model does not define"
    source.native = lambda *_, **__: "there is nowhere to keep compiled code"
    assert fused.lacks(source) is None
    with pytest.raises(RuntimeError, match=r"^there is nowhere to keep compiled code$"):
        fused.run(source, task)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("stream,chunk=0", "chunk must be a number of elements from 1 to 1,099,511,627,776, got 0"),
        ("stream,chunk=7.5", "chunk must be a number of elements from 1 to 1,099,511,627,776, got 7.5"),
        ("stream,chunk=true", "chunk must be a number of elements from 1 to 1,099,511,627,776, got True"),
        ("stream,by=naive", "by names no loop that can stop and go on: 'naive'; available: cached, fused"),
        ("stream,chunks=3", "no setting 'chunks'; did you mean 'chunk'?"),
    ],
)
def test_settings_are_refused_in_one_line(name: str, line: str) -> None:
    with pytest.raises(MethodError) as refused:
        resolve(name)
    assert str(refused.value) == f"method 'stream': {line}"
