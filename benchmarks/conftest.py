"""Options of the suites, and the models they share."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from arbench.bench.case import CaseKey
from arbench.bench.plan import Options, make_plan
from arbench.bench.settings import Setting
from arbench.models import Source

MODELS = ("wavenet", "pixelcnn", "parallel_wavenet")
SIZES = 2
"""How many of a model's ladder, from the smallest, where --arbench-n does not say."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("arbench")
    group.addoption(
        "--arbench-model", action="append", metavar="NAME[:PRESET]", help="as arbench run --model"
    )
    group.addoption("--arbench-n", action="append", type=int, metavar="N", help="as arbench run --n")
    group.addoption("--arbench-device", default="cpu", help="as arbench run --device")
    group.addoption("--arbench-dtype", default="float32", help="as arbench run --dtype")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        cases = chosen(metafunc.config)
        metafunc.parametrize("case", cases, ids=[case.id for case in cases])


def chosen(config: pytest.Config) -> list[CaseKey]:
    """The runner's own cases, for the options given to pytest."""
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
def built(spec: str, device: str, dtype: str) -> tuple[Setting, Source, Source]:
    """A setting, its model and the float64 twin, kept for all cases that share them."""
    setting = Setting(spec, dtype, device, seed=0)
    source = setting.build()
    return setting, source, setting.twin(source)


@pytest.fixture
def prepared(case: CaseKey) -> tuple[Setting, Source, Source]:
    torch.set_grad_enabled(False)
    return built(case.spec, case.device, case.dtype)
