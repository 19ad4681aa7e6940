"""``arbench verify`` names what is wrong with a plain network, and looks at the largest size that a run measures."""

from __future__ import annotations

import pytest

LAW = ("--law", "categorical:32")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("leak=everywhere", "forward leaks: parameters of element 0 change with elements from"),
        ("leak=rare", "forward leaks: parameters of element"),
        ("leak=next,least=1000", "forward leaks: parameters of element"),
        ("leak=middle", "forward leaks: parameters of element 6"),
    ],
)
def test_a_leak_is_named(verify, spec, settings: str, said: str) -> None:
    code, found = verify("--model", spec("Conv", settings), *LAW, "--method", "parallel")
    assert code == 1, found
    assert said in found


def test_what_is_right_is_right_at_the_largest_size_too(verify, spec) -> None:
    code, found = verify("--model", spec("Conv"), *LAW, "--method", "parallel")
    assert code == 0, found
    assert "is right: 1 method at N = 13 (2 events), 64, 129 and 1,024" in found
    assert (
        "- a leak between these places alone: at N = 1,024 elements were changed from 64 evenly spaced places" in found
    )


def test_whose_law_an_output_is_was_not_checked_unless_the_user_says_it(verify, spec) -> None:
    words = (*LAW, "--method", "parallel", "--n", "13", "--batch", "1", "--dtype", "float32")
    code, found = verify("--model", spec("Own", "peeks=1"), *words)
    assert code == 0, found
    assert "- whose law an output is: output i depends on element i, so it was taken for the law of element" in found
    code, found = verify("--model", spec("Own", "peeks=1", "shift=0"), *words)
    assert code == 1, found


def test_probabilities_are_refused_with_what_to_do(verify, spec) -> None:
    code, found = verify("--model", spec("Probable"), *LAW)
    assert code == 2
    assert found.endswith("this law needs logits: return their logarithm, or leave out the softmax")
