"""Methods that guess ahead: how much they settle an evaluation, and when a guess is never wrong."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from types import ModuleType

import pytest
import torch

from arbench.bench.models.counting import evaluations
from arbench.methods import METHODS, Task, lacking, methods_for
from arbench.methods.fixed_point import BLOCK
from arbench.methods.forecast import WIDTH
from arbench.methods.speculative import AHEAD
from arbench.models import Source, resolve
from arbench.models.wavenet import WaveNet

METHOD = {m.name: m for m in METHODS if m.feeds == "x"}
SPECS = ["wavenet:tiny", "pixelcnn:tiny"]
N = 48


def drawing(checks: ModuleType, spec: str, rows: range = range(2)) -> tuple[Source, Task]:
    source = checks.built(spec)
    return source, checks.job(source, METHOD["naive"], N, rows)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("name", ["blocks", "forecast", "speculative", "rejection"])
def test_every_evaluation_settles_something_and_all_together_everything(
    checks: ModuleType, spec: str, name: str
) -> None:
    source, task = drawing(checks, spec)
    with evaluations(source) as calls:
        found = METHOD[name].run(source, task)
    widest = {"blocks": BLOCK, "forecast": WIDTH}.get(name, AHEAD)
    assert sum(found.accepted) == N
    assert all(1 <= settled <= widest for settled in found.accepted)
    # one evaluation a window, and one to go back where less than all was settled
    back = 0 if name == "blocks" else sum(settled < widest for settled in found.accepted)
    assert len(found.accepted) <= calls() <= len(found.accepted) + back
    assert max(found.accepted) > 1


@pytest.mark.parametrize("spec", SPECS)
def test_a_draft_that_is_the_target_is_always_right(checks: ModuleType, spec: str) -> None:
    source, task = drawing(checks, spec)
    object.__setattr__(source, "draft", checks.built(spec))
    for name in ("speculative", "rejection"):
        found = METHOD[name].run(source, task)
        assert list(found.accepted) == [AHEAD] * (N // AHEAD), name
        assert torch.equal(found.x, METHOD["naive"].run(source, task).x), name


def test_a_draft_of_other_opinion_is_corrected(checks: ModuleType) -> None:
    """Whatever the draft guesses: here always the least likely of the target."""
    source, task = drawing(checks, "wavenet:tiny")
    contrary = checks.built("wavenet:tiny")
    contrary.out.neg_()
    contrary.out_bias.neg_()
    object.__setattr__(source, "draft", contrary)
    found = METHOD["speculative"].run(source, task)
    assert torch.equal(found.x, METHOD["naive"].run(source, task).x)
    assert len(found.accepted) > N // AHEAD


def test_a_row_does_not_depend_on_how_far_the_batch_moves(checks: ModuleType) -> None:
    source, task = drawing(checks, "wavenet:tiny", range(5))
    together = METHOD["rejection"].run(source, task)
    for row in range(5):
        alone = METHOD["rejection"].run(source, drawing(checks, "wavenet:tiny", range(row, row + 1))[1])
        assert torch.equal(alone.x[0], together.x[row])


@pytest.mark.parametrize("name", ["blocks", "forecast", "speculative", "rejection"])
def test_a_prompt_of_everything_leaves_nothing_to_do(checks: ModuleType, name: str) -> None:
    source, task = drawing(checks, "wavenet:tiny")
    given = METHOD["naive"].run(source, task).x
    found = METHOD[name].run(source, replace(task, given=given))
    assert torch.equal(found.x, given)
    assert list(accumulate(found.accepted)) == []


@pytest.mark.parametrize("name", ["speculative", "rejection"])
def test_without_a_draft_there_is_nothing_to_verify(checks: ModuleType, name: str) -> None:
    source, task = drawing(checks, "wavenet:tiny")
    object.__setattr__(source, "draft", None)
    assert METHOD[name].lacks(source) == "needs a draft: drafting(config) returns None for this preset"
    assert METHOD[name] in lacking(source)
    with pytest.raises(AssertionError, match="the model has no draft"):
        METHOD[name].run(source, task)


def test_only_a_categorical_law_has_a_rest_to_draw_from() -> None:
    source = resolve("wavenet:tiny_logistic").build()
    assert METHOD["speculative"].lacks(source) is None
    assert (
        METHOD["rejection"].lacks(source)
        == "needs a Categorical distribution: this one is a DiscretizedLogisticMixture"
    )
    assert METHOD["rejection"].lacks(resolve("wavenet:tiny").build()) is None


def test_a_model_without_a_draft_says_what_it_lacks() -> None:
    class Mine(WaveNet):
        drafting = Source.__dict__["drafting"]

    what = "needs a draft: Mine defines no drafting(config), the configuration of a smaller model"
    assert {m.name: why for m, why in lacking(Mine).items()} == {"speculative": what, "rejection": what}
    assert {m.name for m in methods_for(Mine)} == METHOD.keys() - {"speculative", "rejection"}
    assert lacking(WaveNet) == {}


@pytest.mark.parametrize("kind", [staticmethod, classmethod, lambda f: f])
def test_a_draft_may_be_defined_in_any_way(kind) -> None:
    class Mine(WaveNet):
        drafting = kind(lambda *_: None)

    assert lacking(Mine) == {}
