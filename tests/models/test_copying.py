"""Copies of a model's state: they share nothing that stepping changes, and what cannot be copied is refused by name."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from arbench.models import Source, StateError, resolve
from arbench.models.copying import copied


class DynamicCache:
    """A cache as Hugging Face's: an object without tensors until its first update, which grows in place."""

    def __init__(self) -> None:
        self.layers: list[Tensor] = []

    def update(self, keys: Tensor) -> None:
        self.layers = [torch.cat([*self.layers, keys])]


class ModuleCache(nn.Module):
    """A cache as Hugging Face's in 2024: a module with tensors in lists."""

    def __init__(self) -> None:
        super().__init__()
        self.key_cache = [torch.zeros(2)]


class Slotted:
    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept = torch.zeros(2)


class Named(dict):  # type: ignore[type-arg]
    """A dictionary with attributes of its own."""


class Pair(tuple):  # type: ignore[type-arg]
    """A tuple of another class."""


def closure() -> Callable[[], Tensor]:
    kept = torch.zeros(2)
    return lambda: kept


def numbers() -> Any:
    yield 1


UNKNOWN = [
    ("DynamicCache", DynamicCache()),
    ("DynamicCache", DynamicCache().update),
    ("ModuleCache", ModuleCache()),
    ("Slotted", Slotted()),
    ("Named", Named()),
    ("Pair", Pair((1, 2))),
    ("function", closure()),
    ("partial", partial(torch.add, torch.zeros(2))),
    ("generator", numbers()),
    ("ndarray", np.array([torch.zeros(2), None], dtype=object)),
    ("lock", threading.Lock()),
    ("memoryview", memoryview(b"12")),
]


@pytest.mark.parametrize(("name", "unknown"), UNKNOWN, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("around", [lambda x: x, lambda x: [{"layers": (x,)}]], ids=["bare", "inside"])
def test_an_object_that_a_copy_would_share_is_refused_by_name(
    name: str, unknown: Any, around: Callable[[Any], Any]
) -> None:
    with pytest.raises(StateError) as refused:
        copied(around(unknown))
    assert str(refused.value) == f"a {name}, which cannot be copied"


@dataclass
class Base:
    rows: list[Tensor]
    ready: Tensor = field(metadata={"constant": True})
    seen: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.seen = torch.zeros(2)
        self.beside = torch.zeros(2)


@dataclass(frozen=True, slots=True)
class Frozen:
    kept: Tensor
    position: int = 0


def test_a_dataclass_keeps_every_attribute_and_shares_only_constants() -> None:
    state = Base([torch.ones(2)], torch.ones(2))
    state.seen += 1
    state.beside += 2
    copy = copied(state)
    for tensor in (state.rows[0], state.seen, state.beside):
        tensor += 10
    assert [float(t[0]) for t in (copy.rows[0], copy.seen, copy.beside)] == [1, 1, 2]
    assert copy.ready is state.ready
    frozen = Frozen(torch.ones(2), 3)
    other = copied(frozen)
    frozen.kept.zero_()
    assert (float(other.kept[0]), other.position) == (1, 3)


Point = namedtuple("Point", "x y")


def changed(state: Any) -> None:
    """Change everything that can be changed in place."""
    match state:
        case Tensor() | np.ndarray():
            state += 1
        case tuple():
            for part in state:
                changed(part)
        case dict():
            for part in state.values():
                changed(part)
            state["new"] = 0
        case list() | deque():
            for part in state:
                changed(part)
            state.append(0)
        case set():
            state.add("new")
        case bytearray():
            state[0] = 9
        case torch.Generator():
            torch.rand(1, generator=state)


def tensor() -> Tensor:
    return torch.zeros(2)


@pytest.mark.parametrize(
    "make",
    [
        tensor,
        lambda: [tensor(), [tensor()]],
        lambda: (tensor(), 1, None),
        lambda: Point(tensor(), {"a": tensor()}),
        lambda: deque([tensor(), tensor()], maxlen=5),
        lambda: OrderedDict(b=tensor(), a=tensor()),
        lambda: defaultdict(list, a=[tensor()]),
        lambda: {1, 2},
        lambda: np.zeros(2),
        lambda: bytearray(b"12"),
        lambda: torch.Generator().manual_seed(3),
        lambda: {"dtype": torch.float32, "size": torch.Size([1, 2]), "name": "x", "range": range(3)},
    ],
    ids=lambda make: repr(make())[:20].replace("\n", " "),
)
def test_a_copy_is_equal_and_stays_what_it_is(make: Callable[[], Any]) -> None:
    def content(value: Any) -> Any:
        match value:
            case Tensor() | np.ndarray():
                return type(value), value.tolist()
            case torch.Generator():
                return value.get_state().tolist()
            case dict():
                return type(value), [(key, content(part)) for key, part in value.items()]
            case tuple() | list():
                return type(value), [content(part) for part in value]
            case deque():
                return type(value), value.maxlen, [content(part) for part in value]
        return type(value), value

    state = make()
    copy, before = copied(state), content(make())
    assert content(copy) == before
    changed(state)
    assert content(copy) == before


def test_a_default_factory_and_a_shared_tensor_stay() -> None:
    both = tensor()
    state = {"a": both, "b": [both], "c": defaultdict(list)}
    copy = copied(state)
    copy["a"] += 1
    assert float(copy["b"][0][0]) == 1
    assert float(both[0]) == 0
    assert copy["c"]["new"] == []


def test_a_cycle_is_copied_once() -> None:
    state: list[Any] = [tensor()]
    state.append(state)
    copy = copied(state)
    assert copy[1] is copy
    assert copy is not state


def test_modules_of_the_model_are_shared_and_others_are_refused() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    state = {"layer": model[0], "act": torch.relu, "step": model[0].forward}
    assert copied(state, model)["layer"] is model[0]
    with pytest.raises(StateError, match=r"^a Linear, which cannot be copied$"):
        copied(state)


def test_the_refusal_says_what_to_define() -> None:
    source = resolve("wavenet:tiny").build()
    for g, state in ((0, DynamicCache()), (3, {"past": ModuleCache()})):
        with pytest.raises(StateError) as refused:
            Source.mark(source, state, g)
        name = "ModuleCache" if g else "DynamicCache"
        assert str(refused.value) == (
            f"the state of WaveNet contains a {name}, which cannot be copied; define its methods mark(state, g) and "
            "rewind(state, mark, f, g), which take the state back to group g"
        )
