"""Models of plain modules: built from classes, objects and functions, sampled by methods that need no step."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

from arbench.bench.inexact import InexactError
from arbench.bench.models.setup import ModelSetup
from arbench.bench.models.verify.model import STEPLESS, verify_model
from arbench.bench.plan import Options, PlanError, make_plan
from arbench.data import DataError
from arbench.methods import Task, lacking, methods_for
from arbench.models import ModelError, resolve

LAW = "law=categorical:32"
NORMAL = "law=normal"


def test_settings_are_arguments_of_the_constructor_and_random_weights_have_a_seed(spec):
    chosen = resolve(spec("Conv", LAW, "width=5"))
    assert (chosen.name, chosen.preset) == ("nets.Conv", f"given,{LAW},width=5")
    assert resolve(chosen.spec).config == chosen.config == {"law": "categorical:32", "width": 5}
    assert chosen.cls.__doc__.startswith("A causal convolution, which predicts the next symbol.")
    one, same, other = (chosen.build(seed).network.head.weight for seed in (3, 3, 4))
    assert one.shape == (32, 5)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_build_leaves_the_numbers_of_others_as_they_are(net):
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    net("Conv")
    assert torch.equal(torch.rand(3), wanted)


def test_a_module_and_a_function_are_taken(spec):
    ready, made = resolve(spec("ready", LAW)), resolve(spec("made", LAW, "width=6"))
    assert (ready.name, made.name) == ("nets.ready", "nets.made")
    assert ready.cls.brings_weights
    assert made.cls.brings_weights
    first, second = ready.build(0), ready.build(1)
    assert torch.equal(first.network.head.weight, second.network.head.weight)
    assert first.network.head.weight.data_ptr() != second.network.head.weight.data_ptr()
    assert made.build().network.head.weight.shape == (32, 6)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("Conv", (), "Conv is an nn.Module, of which only the law of an element is missing; add --law, as in"),
        ("made", (), "made is a function that returns an nn.Module, of which only the law of an element is missing"),
        ("nothing", (), "nothing is not a subclass of arbench.models.Source and returns None; name a subclass"),
        ("nothing", (LAW,), "nothing returns an object of type NoneType; return an nn.Module"),
        ("ready", (LAW, "width=3"), "has no setting 'width'"),
        ("Conv", (LAW, "widht=3"), "has no setting 'widht'; did you mean 'width'?"),
        ("Conv", (LAW, "shift=2"), "shift is 0 or 1, got 2"),
        ("Conv", (LAW, "begin=0.5"), "begin is an element that is read before the first one, got 0.5"),
        ("Conv", (LAW, "width=-1"), "RuntimeError: Trying to create tensor with negative dimension -1"),
        ("Conv", ("law=cat:32",), "unknown law 'cat'; available: categorical"),
        ("Conv", ("law=categorical:many",), "law 'categorical:many': write categorical:256, with sizes of yours"),
        ("Convx", (LAW,), "has no 'Convx'; did you mean 'Conv'?"),
    ],
)
def test_wrong_use_is_one_line(name, settings, said, spec):
    with pytest.raises(ModelError, match=r"^model '[^\n]+$") as refused:
        resolve(spec(name, *settings)).build()
    assert said in str(refused.value)


@pytest.mark.parametrize("given", ["wavenet:,law=normal", "wavenet:tiny,law=normal"])
def test_a_model_with_a_law_of_its_own_takes_no_other(given):
    with pytest.raises(ModelError, match=r"^model 'wavenet' has its own law of an element; leave out --law$"):
        resolve(given)


def test_methods_that_need_a_step_say_that_there_is_none(net):
    source = net("Conv")
    for asked in (source, type(source)):
        assert [(m.op, m.name) for m in methods_for(asked)] == [
            ("score", "parallel"),
            ("sample", "naive"),
            ("sample", "fixed_point"),
            ("sample", "forecast"),
        ]
        whys = {method.name: why for method, why in lacking(asked).items()}
        step = "needs an incremental step, and the model has none: define extend in a Source"
        for name in ("sequential", "cached", "stream", "blocks", "speculative", "rejection"):
            assert whys[name] == step


@pytest.mark.parametrize(("name", "law", "n"), [("GPT", LAW, 24), ("Tuple", LAW, 24), ("MADE", NORMAL, 16)])
def test_all_samplers_draw_the_same(name, law, n, net):
    source = net(name, law).double()
    noise = source.distribution.noise(2, range(3), range(n))
    samplers = [method for method in methods_for(source) if method.op == "sample"]
    drawn = [method.run(source, Task(n, {}, noise=noise)).x for method in samplers]
    for x in drawn[1:]:
        assert torch.equal(x, drawn[0]) if source.distribution.finite else torch.allclose(x, drawn[0], 0, 1e-9)
    assert torch.equal(drawn[0], source.distribution.draw(source(drawn[0], {}), noise)) or law == NORMAL


def verified(spec: str, n: int) -> dict:
    """Verify a model at one size, and return the facts."""
    (case,) = make_plan(Options(models=[spec], methods=["parallel"], n=[n])).cases
    setup = ModelSetup(spec, case.dtype, case.device, seed=0)
    source = setup.build()
    return verify_model(setup, source, setup.twin(source), case)


def test_a_right_module_is_compared_with_nothing_and_the_reason_is_said(spec):
    facts = verified(spec("Conv", LAW), 24)
    assert facts["forward_against_extend"] is None
    assert facts["why_not_against_extend"] == STEPLESS
    assert facts["leak_changes"] == 32


@pytest.mark.parametrize(
    ("leak", "settings", "n"),
    [
        ("everywhere", (), 24),
        ("next", (), 24),
        ("rare", (), 24),
        ("far", (), 64),
        ("rare_and_far", (), 64),
        ("everywhere", ("least=60",), 64),
        ("rare", ("least=60",), 64),
    ],
)
def test_planted_leaks_are_named(leak, settings, n, spec):
    with pytest.raises(
        InexactError, match=r"^forward leaks: parameters of element \d+ change with elements from \d+ on"
    ):
        verified(spec("Conv", LAW, f"leak={leak}", *settings), n)


@pytest.mark.parametrize(
    ("name", "settings"), [("Conv", ("shift=0",)), ("Own", ("peeks=16",)), ("Own", ("peeks=1", "shift=0"))]
)
def test_an_output_that_reads_its_own_element_is_a_leak(name, settings, spec):
    with pytest.raises(InexactError, match=r"^forward leaks: parameters of element"):
        verified(spec(name, LAW, *settings), 24)


def test_whose_law_an_output_is_was_guessed_unless_the_user_says_it(spec):
    ((what, why, todo),) = verified(spec("Own", LAW, "peeks=1"), 24)["unchecked"]
    assert what == "whose law an output is"
    assert why.startswith("output i depends on element i, so it was taken for the law of element i + 1")
    assert "shift=0" in todo
    assert "does not depend" in verified(spec("Own", LAW), 24)["unchecked"][0][1]
    assert "unchecked" not in verified(spec("Conv", LAW, "shift=1"), 24)


def test_the_plan_says_how_outputs_are_read(spec):
    plan = make_plan(Options(models=[spec("Conv", LAW)], n=[16]))
    (model,) = plan.models
    assert (model.element, model.family, model.brings_weights) == ("symbol", "", False)
    assert model.remark.startswith(
        "Only forward is known: it is probed for leaks, and compared with no incremental step."
    )
    assert "element i + 1" in model.remark
    assert "docs/bring-your-own.md" in model.remark


def test_a_plan_refuses_in_one_line(spec):
    with pytest.raises(PlanError, match=r"^nets.MADE:given,law=normal: forward fails at N = 64, [^\n]+$"):
        make_plan(Options(models=[spec("MADE", NORMAL)]))


def test_events_come_from_a_file(spec, tmp_path):
    chosen = resolve(spec("Conv", LAW))
    np.save(tmp_path / "events.npy", np.arange(60).reshape(3, 20) % 32)
    data = chosen.cls.load_data(str(tmp_path / "events.npy"), chosen.config)
    source = chosen.build()
    x, _ = source.observe(12, range(8), seed=0, data=data)
    assert x.shape == (8, 12)
    assert x.dtype == torch.long
    assert {int(row[0]) for row in x} <= {0, 20, 8}
    assert source.longest(data) == 20
    with pytest.raises(ValueError, match="have 20 elements, and N is 21; choose less"):
        source.observe(21, range(1), seed=0, data=data)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.arange(6), "has the shape (6,); wanted a NumPy file (.npy) of events (rows, N)"),
        (np.array([[0, 32]]), "has symbols from 0 to 32; the law has 0 to 31"),
        (np.array([[0.5]]), "has float64; the law is of symbols, so save integers"),
    ],
)
def test_other_data_are_refused(array, said, spec, tmp_path):
    np.save(tmp_path / "events.npy", array)
    chosen = resolve(spec("Conv", LAW))
    with pytest.raises(DataError) as refused:
        chosen.cls.load_data(str(tmp_path / "events.npy"), chosen.config)
    assert str(refused.value) == f"{tmp_path / 'events.npy'}: {said}"


def test_the_signature_has_the_arguments_of_the_module(spec):
    takes = inspect.signature(resolve(spec("Conv", LAW)).cls.__init__).parameters
    assert list(takes) == ["self", "law", "shift", "begin", "seed", "width", "leak", "least"]
