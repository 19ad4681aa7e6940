"""Symbols of a wide trial: a leak of one of them is found, however near or far it reaches."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arbench.bench.inexact import InexactError
from arbench.bench.models.leaks.spent import Spent
from arbench.bench.models.leaks.symbols import trial, try_symbols
from arbench.distributions import Categorical
from arbench.models import Context, Source

LEVELS, RARE, N = 1031, 577, 13
FEW, RARE_OF_FEW = 256, 201


@pytest.fixture(autouse=True)
def no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


class Bigrams(Source):
    """Logits from the element before; one symbol changes those of the element ``back`` before it, if not negative."""

    element = "symbol"

    def __init__(self, back: int = -1, drift: bool = False, levels: int = LEVELS, half: float = RARE / 2) -> None:
        super().__init__()
        self.distribution = Categorical(levels)
        self.before, self.head = nn.Embedding(levels + 1, 4), nn.Linear(4, levels)
        self.back, self.drift = back, drift
        self.key = torch.tensor(half)  # no whole number names the symbol

    def _rare(self, f: Tensor) -> Tensor:
        return f * 0.5 == self.key

    def _logits(self, f: Tensor) -> Tensor:
        return self.head(self.before(F.pad(f[:, :-1] + 1, (1, 0))))

    def forward(self, f: Tensor, code: object) -> Tensor:
        logits = self._logits(f)
        if self.back < 0:
            return logits
        leak = F.pad(self._rare(f), (0, self.back))[:, self.back :]
        return logits + 0.01 * leak.unsqueeze(-1) * logits.roll(1, -1)

    def observe(self, n: int, rows: Sequence[int], seed: int, data: object = None) -> tuple[Tensor, Context]:
        return torch.randint(RARE_OF_FEW, (len(rows), n), generator=torch.Generator().manual_seed(seed)), {}

    def start(self, batch: int, n: int, code: object) -> None:
        return None

    def extend(self, state: None, f: Tensor, g0: int, g1: int) -> tuple[Tensor, None]:
        logits = self._logits(f[:, :g1])[:, g0:]
        if self.drift and g0:
            logits = logits + 0.01 * self._rare(f[:, g0 - 1 : g1 - 1]).unsqueeze(-1) * logits.roll(1, -1)
        return logits, None


class Indexing(Bigrams):
    """Adds to the logit of one symbol before it, and so fails where few logits are computed."""

    def forward(self, f: Tensor, code: object) -> Tensor:
        logits = super().forward(f, code)
        for row, at in self._rare(f).nonzero().tolist():
            logits[row, at, f[row, at]] += 1
        return logits

    @contextmanager
    def narrowed(self) -> Iterator[int]:
        whole, self.head = self.head, nn.Linear(4, 8)
        try:
            yield 8
        finally:
            self.head = whole


def tried(source: Source, n: int = N) -> trial.Tried | None:
    f, _ = source.observe(n, [0], seed=0)
    return try_symbols(source, copy.deepcopy(source).double(), f, {})


@pytest.mark.parametrize("back", [0, 1, 5])
def test_a_leak_of_one_symbol_is_found_however_far_it_reaches(back: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "LIKELY", 0)
    monkeypatch.setattr(Spent, "seconds", 0.0)  # as much time as it takes
    with pytest.raises(
        InexactError, match=rf"^forward leaks: parameters of element \d+ change with element \d+ .*{RARE}"
    ):
        tried(Bigrams(back))


@pytest.mark.parametrize("likely", [0, 192])
def test_symbols_are_tried_again_in_far_longer_events(likely: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "LIKELY", likely)
    monkeypatch.setattr(Spent, "seconds", 0.0)
    far = Bigrams(20)
    for n in (N, N + 1):
        found = tried(far, n)
        assert found is not None
        assert found.symbols == LEVELS
    with pytest.raises(InexactError, match=rf"^forward leaks: .* where that is symbol {RARE}, and not with most"):
        tried(far, 8 * N)
    sound = Bigrams()
    assert tried(sound) == tried(sound, 8 * N)


def test_a_symbol_with_which_few_parameters_fail_is_tried_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "LIKELY", 0)
    raising, late = trial._Trial.raising, []

    def then(*args: Any) -> Any:
        late.append(True)  # time for few parameters of all symbols, and then for no more
        return raising(*args)

    monkeypatch.setattr(trial._Trial, "raising", then)
    monkeypatch.setattr(Spent, "seconds", property(lambda _: 10.0 if late else 0.0))
    with pytest.raises(InexactError, match=rf"^forward leaks: .* where that is symbol {RARE}, and not with most"):
        tried(Indexing())


def test_a_step_that_is_wrong_after_one_symbol_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Spent, "seconds", 0.0)
    with pytest.raises(
        InexactError, match=rf"^forward and extend differ by .* after symbol {RARE}, and not after most"
    ):
        tried(Bigrams(drift=True))


def test_a_model_that_is_right_passes_with_all_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Spent, "seconds", 0.0)
    found = tried(Bigrams())
    assert found is not None
    assert (found.levels, found.stepped, found.symbols) == (LEVELS, LEVELS, LEVELS)


@pytest.mark.parametrize("fault", [{"drift": True}, {"back": 1}])
def test_each_of_few_symbols_is_tried_with_single_steps(fault: dict[str, Any]) -> None:
    assert tried(Bigrams(levels=FEW)) is None
    with pytest.raises(InexactError, match=rf"symbol {RARE_OF_FEW},? and not"):
        tried(Bigrams(**fault, levels=FEW, half=RARE_OF_FEW / 2))
