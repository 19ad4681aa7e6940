"""Kernels as cases: their implementations, verification, timing and copies of the inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

import arbench.kernels
from arbench.bench.analyse import above_roof
from arbench.bench.inexact import InexactError
from arbench.bench.job import Job
from arbench.bench.kernels.calls import MOST_COPIES, WORKING_SET, Replay, compiled, copied, copies_of, waits
from arbench.bench.kernels.peers import PEERS
from arbench.bench.kernels.plan import KernelOptions, config_of, make_kernel_plan, text_of
from arbench.bench.kernels.subject import KernelSubject, interpret, reason
from arbench.bench.kernels.verify import BASELINE, expected, verify_kernel
from arbench.bench.plan import PlanError
from arbench.bench.runner import run_plan
from arbench.bench.subject import opened
from arbench.kernels import KERNELS, PACKED_MATMUL, pack_weight
from arbench.kernels.softmax import SOFTMAX
from arbench.results import Count, Samples, Verification, read

SMALL = {"cpu": [dict(rows=4, width=8), dict(rows=2, width=16)], "cuda": [dict(rows=4, width=8)]}


def softmax(**changed: Any) -> arbench.kernels.Kernel:
    """Return softmax with tiny sizes."""
    return replace(SOFTMAX, sizes=SMALL, checks=[dict(rows=3, width=5)], **changed)


def faulty(backend: str, fault: Callable[[Any], Any]) -> arbench.kernels.Kernel:
    """Return a softmax that is wrong on one backend, and has a Numba backend."""

    def call(x: Any, dim: int = -1, *, backend: str | None = None) -> Any:
        right = SOFTMAX.call(x, dim, backend="triton" if backend == "triton" else "eager")
        return fault(right) if backend == wrong else right

    wrong = backend
    return softmax(call=call, backends=("eager", "triton", "numba"))


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that makes the given kernels the only ones, for workers inside this process."""

    def put(*kernels: arbench.kernels.Kernel) -> None:
        monkeypatch.setattr(arbench.kernels, "KERNELS", {kernel.name: kernel for kernel in kernels})

    return put


def test_cases_are_listed_by_configuration_and_op_with_torch_as_reference(registered):
    registered(softmax(backends=("eager", "triton", "numba")))
    cases = make_kernel_plan(KernelOptions()).cases
    found = [(case.preset, case.op, case.method, case.backend) for case in cases]
    first, second, check = "rows=4,width=8", "rows=2,width=16", "rows=3,width=5"
    timed = [("torch", "eager"), ("torch", "compile"), ("arbench", "numba")]
    assert found == [
        *((first, op, *who) for op in ("forward", "backward") for who in timed),
        *((second, op, *who) for op in ("forward", "backward") for who in timed if who[1] != "compile"),
        *((check, op, "arbench", "triton") for op in ("forward", "backward")),
    ]
    assert [case.reference for case in cases] == [case.backend == "eager" for case in cases]
    assert {case.worker_key for case in cases} == {("kernels", "cpu", "float32")}
    assert [interpret(case) for case in cases] == [case.backend == "triton" for case in cases]
    assert (cases[0].batch, cases[0].n, cases[0].element) == (4, 8, "logit")


@pytest.mark.parametrize(
    ("dtype", "timed"), [("float32", True), ("float64", True), ("float16", False), ("bfloat16", False)]
)
def test_numba_is_listed_for_what_it_takes(registered, dtype, timed):
    registered(softmax(backends=("eager", "triton", "numba")))
    cases = make_kernel_plan(KernelOptions(dtype=dtype)).cases
    assert any(case.backend == "numba" for case in cases) == timed


def test_every_kernel_is_found_again_by_its_presets():
    for case in make_kernel_plan(KernelOptions()).cases:
        kernel = KERNELS[case.model]
        config = config_of(kernel, case.preset)
        assert text_of(config) == case.preset
        assert kernel.dims(config) == (case.batch, case.n)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(kernels=["sofmax"]), "unknown kernel 'sofmax'; did you mean 'softmax'?"),
        (dict(ops=["foward"]), "unknown op 'foward'; did you mean 'forward'?"),
        (dict(compiled=-1), "--compiled must be at least 0, got -1"),
        (dict(workers=0), "--workers must be at least 1, got 0"),
        (dict(dtype="float31"), "unknown dtype 'float31'; did you mean 'float32'?"),
        (
            dict(kernels=["softmax", "packed_matmul"], dtype="bfloat16"),
            "kernel 'packed_matmul' is not for bfloat16; pass --dtype float64 or float32, or leave it out",
        ),
    ],
)
def test_a_question_that_cannot_be_asked(options, said):
    with pytest.raises(PlanError) as refused:
        make_kernel_plan(KernelOptions(**options))
    assert str(refused.value) == said


def test_a_backward_pass_that_no_kernel_has(registered):
    registered(softmax(gradients=()))
    with pytest.raises(PlanError) as refused:
        make_kernel_plan(KernelOptions(ops=["backward"]))
    assert str(refused.value) == "none of these kernels has a gradient: softmax; measure --op forward"


def test_a_kernel_for_cpus_alone_has_cases_where_it_is_defined_and_none_in_the_interpreter(monkeypatch):
    def planned(**options: Any) -> dict[str, list[Any]]:
        cases = make_kernel_plan(KernelOptions(**options)).cases
        return {name: [case for case in cases if case.model == name] for name in KERNELS}

    alone = planned(kernels=["packed_matmul"])["packed_matmul"]
    assert {(case.method, case.backend) for case in alone} == {
        ("torch", "eager"),
        ("torch", "compile"),
        ("arbench", "numba"),
    }
    assert sum("stored=bfloat16" in case.preset for case in alone) == 2 * 4
    assert not any("stored" in case.preset for case in planned(dtype="float64")["packed_matmul"])
    half = planned(dtype="bfloat16")
    assert half["packed_matmul"] == []
    assert {case.backend for case in half["gated_tanh"]} == {"eager", "compile"}
    monkeypatch.setattr("arbench.bench.kernels.plan.check_device", lambda *_: None)  # as if there were a GPU
    on_gpu = planned(device="cuda")
    assert on_gpu["gated_tanh"] == on_gpu["packed_matmul"] == []
    assert on_gpu["softmax"]
    with pytest.raises(PlanError, match=r"^kernel 'gated_tanh' is not for cuda:0; pass --device cpu, or leave it out$"):
        planned(kernels=["gated_tanh"], device="cuda:0")


@pytest.mark.skipif(torch.cuda.is_available(), reason="tensors are on a GPU")
def test_weights_stored_in_bfloat16_are_verified_against_the_same_numbers(registered):
    sizes = {"cpu": [dict(rows=2, inputs=20, outputs=70, stored="bfloat16")], "cuda": []}
    for right in (True, False):

        def call(x, weight, bias=None, *, backend=None, right=right):
            plain = weight if right or backend == "eager" else pack_weight(weight.plain.flip(0), stored=torch.bfloat16)
            return PACKED_MATMUL.call(x, plain, bias, backend=backend)

        registered(replace(PACKED_MATMUL, call=call, sizes=sizes))
        cases = make_kernel_plan(KernelOptions(compiled=0)).cases
        found = [KernelSubject(Job("prove", cases, seed=0, threads=1)).verification(case) for case in cases]
        assert [one.status for one in found] == ["ok", "ok" if right else "inexact"]
        assert found[0].verified is not None


def test_a_run_times_what_runs_natively_and_checks_the_rest(registered, inside, tmp_path):
    same = faulty("none", lambda y: y)
    registered(same, replace(same, name="other"))  # with the same shapes
    plan = make_kernel_plan(KernelOptions(compiled=0, workers=2, rounds=1))
    results = run_plan(plan, tmp_path)
    rows = list(results.cases.values())
    assert len(rows) == len(plan.cases)
    for row in rows:
        checked = row.backend == "triton"
        assert (row.status, row.error, row.samples > 0) == ("checked" if checked else "ok", None, not checked)
        assert row.verified is not None
        assert row.verified["largest_difference"] < 1e-6
        if not checked:
            passes = 2 if row.op == "forward" else 3
            assert (row.bytes, row.count_source) == (passes * 4 * row.batch * row.n, "formula")
            assert (row.depth, row.why_unknown) == (None, "a kernel's cost formula gives FLOPs and bytes, no depth")
            assert row.flops == 4 * row.batch * row.n

    def place(case: str) -> tuple[str, str, str]:
        return results.cases[case].model, results.cases[case].preset, results.cases[case].op

    assert {(place(case), place(reference)) for case, reference in results.ratios} == {
        (place(row.id), place(row.id)) for row in rows if row.backend == "numba"
    }
    assert results.fits == {}
    before = read(tmp_path).samples
    assert run_plan(plan, tmp_path, resume=True).samples == before


@pytest.mark.parametrize("backend", ["numba", "triton"])
def test_a_wrong_kernel_is_inexact_and_is_not_timed(registered, inside, tmp_path, backend):
    registered(faulty(backend, lambda y: y + 1e-3))
    results = run_plan(make_kernel_plan(KernelOptions(compiled=0, workers=1, rounds=1)), tmp_path)
    for row in results.cases.values():
        wrong = (row.backend, row.op) == (backend, "forward")
        assert (row.status == "inexact") == wrong, row
        if wrong:
            assert row.error is not None
            assert row.error.startswith("the output at [0, 0] is 0.")
            assert row.verified is not None
            assert row.verified["first_difference"] == [0, 0]
            assert row.samples == 0


FAULTS = {
    "one value off": (lambda y: y.index_fill(0, torch.tensor([1]), 0.5), "the output at [1, 0] is 0.5, the "),
    "not a number": (lambda y: y / 0 * 0, "the output at [0, 0] is nan, the float64 reference "),
    "another shape": (lambda y: y[:1], "the output has shape (1, 8), expected (4, 8)"),
    "integers": (lambda y: y.long(), "the output is torch.int64, expected torch.float64"),
    "two outputs": (lambda y: (y, y), "returns output 0, output 1; the reference returns the output"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_of_an_output_is_told(registered, fault):
    change, said = FAULTS[fault]
    registered(faulty("numba", change))
    line = subject().verification(case_of("numba"))
    assert line.status == "inexact"
    assert line.error is not None
    assert line.error.startswith(said)


def test_a_wrong_gradient_is_inexact(registered):
    registered(faulty("numba", lambda y: y.detach() + 2 * (y - y.detach())))
    assert subject().verification(case_of("numba", "forward")).status == "ok"
    line = subject().verification(case_of("numba", "backward"))
    assert line.status == "inexact"
    assert line.error is not None
    assert line.error.startswith("the gradient of x at [0, 0] is ")


def test_a_kernel_that_raises_is_an_error_of_its_own(registered):
    registered(faulty("numba", lambda y: y.no_such_thing))
    line = subject().verification(case_of("numba"))
    assert line.status == "error"
    assert line.error is not None
    assert line.error.startswith("AttributeError: 'Tensor' object has no attribute 'no_such_thing' (")
    assert "test_kernels.py:" in line.error


def test_the_baseline_may_round_worse_and_no_more_than_that(registered):
    tolerance = SOFTMAX.tolerance[torch.float32][1]
    for slack, status in ((0.5, "ok"), (3.0, "inexact")):
        registered(faulty("eager", lambda y, s=slack: y + s * BASELINE * tolerance * (y.dtype != torch.float64)))
        assert subject().verification(case_of("eager")).status == status


def test_inputs_changed_in_place_are_results_too():
    def call(x, *, backend):
        if backend == "numba":
            x[0, 0] += 1
        return x.softmax(-1)

    kernel = softmax(call=call)
    inputs = kernel.inputs(dtype=torch.float32, device="cpu", rows=4, width=8) | {}
    del inputs["dim"]
    against = expected(kernel, "forward", inputs)

    def changing(given):
        y = given["x"].softmax(-1)
        given["x"][0, 0] += 1
        return y

    case = case_of("numba")
    assert verify_kernel(kernel, case, lambda g: g["x"].softmax(-1), inputs, against, torch.float32)
    with pytest.raises(Exception, match=r"^input x after the call at \[0, 0\] is "):
        verify_kernel(kernel, case, changing, inputs, against, torch.float32)


def test_near_ties_are_excused_and_counted():
    def argmax(x, dim=-1, *, backend=None):
        return x.argmax(-1), x.amax(-1)

    tied = torch.tensor([False, True, False, False])
    kernel = softmax(call=argmax, near_ties=lambda inputs, dtype: tied, gradients=())
    inputs = kernel.inputs(dtype=torch.float32, device="cpu", rows=4, width=8)
    against = expected(kernel, "forward", inputs)

    def wrong_in(row):
        def function(given):
            index, best = argmax(**given)
            index[row] += 1
            best[row] -= 1
            return index, best

        return function

    facts = verify_kernel(kernel, case_of("numba"), wrong_in(1), inputs, against, torch.float32)
    assert (facts["near_ties"], facts["excused_ties"], facts["largest_difference"]) == (1, 1, 0.0)
    with pytest.raises(Exception, match=r"^output 0 at \[2\] is "):
        verify_kernel(kernel, case_of("numba"), wrong_in(2), inputs, against, torch.float32)


def held(exact: Any, found: Any, near: Any = None, dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """Return the facts of verifying outputs against those of float64."""
    ties = None if near is None else lambda inputs, dtype: near
    kernel = softmax(call=lambda x, dim=-1, *, backend=None: exact, near_ties=ties, gradients=())
    inputs = kernel.inputs(dtype=dtype, device="cpu", rows=2, width=3)
    against = expected(kernel, "forward", inputs)
    return verify_kernel(kernel, case_of("numba"), lambda given: found, inputs, against, dtype)


def test_infinities_of_another_sign_are_told():
    exact = torch.tensor([1.0, torch.inf, -torch.inf]).double()
    assert held(exact, exact.float())
    for other in ([1.0, -torch.inf, -torch.inf], [1.0, torch.inf, 5.0], [torch.inf, torch.inf, -torch.inf]):
        with pytest.raises(InexactError, match=r"^the output at \[\d\] is "):
            held(exact, torch.tensor(other))


@pytest.mark.parametrize("dtype", SOFTMAX.tolerance)
def test_a_result_of_small_numbers_only_is_not_nothing(dtype):
    numbers = torch.randn(4, 1 << 18, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    exact = numbers.softmax(-1)
    assert held(exact, exact.to(dtype), dtype=dtype)
    with pytest.raises(InexactError, match=r"^the output (as a whole differs from float64 by a norm of|at) "):
        held(exact, torch.zeros_like(exact, dtype=dtype) + 1e-13, dtype=dtype)


def test_of_a_near_tie_only_what_was_decided_otherwise_is_excused():
    exact = torch.arange(100), torch.ones(100).double()
    near = torch.arange(100) < 50
    index, value = exact[0].clone(), torch.ones(100)
    index[:20], value[:20] = 99, 0.5
    assert held(exact, (index, value), near)["excused_ties"] == 20
    value[30] = 0.5  # a near tie that is decided as in float64
    with pytest.raises(InexactError, match=r"^output 1 at \[30\] is 0.5"):
        held(exact, (index, value), near)
    with pytest.raises(InexactError, match=r"^50 of 50 near ties are decided differently from float64$"):
        held(exact, (torch.where(near, 99, exact[0]), torch.ones(100)), near)


def test_float32_is_not_rounded_to_tf32_behind_its_name(registered):
    registered(softmax())
    before = torch.backends.cudnn.allow_tf32
    try:
        torch.backends.cudnn.allow_tf32 = True
        opened(Job("prove", [case_of("eager")], seed=0, threads=1))
        assert not torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = before


def test_a_missing_compiler_is_said_in_one_line():
    error = RuntimeError("InvalidCxxCompiler: No working C++ compiler found in (None, 'g++')\nmore")
    assert reason(error) == "torch.compile finds no working C++ compiler; install one, such as g++"
    assert reason(ValueError("a\nb")) == "ValueError: a b"


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")  # from importing Inductor
def test_what_is_compiled_does_not_share_its_code():
    first, second = compiled(SOFTMAX), compiled(SOFTMAX)
    assert first._torchdynamo_orig_callable.__code__ is not second._torchdynamo_orig_callable.__code__


def test_copies_go_beyond_the_cache_within_memory():
    assert copies_of(WORKING_SET, 0, 100 * WORKING_SET) == 1
    assert copies_of(WORKING_SET // 4, 0, 100 * WORKING_SET) == 4
    assert copies_of(WORKING_SET // 2 - 1, 0, 100 * WORKING_SET) == 3
    assert copies_of(WORKING_SET, WORKING_SET, 100 * WORKING_SET) == 4  # four times the last-level cache
    assert copies_of(1, 0, 100 * WORKING_SET) == MOST_COPIES
    assert copies_of(1000, 0, 16000) == 4  # a quarter of the free memory
    assert copies_of(1000, 0, 0) == 1


def test_a_call_that_waits_for_the_gpu_is_found_before_its_capture(monkeypatch):
    modes: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)

    def call() -> None:
        assert modes[-1] == "error"
        if said:
            raise RuntimeError(said)

    said = ""
    assert waits(call) is None
    said = "called a synchronizing CUDA operation\n"
    assert waits(call) == "called a synchronizing CUDA operation"
    said = "an illegal memory access was encountered"
    with pytest.raises(RuntimeError, match="illegal"):
        waits(call)
    assert modes == ["error", "default"] * 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_call_that_waits_is_made_plainly():
    x = torch.ones(3, device="cuda")
    replay = Replay(lambda: [lambda: x.sum().item()], "cuda")
    assert replay.why_not == "called a synchronizing CUDA operation"
    replay.call.run()


def test_copies_share_no_memory():
    inputs = SOFTMAX.inputs(dtype=torch.float32, device="cpu", rows=2, width=3)
    other = copied(inputs)
    assert other["dim"] == inputs["dim"]
    assert torch.equal(other["x"], inputs["x"])
    assert other["x"].data_ptr() != inputs["x"].data_ptr()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("op", ["forward", "backward"])
def test_a_graph_replays_every_copy(op):
    from arbench.bench.kernels.calls import backward

    inputs = [SOFTMAX.inputs(dtype=torch.float32, device="cuda", rows=64, width=256) for _ in range(3)]
    made: list[Any] = []

    def calls() -> list[Callable[[], Any]]:
        def function(given: Any) -> Any:
            return SOFTMAX.call(**given, backend="triton")

        def call(given: Any) -> Callable[[], Any]:
            run = (
                (lambda: function(given))
                if op == "forward"
                else backward(SOFTMAX, function, given, lambda i, y: torch.ones_like(y))
            )
            return lambda: made.append(run()) or made[-1]

        return [call(given) for given in inputs]

    replay = Replay(calls, "cuda")
    assert (replay.why_not, replay.call.times) == (None, 3)
    replay.call.run()
    torch.cuda.synchronize()
    found = made[-3:] if op == "forward" else [grads[0] for grads in made[-3:]]
    for given, one in zip(inputs, found, strict=True):
        right = given["x"].softmax(-1) if op == "forward" else torch.zeros_like(one)
        torch.testing.assert_close(one, right)


def test_peers_cover_what_they_can_do_and_no_more():
    covered = {
        (peer.name, name, op, text_of(config))
        for peer in PEERS
        for name, kernel in KERNELS.items()
        for op in kernel.ops
        for config in kernel.sizes["cuda"]
        if peer.covers(name, op, config)
    }
    assert ("quack-kernels", "softmax", "backward", "rows=1048576,width=256") in covered
    assert {op for peer, name, op, _ in covered if (peer, name) == ("liger-kernel", "log_prob_from_logits")} <= {
        "forward"
    }
    for peer in PEERS:
        assert not peer.covers("softmax", "forward", dict(rows=2, width=3, dim=0))
    dao = next(peer for peer in PEERS if peer.name == "causal-conv1d")
    config = dict(batch=8, channels=64, length=128, width=4, layout="BDL", activation="silu")
    assert dao.covers("causal_conv1d", "backward", config)
    for other in (
        dict(width=5),
        dict(dilation=2),
        dict(activation="gated"),
        dict(out=128),
        dict(states=True),
    ):
        assert not dao.covers("causal_conv1d", "forward", {**config, **other})


def test_moving_more_than_the_memory_can_is_an_error_of_the_harness(pretend, tmp_path):
    plan = make_kernel_plan(KernelOptions(kernels=["softmax"], compiled=0, workers=1, rounds=1))
    case = plan.cases[0]
    pretend()
    results = run_plan(plan, tmp_path)
    results.run.limits = {
        "copy": [{"bytes": 1000, "gb_per_s": 10.0}, {"bytes": 10**6, "gb_per_s": 1.0}],
        "read": [],
        "matmul": {"float32": 1e9},
    }
    results.counts[case.id] = Count(case.id, None, None, 8, None, 10**9, None, "formula")

    def said(seconds: float) -> str | None:
        return above_roof(case, results, [Samples(case.id, 0, 0, 0.0, [seconds])])

    assert said(1.0) is None
    assert said(0.81) is None
    assert said(0.5) == ("an error of the harness: 2 GB/s, 2.00 times the measured bandwidth of its working set")
    results.verifications[case.id] = Verification(case.id, "ok", "pointwise", {"working_set": 1000})
    assert said(0.5) is None


def subject() -> KernelSubject:
    """Return all kernels as a subject in this process."""
    return KernelSubject(Job("prove", [case_of("eager")], seed=0, threads=1))


def case_of(backend: str, op: str = "forward") -> Any:
    """Return the first case of softmax on a backend."""
    cases = make_kernel_plan(KernelOptions(kernels=["softmax"])).cases
    known = [case for case in cases if (case.backend, case.op) == (backend, op)]
    return known[0] if known else make_numba(cases[0], op)


def make_numba(case: Any, op: str) -> Any:
    """Return a case as if softmax had a Numba backend."""
    import msgspec

    return msgspec.structs.replace(case, method="arbench", backend="numba", op=op, reference=False)
