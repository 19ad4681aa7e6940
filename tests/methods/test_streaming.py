"""The method ``stream``: its settings, and noise that it makes chunk by chunk. Its draws: ``test_correctness``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType

import pytest
import torch
from torch import Tensor

from arbench.bench.models.wanted import claim_of
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
    assert torch.allclose(found.params, wanted.params, rtol=0, atol=1e-9)  # type: ignore[arg-type]
    assert torch.equal(torch.cat(chunks, dim=1), wanted.x)
    assert fresh.made == [range(lo, min(lo + chunk, n)) for lo in range(0, n, chunk)]
    assert sizes == list(range(1, len(chunks) + 1)), "the noise of a chunk is made before it, and not before the last"


@pytest.mark.parametrize("name", ["cached", "fused", "stream", "stream,chunk=7", "stream,by=fused"])
def test_all_that_takes_the_steps_of_cached_has_its_claim(name: str, checks: ModuleType) -> None:
    (method,) = resolve(name)
    source = checks.built("wavenet:tiny")
    assert claim_of(source, method) == source.claims["sample", "cached"]


def test_a_native_loop_must_be_there(checks: ModuleType) -> None:
    (fused,), (cached,) = resolve("stream,by=fused"), resolve("stream")
    lstm, wavenet = checks.built("lstm:tiny"), checks.built("wavenet:tiny")
    assert (cached.lacks(lstm), fused.lacks(wavenet)) == (None, None)
    assert fused.lacks(lstm) == "needs a native loop, which the model does not have: it does not define native"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("stream,threads=2", "'threads' is a setting of the native loop; add by=fused"),
        ("stream,chunk=0", "chunk must be a number of elements from 1 to 1,099,511,627,776, got 0"),
        ("stream,chunk=7.5", "chunk must be a number of elements from 1 to 1,099,511,627,776, got 7.5"),
        ("stream,chunk=true", "chunk must be a number of elements from 1 to 1,099,511,627,776, got True"),
        ("stream,by=naive", "by names no loop that can stop and go on: 'naive'; available: cached, fused"),
        ("stream,by=fused,backend=compile", "the native loop runs on no backend; leave 'backend' out"),
        ("stream,chunks=3", "no setting 'chunks'; did you mean 'chunk'?"),
    ],
)
def test_settings_are_refused_in_one_line(name: str, line: str) -> None:
    with pytest.raises(MethodError) as refused:
        resolve(name)
    assert str(refused.value) == f"method 'stream': {line}"
