"""Planted faults of language models are named: leaks of rare tokens, drifting positions, caches cut back wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers", reason="other people's language models need pip install 'arbench[hf]'")

from arbench.models import ModelError, resolve

PLANTS = Path(__file__).parent / "plants.py"
WIDE = "gpt2,n_layer=1,n_embd=16,n_head=2"
SOUND = {"ok"}


@pytest.mark.parametrize(
    ("plant", "said", "sound"),
    [
        ("RareLeak", "where that is symbol 41234, and not with most symbols", set()),
        ("HiddenLeak", "where that is symbol 32100, and not with most symbols", set()),
        ("Drifting", "extend is right over all elements at once, but wrong step by step", {"parallel"}),
        ("Cropping", "rewind is wrong: after a mark at group 4, extend to 8 and rewind to 4", {"parallel", "cached"}),
        ("Forgetting", "in float64 from element 0 on, allowed", set()),
        ("RareDrift", "after symbol 41234, and not after most symbols", {"parallel"}),
    ],
)
def test_a_fault_is_named_and_charged_to_the_methods_that_meet_it(verified, plant, said, sound):
    prompt = ",prompt=3" if plant == "Forgetting" else ""
    found = verified(f"{PLANTS}:{plant}:{WIDE}{prompt}", "parallel", "cached", "blocks")
    assert {name for name, line in found.items() if line.status == "ok"} == sound
    assert all(said in line.error for name, line in found.items() if name not in sound)


def test_what_was_tried_is_said(verified):
    line = verified(f"hf:{WIDE}", "parallel")["parallel"]
    facts = line.verified
    assert facts["symbols_levels"] == 50257
    assert facts["symbols_stepped"] > 100
    assert facts["symbols_tried"] >= facts["symbols_stepped"]
    assert facts["rewind"] < 1e-12


def test_networks_and_functions_that_return_them_are_taken(verified):
    ready, made = resolve(f"{PLANTS}:ready"), resolve(f"{PLANTS}:made,width=8")
    assert (ready.name, made.name, made.preset) == ("plants.ready", "plants.made", "given,width=8")
    assert ready.build().brings_weights
    assert torch.equal(*(ready.build(seed).network.lm_head.weight for seed in (0, 1)))
    assert made.build().network.config.n_embd == 8
    found = verified(f"{PLANTS}:made", "parallel", "cached", "generate")
    assert {line.status for line in found.values()} == {"ok"}
    with pytest.raises(ModelError, match="only the law of an element is missing"):
        resolve(f"{PLANTS}:headless")
