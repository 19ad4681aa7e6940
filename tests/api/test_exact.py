"""``assert_exact`` names each fault of a model in plain words, and leaves the model and the process as they are."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from arbench import PlanError
from arbench.bench.workers import checker
from arbench.models.registry import GIVEN
from arbench.testing import assert_exact

HERE = Path(__file__).parents[1]
STEPS = r"is WRONG: forward and extend differ by .* from element {} on, allowed .* but wrong step by step: "
NAMED = {
    "Leaking": (
        r"is WRONG: forward leaks: parameters of element 0 change with elements from 0 on \(element 1 alone does it, "
        r"where it is \d+ in place of \d+; 49 of 50 changes leak\)",
        "forward reads what it must predict",
    ),
    "LeakingRarely": (
        r"is WRONG: forward leaks: .* \(element \d+ alone does it, where it is 46 in place of 43; 2 of 50 changes",
        "Look at: a branch or a row of a table that only some values reach",
    ),
    "LeakingOnce": (r"is WRONG: forward leaks: parameters of element 3 change with elements from 3 on", "the shift"),
    "Forgetful": (r"is WRONG: elements from 0 on change no later parameter", "what the model draws first is forgotten"),
    "Dropping": (STEPS.format(9) + r"for element 12 it does not read element \d, which forward reads", "step by step"),
    "Drifting": (
        STEPS.format(1) + r"it reads every element that forward reads, so look at where it takes them to be, as where "
        r"positions do not count on with the state",
        "step by step",
    ),
    "Stale": (STEPS.format(1) + r"look at the state it returns, which is still that of start", "step by step"),
    "Mixing": (r"is WRONG: a row of a batch changes with the other rows", "the other events of its batch"),
    "MixingStates": (r"is WRONG: a row of a batch changes with the other rows in extend, and is right alone", "share"),
    "Undefined": (r"is WRONG: the model's parameters are not finite: those of element 5 of row 0", "NaN and infinity"),
    "Random": (r"is WRONG: forward returns other parameters when it is called again with the same", "dropout"),
    "Raising": (r"fails: IndexError: no such position \(.*attending\.py:\d+\)", "cannot run"),
    "RaisingInSteps": (r"is WRONG: extend failed at its first step, .* IndexError: no such position", "step by step"),
    "Lawless": (r"is WRONG: the probabilities of an element sum to \d+\.?\d*, allowed 1 \+- ", "normalising constant"),
}
"""Answer to each plant, and words of what it means or where to look."""


@pytest.fixture(scope="module")
def plants(load: Callable[[Path], ModuleType]) -> ModuleType:
    return load(HERE / "bench" / "models" / "attending.py")


def failure(*args: object, **options: object) -> str:
    """Return the message of an assertion, each sentence on one line."""
    with pytest.raises(AssertionError) as caught:
        assert_exact(*args, **options)
    return re.sub(r"\n {4,}", " ", str(caught.value))


@pytest.mark.parametrize("name", NAMED)
def test_a_fault_is_named_with_its_meaning_and_place(name: str, plants: ModuleType) -> None:
    answer, meaning = NAMED[name]
    said = failure(getattr(plants, name), n=13, dtype="float32")
    first, *others = said.splitlines()
    assert re.match(f"attending.{name}:tiny {answer}", first), first
    assert meaning in said
    assert others[0].startswith("  It means: ")
    assert others[1].startswith("  Look at: ")
    assert "checked" in others


def test_what_is_right_passes_and_says_what_was_checked(plants: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "SPARE_S", 1e9)  # a busy machine would leave out what can be spared
    found = assert_exact(plants.Right)
    assert found.answer == (
        "attending.Right:tiny is right: 7 methods at N = 13 (2 events), 64 and 129, in float32 and float64"
    )
    names = [one.name for one in found.checked]
    assert names == [
        *("forward", "rows", "leaks", "inputs", "extend", "rewind", "law", "noise"),
        "score parallel, sequential",
        "sample naive, cached, fixed_point, blocks, forecast",
    ]
    assert all(one.right for one in found.checked)
    assert [(one.what, one.todo) for one in found.unchecked] == [("longer events", "n=516")]
    assert found.todo == []


def test_what_can_be_spared_is_left_out_where_the_others_took_long(
    plants: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checker, "SPARE_S", 0.0)
    found = assert_exact(plants.Right)
    assert found.answer == "attending.Right:tiny is right: 7 methods at N = 13 (2 events) and 64, in float32"
    left = found.unchecked[0]
    assert left.what == "N = 129 in float32 and N = 13 in float64"
    assert re.fullmatch(r"left out, since the other cases took \d+ s", left.why)


def test_a_model_in_training_is_checked_as_it_is_and_stays_so(plants: ModuleType) -> None:
    model = plants.Right()
    model.train()
    x, _ = model.observe(8, [0, 1], 0)
    model.distribution.log_prob(model(x, {}), x).mean().backward()
    weights = {name: one.clone() for name, one in model.state_dict().items()}
    grads = {name: one.grad.clone() for name, one in model.named_parameters()}
    random = torch.get_rng_state()
    assert assert_exact(model, n=13).answer.startswith("attending.Right is right: ")
    assert model.training
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled()
    assert all(torch.equal(one, weights[name]) for name, one in model.state_dict().items())
    assert all(torch.equal(one.grad, grads[name]) and one.requires_grad for name, one in model.named_parameters())
    assert not GIVEN
    with torch.no_grad():
        model.head.bias[3] = float("nan")
    assert "attending.Right is WRONG: the model's parameters are not finite" in failure(model, n=13)
    assert not GIVEN


def test_a_sampler_that_is_wrong_at_one_element_is_named(plants: ModuleType) -> None:
    assert assert_exact(plants.Right, methods=plants.draw, n=13).verified == 3
    said = failure(plants.Right, methods=["parallel", plants.planted], n=13)
    assert re.match(
        r"sample attending\.planted of attending\.Right:tiny is WRONG: element 7 of row 0 is \d+, but the parameters "
        r"that its own prefix implies draw \d+\n",
        said,
    )
    assert "✓ score parallel: log-probabilities of " in said


def test_a_draft_that_an_object_has_guesses_for_its_copy() -> None:
    from arbench.models import resolve

    model = resolve("wavenet:tiny").build()
    found = assert_exact(model, n=16, batch=1, dtype=torch.float64)
    assert "sample rejection" in [one.name for one in found.checked]
    assert found.answer == "wavenet.WaveNet is right: 9 methods at N = 16, in float64"
    assert [(one.what, one.todo) for one in found.unchecked] == [("fused", "methods='fused'")]


class Net(nn.Module):
    """A plain module: logits of each symbol from those before it."""

    def __init__(self, symbols: int = 8) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, symbols)
        self.leak = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        later = self.leak * x.flip(1)[..., None]
        return self.embedding(x).cumsum(1) + later


def test_a_plain_module_with_a_law() -> None:
    net = Net()
    found = assert_exact(net, law="categorical:8", n=13)
    assert found.outcome == "right"
    assert "forward against extend" in [one.what for one in found.unchecked]
    net.leak = 1e-3
    assert "is WRONG: forward leaks" in failure(net, law="categorical:8", n=13)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"methods": "cache"}, "unknown method 'cache'; did you mean 'cached'?"),
        ({"n": 0}, "--n must be at least 1, got 0"),
        ({"dtype": "float23"}, "unknown dtype 'float23'; did you mean 'float32'?"),
        ({"law": "normal"}, "Right has a law of its own; leave out law"),
        ({"weights": "a.safetensors"}, "attending.Right has weights of its own; leave out weights"),
    ],
)
def test_wrong_arguments_are_one_line(
    options: dict[str, object], text: str, plants: ModuleType, said: Callable[..., str]
) -> None:
    assert said(PlanError, lambda: assert_exact(plants.Right(), **options)) == text


def test_importing_it_imports_no_torch() -> None:
    code = "import sys, arbench.testing; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=HERE.parent, check=False).returncode == 0
