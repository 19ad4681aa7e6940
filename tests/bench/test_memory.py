"""Cases that cannot fit into memory are refused with both figures, before any work."""

from __future__ import annotations

import re

import pytest
import torch

from arbench.bench import memory
from arbench.bench.memory import in_units, needed_bytes
from arbench.bench.models.setup import ModelSetup
from arbench.bench.options import Options, PlanError
from arbench.bench.plan import make_plan
from arbench.models import resolve

GB = 10**9


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch):
    def put(**devices: int) -> None:
        monkeypatch.setattr(memory, "available_bytes", lambda device: devices[device])

    return put


def test_the_bound_of_a_known_model() -> None:
    """WaveNet's elements have K classes: K parameters in float32 and float64, K noise values, and the element."""
    source = resolve("wavenet:tiny").build()
    classes = source.distribution.levels
    weights = sum(p.numel() for p in source.parameters())
    options = Options()
    assert needed_bytes(source, {"score"}, 3, 10, options) == 12 * weights + 30 * (8 + 12 * classes)
    assert needed_bytes(source, {"sample"}, 3, 10, options) == 12 * weights + 30 * (8 + 16 * classes)
    gpu = Options(device="cuda")
    assert needed_bytes(source, {"sample"}, 3, 10, gpu, "cuda") == 12 * weights + 30 * (8 + 16 * classes)
    assert needed_bytes(source, {"sample"}, 3, 10, gpu, "cpu") == 30 * 8 * classes  # its noise is made on the host
    assert needed_bytes(source, {"score"}, 3, 10, gpu, "cpu") == 0


@pytest.mark.parametrize("model", ["wavenet", "made", "maf", "parallel_nmt"])
@pytest.mark.parametrize("op", ["score", "sample"])
def test_it_is_a_lower_bound(model: str, op: str) -> None:
    """Verification holds at least as much at once: parameters in both dtypes, elements and noise."""
    options = Options(models=[f"{model}:tiny"], ops=[op], batch=[2])
    case = make_plan(options).cases[0]
    setup = ModelSetup(case.spec, case.dtype, "cpu", 0)
    source = setup.build()
    twin, task = setup.twin(source), setup.task(source, case)
    x = source.observe(case.n, range(2), 0)[0]
    x = x if source.distribution.finite else x.float()
    with torch.no_grad():
        own = source(x, source.encode(task.context, case.n))
    weights = [*source.parameters(), *twin.parameters()]
    noise = [] if task.noise is None else [task.noise]
    held = sum(t.numel() * t.element_size() for t in (*weights, x, own, own.double(), *noise))
    made = sum(t.numel() * t.element_size() for t in (*weights, *(t.double() for t in noise)))
    assert 0 < needed_bytes(source, {op}, 2, case.n, options) <= max(held, made)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"batch": [1, 10**9], "n": [16]},
            "wavenet:tiny with batch 1000000000 and N = 16 needs at least X TB of memory, and the host has 8 GB "
            "available; choose a smaller --batch or --n",
        ),
        (
            {"n": [10**9], "methods": ["cached"]},
            "wavenet:tiny with batch 1 and N = 1000000000 needs at least X GB of memory, and the host has 8 GB "
            "available; choose a smaller --batch or --n",
        ),
        ({"n": [10**13]}, "--n must be at most 1099511627776, got 10000000000000"),
        ({"batch": [2**63]}, "--batch must be at most 1099511627776, got 9223372036854775808"),
    ],
)
def test_what_cannot_fit_is_refused(left, options, said) -> None:
    left(cpu=8 * GB)
    with pytest.raises(PlanError) as refused:
        make_plan(Options(models=["wavenet:tiny"], **options))
    assert re.sub(r"[\d.]+ (?=[GT]B of)", "X ", str(refused.value)) == said


@pytest.mark.parametrize("spec", ["nmt_teacher", "seq2seq", "parallel_nmt", "wavenet", "grouped_pixelcnn"])
def test_no_model_makes_anything_before_it_is_known_to_fit(left, monkeypatch, spec) -> None:
    left(cpu=8 * GB)
    kind = type(resolve(spec).build())
    monkeypatch.setattr(kind, "observe", lambda *_: pytest.fail("made an event"))
    monkeypatch.setattr(kind, "schedule", lambda *_: pytest.fail("made a schedule"))
    with pytest.raises(
        PlanError, match=r" and N = 1000000000 needs at least [\d.]+ [GT]B of memory, and the host has 8 GB"
    ):
        make_plan(Options(models=[spec], n=[10**9]))


def test_a_gpu_is_asked_too(left, monkeypatch) -> None:
    from arbench.bench import plan

    monkeypatch.setattr(plan, "check_device", lambda device, dtype: None)
    left(cpu=10**18, cuda=2 * GB)
    with pytest.raises(PlanError, match=r"of memory, and cuda has 2 GB available; choose a smaller --batch or --n$"):
        make_plan(Options(models=["wavenet:tiny"], n=[16], batch=[10**7], device="cuda"))
    left(cpu=2 * GB, cuda=10**18)
    with pytest.raises(PlanError, match=r"of memory, and the host has 2 GB available"):
        make_plan(Options(models=["wavenet:tiny"], n=[16], batch=[10**7], device="cuda"))


def test_what_fits_is_planned(left) -> None:
    source = resolve("wavenet:tiny").build()
    options = Options(models=["wavenet:tiny"], n=[16], methods=["cached"])
    held = sum(p.numel() * p.element_size() for p in source.parameters())
    enough = needed_bytes(source, {"sample"}, 1, 16, options) - held  # the planned model is already in memory
    left(cpu=enough)
    assert len(make_plan(options).cases) == 1
    left(cpu=enough - 1)
    with pytest.raises(PlanError, match="needs at least"):
        make_plan(options)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (999_600, "1 MB"),
        (123_456_789, "123 MB"),
        (10**21, "1e+03 EB"),
    ],
)
def test_bytes_in_words(count: int, text: str) -> None:
    assert in_units(count) == text
