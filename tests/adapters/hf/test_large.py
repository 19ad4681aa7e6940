"""Configurations that no machine here holds: refused before they are built, from shapes alone."""

from __future__ import annotations

import json

import pytest
import torch

pytest.importorskip("transformers", reason="other people's language models need pip install 'arbench[hf]'")

from arbench.adapters.hf import model as module
from arbench.bench import memory
from arbench.bench.plan import Options, PlanError, make_plan
from arbench.cli import main
from arbench.models import resolve


@pytest.fixture
def built(monkeypatch):
    """Return the networks that were built, none of which is."""
    made = []
    monkeypatch.setattr(module, "network_of", lambda *given: made.append(given))
    return made


def test_a_large_configuration_file_is_refused_with_exit_code_2(built, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(memory, "available_bytes", lambda device: 64 * 10**9)
    sizes = dict(hidden_size=2**16, intermediate_size=2**18, num_hidden_layers=2)
    heads = dict(num_attention_heads=64, num_key_value_heads=8)
    file = tmp_path / "large.json"
    file.write_text(json.dumps({"model_type": "llama", **sizes, **heads}))
    with pytest.raises(SystemExit) as ended:
        main(["sample", "--model", f"hf:{file}", "--n", "100", "--count", "2", "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert (
        "has 126,601,199,616 weights and 3,276,800 numbers of state an event at N = 100: with batch 2 it needs at "
        "least 1.52 TB of memory, and the host has 64 GB available; choose fewer layers, a smaller --batch or --n, "
    ) in capsys.readouterr().err
    assert built == []


@pytest.mark.parametrize("spec", ["hf:tiny", "hf:tiny_llama", "hf:tiny_mamba"])
def test_numbers_are_those_of_the_model(spec):
    chosen = resolve(f"{spec},prompt=3")
    model = chosen.build()
    x, context = model.observe(5, [0], 0)
    _, state = model.extend(model.start(1, 5, model.encode(context, 5)), x, 0, 5)
    layers = [one for one in state.past.layers if isinstance(getattr(one, "keys", None), torch.Tensor)]
    cache = sum(one.keys.numel() + one.values.numel() for one in layers)
    assert chosen.cls.numbers(chosen.config, 5) == (sum(one.numel() for one in model.network.parameters()), cache)
    assert (cache > 0) == (spec != "hf:tiny_mamba")


def test_a_cache_that_does_not_fit_is_refused(built, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda device: 10**6)
    with pytest.raises(PlanError, match=r"and 8,192 numbers of state an event at N = 64: with batch 64 it needs"):
        make_plan(Options(models=("hf:tiny",), n=(64,), batch=(64,)))
    assert built == []
