"""``arbench.stream``: its draws are those of the naive method, however they are cut, stopped or mixed with others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import zip_longest
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch
from torch import Tensor

import arbench
from arbench.adapters.dispatch import TAKEN
from arbench.bench.options import PlanError
from arbench.data import mu_law_decode
from arbench.distributions import Categorical, Normal
from arbench.methods import METHODS, Task
from arbench.methods.finite import check_finite
from arbench.models import Context, Source, resolve, save
from arbench.models.lstm import LSTM

SPECS = ("wavenet:tiny", "wavenet:tiny_gaussian", "lstm:tiny", "transformer:tiny", "grouped_pixelcnn:tiny")
N = 36
"""Elements of an event: a square, for images."""
SEED = 4


@pytest.fixture(scope="module")
def built() -> dict[str, Source]:
    return {spec: resolve(spec).build(SEED, torch.float64) for spec in SPECS}


@pytest.fixture
def wavenet() -> Source:
    return resolve("wavenet:tiny").build(SEED, torch.float64)


def naive(source: Source, batch: int, context: Context, given: Tensor | None = None, n: int = N) -> Tensor:
    """Return what the reference draws from the same noise, made beforehand."""
    noise = source.distribution.noise(SEED, range(batch), range(n))
    method = next(one for one in METHODS if one.name == "naive")
    with torch.no_grad():
        return method.run(source, Task(n, context, noise=noise, given=given)).x


class Looping(LSTM):
    """A model whose native loop takes many steps a call, and notes its calls."""

    loops: list[Loop]

    def native(self, code: Any, batch: int, *, weights: torch.dtype | None = None, threads: int = 1) -> Loop:
        self.loops.append(Loop(self, code, batch))
        return self.loops[-1]


class Loop:
    """The loop, with a feed of its own."""

    def __init__(self, source: Source, code: Any, batch: int) -> None:
        self.source, self.at, self.calls = source, 0, 0
        self.state, self.f = source.start(batch, N, code), torch.zeros(batch, N, dtype=torch.long)

    def draw(self, noise: Tensor, given: Tensor | None = None, record: bool = False) -> tuple[Tensor, Tensor | None]:
        self.calls += 1
        begin, kept = self.at, 0 if given is None else given.shape[1]
        for i in range(noise.shape[1]):
            params, self.state = self.source.extend(self.state, self.f, self.at, self.at + 1)
            drawn = self.source.distribution.draw(params, noise[:, i : i + 1])
            self.f[:, self.at : self.at + 1] = drawn if given is None or i >= kept else given[:, i : i + 1]
            self.at += 1
        return self.f[:, begin : self.at], None


@pytest.fixture
def looping() -> Looping:
    source = Looping(**LSTM.presets["tiny"], seed=SEED).double().requires_grad_(False)
    source.loops = []
    return source


@pytest.mark.parametrize("chunk", [1, 7, 256])
@pytest.mark.parametrize(
    ("spec", "method"),
    [*((spec, "cached") for spec in SPECS), ("wavenet:tiny", "fused"), ("wavenet:tiny_gaussian", "fused")],
)
def test_the_chunks_together_are_the_naive_draw(spec: str, method: str, chunk: int, built: dict[str, Source]) -> None:
    stream = arbench.stream(built[spec], chunk=chunk, n=N, batch=2, seed=SEED, decode=False, method=method)
    chunks = list(stream)
    assert torch.equal(torch.cat(chunks, dim=1), stream.elements)
    wanted = naive(built[spec], 2, stream.context)
    assert torch.allclose(stream.elements.double(), wanted.double(), rtol=1e-9, atol=1e-9)
    assert stream.elements.dtype == wanted.dtype
    group = 9 if spec == "grouped_pixelcnn:tiny" else 1
    size = min(-(-chunk // group) * group, N)
    assert [one.shape[1] for one in chunks] == [size] * (N // size) + [N % size] * (N % size > 0)
    assert stream.method == method
    assert list(stream) == []


@pytest.mark.parametrize("method", ["cached", "fused"])
@pytest.mark.parametrize("length", [1, 9, N])
def test_given_elements_begin_the_event_and_are_in_no_chunk(length: int, method: str, wavenet: Source) -> None:
    given = torch.arange(2 * length).view(2, length) % 4
    stream = arbench.stream(wavenet, chunk=7, n=N, batch=2, seed=SEED, given=given, decode=False, method=method)
    assert torch.equal(stream.elements, given)
    drawn = torch.cat([*stream, given[:, :0]], dim=1)
    wanted = naive(wavenet, 2, stream.context, given)
    assert torch.equal(drawn, wanted[:, length:])
    assert torch.equal(stream.elements, wanted)


@pytest.mark.parametrize("chunk", [1, 7, 256])
def test_a_native_loop_is_preferred_and_draws_each_chunk_in_one_call(chunk: int, looping: Looping) -> None:
    given = [1, 0, 1]
    stream = arbench.stream(looping, chunk=chunk, n=N, seed=SEED, given=given)
    assert stream.method == "fused"
    (loop,) = looping.loops
    assert [loop.calls for _ in stream] == list(range(2, -(-(N - 3) // chunk) + 2))  # the first reads what is given
    assert torch.equal(stream.elements, naive(looping, 1, stream.context, torch.tensor([given])))


def test_a_native_loop_that_cannot_run_gives_its_reason() -> None:
    source = resolve("wavenet:tiny").build(SEED, torch.bfloat16)
    reason = "needs a model in float32 or float64, not bfloat16; weights=bfloat16 rounds the weights of one in float32"
    with pytest.warns(
        UserWarning, match=f"^WaveNet is drawn step by step, which is slower: a native loop {reason}$"
    ) as warned:
        stream = arbench.stream(source, n=8, seed=SEED)
    assert warned[0].filename == __file__
    assert (stream.method, stream.why) == ("cached", reason)
    assert sum(chunk.shape[1] for chunk in stream) == 8
    with pytest.raises(PlanError, match=f"^WaveNet: fused {reason}; use method='cached'$"):
        arbench.stream(source, n=8, method="fused")
    assert arbench.stream(source, n=8, method="cached").method == "cached"


def test_audio_is_decoded_and_other_events_are_not() -> None:
    stream = arbench.stream("wavenet:tiny", n=20, batch=2, chunk=7, method="cached")
    heard = torch.cat(list(stream), dim=1)
    assert heard.dtype == torch.float32
    assert torch.equal(heard, torch.from_numpy(mu_law_decode(stream.elements, 4)))
    assert stream.rate_hz == 16000
    stream = arbench.stream("wavenet:tiny_logistic", n=20, method="cached")
    assert set(torch.cat(list(stream), dim=1).unique().tolist()) <= {-1, *torch.tensor([-1 / 3, 1 / 3]).tolist(), 1}
    stream = arbench.stream("wavenet:tiny_gaussian", n=400, method="cached")
    heard = torch.cat(list(stream), dim=1)
    assert stream.elements.abs().max() > 1
    assert torch.equal(heard, stream.elements.clamp(-1, 1))
    stream = arbench.stream("transformer:tiny,kind=audio", n=9)
    assert torch.equal(next(stream), torch.from_numpy(mu_law_decode(stream.elements, 4)))
    stream = arbench.stream("lstm:tiny", n=9)
    assert torch.equal(next(stream), stream.elements)
    assert stream.rate_hz is None


def test_an_interrupt_within_a_chunk_leaves_a_clean_partial_stream(
    wavenet: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, extend = [0], wavenet.extend

    def interrupted(*args: Any) -> Any:
        found = extend(*args)
        steps[0] += 1
        if steps[0] == 18:  # within the third chunk, once the state has changed
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(wavenet, "extend", interrupted)
    stream = arbench.stream(wavenet, chunk=7, n=N, seed=SEED, decode=False, method="cached")
    other = arbench.stream(wavenet, chunk=5, n=N, seed=SEED, decode=False, method="cached")
    got = []
    with pytest.raises(KeyboardInterrupt):
        got.extend(stream)  # type: ignore[arg-type]
    with pytest.raises(StopIteration):
        next(stream)
    wanted = naive(wavenet, 1, stream.context)
    assert torch.equal(stream.elements, wanted[:, :14])
    assert torch.equal(torch.cat(list(other), dim=1), wanted)


def test_an_interrupt_between_drawing_and_yielding_leaves_no_gap(
    wavenet: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = arbench.stream(wavenet, chunk=7, n=N, seed=SEED, method="cached")
    next(stream)

    def interrupted(_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(wavenet, "amplitudes", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(stream)
    assert list(stream) == []


def test_a_stream_that_is_left_or_closed_keeps_what_it_yielded(wavenet: Source) -> None:
    with arbench.stream(wavenet, chunk=7, n=N, seed=SEED, decode=False, method="cached") as stream:
        chunk = next(stream)
    assert list(stream) == []
    assert torch.equal(chunk, naive(wavenet, 1, stream.context)[:, :7])
    assert torch.equal(stream.elements, chunk)
    assert repr(stream) == "<arbench.stream of WaveNet: 1 x 7 of 36 elements, cached>"


def test_a_chunk_belongs_to_its_reader(wavenet: Source) -> None:
    stream = arbench.stream(wavenet, chunk=7, n=N, seed=SEED, decode=False, method="cached")
    for chunk in stream:
        chunk.zero_()
        stream.elements.zero_()
    assert torch.equal(stream.elements, naive(wavenet, 1, stream.context))


def test_streams_of_one_model_interleave_in_one_thread(wavenet: Source) -> None:
    streams = [arbench.stream(wavenet, chunk=chunk, n=N, seed=SEED, method="cached") for chunk in (5, 7)]
    for _ in zip_longest(*streams):
        pass
    for one in streams:
        assert torch.equal(one.elements, naive(wavenet, 1, one.context))


@pytest.mark.parametrize("method", ["cached", "fused"])
def test_streams_run_in_two_threads_at_once_and_threads_share_a_stream(method: str, wavenet: Source) -> None:
    shared = arbench.stream(wavenet, chunk=1, n=N, seed=SEED, decode=False, method=method)
    own = [arbench.stream(wavenet, chunk=3, n=N, seed=SEED, decode=False, method=method) for _ in range(2)]
    got: list[list[Tensor]] = [[], []]
    failed: list[BaseException] = []

    def draw(number: int) -> None:
        try:
            for _ in own[number]:
                got[number].append(next(shared, torch.empty(1, 0, dtype=torch.long)))
            got[number].extend(shared)
        except BaseException as error:
            failed.append(error)

    threads = [Thread(target=draw, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    wanted = naive(wavenet, 1, shared.context)
    for stream in (*own, shared):
        assert torch.equal(stream.elements, wanted)
    assert sorted(torch.cat(got[0] + got[1], dim=1)[0].tolist()) == sorted(wanted[0].tolist())


def test_gradients_stay_as_the_reader_has_them() -> None:
    source = resolve("wavenet:tiny_gaussian").build(SEED).requires_grad_()  # its draws have gradients
    for chunk in arbench.stream(source, chunk=7, n=14, method="cached"):
        assert torch.is_grad_enabled()
        assert not chunk.requires_grad


def test_the_length_is_that_of_the_conditioning_or_of_the_data(wavenet: Source) -> None:
    context = {"local": torch.zeros(2, 3, 5), "global": torch.tensor([0, 4])}
    stream = arbench.stream(wavenet, batch=2, context=context, method="cached")
    assert stream.n == 15  # five frames of three samples
    assert next(stream).shape == (2, 15)
    assert arbench.stream("wavenet:tiny_logistic", method="cached").n == 231_823  # the longest recording that ships
    assert arbench.stream(wavenet, n=14, batch=2, context=context, method="cached").n == 14


def test_weights_are_those_of_the_file(wavenet: Source, tmp_path: Path) -> None:
    with torch.no_grad():
        for parameter in wavenet.parameters():
            parameter.mul_(2)
    save(wavenet, tmp_path / "w.safetensors")
    stream = arbench.stream("wavenet:tiny", weights=tmp_path / "w.safetensors", n=N, dtype="float64", seed=SEED)
    list(stream)
    assert torch.equal(stream.elements, naive(wavenet, 1, stream.context))
    assert not torch.equal(stream.elements, arbench.stream("wavenet:tiny", n=N, dtype="float64", seed=SEED).elements)
    with torch.no_grad():
        wavenet.out[0, 0] = torch.nan
    save(wavenet, tmp_path / "nan.safetensors")
    with pytest.raises(PlanError, match=r"^weights .*nan\.safetensors: tensor 'out' is nan at \[0, 0\]; "):
        arbench.stream("wavenet:tiny", weights=tmp_path / "nan.safetensors")
    with pytest.raises(PlanError, match=r"^weights .*w\.safetensors: saved from another model or preset: "):
        arbench.stream("wavenet:tiny,levels=5", weights=tmp_path / "w.safetensors")
    with pytest.raises(PlanError, match=r"^WaveNet: weight 'out' has NaN; give weights that are numbers$"):
        arbench.stream(wavenet)


def test_trained_weights_follow_the_name(trained, tmp_path: Path) -> None:
    path = trained("wavenet:tiny", tmp_path / "model.safetensors", seed=3)
    how = {"n": N, "dtype": "float64", "seed": SEED}
    stream, same = arbench.stream(f"wavenet@{path}", **how), arbench.stream("wavenet:tiny", weights=path, **how)
    for one in (stream, same):
        list(one)
    assert torch.equal(stream.elements, same.elements)
    with pytest.raises(
        PlanError, match=r" names its weights, and the weights .* are given too; leave out one of them$"
    ):
        arbench.stream(f"wavenet@{path}", weights=path)


TINY = {"model": "wavenet:tiny"}
FRAMES = {"local": torch.zeros(1, 3, 5), "global": torch.zeros(1, dtype=torch.long)}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"n": 0}, "n must be at least 1, got 0"),
    ({"n": 1.5}, "n must be an integer, got 1.5"),
    ({"batch": 0}, "batch must be at least 1, got 0"),
    ({"chunk": 0}, "chunk must be at least 1, got 0"),
    ({"chunk": True}, "chunk must be an integer, got True"),
    ({"seed": -1}, "seed must be between 0 and 2^63 - 1, got -1"),
    ({"method": "naive"}, "no method 'naive' draws in chunks; available: cached, fused"),
    (
        {"model": "lstm:tiny", "n": 9, "method": "fused"},
        "lstm:tiny: fused needs a native loop, which the model does not have: it does not define native; "
        "use method='cached'",
    ),
    ({"method": "fused,thread=2"}, "method 'fused': no setting 'thread'; did you mean 'threads'?"),
    ({"method": "cached,threads=2"}, "method 'cached' takes no settings"),
    ({"method": "cached,backend=numba"}, "method 'cached' takes no settings; use backend='numba' beside it"),
    ({"method": "fused,backend=numba"}, "method 'fused': no setting 'backend'; available: weights, threads"),
    ({"method": "fused,weights"}, "weights needs a value, as in fused,weights=bfloat16"),
    ({"given": [0] * 9, "n": 8}, "given has 9 elements, and the event only 8; give fewer, or a larger n"),
    ({"given": [4]}, "given is from 4 to 4; the model draws 0 to 3"),
    ({"given": [0.5]}, "given is of torch.float32; give elements as the model draws them, which are integers"),
    ({"given": [[0], [0]]}, "given has the shape (2, 1); give elements (M,) or (1, M)"),
    ({"given": "hello"}, "given is str; give elements (M,) or (1, M)"),
    (
        {"model": "wavenet:tiny_gaussian", "given": [torch.nan]},
        "given must be finite real numbers, as the model draws them",
    ),
    (
        {"model": "grouped_pixelcnn:tiny", "given": [0], "n": 36},
        "given has 1 elements; give as many as complete a group that is drawn at once",
    ),
    ({"context": 3}, "wavenet:tiny: context is int; give a dictionary of tensors"),
    ({"context": {}}, "wavenet:tiny: context must have 'local', 'global', got nothing"),
    (
        {"context": FRAMES, "n": 16},
        "wavenet:tiny: the context is long enough for 15 elements, n is 16; give a longer context",
    ),
    ({"context": FRAMES, "batch": 2}, "wavenet:tiny: context 'local' is for 1 events, batch is 2; make them equal"),
    (
        {"context": FRAMES | {"global": torch.tensor([5])}},
        "wavenet:tiny: context 'global' is from 5 to 5; give values from 0 to 4",
    ),
    (
        {"context": FRAMES | {"global": torch.zeros(1)}},
        "wavenet:tiny: context 'global' is of torch.float32; give torch.int64",
    ),
    (
        {"context": FRAMES | {"local": torch.zeros(3, 5)}},
        "wavenet:tiny: context 'local' is (3, 5); give a tensor of 3 axes (B, ...)",
    ),
    (
        {"context": FRAMES | {"local": torch.full((1, 3, 5), torch.nan)}},
        "wavenet:tiny: context 'local' is not finite; give numbers",
    ),
    ({"model": "lstm:tiny"}, "lstm:tiny: nothing says how long an event is; give n, the number of elements"),
    ({"model": "grouped_pixelcnn:tiny", "n": 7}, "grouped_pixelcnn:tiny: no square has 7 pixels; near: 4, 9"),
    (
        {"model": "iaf:tiny"},
        "iaf:tiny draws all elements in one pass, so it does not stream; use its method 'parallel'",
    ),
    ({"model": "wavenett"}, "unknown model 'wavenett'; did you mean 'wavenet'?"),
    ({"model": 3}, f"model '3': 3 is not a subclass of arbench.models.Source; {TAKEN}"),
    ({"dtype": "float"}, "unknown dtype 'float'; did you mean 'float64'?"),
    ({"dtype": 64}, "dtype must be a name, as in dtype='float32', got 64"),
    ({"dtype": torch.int8}, "unknown dtype 'int8'; available: float64, float32, float16, bfloat16"),
    ({"device": 0}, "device must be a name, as in device='cpu', got 0"),
    ({"backend": torch}, f"backend must be a name, as in backend='eager', got {torch!r:.40}"),
    ({"method": 3}, "method must be a name, as in method='cached', got 3"),
    ({"weights": 3}, "weights must be the path of a file, got int"),
]


@pytest.mark.parametrize(("arguments", "line"), REFUSED, ids=[line for _, line in REFUSED])
def test_bad_arguments_are_refused_at_the_call(arguments: dict[str, Any], line: str) -> None:
    with pytest.raises(PlanError) as refused:
        arbench.stream(**TINY | arguments)
    assert str(refused.value) == line


def test_context_of_a_wrong_width_is_refused_and_a_built_model_is_not_built_again(wavenet: Source) -> None:
    with pytest.raises(PlanError, match=r"^wavenet:tiny: context does not fit the model: RuntimeError: .*$"):
        arbench.stream("wavenet:tiny", context=FRAMES | {"local": torch.zeros(1, 4, 5)}, method="cached")
    with pytest.raises(PlanError, match=r"^WaveNet is built already; leave out dtype, or pass the model's name$"):
        arbench.stream(wavenet, dtype="float32")


@pytest.mark.parametrize("model", ["wavenet:tiny", "wavenet:tiny_gaussian"])
@pytest.mark.parametrize("method", ["cached", "fused,threads=1"])
def test_a_chunk_whose_parameters_overflow_is_not_yielded(model: str, method: str) -> None:
    """A bias that is finite, and not beside another one, makes parameters infinite: what they draw means nothing."""
    source = resolve(model).build(SEED)
    stream = arbench.stream(source, n=12, chunk=4, method=method)
    first = next(stream)
    assert first.isfinite().all()
    with torch.no_grad():
        for weights in source.parameters():
            weights.mul_(1e30)
    stream = arbench.stream(source, n=12, chunk=4, given=torch.zeros(5, dtype=stream.elements.dtype), method=method)
    said = (
        "element 5 of row 0 has parameters that are not finite in float32, so its draw means nothing; "
        "check the weights and the conditioning, or choose a dtype of a larger range"
    )
    with pytest.raises(FloatingPointError, match=f"^{re.escape(said)}$"):
        next(stream)
    assert list(stream) == []
    assert stream.elements.shape == (1, 5)


@pytest.mark.parametrize(("logits", "fine"), [((0.0, -torch.inf), True), ((-torch.inf, -torch.inf), False)])
def test_symbols_that_are_never_drawn_are_no_overflow(logits: tuple[float, float], fine: bool) -> None:
    params, x = torch.tensor([[[1.0, 2.0], logits]]), torch.zeros(1, 2, dtype=torch.long)
    raised = nullcontext() if fine else pytest.raises(FloatingPointError, match=r"^element 8 of row 0 has ")
    with raised:
        check_finite(Categorical(2), x, params, 7)
    with pytest.raises(FloatingPointError, match=r"^element 7 of row 0 has "):
        check_finite(Normal(), torch.tensor([[torch.inf, 0.0]]), torch.zeros(1, 2, 2), 7)


def test_a_dtype_and_a_device_may_be_those_of_pytorch() -> None:
    stream = arbench.stream("lstm:tiny", n=4, dtype=torch.float64, device=torch.device("cpu"))
    assert {p.dtype for p in stream.source.parameters()} == {torch.float64}


def test_a_class_is_built_with_its_default_preset() -> None:
    class Mine(LSTM):
        presets = {"tiny": LSTM.presets["tiny"]}

    stream = arbench.stream(Mine, n=8, seed=SEED)
    assert isinstance(stream.source, Mine)
    assert isinstance(stream, Iterator)
    assert [one.shape for one in stream] == [(1, 8)]
