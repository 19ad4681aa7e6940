"""Symbols that a model's code names are found, wherever it keeps them."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from arbench.bench.models.leaks.symbols.named import MOST, named_symbols

LEVELS, RARE = 50_000, 31_415


def hook(rare: int, part: nn.Module, given: Any) -> None:
    """Do nothing: what a hook names is read, and the hook is never called."""


class Hook:
    def __init__(self, rare: int = 0) -> None:
        self.rare = rare

    def __call__(self, part: nn.Module, given: Any) -> None:
        raise AssertionError


class NamingHook(Hook):
    def __call__(self, part: nn.Module, given: Any) -> None:
        if given == 31_415:
            raise AssertionError


def named(how: str) -> list[int]:
    part = nn.Linear(2, 2)
    if how == "partial":
        part.register_forward_pre_hook(partial(hook, RARE))
    elif how == "object":
        part.register_forward_pre_hook(Hook(RARE))
    elif how == "code of an object":
        part.register_forward_pre_hook(NamingHook())
    elif how == "configuration":
        part.config = SimpleNamespace(rare=RARE)
    elif how == "table of functions":
        part.rules = {"rare": lambda symbol: symbol == 31_415}
    elif how == "many":
        part.rare = list(range(RARE, RARE + 2 * MOST))
    return named_symbols(part, LEVELS)


@pytest.mark.parametrize(
    "how", ["partial", "object", "code of an object", "configuration", "table of functions", "many"]
)
def test_a_symbol_is_found(how: str) -> None:
    assert RARE in named(how)


def test_what_names_none_has_none() -> None:
    assert RARE not in named("nothing")


def test_of_many_a_few_are_taken() -> None:
    assert len(named("many")) <= 2 * MOST
