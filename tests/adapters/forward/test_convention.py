"""Whose law an output is: found out by a probe, said by the user, or refused in one line."""

from __future__ import annotations

import pytest
import torch

NORMAL = "law=normal"
LAW = "law=categorical:32"


@pytest.mark.parametrize(
    ("name", "law", "n", "shift", "part"),
    [
        ("Conv", LAW, 8, 1, None),
        ("GPT", LAW, 8, 1, None),
        ("Tuple", LAW, 8, 1, 0),
        ("Wrapped", LAW, 8, 1, "logits"),
        ("MADE", NORMAL, 16, 0, None),
    ],
)
def test_the_convention_of_a_module_is_found(name, law, n, shift, part, net):
    source = net(name, law)
    source.schedule(n)
    (how,) = source.found
    assert (how.shift, how.part, how.asked) == (shift, part, False)


def test_outputs_of_the_next_element_are_shifted(net):
    source = net("Conv", LAW, "begin=3")
    x, context = source.observe(10, range(2), seed=1)
    assert context == {}
    read = torch.cat([torch.full((2, 1), 3), x[:, :-1]], dim=1)
    assert torch.equal(source(x, {}), source.network(read))
    assert "read as the law of element i + 1, and 3 is read before the first element" in source.remark
    assert "add shift=0" in source.remark


def test_outputs_of_the_element_itself_are_not_shifted(net):
    source = net("MADE", NORMAL)
    x, _ = source.observe(16, range(2), seed=1)
    assert torch.equal(source(x, {}), source.network(x))
    assert "so it is read as the law of element i; add shift=1 if it is not" in source.remark


def test_the_user_may_say_otherwise(net):
    source = net("Conv", LAW, "shift=0")
    x, _ = source.observe(10, range(2), seed=1)
    assert torch.equal(source(x, {}), source.network(x))
    assert "as shift=0 says" in source.remark


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Own", "add shift=1 behind the model if it is that of element i + 1, shift=0 if it is that of element i"),
        (
            "Transposed",
            "forward returns (64, 32, 8) for events (64, 8), and the law needs (64, 8, 32); return transpose",
        ),
        (
            "Pooled",
            "forward returns (64, 32) for events (64, 8), and the law needs (64, 8, 32); return parameters of each",
        ),
        ("Masked", "forward takes (x, mask), and is called with events (B, N) alone"),
        ("Dropping", "forward returns other parameters when it is called again; it must draw nothing itself"),
        (
            "Probable",
            "forward returns what looks like probabilities, numbers from 0 on that sum to 1 for each element, and this "
            "law needs logits: return their logarithm, or leave out the softmax",
        ),
        ("Two", "forward returns tuple ((64, 8, 32), (64, 8, 32)), 2 of which are (64, 8, 32); return parameters of"),
        ("MADE", "it takes none of the default sizes: choose sizes that it takes with --n"),
    ],
)
def test_what_cannot_be_read_is_refused(name, said, net):
    source = net(name, *{"MADE": [NORMAL], "Own": [LAW, "peeks=4"]}.get(name, [LAW]))
    with pytest.raises(ValueError, match=r"^[^\n]+$") as refused:
        source.schedule(12)
    assert said in str(refused.value)


def test_a_law_of_another_width_is_refused_with_one_that_fits(net):
    with pytest.raises(ValueError, match=r"choose a law of 32 parameters, such as categorical:32$"):
        net("Conv", "law=categorical:30").schedule(8)


def test_sizes_that_the_module_does_not_take_are_refused_with_those_that_it_takes(net):
    source = net("GPT")
    assert list(source.schedule(64)) == list(range(65))
    with pytest.raises(
        ValueError, match=r"fails at N = 65, .*: IndexError: .*; it takes N = 64: choose these with --n 64$"
    ):
        source.schedule(65)


@pytest.mark.parametrize("peeks", [10**6, 16])
def test_an_element_that_is_read_now_and_then_is_no_convention(peeks, net):
    source = net("Own", LAW, f"peeks={peeks}")
    source.schedule(12)
    assert source.found[0].shift == 0
