"""Options of the suites, and the models and kernels that they share."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import pytest
import torch

from arbench.bench.case import CaseKey
from arbench.bench.job import Job
from arbench.bench.kernels.plan import KernelOptions, make_kernel_plan
from arbench.bench.kernels.subject import KernelSubject, interpret
from arbench.bench.models.counting import counter_for
from arbench.bench.models.setup import ModelSetup, method_of, run
from arbench.bench.models.subject import SAME_STEPS
from arbench.bench.models.witness import Witness
from arbench.bench.plan import Options, make_plan
from arbench.meters import CountBudgetExceeded, environment, peak_bytes
from arbench.meters.environment import VOLATILE
from arbench.models import Source
from arbench.results import COUNTERS

MODELS = ("wavenet", "pixelcnn", "parallel_wavenet")
SIZES = 2
"""Number of sizes of a model's ladder, smallest first, without --arbench-n."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of arbench to pytest."""
    group = parser.getgroup("arbench")
    group.addoption("--arbench-model", action="append", metavar="NAME[:PRESET]", help="as arbench run --model")
    group.addoption("--arbench-n", action="append", type=int, metavar="N", help="as arbench run --n")
    group.addoption("--arbench-kernel", action="append", metavar="NAME", help="as arbench kernels --kernel")
    group.addoption("--arbench-compiled", type=int, default=1, help="as arbench kernels --compiled")
    group.addoption(
        "--arbench-count-budget",
        type=float,
        default=1.0,
        metavar="S",
        help="seconds that counting a model's case may take; a case that takes longer is stored without counters",
    )
    group.addoption("--arbench-device", default="cpu", help="as arbench run --device")
    group.addoption("--arbench-dtype", default="float32", help="as arbench run --dtype")


def pytest_configure(config: pytest.Config) -> None:
    """Ignore warnings from the import of torch's compiler."""
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:torch.*")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Add arbench's facts about the machine, except volatile ones."""
    found = environment(config.getoption("--arbench-device"))
    for name in VOLATILE:
        part, _, fact = name.partition(".")
        if fact and found[part] is not None:
            found[part].pop(fact, None)
        elif not fact:
            del found[part]
    machine_info["arbench"] = found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each case of a model or kernel."""
    if "case" in metafunc.fixturenames:
        cases = chosen(metafunc.config)
        metafunc.parametrize("case", cases, ids=[case.id for case in cases])
    if "kernel_case" in metafunc.fixturenames:
        kernel_cases = chosen_kernels(metafunc.config)
        metafunc.parametrize("kernel_case", kernel_cases, ids=[case.id for case in kernel_cases])


def chosen_kernels(config: pytest.Config) -> list[CaseKey]:
    """Return the cases of ``arbench kernels`` that run natively, for the options given to pytest."""
    options = KernelOptions(
        kernels=config.getoption("--arbench-kernel") or (),
        device=config.getoption("--arbench-device"),
        dtype=config.getoption("--arbench-dtype"),
        compiled=config.getoption("--arbench-compiled"),
    )
    return [case for case in make_kernel_plan(options).cases if not interpret(case)]


def chosen(config: pytest.Config) -> list[CaseKey]:
    """Return the cases of ``arbench run``, for the options given to pytest."""
    found: list[CaseKey] = []
    for spec in config.getoption("--arbench-model") or MODELS:
        options = Options(
            models=[spec],
            n=config.getoption("--arbench-n") or (),
            device=config.getoption("--arbench-device"),
            dtype=config.getoption("--arbench-dtype"),
        )
        cases = make_plan(options).cases
        kept = sorted({case.n for case in cases})[: None if options.n else SIZES]
        found += [case for case in cases if case.n in kept]
    return found


@cache
def built(spec: str, device: str, dtype: str) -> tuple[ModelSetup, Source, Source]:
    """Return a setup, its model and the float64 twin; cases with equal arguments share them."""
    setup = ModelSetup(spec, dtype, device, seed=0)
    source = setup.build()
    return setup, source, setup.twin(source)


@pytest.fixture
def prepared(case: CaseKey) -> tuple[ModelSetup, Source, Source]:
    """Return the setup, model and float64 twin of a case, with gradients off."""
    torch.set_grad_enabled(False)
    return built(case.spec, case.device, case.dtype)


@pytest.fixture
def counters(
    request: pytest.FixtureRequest, case: CaseKey, prepared: tuple[ModelSetup, Source, Source]
) -> dict[str, int | str | None]:
    """Return the counters of a case as ``arbench run`` counts them; without values if that takes too long."""
    budget_s = request.config.getoption("--arbench-count-budget")
    setup, source, exact = prepared
    twin = method_of(case, source).twin
    counted = case if twin is None else msgspec.structs.replace(case, method=twin.name)
    try:
        witness = Witness(setup, twins={None: exact})
        found = counter_for(*prepared, counted, witness, budget_s).direct(counted, budget_s)
    except CountBudgetExceeded:
        return {"count_source": "none", "why_unknown": f"counting exceeded --arbench-count-budget ({budget_s:g} s)"}
    if twin is not None:
        found.twin = SAME_STEPS.format(twin.name)
        if found.peak_bytes is not None:  # memory is the case's own
            task = setup.task(source, case)
            found.peak_bytes = peak_bytes(lambda: run(source, case, task), setup.device)
    return {name: getattr(found, name) for name in (*COUNTERS, "peak_bytes", "count_source", "why_unknown", "twin")}


@pytest.fixture(scope="session")
def all_kernels(request: pytest.FixtureRequest) -> KernelSubject:
    """Return all kernels on the requested device in the requested dtype, shared by all cases."""
    (first, *_) = chosen_kernels(request.config)
    return KernelSubject(Job("time", [first], seed=0, threads=torch.get_num_threads()))


@pytest.fixture
def kernels(all_kernels: KernelSubject) -> KernelSubject:
    """Return all kernels, with gradients off."""
    torch.set_grad_enabled(False)
    return all_kernels
