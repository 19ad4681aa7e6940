"""Causal language models of transformers: what they compute, from which settings, files and data."""

from __future__ import annotations

import json
import shutil
import sys

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="other people's language models need pip install 'arbench[hf]'")

from arbench.adapters.hf.package import transformers
from arbench.bench.models.verify.extend import forward_equals_extend
from arbench.bench.plan import Options, PlanError, make_plan
from arbench.data import DataError
from arbench.models import ModelError, NoModelError, resolve

TINY = ("hf:tiny", "hf:tiny_llama", "hf:tiny_mamba")
SETTINGS = ("cache=dynamic", "cache=static", "positions=passed")
ODD = (
    "hf:mistral,vocab_size=90,hidden_size=16,intermediate_size=24,num_hidden_layers=2,num_attention_heads=2,"
    "num_key_value_heads=1,sliding_window=4",
    "hf:openai-gpt,vocab_size=90,n_embd=16,n_layer=2,n_head=2",
    "hf:bert,vocab_size=90,hidden_size=16,num_hidden_layers=2,num_attention_heads=2,intermediate_size=24",
    "hf:rwkv,vocab_size=90,hidden_size=16,num_hidden_layers=8",
)


@pytest.mark.parametrize("spec", TINY)
def test_logits_are_those_of_a_prefill_that_begins_with_the_begin_token(spec):
    model = resolve(spec).build(seed=3)
    x = model.observe(9, [0, 1], seed=0)[0]
    read = torch.cat([torch.full((2, 1), model.begin), x[:, :-1]], dim=1)
    assert torch.equal(model(x, None), model.network(input_ids=read).logits)
    assert model.weights(9) == sum(one.numel() for one in model.network.parameters())


@pytest.mark.parametrize(
    "spec", [*(f"{one},{more}" for one in TINY for more in SETTINGS), *(one for one in ODD if "openai" not in one)]
)
def test_steps_over_every_kind_of_cache_equal_forward_in_float64(spec):
    twin = resolve(spec).build(dtype=torch.float64)
    x = twin.observe(11, [0] if "rwkv" in spec else [0, 1], seed=0)[0]  # two events mix in the package's RWKV
    assert forward_equals_extend(twin, x, {}) < 1e-12


@pytest.mark.parametrize("spec", [*TINY, *ODD[:-1]])
def test_every_method_of_a_kind_is_verified(verified, spec):
    found = verified(spec)
    assert {line.status for line in found.values()} == {"ok"}, [line.error for line in found.values()]
    assert {"parallel", "naive", "fixed_point"} <= found.keys()
    assert ("cached" in found) == ("openai" not in spec)
    assert ("assisted" in found) == ("cached" in found and all(one not in spec for one in ("mamba", "mistral")))


def test_the_rwkv_of_the_package_mixes_the_events_of_a_batch_which_is_found(verified):
    assert {line.status for line in verified(ODD[-1]).values()} == {"inexact"}


def test_a_name_means_the_published_shape_and_settings_change_it():
    chosen = resolve("hf:gpt2")
    assert chosen.config == {"of": "gpt2"}
    model = resolve("hf:gpt2,n_layer=1,vocab_size=512,n_embd=8,n_head=2").build()
    assert model.network.config.n_positions == 1024
    assert (model.levels, model.begin, len(model.network.transformer.h)) == (512, 0, 1)
    assert resolve("hf:tiny,num_hidden_layers=3").build().network.config.n_layer == 3


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("hf:gtp2", "no such architecture (did you mean gpt2?); name a local folder with config.json"),
        ("hf:owner/name", "no such folder; name a local folder with config.json and weights as safetensors"),
        ("hf:tiny,n_layers=3", "gpt2 has no setting 'n_layers'; did you mean 'n_layer'?"),
        ("hf:tiny,cache=statik", "the setting 'cache' is 'statik'; did you mean 'static'?"),
        ("hf:tiny,positions=mine", "the setting 'positions' is 'mine'; available: model, passed"),
        ("hf:tiny,n_embd=33", "embed_dim"),
        (
            "hf:rwkv,vocab_size=90,hidden_size=16,num_hidden_layers=2",
            "num_hidden_layers=2' can be built, and its draft cannot, the smaller model with num_hidden_layers=1 that "
            "guesses ahead in speculative sampling (division by zero); choose larger settings, of which a smaller "
            "model can be built, or the name of another draft, as draft=NAME",
        ),
        ("hf:tiny,n_layer=two", "gpt2: "),
        ("hf:tiny,draft=tiny_llama,vocab_size=300", "the draft 'tiny_llama' has 256 tokens, the model 300"),
    ],
)
def test_what_cannot_be_built_is_refused_in_one_line(spec, said):
    with pytest.raises(ModelError) as refusal:
        resolve(spec).build()
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_sizes_end_where_positions_do():
    with pytest.raises(PlanError, match="at most 256 tokens, max_position_embeddings; got 257"):
        make_plan(Options(models=("hf:tiny",), n=(257,)))


def test_a_folder_has_its_weights_and_a_name_that_follows_what_it_holds(folder, tmp_path):
    chosen = resolve(f"hf:{folder}")
    name, _, digest = chosen.preset.rpartition("-")
    assert name == "small-gpt-2"
    assert len(digest) == 8
    model = chosen.build(seed=5)
    assert model.begin == 7
    assert model.brings_weights
    wanted = transformers().AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert all(torch.equal(one, model.network.state_dict()[key]) for key, one in wanted.state_dict().items())
    assert len(model.draft.network.transformer.h) == 1
    first = (one.transformer.h[0].mlp.c_fc.weight for one in (model.draft.network, model.network))
    assert torch.equal(*first)
    other = tmp_path / "Small GPT-2"
    shutil.copytree(folder, other)
    assert resolve(f"hf:{other}").preset == chosen.preset
    wanted.transformer.wpe.weight += 1
    wanted.save_pretrained(other)
    assert resolve(f"hf:{other}").preset != chosen.preset


def test_a_configuration_file_means_random_weights(folder, tmp_path):
    file = tmp_path / "mine.json"
    shutil.copy(folder / "config.json", file)
    chosen = resolve(f"hf:{file},n_layer=2")
    assert chosen.preset.startswith("mine-")
    one, same, other = (chosen.build(seed=seed).network.lm_head.weight for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert one.data_ptr() != same.data_ptr()
    assert not torch.equal(one, other)
    assert not chosen.build().brings_weights


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n_layer": 5}, "the folder has no weight 'transformer.h.4.attn.c_attn.bias', and"),
        ({"n_embd": 32}, "the folder has another shape of "),
        ({"n_layer": 3}, "the folder has a weight 'transformer.h.3."),
        ({"model_type": "vit"}, "is of 'vit', which is no causal language model"),
    ],
)
def test_a_folder_whose_parts_do_not_fit_is_refused(folder, tmp_path, change, said):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ModelError) as refusal:
        resolve(f"hf:{other}").build()
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_folder_of_gpt2_runs_through_our_transformer_too(folder):
    theirs = resolve(f"hf:{folder}").build()
    chosen = resolve(f"transformer@{folder}/")
    assert chosen.preset.startswith("gpt2_small,layers=4,width=16,heads=2,hidden=64,levels=300,positions=64,begin=7@")
    ours = chosen.build()
    assert ours.weights(20) == theirs.weights(20)
    x, noise = theirs.observe(20, [0, 1], seed=0)[0], theirs.distribution.noise(0, [0, 1], range(20), torch.float32)
    logits, others = theirs(x, None), ours(x, ours.encode({}, 20))
    scores = [theirs.distribution.log_prob(one, x) for one in (logits, others)]
    assert float((scores[0] - scores[1]).abs().max()) < 1e-5
    assert torch.equal(theirs.distribution.draw(logits, noise), ours.distribution.draw(others, noise))


def test_data_are_numbers_of_tokens_or_text_where_the_folder_has_a_tokenizer(folder, tmp_path):
    chosen = resolve(f"hf:{folder}")
    text, array, numbers = tmp_path / "a.txt", tmp_path / "a.npy", tmp_path / "b.txt"
    text.write_text("w5 w6 w7 w8 unknown")
    np.save(array, np.arange(5, 9))
    numbers.write_text("5 6 7\n8")
    assert chosen.cls.load_data(str(text), chosen.config).tolist() == [5, 6, 7, 8, 0]
    assert chosen.cls.load_data(str(array), chosen.config).tolist() == [5, 6, 7, 8]
    config = resolve("hf:tiny").config
    assert chosen.cls.load_data(str(numbers), config).tolist() == [5, 6, 7, 8]
    model = chosen.build()
    x, context = model.observe(3, [0, 1], 0, np.arange(5, 9))
    assert x.shape == (2, 3)
    assert context == {}
    assert bool((x.diff(dim=1) == 1).all())
    assert [one.text for one in model.shown(torch.tensor([[5, 6]]))] == ["w5 w6"]
    for file, about, said in (
        (text, config, "is text, and the model has no tokenizer"),
        (array, {"of": "tiny", **config, "vocab_size": 6}, "holds tokens from 5 to 8; the vocabulary has 0 to 5"),
    ):
        with pytest.raises(DataError, match=said):
            chosen.cls.load_data(str(file), about)


def test_tables_stay_float32_in_half_precision():
    model = resolve("hf:tiny_llama").build(dtype=torch.bfloat16)
    assert model.network.model.rotary_emb.inv_freq.dtype == torch.float32
    assert model.network.model.embed_tokens.weight.dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_dtypes_are_verified(verified, dtype):
    found = verified("hf:tiny_llama", "parallel", "cached", "generate", dtype=dtype)
    assert {line.status for line in found.values()} == {"ok"}, [line.error for line in found.values()]


def test_nothing_asks_a_network(monkeypatch):
    assert all(sys.modules["os"].environ[name] == "1" for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("asked a network"))
    with pytest.raises((ModelError, NoModelError), match="nothing is downloaded"):
        resolve("hf:openai-community/gpt2")
