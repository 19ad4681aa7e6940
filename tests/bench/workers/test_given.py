"""Classes that are in no file reach the workers by value, and nothing of them stays."""

from __future__ import annotations

import re
import sys
import threading
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import msgspec
import pytest

import arbench
from arbench.adapters.dispatch import TAKEN
from arbench.bench.job import Job, Message
from arbench.bench.plan import Options, PlanError, make_plan
from arbench.bench.workers.given import carrying, given, take_given
from arbench.bench.workers.pool import WorkerPool
from arbench.models import ModelError, NoModelError, Source, resolve
from arbench.models.registry import GIVEN
from arbench.results import Verification

CELL = """
import torch
from torch import nn
from arbench.distributions import Categorical
from arbench.models import Claim, Source

SYMBOLS = 16

def before(f, g0, g1):
    shifted = f[:, max(g0 - 1, 0) : g1 - 1] + 1
    return shifted if g0 else nn.functional.pad(shifted, (1, 0))

class Bigram(Source):
    element = "symbol"
    presets = {"tiny": {}}
    claims = {("sample", "cached"): Claim("N", "N")}

    def __init__(self, seed=0):
        super().__init__()
        self.distribution = Categorical(SYMBOLS)
        generator = torch.Generator().manual_seed(seed)
        self.table = nn.Parameter(torch.randn(SYMBOLS + 1, SYMBOLS, generator=generator))

    def observe(self, n, rows, seed, data=None):
        draw = [torch.Generator().manual_seed(seed * 65537 + row) for row in rows]
        return torch.stack([torch.randint(SYMBOLS, (n,), generator=g) for g in draw]), {}

    def forward(self, f, code):
        return self.table[nn.functional.pad(f[:, :-1] + 1, (1, 0))]

    def start(self, batch, n, code):
        return None

    def extend(self, state, f, g0, g1):
        return self.table[before(f, g0, g1)], state
"""


def cell(text: str = CELL) -> type[Source]:
    """Return the class that a cell of a notebook defines."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(text, names)
    found: type[Source] = names["Bigram"]
    return found


@pytest.fixture(autouse=True)
def notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process look like a notebook, whose main module is in no file."""
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)


def test_a_real_worker_verifies_a_class_of_a_cell() -> None:
    with given({"Bigram": cell()}), WorkerPool() as pool:
        cases = make_plan(Options(models=["Bigram"], n=[8], methods=["cached"])).cases
        messages = list(pool.converse(Job("prove", cases, seed=0, threads=1), 60.0))
    lines = [message.line for message in messages if isinstance(message, Message) and message.line is not None]
    assert isinstance(lines[0], Verification), messages
    assert (lines[0].case, lines[0].status) == ("Bigram:tiny/sample/cached/eager/cpu/float32/b1/n8", "ok")


@pytest.mark.slow
def test_a_class_of_a_cell_is_measured(measure_in_processes: Any) -> None:
    (case,) = arbench.measure(cell(), n=[8], methods=["cached"], workers=1, rounds=1).cases.values()
    assert (case.status, case.error, case.samples > 0) == ("ok", None, True)


def test_what_another_process_can_import_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A base class that was sent would be another class than that of the worker, as in an editable installation."""

    class Finder:
        @staticmethod
        def find_spec(name: str, path: object, target: object = None) -> ModuleSpec | None:
            return ModuleSpec(name, None) if name == "arbench" else None

    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    with given({"Bigram": cell()}):
        found = carrying(Job("prove", [], seed=0, threads=1)).given
    assert found is not None
    assert b"arbench.models.base" in found.classes
    assert b"rewind" not in found.classes  # a method of the base class


def test_a_name_is_given_for_one_call_only(pretend: Any) -> None:
    pretend()
    results = arbench.measure(cell(), n=[8], methods=["cached"], workers=1, rounds=1)
    assert results.run.plan["options"]["models"] == ["Bigram"]
    assert not GIVEN
    with pytest.raises(NoModelError):
        resolve("Bigram")


NET = (
    CELL[: CELL.index("class Bigram")]
    + """
class Net(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.embedding, self.head = nn.Embedding(SYMBOLS, width), nn.Linear(width, SYMBOLS)

    def forward(self, x):
        return self.head(self.embedding(x))

net = Net()

def make():
    return Net(2)
"""
)


@pytest.mark.parametrize(("what", "name"), [("Net", "Net"), ("net", "Net"), ("make", "make")])
def test_a_module_of_a_cell_is_measured_with_its_law(what: str, name: str, pretend: Any) -> None:
    pretend()
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(NET, names)
    results = arbench.measure(names[what], law="categorical:16", n=[8], methods=["naive"], workers=1, rounds=1)
    assert results.run.plan["options"]["models"] == [f"{name}:,law=categorical:16"]
    (case,) = results.cases.values()
    assert (case.model, case.preset) == (name, "given,law=categorical:16")


def test_a_module_takes_its_weights_with_it() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(NET, names)
    with given({"Net": names["net"]}):
        arrived = carrying(Job("prove", [], seed=0, threads=1)).given
    assert arrived is not None
    try:
        take_given(arrived)
        built = resolve("Net:,law=categorical:16").build(3)
    finally:
        GIVEN.clear()
    assert built.network.head.weight.equal(names["net"].head.weight)  # type: ignore[union-attr]


@pytest.mark.slow
def test_a_module_of_a_cell_is_measured_in_a_worker(measure_in_processes: Any) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(NET, names)
    asked: dict[str, Any] = dict(law="categorical:16", n=[8], methods=["naive"], workers=1, rounds=1)
    (case,) = arbench.measure(names["net"], **asked).cases.values()
    assert (case.status, case.error, case.samples > 0) == ("ok", None, True)


@pytest.mark.parametrize(
    ("models", "law", "said"),
    [
        (None, "normal", "law is that of models which are plain modules; pass one, as in measure(net, law='normal')"),
        ("wavenet:tiny", "normal", "model 'wavenet' has its own law of an element; leave out --law"),
    ],
)
def test_a_law_needs_a_module(models: Any, law: str, said: str, pretend: Any) -> None:
    pretend()
    with pytest.raises(PlanError, match=f"^{re.escape(said)}$"):
        arbench.measure(models, law=law)


def test_classes_of_two_threads_are_not_mixed() -> None:
    with (
        given({"One": cell()}),
        pytest.raises(ModelError, match=r"^another thread measures classes in this process; wait until it is done$"),
        given({"Two": cell()}),
    ):
        pass
    assert not GIVEN
    with given({"Two": cell()}):
        assert GIVEN.keys() == {"Two"}


def test_a_job_takes_the_class_with_it() -> None:
    job = Job("prove", [], seed=0, threads=1)
    assert carrying(job) == job
    with given({"Bigram": cell()}):
        sent = msgspec.json.encode(carrying(job))
        expected = resolve("Bigram").build(3)
    arrived = msgspec.json.decode(sent, type=Job).given
    assert arrived is not None
    assert arrived.path == sys.path
    try:
        take_given(arrived)
        built = resolve("Bigram:tiny").build(3)
    finally:
        GIVEN.clear()
    assert built.table.equal(expected.table)  # type: ignore[operator, union-attr]


def test_a_class_of_a_file_keeps_the_name_that_a_run_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pretend: Any
) -> None:
    pretend()
    (tmp_path / "my_model.py").write_text(CELL)
    named = resolve(f"{tmp_path}/my_model.py:Bigram")
    asked = dict(n=[8], methods=["cached"], rounds=1, workers=1)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(tmp_path / "my_model.py"), raising=False)
    for one in (named.cls, cell()):  # from a module that no other process can import by its name, and from a script
        results = arbench.measure([one, "wavenet:tiny"], **asked)
        assert {case.model for case in results.cases.values()} == {named.name, "wavenet"}


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (lambda: int, f"model 'int': int is not a subclass of arbench.models.Source; {TAKEN}"),
        (lambda: [3], f"model '3': 3 is not a subclass of arbench.models.Source; {TAKEN}"),
        (lambda: Source, "model 'Source': Source does not define extend, forward, observe, start"),
        (lambda: [cell(), cell()], "two models are called Bigram; rename the class"),
        (
            lambda: type("wavenet", (cell(),), {"__module__": "__main__"}),
            "two models are called wavenet; rename the class",
        ),
    ],
)
def test_what_is_no_model_is_refused_before_any_work(models: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=f"^{re.escape(said)}$"):
        arbench.measure(models(), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_class_that_cannot_be_sent_is_refused_by_name() -> None:
    held = type("Bigram", (cell(),), {"__module__": "__main__", "lock": threading.Lock()})
    with pytest.raises(ModelError) as refused, given({"Bigram": held}):
        pytest.fail("it was sent")
    assert str(refused.value) == (
        "class 'Bigram': cannot be sent to a worker (TypeError: cannot pickle '_thread.lock' object); put it into a "
        "file, and name path.py:Class"
    )
