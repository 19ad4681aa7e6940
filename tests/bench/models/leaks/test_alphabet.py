"""Every symbol of an alphabet is tried on short events: a leak for one of them is found, and the symbol is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from arbench.bench.inexact import InexactError
from arbench.bench.models.leaks import alphabet
from arbench.bench.models.leaks.alphabet import probe_symbols
from arbench.bench.models.leaks.symbols.named import named_symbols
from arbench.models import Source, resolve

NETS = Path(__file__).parents[3] / "adapters" / "forward" / "nets.py"


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def net(*settings: str) -> Source:
    """Return a causal convolution over 32 symbols, which leaks as the settings say."""
    return resolve(",".join([f"{NETS}:Conv", "law=categorical:32", *settings])).build()


def layers(source: Source) -> int:
    """Return the number of weights of a model but for its table of symbols."""
    return sum(one.numel() for name, one in source.named_parameters() if "embedding" not in name)


@pytest.mark.parametrize("name", ["wavenet", "transformer", "grouped_pixelcnn", "multiscale_pixelcnn", "lstm", "made"])
def test_sound_models_pass(name: str) -> None:
    source = resolve(f"{name}:tiny").build()
    n = next(n for n in sorted(source.ladder) if n >= 8)
    assert probe_symbols(source, n, seed=3, known=0) >= 0


def test_every_symbol_is_tried() -> None:
    assert probe_symbols(net(), 64, seed=0, known=2) == 32


@pytest.mark.parametrize("setting", ["leak=rare", "leak=rare_and_near"])
def test_a_leak_for_one_symbol_is_found_and_named(setting: str) -> None:
    with pytest.raises(
        InexactError, match=r"^forward leaks: parameters of element \d change with element 6, in "
    ) as found:
        probe_symbols(net(setting), 64, seed=0, known=2)
    assert found.value.facts["leak_symbol"] == 29
    assert "; symbol 29 is or was there in 100% of these" in str(found.value)


def test_symbols_are_tried_again_in_far_longer_events() -> None:
    source = net("leak=rare", "least=100")
    for n in (64, 200):
        assert probe_symbols(source, n, seed=0, known=2) == 32
    with pytest.raises(InexactError, match=r"with element 254, in .* random events of 256 elements; symbol 29 is or"):
        probe_symbols(source, 256, seed=0, known=2)


def test_symbols_that_the_code_names_are_tried_first(monkeypatch: pytest.MonkeyPatch) -> None:
    few = len(named_symbols(net("leak=rare"), 32))
    assert few < 16
    monkeypatch.setattr(alphabet, "WORK", 2 * layers(net()) * 8 * few // alphabet.STEPLESS)

    def found(seed: int) -> bool:
        try:
            probe_symbols(net("leak=rare"), 8, seed=seed, known=0)
        except InexactError:
            return True
        return False

    assert all(map(found, range(8)))
    monkeypatch.setattr(alphabet, "named_symbols", lambda source, levels: [])
    assert not all(map(found, range(8)))


def test_a_leak_behind_one_symbol_is_found() -> None:
    with pytest.raises(InexactError, match=r"^forward leaks: "):
        probe_symbols(net("leak=seen"), 64, seed=0, known=2)


def test_what_is_rounded_in_another_order_is_no_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    source, twin = net(), net().double()
    plain = source.forward

    def rounded(f: Tensor, code: object) -> Tensor:
        return plain(f, code) * (1 + 1e-7 * (f[:, -2:-1] % 2).unsqueeze(-1))

    monkeypatch.setattr(source, "forward", rounded)
    assert probe_symbols(source, 64, seed=0, known=2, twin=twin) == 32


@pytest.mark.parametrize("setting", ["leak=rare", "leak=seen"])
def test_a_leak_is_one_in_float64_too(setting: str) -> None:
    with pytest.raises(InexactError, match=r"^forward leaks: "):
        probe_symbols(net(setting), 64, seed=0, known=2, twin=net(setting).double())


def test_a_result_is_that_of_the_model_at_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    source = net("leak=rare")
    said = []
    for n in (64, 128):
        with pytest.raises(InexactError) as found:
            probe_symbols(source, n, seed=0, known=2)
        said.append((str(found.value), found.value.facts))
        monkeypatch.setattr(source, "forward", None)
    assert said[0] == said[1]


def test_a_large_network_affords_fewer_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    source = net()
    monkeypatch.setattr(alphabet, "WORK", 2 * layers(source) * 8 * 20 // alphabet.STEPLESS)
    assert probe_symbols(source, 63, seed=0, known=2) == 20
    assert probe_symbols(net(), 64, seed=0, known=20) == 0, "no more than others tried"


def test_what_others_tried_is_not_tried_again() -> None:
    source = net("leak=rare")
    assert probe_symbols(source, 64, seed=0, known=32) == 0
