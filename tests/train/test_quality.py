"""Held-out quality: every element once, in bits, of levels or of cells."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from arbench.data import Audio, DataError
from arbench.models import resolve
from arbench.train import Recipe, measured
from arbench.train.digest import digest
from arbench.train.events import event
from arbench.train.parts import Divided, check, divided, scored


def built(spec, dtype=torch.float64):
    return resolve(spec).build(0, dtype)


def test_windows_with_the_whole_past_score_as_the_whole_event_does():
    model = built("lstm:tiny")
    held_out = np.arange(50) % 4
    whole = measured(model, held_out, 50)
    assert (whole.elements, set(whole.parts)) == (50, {0})
    x = torch.from_numpy(held_out).unsqueeze(0)
    log_prob = model.distribution.log_prob(model(x, model.encode({}, 50)), x)
    assert whole.bits == pytest.approx(-float(log_prob.sum()) / math.log(2) / 50, rel=1e-12)
    windows = measured(model, held_out, 20, prefix=8, batch=2)
    assert windows.elements == 50
    assert windows.bits != whole.bits  # a window starts without a past
    assert windows.bits == pytest.approx(whole.bits, abs=0.05)


def test_a_real_element_is_worth_the_density_of_its_cell():
    model = built("wavenet:tiny_gaussian,local=0")
    recording = [Audio(np.sin(np.arange(40, dtype=np.float32)) / 2, 16000)]
    found = measured(model, recording, 40)
    x, _ = event(model, 40, [0], 0, recording)
    assert (x - torch.from_numpy(recording[0].samples)).abs().max() <= 2.0**-16
    assert (x != torch.from_numpy(recording[0].samples)).all()
    params = model(x, model.encode({}, 40))
    density = torch.distributions.Normal(params[..., 0], params[..., 1].exp()).log_prob(x)
    assert found.bits == pytest.approx(-float(density.sum()) / 40 / math.log(2) + 15, rel=1e-9)


def recording(*sizes):
    """Return parts of one recording and of another one, each as long as the other's."""
    known = np.random.default_rng(0).uniform(-1, 1, (2, sum(sizes))).astype(np.float32)
    ends = np.cumsum(sizes)[:-1]
    return list(zip(*([Audio(part, 16000) for part in np.split(one, ends)] for one in known), strict=True))


@pytest.mark.parametrize("context", [None, 40])
def test_the_held_out_part_is_scored_given_what_comes_before_it(context):
    model = built("wavenet:tiny,local=0,classes=0")
    assert model.receptive_field == 7  # twice 1 + 2, and one
    before, held_out = map(list, recording(60, 50))
    parts = Divided(None, None, held_out, "", "", before)
    recipe = Recipe(n=12, eval_n=16, held_out_prefix=context)
    found = scored(model, parts, recipe)
    assert (found.elements, {part: count for part, (_, count) in found.parts.items()}) == (100, {0: 50, 1: 50})
    whole = [Audio(np.concatenate([a.samples, b.samples]), 16000) for a, b in zip(before, held_out, strict=True)]
    for part, one in enumerate(whole):
        x, _ = model.observe(110, [0], 0, [one])
        bits = -model.distribution.log_prob(model(x, model.encode({}, 110)), x)[0, 60:].sum() / math.log(2)
        assert found.parts[part][0] == pytest.approx(float(bits), rel=1e-12)
    silent = measured(model, held_out, 16)
    assert abs(silent.bits - found.bits) > 1e-6
    less = scored(model, parts, Recipe(n=12, eval_n=16, held_out_prefix=3))
    assert less.bits != found.bits
    short = Divided(None, None, held_out, "", "", [Audio(one.samples[-4:], 16000) for one in before])
    assert scored(model, short, recipe).elements == 100


def test_a_text_goes_on_where_the_training_part_ends():
    model = built("lstm:tiny")
    text = np.random.default_rng(1).integers(0, 4, 90)
    parts = Divided(None, None, text[70:], "", "", text[:70])
    found = scored(model, parts, Recipe(n=8, eval_n=80, prefix=60))
    x = torch.from_numpy(text[10:]).unsqueeze(0)
    bits = -model.distribution.log_prob(model(x, model.encode({}, 80)), x)[0, 60:].sum() / math.log(2)
    assert (found.elements, found.parts[0][1]) == (20, 20)
    assert found.bits * 20 == pytest.approx(float(bits), rel=1e-12)
    events = scored(built("transformer:tiny"), parts, Recipe(n=80, prefix=60))
    assert events.elements == 20
    unknown = scored(model, Divided(None, None, text[70:], "", ""), Recipe(n=8, eval_n=80, prefix=60))
    assert unknown.bits == measured(model, text[70:], 80, 60).bits


def test_the_windows_of_the_end_score_as_many_elements():
    assert Recipe(n=10, eval_n=30).at_the_end(None) == (30, 0)
    assert Recipe(n=10, eval_n=30, prefix=4).at_the_end(None) == (30, 4)
    assert Recipe(n=10, prefix=4).at_the_end(100) == (106, 100)
    assert Recipe(n=10, prefix=4, held_out_prefix=0).at_the_end(100) == (6, 0)
    stated = {**vars(Recipe(steps=3)), "betas": [0.5, 0.9], "else": 1}
    del stated["held_out_prefix"]  # a checkpoint from before it
    assert Recipe.of(stated) == Recipe(steps=3, betas=(0.5, 0.9))


def test_a_transformer_has_no_window_longer_than_its_events():
    model = built("transformer:tiny")
    parts = divided(model, "the quick brown fox jumps over the lazy dog; " * 80, "fox")
    check(model, parts, Recipe(n=64, prefix=32, held_out_prefix=32))
    with pytest.raises(ValueError, match=r"--held-out-prefix 33: events of 64 elements train no later positions"):
        check(model, parts, Recipe(n=64, prefix=32, held_out_prefix=33))


def test_padding_of_a_translation_is_not_scored():
    model = built("nmt_teacher:tiny")
    pairs = (("ab", "ba"), ("bab", "a"))
    _, both = model.divide(pairs * 10, 0.5)
    found = measured(model, both, 8)
    assert {count for _, count in found.parts.values()} <= {2, 3}
    assert found.elements == sum(count for _, count in found.parts.values())
    longer = measured(model, both, 16)
    assert longer.elements == found.elements


def test_data_without_an_event_of_that_size_is_refused():
    model = built("nmt_teacher:tiny")
    _, both = model.divide(tuple(("abcdefgh" * k, "ba") for k in range(1, 11)), 0.5)
    with pytest.raises(DataError, match="has no event of 4 elements; choose another --n"):
        measured(model, both, 4)


def test_the_digest_depends_on_the_numbers_alone():
    a = np.arange(6).reshape(2, 3)
    assert digest([a, "x"]) == digest((np.asfortranarray(a), "x"))
    assert len({digest(one) for one in ([a, "x"], [a.T, "x"], [a, "y"], [a.astype(float), "x"], [[a], "x"], None)}) == 6
    with pytest.raises(TypeError, match="no digest of set"):
        digest({1})
