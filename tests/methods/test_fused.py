"""A WaveNet's native loop draws what its incremental steps draw, whatever law, batch, prompt, threads and weights."""

from __future__ import annotations

import copy
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from arbench.api.streams import stream
from arbench.distributions import Categorical
from arbench.kernels.samplers import wavenet_draw
from arbench.methods import CACHED, METHODS, MethodError, Outcome, Task, resolve
from arbench.methods.native import Native, lacks, native, remark
from arbench.models import Source
from arbench.models import resolve as model
from arbench.models.wavenet import WaveNet
from arbench.models.weights import rounded

N = 40
LAWS = (
    "wavenet:tiny",
    "wavenet:tiny,scalar=true",  # a class enters as one number
    "wavenet:tiny_logistic",
    "wavenet:tiny_gaussian",
    "wavenet:tiny_gaussian_mixture",
    "wavenet:tiny_gaussian,loss=logistic",
    "wavenet:tiny_gaussian_mixture,loss=logistic_mixture",
)
SHAPES = (
    "wavenet:tiny,residual=17,gate=33,skip=31",  # more than one vector, and none of them full
    "wavenet:tiny_logistic,local=3,hop=2,classes=3,kernel=1",  # no past, and both kinds of conditioning
    "wavenet:tiny,layers=1,cycle=1,levels=70",  # more than one panel of logits
)
SETTINGS = ("fused", "fused,threads=2", "fused,weights=bfloat16", "fused,threads=2,weights=bfloat16")


def biased(spec: str, kind: torch.dtype = torch.float32) -> Source:
    """Build a model without zero biases, which would hide that one is left out or added twice."""
    source = model(spec).build(0, kind)
    generator = torch.Generator().manual_seed(4)
    for parameter in source.parameters():
        if not parameter.any():
            parameter.data.normal_(0, 0.3, generator=generator)
    return source


def task(source: Source, batch: int, given: int = 0, n: int = N) -> Task:
    kind = next(source.parameters()).dtype
    x, context = source.observe(n, range(batch), 0)
    context = {name: value.to(kind) if value.is_floating_point() else value for name, value in context.items()}
    noise = source.distribution.noise(0, range(batch), range(n), kind)
    prompt = x[:, :given] if given else None
    return Task(n, context, noise=noise, given=prompt, record=True)


def drawn(name: str, source: Source, job: Task) -> Outcome:
    (method,) = resolve(name)
    with torch.no_grad():
        return method.run(source, job)


def same(found: Outcome, wanted: Outcome, tolerance: float) -> None:
    assert found.params is not None
    assert wanted.params is not None
    assert found.x.dtype == wanted.x.dtype
    assert torch.allclose(found.x.double(), wanted.x.double(), rtol=0, atol=tolerance)
    assert torch.allclose(found.params, wanted.params, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("spec", [*LAWS, *SHAPES])
def test_every_law_and_shape_draws_what_steps_draw(spec: str, name: str) -> None:
    (method,) = resolve(name)
    source = biased(spec, torch.float64)
    source = source if method.rounds is None else rounded(source, method.rounds)
    for batch, given in ((1, 0), (3, 7), (5, N)):
        job = task(source, batch, given)
        same(drawn(name, source, job), drawn("cached", source, job), 1e-12)


@pytest.mark.parametrize("name", SETTINGS)
def test_float32_and_bfloat16_weights_differ_from_float64_by_rounding_alone(name: str) -> None:
    (method,) = resolve(name)
    source = biased(SHAPES[0])
    source = source if method.rounds is None else rounded(source, method.rounds)
    job = task(source, 6)
    found = drawn(name, source, job)
    same(found, drawn("cached", source, job), 1e-5)
    (_, shares) = next(iter(source._packs._kept.values()))  # type: ignore[union-attr]
    wanted = torch.float32 if method.rounds is None else torch.int16
    assert {share.weights.dtype for share in shares} == {wanted}


def test_changed_weights_are_packed_again_and_a_copy_packs_its_own() -> None:
    source = model("wavenet:tiny").build(0, torch.float64)
    job = task(source, 1)
    before = drawn("fused", source, job)
    other = copy.deepcopy(source)
    source.out.data.mul_(1.5)  # past PyTorch's version counters
    same(drawn("fused", source, job), drawn("cached", source, job), 1e-12)
    assert not torch.equal(drawn("fused", source, job).params, before.params)  # type: ignore[arg-type]
    assert torch.equal(drawn("fused", other, job).params, before.params)  # type: ignore[arg-type]


def test_a_draw_goes_on_where_it_stopped() -> None:
    source = model("wavenet:tiny").build(0, torch.float64)
    job = task(source, 2)
    assert job.noise is not None
    wanted = drawn("cached", source, job)
    for threads in (1, 2):
        draw = source.native(source.encode(job.context, N), 2, threads=threads)
        parts = [draw.draw(job.noise[:, at : at + 7], record=True) for at in range(0, N, 7)]
        assert torch.equal(torch.cat([x for x, _ in parts], dim=1), wanted.x)
        assert draw.draw(job.noise[:, :0])[0].shape == (2, 0)


def test_several_native_calls_are_one_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    source = model("wavenet:tiny").build(0, torch.float64)
    job = task(source, 2)
    monkeypatch.setattr(wavenet_draw, "SLICE_FLOPS", 1.0)
    for name in ("fused", "fused,threads=2"):
        same(drawn(name, source, job), drawn("cached", source, job), 1e-12)


def test_two_draws_at_once_in_two_threads() -> None:
    source = model("wavenet:tiny").build(0, torch.float64)
    jobs = [task(source, batch) for batch in (1, 4)]
    found: dict[int, Outcome] = {}

    def work(i: int) -> None:
        for _ in range(5):
            found[i] = drawn("fused,threads=2", source, jobs[i])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for i, job in enumerate(jobs):
        same(found[i], drawn("cached", source, job), 1e-12)


@pytest.mark.parametrize("threads", [1, 2])
def test_one_draw_is_not_for_two_threads(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    source = model("wavenet:tiny").build(0, torch.float64)
    job = task(source, 1)
    assert job.noise is not None
    draw, noise, inner = source.native(source.encode(job.context, N), 1, threads=threads), job.noise, wavenet_draw.run
    said: list[str] = []

    def second() -> None:
        try:
            draw.draw(noise[:, :3])
        except RuntimeError as error:
            said.append(str(error))

    def meanwhile(*args: Any) -> Any:
        if args[6] == 0:
            other = threading.Thread(target=second)
            other.start()
            other.join(60)
        return inner(*args)

    monkeypatch.setattr(wavenet_draw, "run", meanwhile)
    x, _ = draw.draw(noise[:, :7])
    monkeypatch.setattr(wavenet_draw, "run", inner)
    assert said == ["another thread is in the middle of this draw; start a draw for each thread"]
    rest, _ = draw.draw(noise[:, 7:])
    assert torch.equal(torch.cat([x, rest], dim=1), drawn("cached", source, job).x)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_between_two_native_calls_leaves_nothing_running(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = model("wavenet:tiny").build(0, torch.float64)
    job = task(source, 1)
    assert job.noise is not None
    inner: Callable[..., Any] = wavenet_draw.run
    calls: list[int] = []

    def interrupted(*args: Any) -> Any:
        if args[6] == 0:  # the thread that draws and hears signals
            calls.append(args[-2])
            if len(calls) == 3:
                raise KeyboardInterrupt
        return inner(*args)

    monkeypatch.setattr(wavenet_draw, "SLICE_FLOPS", 1.0)
    monkeypatch.setattr(wavenet_draw, "run", interrupted)
    draw = source.native(source.encode(job.context, N), 1, threads=threads)
    with pytest.raises(KeyboardInterrupt):
        draw.draw(job.noise)
    with pytest.raises(RuntimeError, match="start another one"):
        draw.draw(job.noise)
    monkeypatch.setattr(wavenet_draw, "run", inner)
    assert torch.equal(drawn("fused", source, job).x, drawn("cached", source, job).x)


def test_a_second_thread_that_fails_ends_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    source = model("wavenet:tiny").build(0, torch.float64)
    job = task(source, 1)
    assert job.noise is not None
    drawn("fused,threads=2", source, job)  # compiles
    inner: Callable[..., Any] = wavenet_draw.run

    def failing(*args: Any) -> Any:
        if args[6] == 1:
            raise MemoryError("no scratch")
        return inner(*args)

    monkeypatch.setattr(wavenet_draw, "run", failing)
    draw, noise, raised = source.native(source.encode(job.context, N), 1, threads=2), job.noise, list[BaseException]()

    def work() -> None:
        try:
            draw.draw(noise)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(20)
    draw._counters[2 * 8] = 1  # type: ignore[attr-defined]  # ends a thread that waits in vain, so that pytest can end
    assert [str(error) for error in raised] == ["no scratch"]


def test_a_second_thread_that_cannot_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    source = model("wavenet:tiny").build(0, torch.float64)
    job = task(source, 1)
    monkeypatch.setattr("threading.Thread.start", _no_more_threads)
    with pytest.raises(RuntimeError, match=r"second thread cannot start \(no more threads\); use threads=1"):
        drawn("fused,threads=2", source, job)
    same(drawn("fused", source, job), drawn("cached", source, job), 1e-12)


def _no_more_threads(self: threading.Thread) -> None:
    raise RuntimeError("no more threads")


def test_a_draw_with_two_threads_does_not_go_on_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    source = model("wavenet:tiny").build(0, torch.float64)
    job = task(source, 1)
    assert job.noise is not None
    draw = source.native(source.encode(job.context, N), 1, threads=2)
    draw.draw(job.noise[:, :7])
    monkeypatch.setattr("os.getpid", lambda: -1)  # as after a fork, where the thread does not exist
    with pytest.raises(RuntimeError, match="start another draw in this one"):
        draw.draw(job.noise[:, 7:])


def test_weights_that_were_not_rounded_are_not_drawn_from_as_if() -> None:
    source = model("wavenet:tiny").build(0)
    with pytest.raises(ValueError, match="not rounded to bfloat16; call"):
        drawn("fused,weights=bfloat16", source, task(source, 1))


def test_what_is_out_of_bounds_is_refused() -> None:
    source = model("wavenet:tiny").build(0)
    job = task(source, 2)
    noise, context = job.noise, job.context
    assert noise is not None
    short = {key: value[..., :1] if key == "local" else value for key, value in context.items()}
    prompts = torch.tensor([[0, 4], [0, 1]]), torch.tensor([[0, -1], [0, 1]])
    for other, message in (
        (Task(N, context, noise=noise, given=prompts[0]), "from 0 to 4; the model draws 0 to 3"),
        (Task(N, context, noise=noise, given=prompts[1]), "from -1 to 1; the model draws 0 to 3"),
        (Task(N, context, noise=noise[..., :2]), r"give \(2, M, 4\)"),
        (Task(N, task(source, 3).context, noise=noise), "is for 3 events, and 2 are drawn"),
        (Task(N, short, noise=noise), "long enough for 3 elements, not 40"),
    ):
        with pytest.raises(ValueError, match=message):
            drawn("fused", source, other)
    draw = source.native(source.encode(context, N), 2)
    with pytest.raises(ValueError, match=r"give \(2, M\)"):
        draw.draw(noise, torch.zeros(1, 2, dtype=torch.long))


def test_the_first_element_does_not_read_the_embedding() -> None:
    source = model("wavenet:tiny").build(0)
    source.embedding.data[0] = torch.inf  # type: ignore[index]
    job = task(source, 1, 1, 1)
    same(drawn("fused", source, job), drawn("cached", source, job), 1e-5)


def test_an_alphabet_of_one_class() -> None:
    source = model("wavenet:tiny,levels=1").build(0, torch.float64)
    job = Task(N, task(model("wavenet:tiny").build(0, torch.float64), 1).context, noise=torch.zeros(1, N, 1).double())
    assert drawn("fused", source, job).x.eq(0).all()


def test_a_step_reads_the_weights_without_their_padding() -> None:
    source = model("wavenet:tiny").build(0)
    matrices = ("stack.gate_weight", "stack.out_weight", "hidden", "out")
    numbers = sum(source.get_parameter(name).numel() for name in matrices)
    job = task(source, 1)
    for name, bytes in (("fused", 4), ("fused,threads=2", 4), ("fused,weights=bfloat16", 2)):
        assert drawn(name, source if bytes == 4 else rounded(source, torch.bfloat16), job).step_bytes == bytes * numbers


def test_nan_logits_draw_the_first_such_class_as_pytorch_does() -> None:
    source = model("wavenet:tiny,levels=70").build(0)
    source.out_bias.data[[40, 50]] = torch.nan  # type: ignore[index]
    job = task(source, 1)
    assert drawn("fused", source, job).x.tolist() == drawn("cached", source, job).x.tolist() == [[40] * N]
    source = model("wavenet:tiny_logistic").build(0)
    source.out_bias.data[:] = torch.nan  # type: ignore[index]
    job = task(source, 1)
    assert drawn("fused", source, job).x.tolist() == drawn("cached", source, job).x.tolist() == [[0] * N]


@pytest.mark.parametrize("name", ["fused", "fused,threads=2"])
@pytest.mark.parametrize("where", ["stack.gate_bias", "stack.out_bias", "hidden_bias"])
def test_nan_inside_the_network_is_not_rectified(where: str, name: str) -> None:
    source = model("wavenet:tiny_gaussian").build(0)
    source.get_parameter(where).data.view(-1)[-1] = torch.nan
    job = task(source, 1)
    assert drawn("cached", source, job).x.isnan().all()
    assert drawn(name, source, job).x.isnan().all()


@pytest.mark.parametrize(("n", "given"), [(1, 0), (1, 1)])
def test_the_shortest_event(n: int, given: int) -> None:
    source = model("wavenet:tiny").build(0, torch.float64)
    job = task(source, 1, given, n)
    same(drawn("fused", source, job), drawn("cached", source, job), 1e-12)


def test_what_does_not_fit_is_refused() -> None:
    source = model("wavenet:tiny").build(0)
    with pytest.raises(ValueError, match="at least one element"):
        drawn("fused", source, Task(0, {}, noise=torch.zeros(1, 0, 4)))
    longer = Task(4, task(source, 1).context, noise=torch.zeros(1, 4, 4), given=torch.zeros(1, 5, dtype=torch.long))
    with pytest.raises(ValueError, match="must end where a group ends, got 5"):
        drawn("fused", source, longer)
    (method,) = resolve("fused")
    assert "not bfloat16" in str(method.lacks(model("wavenet:tiny").build(0, torch.bfloat16)))
    assert "does not define native" in str(method.lacks(model("made:tiny").cls))


class Loud(WaveNet):
    def _head(self, skip: Tensor) -> Tensor:
        return 2 * super()._head(skip)


class Louder(Loud):
    native = WaveNet.native  # says that the loop is right for it


class Spoken(WaveNet):
    def amplitudes(self, x: Tensor) -> Tensor:
        return x.float()


class Poisson(Categorical):
    pass


def test_a_subclass_that_steps_in_another_way_has_no_native_loop() -> None:
    said = "does not know Loud._head; define native beside it"
    assert lacks(Loud) == said
    assert lacks(Loud(**WaveNet.presets["tiny"])) == said
    for kind in (WaveNet, Louder, Spoken):
        assert lacks(kind) is None
        assert lacks(kind(**WaveNet.presets["tiny"])) is None
    with pytest.warns(UserWarning, match="a native loop does not know Loud._head"):
        assert stream(Loud(**WaveNet.presets["tiny"]), n=8).method == "cached"


def test_a_law_or_stack_of_the_users_has_no_native_loop() -> None:
    source = WaveNet(**WaveNet.presets["tiny"])
    source.distribution = Poisson(4)
    assert lacks(source) == "has no draw from a Poisson"
    with pytest.warns(UserWarning, match="a native loop has no draw from a Poisson"):
        assert stream(source, n=8).method == "cached"
    source = WaveNet(**WaveNet.presets["tiny"])
    source.stack.__class__ = type("Mine", (type(source.stack),), {})
    assert lacks(source) == "has no steps of a Mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fused,weights=float8", "weights must be float32 or bfloat16, got float8"),
        ("fused,weights=", "method 'fused': the setting 'weights' has no value"),
        ("fused,threads=3", "threads must be 1 or 2, got 3"),
        ("fused,threads=true", "threads must be 1 or 2"),
        ("fused,cores=2", "no setting 'cores'"),
    ],
)
def test_settings_that_do_not_exist(name: str, message: str) -> None:
    with pytest.raises(MethodError, match=message):
        resolve(name)


def test_two_threads_need_two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    with pytest.raises(ValueError, match="this process has 1"):
        native({"threads": 2})
    assert native({"weights": "bfloat16"}) == Native(torch.bfloat16)
    source, threads = model("wavenet:tiny").build(0), list[int]()
    inner = source.native

    def seen(*args: Any, **settings: Any) -> Any:
        threads.append(settings["threads"])
        return inner(*args, **settings)

    monkeypatch.setattr(source, "native", seen)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    drawn("fused", source, task(source, 1))
    assert threads == [1]


def test_the_twin_takes_the_same_steps() -> None:
    (method,) = [method for method in METHODS if method.name == "fused"]
    assert method.twin is CACHED


def test_narrower_vectors_and_no_cache_are_said_beside_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fused", "fused,threads=1", "stream,by=fused"):
        (method,) = resolve(name)
        assert method.remark is remark
    for registers, said in (
        (("AVX-512", 64), ""),
        (("AVX2", 32), "The native loop is made for the vectors of AVX-512, 64 bytes; here they have 32 bytes (AVX2)."),
        ((None, None), "The native loop is made for the vectors of AVX-512, 64 bytes; here their size is unknown."),
    ):
        monkeypatch.setattr("arbench.kernels.samplers.vectors.registers", lambda found=registers: found)
        assert remark() == said
    monkeypatch.setattr("arbench.kernels.samplers.vectors.registers", lambda: ("AVX-512", 64))
    monkeypatch.setattr("arbench.kernels.core.numba_rows.uncached", lambda: "code cannot be cached")
    assert remark() == "Code cannot be cached."


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="needs an x86-64 processor")
def test_code_for_a_processor_without_avx_512_draws_the_same(tmp_path: Path) -> None:
    """Compile for Haswell: the run verifies its draws; no register of 64 bytes is used, and the row says so."""
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma,+bmi,+bmi2,-avx512f",
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
    }
    code = """
import arbench, torch
from arbench.kernels import pack_weight, packed_matmul
from arbench.kernels.samplers.products import products

names = ["cached", "fused,threads=1", "fused,weights=bfloat16,threads=1"]
model = "wavenet:tiny,levels=70"
for case in arbench.measure(model, methods=names, ops=["sample"], n=[40], workers=1, rounds=1).cases.values():
    print(case.method, case.status, (case.verified or {}).get("remark"))
packed_matmul(torch.ones(4, 64), pack_weight(torch.ones(64, 64)), backend="numba")
(code,) = products.inspect_asm().values()
print("zmm" in code, "ymm" in code)
"""
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)
    assert found.returncode == 0, found.stderr
    said = "The native loop is made for the vectors of AVX-512, 64 bytes; here they have 32 bytes (AVX2)."
    *rows, registers = found.stdout.splitlines()
    assert sorted(rows) == [
        "cached ok None",
        f"fused,threads=1 ok {said}",
        f"fused,threads=1,weights=bfloat16 ok {said}",
    ]
    assert registers == "False True"


def _weights(source: Source) -> Tensor:
    return torch.cat([parameter.flatten() for parameter in source.parameters()])


def test_rounded_weights_are_those_of_bfloat16() -> None:
    source = model("wavenet:tiny").build(0)
    before = _weights(source).clone()
    assert torch.equal(_weights(rounded(source, torch.bfloat16)), before.bfloat16().float())


def test_a_step_reads_every_weight_of_the_matrices_once_and_no_padding() -> None:
    source = model("wavenet:tiny").build(0)
    stack = source.stack
    matrices = (stack.gate_weight, stack.out_weight, source.hidden, source.out)  # type: ignore[union-attr]
    numbers = sum(one.numel() for one in matrices)  # type: ignore[operator, union-attr]
    job = task(source, 3)
    assert drawn("fused", source, job).step_bytes == 4 * numbers
    assert drawn("fused", source, job).exchanges == 0
    assert drawn("fused,threads=2", source, job).exchanges == 4 + 2  # layers, the skip stream, parameters
    assert drawn("fused,weights=bfloat16", rounded(source, torch.bfloat16), job).step_bytes == 2 * numbers
