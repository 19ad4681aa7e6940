"""Fixtures of causal language models of transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from arbench.bench.job import Job
from arbench.bench.models.leaks.symbols import trial
from arbench.bench.models.subject import ModelSubject
from arbench.bench.plan import Options, make_plan
from arbench.results import Verification

PLANTS = Path(__file__).parent / "plants.py"


@pytest.fixture(autouse=True)
def no_grad():
    with torch.no_grad():
        yield


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Verification]]:
    """Return a function that verifies methods of a model at N = 13; it returns the lines by the methods' names."""
    monkeypatch.setattr(trial, "SECONDS", 0.1)

    def verified(model: str, *methods: str, n: int = 13, batch: int = 1, dtype: str = "float32"):
        plan = make_plan(Options(models=(model,), methods=methods, n=(n,), batch=(batch,), dtype=dtype))
        subject = ModelSubject(Job("prove", plan.cases, 0, 1, share_s=1e9))
        lines = [
            message.line for message in subject.verify(Job("prove", plan.cases, 0, 1, share_s=1e9)) if message.line
        ]
        names = {case.id: case.method for case in plan.cases}
        return {names[line.case]: line for line in lines}

    return verified


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small GPT-2 and a tokenizer of words, as transformers saves them."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    from arbench.adapters.hf.package import transformers

    package, where = transformers(), tmp_path_factory.mktemp("hf") / "Small GPT-2"
    torch.manual_seed(1)
    config = package.GPT2Config(vocab_size=300, n_embd=16, n_layer=4, n_head=2, n_positions=64, bos_token_id=7)
    package.GPT2LMHeadModel(config).save_pretrained(where)
    words = Tokenizer(models.WordLevel({f"w{number}": number for number in range(300)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    package.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0").save_pretrained(where)
    return where
