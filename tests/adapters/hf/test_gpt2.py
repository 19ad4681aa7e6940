"""A GPT-2 that transformers saved is ours too: the same log-probabilities from the same file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers", reason="other people's language models need pip install 'arbench[hf]'")

from arbench.adapters.hf.package import transformers
from arbench.methods import CACHED, Task
from arbench.models import ModelError, resolve
from arbench.models.weights import load

SHAPE = dict(vocab_size=60, n_embd=16, n_layer=2, n_head=2, n_positions=32, bos_token_id=7)


def saved(folder: Path, part: str = "", **changes) -> Path:
    """Save a GPT-2 whose weights are all random, norms and biases too."""
    package = transformers()
    network = package.GPT2LMHeadModel(package.GPT2Config(**{**SHAPE, **changes}))
    generator = torch.Generator().manual_seed(2)
    for one in network.parameters():
        one.normal_(0, 0.3, generator=generator)
    (network.transformer if part else network).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("part", "changes"),
    [("", {}), ("transformer", {}), ("", {"tie_word_embeddings": False}), ("", {"activation_function": "relu"})],
    ids=["whole", "without its prefix", "untied", "relu"],
)
@pytest.mark.parametrize("place", ["", "model.safetensors"])
def test_ours_and_theirs_are_the_same(tmp_path, part, changes, place):
    folder = saved(tmp_path / "gpt2", part, **changes)
    ours, theirs = (resolve(spec).build() for spec in (f"transformer@{folder / place}", f"hf:{folder}"))
    assert ours.begin == theirs.begin == 7
    x = theirs.observe(20, [0, 1], seed=0)[0]
    pair = [model(x, model.encode({}, 20)).log_softmax(-1) for model in (ours, theirs)]
    assert torch.allclose(*pair, rtol=0, atol=1e-5)
    assert pair[0].std() > 0.2
    noise = theirs.distribution.noise(3, [0, 1], range(20), torch.float32)
    draws = [CACHED.run(model, Task(20, {}, noise=noise)).x for model in (ours, theirs)]
    assert torch.equal(*draws)


@pytest.mark.parametrize("part", ["", "transformer"])
def test_the_file_alone_fits_a_transformer_of_its_shape(tmp_path, part):
    folder = saved(tmp_path / "gpt2", part)
    shape = "layers=2,width=16,heads=2,hidden=64,levels=60,positions=32,begin=7"
    model = resolve(f"transformer:gpt2_small,{shape}").build()
    load(model, folder / "model.safetensors")
    whole = resolve(f"transformer@{folder}").build().state_dict()
    assert all(torch.equal(one, whole[name]) for name, one in model.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"activation_function": "silu"}, "transformer has no activation 'silu'"),
        ({"layer_norm_epsilon": 1e-6}, "layer_norm_epsilon is 1e-06, and transformer has 1e-05 alone"),
    ],
)
def test_a_variant_that_is_not_ours_is_refused(tmp_path, changes, said):
    with pytest.raises(ModelError, match=said):
        resolve(f"transformer@{saved(tmp_path / 'gpt2', **changes)}")


def test_weights_in_several_files_are_refused_with_what_to_do(tmp_path):
    folder = tmp_path / "gpt2"
    network = transformers().GPT2LMHeadModel(transformers().GPT2Config(**SHAPE))
    network.save_pretrained(folder, max_shard_size="10KB")
    with pytest.raises(ModelError, match="its weights are in several files; save them in one, with save_pretrained"):
        resolve(f"transformer@{folder}")
