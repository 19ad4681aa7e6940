"""``arbench verify`` names what is wrong with a language model that is passed as a function of a file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers", reason="other people's language models need pip install 'arbench[hf]'")

from arbench.bench.models.leaks import spent
from arbench.bench.models.leaks.symbols import trial
from arbench.models import ModelError, resolve

FILE = Path(__file__).parent / "theirs.py"
METHODS = ("--method", "parallel", "--method", "sequential")
SMALL, LONG, LONGER, LONGEST = (("--n", str(n), "--batch", "1", "--dtype", "float32") for n in (8, 44, 70, 128))
STEP_BY_STEP = "is right over all elements at once, but wrong step by step"


@pytest.mark.parametrize(
    ("fault", "words", "said"),
    [
        ("leaks", SMALL, "is WRONG: forward leaks: parameters of element 0 change with elements from"),
        ("far_leaks", LONGER, "is WRONG: forward leaks: parameters of element 65 change with element"),
        ("drifts", SMALL, f"{STEP_BY_STEP}: it reads every element that forward reads, so look at where it takes them"),
        ("drifts_by_name", SMALL, f"{STEP_BY_STEP}: it reads every element that forward reads"),
        ("drifts_late", LONG, "it reads every element that forward reads, so look at where it takes them to be"),
        ("drifts_later", LONGEST, "from element 101 on"),
        ("drifts_later", LONGEST, "single steps, and wrong in later ones: it reads every element that forward reads"),
        ("drifts_if_static,cache=static", SMALL, f"{STEP_BY_STEP}: it reads every element that forward reads"),
        ("forgets", LONG, STEP_BY_STEP),
        ("coarse", SMALL, "returns bfloat16, in a row named float32"),
        ("mixes_rows", SMALL, "is WRONG: a row of a batch changes with the other rows"),
        ("fades", SMALL, f"{STEP_BY_STEP}: "),
    ],
)
@pytest.mark.filterwarnings("ignore:.past_key_values. is deprecated:FutureWarning")  # by newer versions of the package
def test_a_fault_is_named(verify, monkeypatch, fault, words, said):
    monkeypatch.setattr(trial, "SECONDS", 0.1)
    code, found = verify("--model", f"{FILE}:{fault}", *METHODS, *words)
    assert code == 1, found
    assert said in found


@pytest.mark.parametrize("fault", ["rare_leaks", "rare_leaks_near"])
def test_a_leak_of_one_token_of_a_wide_alphabet_is_found_and_named(verify, monkeypatch, fault):
    monkeypatch.setattr(spent, "ALONE", 1e9)  # others' load takes none of the seconds
    rare = next(token for token in range(50257) if (token * 7919 + 13) % 50021 == 17)
    monkeypatch.setattr(trial, "LIKELY", 0)
    code, found = verify("--model", f"{FILE}:{fault}", "--method", "parallel", *SMALL)
    assert code == 1, found
    assert f"where that is symbol {rare}, and not with most symbols" in found


def test_what_is_right_is_right(verify, monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 0.1)
    code, found = verify("--model", f"{FILE}:sound", "--method", "parallel")
    assert code == 0, found
    assert "is right: 1 method at N = 8 (1 and 2 events)" in found
    assert re.search(r" 128( and 256)?, in float32", found), found  # the last where there was time
    assert "- the static cache: these are over the dynamic one; cache=static behind the model" in found


@pytest.mark.parametrize("name", ["leaks", "fades", "sound"])
def test_a_class_that_passes_on_its_arguments_has_the_cache_of_its_base(name):
    assert resolve(f"{FILE}:{name}").build().steps


def test_settings_of_ours_are_none_of_the_function():
    assert resolve(f"{FILE}:sound,cache=static").build().kind == "static"
    with pytest.raises(ModelError, match="unexpected keyword argument 'widht'"):
        resolve(f"{FILE}:sound,widht=3").build()


def test_few_logits_are_those_of_all(no_grad):
    model = resolve(f"{FILE}:sound").build()
    x = model.observe(8, [0, 1], seed=0)[0]
    whole = model(x, None)
    with model.narrowed() as width:
        few = model(x, None)
    assert few.shape == (2, 8, width) == (2, 8, 64)
    assert torch.allclose(few, whole[..., torch.linspace(0, 299, 64).round().long()], atol=1e-6)
    assert torch.equal(model(x, None), whole)
    with resolve("hf:tiny,vocab_size=32").build().narrowed() as width:
        assert width == 0


def test_a_last_layer_that_does_more_than_its_class_keeps_all_logits(no_grad):
    for change in (lambda head: head.register_forward_hook(print), lambda head: setattr(head, "forward", head.forward)):
        model = resolve(f"{FILE}:sound").build()
        change(model.network.lm_head)
        with model.narrowed() as width:
            assert width == 0
