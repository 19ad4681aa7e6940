"""Held-out quality: every element once, in bits, of levels or of cells."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from arbench.data import Audio, DataError
from arbench.models import resolve
from arbench.train import measured
from arbench.train.digest import digest
from arbench.train.events import event


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
