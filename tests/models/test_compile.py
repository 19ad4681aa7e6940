"""Tests of the backend compile: the same results as plain PyTorch, from one graph for all positions, or an error.

Dynamo alone finds what makes a graph anew; the code that Inductor makes of it is tried for one model, and for all of
them in the slow tests.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch._dynamo.config

from arbench.backends import compiling
from arbench.backends.compiling import CompileError, graphs
from arbench.methods import Task, methods_for
from arbench.models import Source, names, resolve
from arbench.models.registry import GIVEN

ONE_STEP = {"parallel", "sequential", "naive", "cached", "inversion", "own_samples"}
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own, of the compiler
needs_a_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")


@pytest.fixture(autouse=True)
def own_graphs(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Iterator[None]:
    """Compile anew, into a folder of the test's own."""
    monkeypatch.setattr(compiling, "_MADE", {})
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    with torch.no_grad():
        yield
    torch._dynamo.reset()


@pytest.fixture
def dynamo_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trace graphs, and run them as PyTorch's own operations."""
    inner = torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, options, **more: inner(f, backend="aot_eager", **more))


def task(source: Source, n: int, batch: int = 1) -> Task:
    x, context = source.observe(n, range(batch), seed=1)
    noise = source.distribution.noise(1, range(batch), range(n), torch.float32)
    return Task(n=n, context=context, noise=noise, x=x if x.dtype == torch.long else x.float(), record=True)


def agree(spec: str, n: int, methods: set[str] = ONE_STEP) -> None:
    plain, compiled = resolve(spec).build(3), resolve(spec).build(3, backend="compile")
    given = task(plain, n)
    for method in methods_for(plain):
        if method.name in methods:
            expected, found = method.run(plain, given), method.run(compiled, given)
            torch.testing.assert_close(found.x, expected.x, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(found.params, expected.params, rtol=1e-4, atol=1e-4)


def made_by(call: Callable[[], Any]) -> int:
    before = graphs()
    call()
    return graphs() - before


def size(spec: str) -> int:
    """Return a small size at which a model has several rows, groups or doublings."""
    return {"multiscale_pixelcnn": 16, "pixelcnn": 12, "row_lstm": 12}.get(spec.partition(":")[0], 16)


@pytest.mark.slow
@needs_a_compiler
@pytest.mark.parametrize("name", sorted(names()))
def test_every_model_gives_the_same_results(name: str) -> None:
    agree(f"{name}:tiny", size(name))


@needs_a_compiler
def test_code_of_the_compiler_gives_the_same_results() -> None:
    agree("lstm:tiny", 5, {"cached"})


@pytest.mark.parametrize(
    "spec", ["wavenet:tiny", "lstm:tiny", pytest.param("pixelcnn:tiny_class", marks=pytest.mark.slow)]
)
def test_one_graph_serves_all_positions_sizes_and_builds(spec: str, dynamo_alone: None) -> None:
    source = resolve(spec).build(3, backend="compile")
    cached = next(m for m in methods_for(source) if m.name == "cached")
    first, later = (16, 36) if spec.startswith("pixelcnn") else (6, 21)
    steps = made_by(lambda: cached.run(source, task(source, first)))
    assert 1 <= steps <= 2  # a PixelCNN has one graph for a pixel, and one for a row
    again = resolve(spec).build(4, backend="compile")
    assert made_by(lambda: cached.run(again, task(again, later))) == 0
    plain = resolve(spec).build(4)
    assert torch.equal(cached.run(again, task(again, later)).x, cached.run(plain, task(plain, later)).x)


def test_no_other_backend_compiles(dynamo_alone: None) -> None:
    source = resolve("lstm:tiny").build(3, backend="compile")
    assert "_step" in vars(source)
    assert "_step" not in vars(source.use("eager"))
    assert made_by(lambda: source(*(task(source, 4).x, source.encode({}, 4)))) == 0


def test_a_deep_copy_computes_with_its_own_weights(dynamo_alone: None) -> None:
    source = resolve("wavenet:tiny").build(3, backend="compile")
    cached = next(m for m in methods_for(source) if m.name == "cached")
    other = copy.deepcopy(source)
    for one in (other, plain := resolve("wavenet:tiny").build(3)):
        for parameter in one.parameters():
            parameter.mul_(2)
    given = task(source, 6)
    found, expected = cached.run(other, given), cached.run(plain, given)
    torch.testing.assert_close(found.params, expected.params, rtol=1e-4, atol=1e-4)
    code = other.encode(given.context, 6)
    torch.testing.assert_close(other(given.x, code), plain(given.x, code), rtol=1e-4, atol=1e-4)


MINGRU = resolve("mingru:tiny").cls


class ByPosition(MINGRU):  # type: ignore[misc,valid-type]
    """A step that looks its position up in a list, and so is another program at each."""

    def _run(self, x: Any, hidden: Any, rings: Any) -> Any:
        return super()._run(x, hidden, rings)

    def start(self, batch: int, n: int, code: Any) -> Any:
        return [0, super().start(batch, n, code)]

    def extend(self, state: Any, f: Any, g0: int, g1: int) -> Any:
        at, inner = state
        assert [*range(64)][at] == at
        params, inner = super().extend(inner, f, g0, g1)
        return params, [at + g1 - g0, inner]


class Reading(MINGRU):  # type: ignore[misc,valid-type]
    """A forward pass that shows a value to the host, which breaks a graph."""

    def forward(self, f: Any, code: Any) -> Any:
        print(f.sum().tolist(), file=None)
        return super().forward(f, code)


def given(cls: type[Source], monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setitem(GIVEN, "Mine", cls)
    return resolve("Mine:tiny").build(3, backend="compile")


def test_a_step_that_compiles_at_every_position_is_refused(dynamo_alone: None, monkeypatch) -> None:
    monkeypatch.setattr(compiling, "GRAPHS", 3)
    source = given(ByPosition, monkeypatch)
    assert "extend" in vars(source)
    cached = next(m for m in methods_for(source) if m.name == "cached")
    with pytest.raises(
        CompileError, match=r"^torch\.compile cannot run ByPosition\.extend as one graph for all calls "
    ):
        cached.run(source, task(source, 40))


def test_a_pass_that_is_no_graph_is_refused(dynamo_alone: None, monkeypatch) -> None:
    source = given(Reading, monkeypatch)
    parallel = next(m for m in methods_for(source) if m.name == "parallel")
    with pytest.raises(
        CompileError, match=r"^torch\.compile cannot run Reading\.forward as one graph .*use --backend eager"
    ):
        parallel.run(source, task(source, 8))
