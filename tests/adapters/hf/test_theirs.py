"""``arbench verify`` names what is wrong with a language model that is passed as a function of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("transformers", reason="other people's language models need pip install 'arbench[hf]'")

from arbench.bench.models.leaks.symbols import alphabet

FILE = Path(__file__).parent / "theirs.py"
METHODS = ("--method", "parallel", "--method", "sequential")
SMALL = ("--n", "8", "--batch", "1", "--dtype", "float32")
STEP_BY_STEP = "is right over all elements at once, but wrong step by step"


@pytest.mark.parametrize(
    ("fault", "words", "said"),
    [
        ("leaks", SMALL, "is WRONG: forward leaks: parameters of element 0 change with elements from"),
        ("far_leaks", (), "is WRONG: forward leaks: parameters of element 65 change with elements from 66 on"),
        ("drifts", SMALL, f"{STEP_BY_STEP}: it reads every element that forward reads, so look at where it takes them"),
        ("drifts_late", (), "it reads every element that forward reads, so look at where it takes them to be"),
        ("drifts_if_static,cache=static", SMALL, f"{STEP_BY_STEP}: it reads every element that forward reads"),
        ("forgets", (), "it does not read element 0, which forward reads; look at the state it returns"),
        ("coarse", SMALL, f"{STEP_BY_STEP}: it reads every element that forward reads"),
        ("mixes_rows", SMALL, "is WRONG: a row of a batch changes with the other rows"),
        ("fades", SMALL, f"{STEP_BY_STEP}: "),
    ],
)
def test_a_fault_is_named(verify, monkeypatch, fault, words, said):
    monkeypatch.setattr(alphabet, "SECONDS", 0.1)
    code, found = verify("--model", f"{FILE}:{fault}", *METHODS, *words)
    assert code == 1
    assert said in found


def test_a_leak_of_one_token_of_a_wide_alphabet_is_found_and_named(verify):
    rare = next(token for token in range(50257) if (token * 7919 + 13) % 50021 == 17)
    code, found = verify("--model", f"{FILE}:rare_leaks", "--method", "parallel", *SMALL)
    assert code == 1
    assert f"where that is symbol {rare}, and not with most symbols" in found


def test_what_is_right_is_right(verify):
    code, found = verify("--model", f"{FILE}:sound", *METHODS)
    assert code == 0
    assert "is right: 2 methods at N = 8 (1 and 2 events), 12 and 128," in found
