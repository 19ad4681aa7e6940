"""Which methods a fault of the model is charged to: those that use the half which is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from arbench.bench.job import Job
from arbench.bench.models.subject import ModelSubject
from arbench.bench.plan import Options, make_plan

BROKEN = {
    "sound": ("", {"parallel", "sequential", "naive", "cached", "fixed_point", "blocks", "forecast"}),
    "state": ("steps do not: see its state", {"parallel", "naive", "fixed_point"}),
    "peeking": ("its parameters change with elements that come after them", {"parallel", "naive", "fixed_point"}),
    "undefined": ("it returns parameters that are not finite", {"parallel", "naive", "fixed_point"}),
    "drawing": ("it must draw nothing itself", {"parallel", "naive", "fixed_point"}),
    "other": ("which of the two is wrong cannot be told", set()),
    "leaking": ("forward leaks: ", set()),
}
"""Faults of a bigram: what is said of each, and the methods that it leaves verified."""


@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_is_charged_to_the_methods_that_use_the_half_which_is_wrong(fault: str, tmp_path: Path) -> None:
    (tmp_path / "bigram.py").write_text(BIGRAM)
    spec = f"{tmp_path}/bigram.py:{fault.title()}:tiny"
    plan = make_plan(Options(models=[spec], n=(16,)))
    subject = ModelSubject(Job("prove", plan.cases, 0, 1, share_s=100.0))
    found = {m.line.case: m.line for m in subject.verify(Job("prove", plan.cases, 0, 1, share_s=100.0)) if m.line}
    said, sound = BROKEN[fault]
    methods = {case.id: case.method for case in plan.cases}
    assert {methods[case] for case, line in found.items() if line.status == "ok"} == sound
    wrong = [line for line in found.values() if line.status != "ok"]
    assert {methods[line.case] for line in wrong} >= {"sequential", "cached", "blocks", "forecast"} - sound
    assert all(line.status == "inexact" and said in line.error for line in wrong), wrong
    assert all(said in line.verified.get("extend", "") for line in found.values() if line.status == "ok")


BIGRAM = """
import torch
from torch import nn
from arbench.distributions import Categorical
from arbench.models import Source


class Sound(Source):
    element = "symbol"
    presets = {"tiny": {}}
    claims = {}

    def __init__(self, seed=0):
        super().__init__()
        self.distribution = Categorical(16)
        generator = torch.Generator().manual_seed(seed)
        self.embedding = nn.Parameter(torch.randn(17, 8, generator=generator))
        self.out = nn.Parameter(torch.randn(8, 16, generator=generator))

    def observe(self, n, rows, seed, data=None):
        draw = [torch.Generator().manual_seed(seed * 65537 + row) for row in rows]
        return torch.stack([torch.randint(16, (n,), generator=g) for g in draw]), {}

    def logits(self, before):
        return self.embedding[before] @ self.out

    def forward(self, f, code):
        return self.logits(nn.functional.pad(f[:, :-1] + 1, (1, 0)))

    def start(self, batch, n, code):
        return None

    def extend(self, state, f, g0, g1):
        before = f[:, max(g0 - 1, 0) : g1 - 1] + 1
        return self.logits(before if g0 else nn.functional.pad(before, (1, 0))), state


class State(Sound):  # what came before is read from a state that is never brought up to date

    def start(self, batch, n, code):
        return torch.zeros(batch, 1, dtype=torch.long)

    def extend(self, state, f, g0, g1):
        return self.logits(torch.cat([state, f[:, g0 : g1 - 1] + 1], 1)), state


class Peeking(Sound):
    def extend(self, state, f, g0, g1):
        return self.logits(f[:, g0:g1] + 1), state


class Undefined(Sound):
    def extend(self, state, f, g0, g1):
        return super().extend(state, f, g0, g1)[0] * float("nan"), state


class Drawing(Sound):
    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return params + torch.randn_like(params), state


class Other(Sound):
    def extend(self, state, f, g0, g1):
        params, state = super().extend(state, f, g0, g1)
        return params + 1, state


class Leaking(Sound):
    def forward(self, f, code):
        return super().forward(f, code) + f.to(self.out.dtype).mean(1)[:, None, None]
"""
