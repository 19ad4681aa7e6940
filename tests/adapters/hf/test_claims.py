"""Claims follow the kind of layers: narrow for plain attention and plain recurrence, at most for what mixes them."""

from __future__ import annotations

import pytest

pytest.importorskip("transformers", reason="other people's language models need pip install 'arbench[hf]'")

from arbench.adapters.hf.claims import ATTENTION, MIXED, RECURRENT
from arbench.models import resolve

SMALL = "vocab_size=40,hidden_size=16,intermediate_size=24,num_attention_heads=2,num_key_value_heads=1"


@pytest.mark.parametrize(
    ("spec", "claims"),
    [
        ("tiny", ATTENTION),
        ("tiny,cache=static", ATTENTION),
        ("tiny_llama", ATTENTION),
        ("openai-gpt,vocab_size=40,n_embd=16,n_layer=1,n_head=2", ATTENTION),
        ("tiny_mamba", RECURRENT),
        ("rwkv,vocab_size=40,hidden_size=16,num_hidden_layers=8", RECURRENT),
        ("mamba2,vocab_size=40,hidden_size=16,num_hidden_layers=1,num_heads=4,head_dim=8,state_size=8", MIXED),
        (f"mistral,{SMALL},num_hidden_layers=1,sliding_window=4", MIXED),
        (f"mixtral,{SMALL},num_hidden_layers=1,num_local_experts=2", MIXED),
        (f"jamba,{SMALL},num_hidden_layers=2,attn_layer_period=2,attn_layer_offset=1,use_mamba_kernels=false", MIXED),
    ],
    ids=lambda one: one.partition(",")[0] if isinstance(one, str) else "",
)
def test_claims_are_those_of_the_layers(spec, claims):
    assert resolve(f"hf:{spec}").build().claims is claims


def test_what_mixes_layers_claims_nothing_exactly():
    assert all(claim.depth.startswith("<=") and claim.work.startswith("<=") for claim in MIXED.values())
    assert ATTENTION.keys() == MIXED.keys() == RECURRENT.keys()
