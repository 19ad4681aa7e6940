"""Samples of the trained models of a run: what is drawn, how much of it, and what a failure costs."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from arbench.bench.job import Draw, Job, Message
from arbench.bench.options import Options, PlanError
from arbench.bench.plan import Plan, make_plan
from arbench.bench.workers import drawing
from arbench.bench.workers.drawing import bounded, draw, draw_samples, wished
from arbench.bench.workers.exchange import Exchange
from arbench.results import Case, Results, Run


class Notes:
    """A receiver of progress that keeps what it is told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.steps: list[str] = []
        self.notes: list[str] = []

    def stage(self, text: str, steps: int, seconds: float) -> None:
        self.stages.append((text, steps))

    def step(self, text: str) -> None:
        self.steps.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)


def job(spec: str, element_s: float, folder: str = "") -> Job:
    return Job("draw", [], 0, 1, models=[spec], draws=[Draw(spec, "cpu", "float32", folder, element_s)])


def drawn(spec: str, element_s: float) -> tuple[int, int]:
    """Return number and length of the events."""
    asked = job(spec, element_s)
    case = bounded(asked.draws[0], asked).case
    return case.batch, case.n


def test_a_draw_takes_seconds_at_most() -> None:
    """The defaults are 4 seconds of sound and 16 pictures of 192 sub-pixels."""
    assert drawn("wavenet:tiny", 0.0) == (4, 16_000)
    assert drawn("wavenet:tiny", 10 / 64_000) == (4, 16_000)
    assert drawn("wavenet:tiny", 10 / 32_000) == (2, 16_000)
    assert drawn("wavenet:tiny", 10 / 30_000) == (2, 8000)
    assert drawn("wavenet:tiny", 10 / 8000) == (2, 4000)
    assert drawn("wavenet:tiny", 10 / 4000) == (1, 4000)
    assert drawn("pixelcnn:tiny", 10 / 192 / 5) == (4, 192)
    with pytest.raises(PlanError, match=r"^an event of 4,000 audio samples would take about 20 s$"):
        drawn("wavenet:tiny", 20 / 4000)


@pytest.fixture
def plan(trained, tmp_path: Path) -> Plan:
    """Return a plan of a model with random and one with trained weights, whose folder is ``mine``."""
    folder = trained("factorised:tiny", tmp_path / "mine" / "model.safetensors").parent
    options = Options(models=("factorised:tiny", f"factorised@{folder}"), n=(16,), methods=("cached",), workers=1)
    return make_plan(options)


@pytest.fixture
def results(plan: Plan) -> Results:
    """Return results in which an element of each case of the plan took 2 ms."""
    found = Results(Run(1, "id", "2026-01-05T12:00:00+00:00", [], 0, None, {}, {}, {}))
    known = set(Case.__struct_fields__)
    for case in plan.cases:
        facts = {key: value for key, value in msgspec.structs.asdict(case).items() if key in known}
        found.cases[case.id] = Case(id=case.id, status="ok", median_s=0.032, **facts)
    return found


def test_trained_models_are_drawn_once(plan, results, tmp_path) -> None:
    (one,) = wished(plan, results, tmp_path / "samples")
    assert one.spec == plan.cases[-1].spec
    assert "mine" in Path(one.folder).name
    assert one.element_s == pytest.approx(0.002)
    Path(one.folder).mkdir(parents=True)
    (Path(one.folder) / "samples.jsonl").touch()
    assert wished(plan, results, tmp_path / "samples") == []


def test_a_worker_draws_and_writes(plan, results, tmp_path) -> None:
    (one,) = wished(plan, results, tmp_path / "samples")
    asked = Job("draw", [], 3, 1, models=[one.spec], draws=[one])
    (message,) = draw(asked)
    exchange = Exchange(asked)
    for sent in (message, Message(done=True)):
        exchange.check(sent)
    assert (message.begin, message.error) == (one.spec, None)
    lines = [json.loads(line) for line in (Path(one.folder) / "samples.jsonl").read_text().splitlines()]
    assert {(line["model"], line["seed"]) for line in lines} == {("factorised", 3)}
    _, failed = draw(asked)
    assert failed.error.endswith(" cannot be written (holds samples already; choose another folder)")


def test_what_cannot_be_drawn_costs_a_note(plan, results, tmp_path, monkeypatch) -> None:
    """The first of two fails in the worker, and another worker draws the second."""
    (one,) = wished(plan, results, tmp_path / "samples")
    slow = msgspec.structs.replace(one, element_s=100.0, folder=f"{one.folder}-slow")
    monkeypatch.setattr(drawing, "wished", lambda *_: [slow, one])
    heard = Notes()
    draw_samples(plan, results, tmp_path, heard)
    assert heard.stages == [("drawing samples", 2)]
    assert heard.steps == [one.spec, one.spec]
    (note,) = heard.notes
    assert note.startswith(f"no samples of {one.spec}: an event of ")
    assert note.endswith(" s")
    assert (Path(one.folder) / "samples.png").exists()
    assert not Path(slow.folder).exists()
