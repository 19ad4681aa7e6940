"""A prompt of a language model: read in one pass, the same for every method, and the identity of what follows it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="other people's language models need pip install 'arbench[hf]'")

from arbench.adapters.hf.generate import ASSISTED, GENERATE
from arbench.bench.plan import Options, PlanError, make_plan
from arbench.methods import CACHED, Task
from arbench.models import ModelError, resolve

TINY = ("hf:tiny", "hf:tiny_llama", "hf:tiny_mamba", "hf:openai-gpt,vocab_size=90,n_embd=16,n_layer=2,n_head=2")


def prompted(model, n: int = 7):
    x, context = model.observe(n, [0, 1], seed=0)
    return x, context, model.encode(context, n)


@pytest.mark.parametrize("spec", TINY)
def test_logits_are_those_of_the_whole_text_after_its_prompt(spec):
    model, plain = (resolve(f"{spec}{more}").build(seed=3) for more in (",prompt=5", ""))
    x, context, code = prompted(model)
    assert (x.shape, context["prompt"].shape) == ((2, 7), (2, 5))
    whole = plain(torch.cat([context["prompt"], x], dim=1), None)[:, 5:]
    assert torch.allclose(model(x, code), whole, atol=1e-6)


def test_the_first_step_reads_the_prompt_in_one_pass_and_computes_one_logit(monkeypatch):
    model = resolve("hf:tiny,prompt=5").build()
    _, context, _ = prompted(model)
    read = []
    forward = model.network.forward

    def kept(input_ids, **more):
        found = forward(input_ids=input_ids, **more)
        read.append((input_ids.shape[1], found.logits.shape[1]))
        return found

    monkeypatch.setattr(model.network, "forward", kept)
    noise = model.distribution.noise(4, range(2), range(7), torch.float32)
    CACHED.run(model, Task(7, context, noise=noise))
    assert read == [(6, 1), *[(1, 1)] * 6]


@pytest.mark.parametrize("settings", ["", ",cache=static", ",positions=passed"])
def test_the_package_draws_what_ours_draws_after_the_same_prompt(settings):
    model = resolve(f"hf:tiny,prompt=5{settings}").build()
    _, context, _ = prompted(model)
    noise = model.distribution.noise(4, range(2), range(7), torch.float32)
    task = Task(7, context, noise=noise, record=True)
    ours = CACHED.run(model, task)
    for method in (GENERATE, ASSISTED):
        theirs = method.run(model, task)
        assert torch.equal(theirs.x, ours.x)
        assert torch.allclose(theirs.params, ours.params, atol=1e-5)
        given = method.run(model, Task(7, context, noise=noise, given=ours.x[:, :3]))
        assert torch.equal(given.x, ours.x)
    other = CACHED.run(model, Task(7, {"prompt": (context["prompt"] + 1) % 256}, noise=noise, record=True))
    assert not torch.allclose(other.params, ours.params, atol=1e-3)


@pytest.mark.parametrize("spec", TINY)
def test_every_method_is_verified_over_batches(verified, spec):
    found = verified(f"{spec},prompt=6", batch=2)
    assert {line.status for line in found.values()} == {"ok"}, [line.error for line in found.values()]
    assert {"parallel", "naive", "fixed_point", "generate"} <= found.keys()
    assert ("assisted" in found) == (spec in TINY[:2])
    assert all(line.verified["conditioning"] == ["prompt"] for line in found.values())


def test_passages_of_data_begin_with_the_prompt():
    model = resolve("hf:tiny,prompt=4").build()
    x, context = model.observe(3, [0, 1], 0, np.arange(50))
    assert bool((torch.cat([context["prompt"], x], dim=1).diff(dim=1) == 1).all())


def test_sizes_end_where_positions_do_and_default_ones_fit():
    assert resolve("hf:tiny,prompt=56").build().ladder == [12, 25, 50, 100, 200]
    with pytest.raises(PlanError, match="at most 156 tokens after a prompt of 100, max_position_embeddings; got 157"):
        make_plan(Options(models=("hf:tiny,prompt=100",), n=(157,)))


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("256", "a prompt of 256 tokens leaves none of the 256 positions, max_position_embeddings; choose a shorter"),
        ("-1", "prompt must be a number of tokens from 0 on, got -1"),
        ("long", "prompt must be a number of tokens from 0 on, got 'long'"),
    ],
)
def test_a_prompt_that_cannot_be_is_refused(prompt, said):
    with pytest.raises(ModelError) as refusal:
        resolve(f"hf:tiny,prompt={prompt}").build()
    assert said in str(refusal.value)
