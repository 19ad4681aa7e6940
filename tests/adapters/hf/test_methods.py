"""The package's own loops as methods: the same draws as ours, counted, streamed and guessed ahead."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("transformers", reason="other people's language models need pip install 'arbench[hf]'")

from arbench.bench.plan import Options, PlanError, make_plan
from arbench.methods import CACHED, FreshNoise, MethodError, NoMethodError, Task, lacking, methods_for, resolve
from arbench.models import resolve as resolve_model


@pytest.fixture(scope="module")
def model():
    return resolve_model("hf:tiny").build()


def method(name: str, model):
    return resolve(name, [type(model)])[0]


def drawn(name: str, model, n: int = 12, rows: int = 1, **more):
    noise = model.distribution.noise(4, range(rows), range(n), torch.float32)
    task = Task(n, {}, **{"noise": noise, **more})
    return method(name, model).run(model, task), CACHED.run(model, task)


@pytest.mark.parametrize("name", ["generate", "assisted", "assisted,ahead=3"])
@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_draws_and_logits_are_those_of_cached(name, cache):
    model = resolve_model(f"hf:tiny,cache={cache}").build()
    mine, ours = drawn(name, model, rows=2, record=True)
    assert torch.equal(mine.x, ours.x)
    assert torch.allclose(mine.params, ours.params, atol=1e-5)
    assert len(mine.x.unique()) > 8


@pytest.mark.parametrize("name", ["generate", "assisted"])
def test_given_elements_are_kept(model, name):
    given = torch.tensor([[1, 2, 3], [4, 5, 6]])
    mine, ours = drawn(name, model, rows=2, given=given, record=True)
    assert torch.equal(mine.x, ours.x)
    assert torch.equal(mine.x[:, :3], given)
    assert torch.allclose(mine.params, ours.params, atol=1e-5)
    whole, _ = drawn(name, model, n=3, rows=2, given=given)
    assert torch.equal(whole.x, given)


def test_evaluations_are_counted_and_a_perfect_draft_is_kept(model):
    assert drawn("generate", model)[0].evaluations == 12
    object.__setattr__(model, "draft", resolve_model("hf:tiny").build())
    found, _ = drawn("assisted,ahead=3", model)
    assert found.evaluations == 3
    assert list(found.accepted) == [4, 4, 4]


def test_tokens_are_streamed_one_by_one_with_noise_made_in_time(model):
    chunks = []
    fresh = FreshNoise(model.distribution, 4, range(2), torch.float32)
    found, _ = drawn("generate,chunk=1", model, rows=2), None
    live = Task(12, {}, fresh=fresh, made=lambda chunk: chunks.append(chunk.clone()))
    again = method("generate,chunk=1", model).run(model, live)
    assert [tuple(chunk.shape) for chunk in chunks] == [(2, 1)] * 12
    assert torch.equal(torch.cat(chunks, dim=1), again.x)
    assert torch.equal(again.x, found[0].x)


def test_the_methods_are_found_for_models_that_have_them():
    kind = resolve_model("hf:tiny").cls
    assert {"generate", "assisted"} <= {one.name for one in methods_for(kind)}
    with pytest.raises(NoMethodError, match="unknown method 'generate'"):
        resolve("generate")
    mamba = resolve_model("hf:tiny_mamba").build()
    why = {one.name: why for one, why in lacking(mamba).items()}
    assert why["assisted"].startswith("needs a cache that can be cut back")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("generate,chunk=2", "chunk is 1, since its streamer gets tokens one by one"),
        ("generate,width=2", "there is no setting 'width'; it has chunk, and backend"),
        ("assisted,ahead=0", "ahead must be a number of tokens from 1 to 1,024, got 0"),
        ("generat", "unknown method 'generat'; did you mean 'generate'?"),
    ],
)
def test_settings_that_they_have_not_are_refused(name, said):
    with pytest.raises(MethodError) as refusal:
        resolve(name, [resolve_model("hf:tiny").cls])
    assert said in str(refusal.value)
    with pytest.raises(PlanError):
        make_plan(Options(models=("hf:tiny",), methods=(name,), n=(8,)))


def test_a_run_of_two_models_has_own_methods_for_those_that_have_them():
    plan = make_plan(Options(models=("hf:tiny", "transformer:tiny"), methods=("cached", "generate"), n=(8,)))
    assert [(case.model, case.method) for case in plan.cases] == [
        ("hf", "cached"),
        ("hf", "generate"),
        ("transformer", "cached"),
    ]
    claims = {case.method: case.claimed_depth for case in plan.cases}
    assert claims["generate"] == claims["cached"] == "N"
