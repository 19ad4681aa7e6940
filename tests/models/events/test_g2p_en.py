"""Tests of the weights of g2p-en: read without an import, and decoded as its equations say."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from arbench.data import DataError
from arbench.methods import Task, methods_for
from arbench.models import Source, resolve
from arbench.models.events.g2p_en import converted
from arbench.models.events.phonemes import BEGIN, END, spelled

Carry = Callable[[str, str, bytes], Path]
Array = NDArray[np.float64]
FILE, H = "g2p_en/checkpoint20.npz", 256
SHAPES = {
    "enc_emb": (29, H),
    "dec_emb": (74, H),
    **{f"{part}_w_{side}": (3 * H, H) for part in ("enc", "dec") for side in ("ih", "hh")},
    **{f"{part}_b_{side}": (3 * H,) for part in ("enc", "dec") for side in ("ih", "hh")},
    "fc_w": (74, H),
    "fc_b": (74,),
}
WORDS = ("a", "tomato", "rhythm", "benchmark", "autoregressive", "it's", "quay")


def archive(arrays: Mapping[str, NDArray[np.float32]]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def random_arrays() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(5)
    scale = {"enc_emb": 1.0, "dec_emb": 1.0, "fc_w": 0.5}  # large enough that the draws of words differ
    return {n: (rng.normal(size=shape) * scale.get(n, 0.1)).astype(np.float32) for n, shape in SHAPES.items()}


def logistic(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def turned(arrays: Mapping[str, Array], part: str, x: Array, h: Array) -> Array:
    """Return the state of a GRU after an input: a mean of the old one and of a candidate, weighted by a gate."""
    of_x = arrays[f"{part}_w_ih"].reshape(3, H, H) @ x + arrays[f"{part}_b_ih"].reshape(3, H)
    of_h = arrays[f"{part}_w_hh"].reshape(3, H, H) @ h + arrays[f"{part}_b_hh"].reshape(3, H)
    reset, keep = logistic(of_x[0] + of_h[0]), logistic(of_x[1] + of_h[1])
    return keep * h + (1 - keep) * np.tanh(of_x[2] + reset * of_h[2])


def greedy(arrays: Mapping[str, Array], word: str, steps: int) -> tuple[list[int], float]:
    """Return the likeliest symbol after each earlier one, and the narrowest decision among them."""
    h = np.zeros(H)
    for letter in spelled(word):
        h = turned(arrays, "enc", arrays["enc_emb"][letter], h)
    symbols, narrowest = [BEGIN], np.inf
    for _ in range(steps):
        h = turned(arrays, "dec", arrays["dec_emb"][symbols[-1]], h)
        logits = arrays["fc_w"] @ h + arrays["fc_b"]
        symbols.append(int(logits.argmax()))
        best = np.sort(logits)[-2:]
        narrowest = min(narrowest, best[1] - best[0])
    return symbols[1:], narrowest


def drawn(model: Source, word: str, steps: int, method: str) -> list[int]:
    (chosen,) = (one for one in methods_for(model) if one.name == method)
    source = torch.from_numpy(np.pad(spelled(word), (0, 3)))[None]  # padding is not read
    noise = torch.zeros(1, steps, 74, dtype=torch.float64)  # equal noise leaves the largest logit
    found: list[int] = chosen.run(model, Task(steps, {"source": source}, noise=noise)).x[0].tolist()
    return found


def same_as_the_equations(steps: int) -> set[tuple[int, ...]]:
    """Compare the model's greedy draws with a loop over its equations; return the draws."""
    from arbench.data import carried

    weights = converted()
    model = resolve("seq2seq:g2p").build(dtype=torch.float64)
    model.load_state_dict({name: one.double() for name, one in weights.items()})
    assert sum(one.numel() for one in weights.values()) == model.weights(8) == 834_890
    with np.load(carried("g2p_en", "g2p-en", FILE, "")) as stored:
        arrays = {name: stored[name].astype(np.float64) for name in SHAPES}
    expected = {}
    with torch.no_grad():
        for word in WORDS:
            expected[word], narrowest = greedy(arrays, word, steps)
            assert narrowest > 1e-9
            assert drawn(model, word, steps, "cached") == expected[word]
        assert drawn(model, WORDS[1], steps, "naive") == expected[WORDS[1]]
    return {tuple(symbols) for symbols in expected.values()}


def test_greedy_draws_are_those_of_the_equations(carry: Carry) -> None:
    carry("g2p-en", FILE, archive(random_arrays()))
    assert len(same_as_the_equations(12)) > 3


def test_the_trained_network_pronounces_as_its_equations_say() -> None:
    try:
        version("g2p-en")
    except PackageNotFoundError:
        pytest.skip("needs g2p-en: pip install --no-deps g2p-en==2.1.0")
    found = same_as_the_equations(20)
    assert len(found) == len(WORDS)
    assert all(END in symbols for symbols in found)
    assert "g2p_en" not in sys.modules


@pytest.mark.usefixtures("bare")
def test_the_missing_package_is_named() -> None:
    with pytest.raises(DataError) as caught:
        converted()
    said = "g2p_en: needs the package g2p-en, which is not installed; pip install --no-deps g2p-en==2.1.0"
    assert str(caught.value) == said


@pytest.mark.parametrize(
    "content",
    [b"PK", archive(random_arrays())[:-500], archive({"fc_w": np.zeros((74, H), np.float32)}), b""],
    ids=["not an archive", "cut", "other arrays", "empty"],
)
def test_another_file_is_refused(carry: Carry, content: bytes) -> None:
    path = carry("g2p-en", FILE, content)
    with pytest.raises(DataError) as caught:
        converted()
    again = "pip install --no-deps g2p-en==2.1.0 --force-reinstall"
    assert str(caught.value) == f"{path}: is not the file of g2p-en 2.1.0; {again}"
