"""The protocol of an autoregressive generator: what each model states once, so that methods are generic."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, ClassVar, Literal, Self, TypeVar, cast

import torch
from torch import Tensor, nn

from arbench.distributions import Distribution

Op = Literal["score", "sample"]
Context = Mapping[str, Tensor]
T = TypeVar("T")
BACKENDS = ("reference", "triton", "numba")
"""Plain PyTorch, and what kernels are written in."""


@dataclass(frozen=True)
class Claim:
    """What a model states of one method: growth classes over N of depth and work.

    '1', 'log N', 'sqrt N', 'N', 'N log N', 'N^2', 'N^3', or such a class behind '<= ' for "at most".
    """

    depth: str
    work: str


FAMILIES: Mapping[str, str] = {
    "sequential": "fully sequential, parallel over positions in training",
    "recurrent": "recurrent over time",
    "spatial": "recurrent over space",
    "scan": "linear recurrence with a parallel scan",
    "grouped": "conditionally independent groups",
    "flow": "distilled, inverse autoregressive flow",
    "non_autoregressive": "distilled, non-autoregressive transformer",
}
"""The taxonomy of *Deep Learning: Practice and Trends* (NIPS 2017), in the order of its table."""


def at_most(depth: str = "N", work: str = "N^2") -> dict[tuple[Op, str], Claim]:
    """Claims of the samplers that guess ahead: how often they evaluate the network depends on the data."""
    claim = Claim(f"<= {depth}", f"<= {work}")
    return {("sample", name): claim for name in ("fixed_point", "blocks", "forecast")}


class Switched(nn.Module):
    """A part of a model that has kernels."""

    backend: str = "reference"
    """What runs them: one of ``BACKENDS``. Set by ``Source.use``."""


class Source(Switched, ABC):
    """An autoregressive generator: P(x) = prod_g P(x_g | what came before), g over groups of elements.

    An event x is (B, N). Elements are numbered in the order of generation, and a group is a run of
    consecutive elements that are independent given the groups before; ``schedule`` says where groups end.
    The network reads a *feed* f (B, N): the event itself (``feeds == "x"``), or the noise that drew it
    (``feeds == "z"``, an inverse autoregressive flow).

    A subclass gives ``__init__`` (keyword configuration), ``presets``, ``claims`` and the methods below.
    Contract: ``forward`` equals ``extend`` over all groups, and parameters of group g depend on nothing
    but the feed of groups before g and the context.
    """

    element: ClassVar[str] = "element"
    """What an element is."""
    family: ClassVar[str] = ""
    """Which row of the taxonomy it belongs to: a key of ``FAMILIES``; none by default."""
    remark: ClassVar[str] = ""
    """What a reader must know before comparing its figures; shown beside them."""
    citation: ClassVar[str] = ""
    """Publication of the model: authors, year, and arXiv number or DOI."""
    feeds: ClassVar[Literal["x", "z"]] = "x"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    default_preset: ClassVar[str] = "tiny"
    claims: ClassVar[Mapping[tuple[Op, str], Claim]] = {}
    """By (op, method)."""
    ladder: Sequence[int] = (64, 128, 256, 512, 1024)
    """Default N to measure: at least five, spanning 16x."""
    count_ladder: Sequence[int] = (4, 8, 12, 16, 24)
    """Small N at which operations are counted one by one."""

    alphabets: Mapping[str, int] = {}
    """How many values each integer entry of the context takes."""
    draft: Source | None = None
    """A smaller model of the same events that guesses for speculative sampling; made by ``Chosen.build``."""
    distribution: Distribution
    rate_hz: float | None = None
    """Elements a second of real time (audio)."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Accept ``source``, the deprecated name of ``citation``, on a user's model."""
        super().__init_subclass__(**kwargs)
        renamed = vars(cls).get("source")
        if isinstance(renamed, str) and "citation" not in vars(cls):
            warnings.warn(f"{cls.__name__}.source is deprecated: name it citation", DeprecationWarning, stacklevel=3)
            cls.citation = renamed

    def schedule(self, n: int) -> Sequence[int]:
        """Bounds of the groups: group g holds elements bounds[g] .. bounds[g+1]-1. Default: one each.

        Raises:
            ValueError: the model has no event of ``n`` elements; the message says which it has.
        """
        if n < 1:
            raise ValueError(f"an event has at least one element, got {n}")
        return range(n + 1)

    @abstractmethod
    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Real events (B, N) with their context, one for each global row index; reproducible from ``seed``.

        Args:
            data: what ``load_data`` returned, or None for the data that ships.
        """

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Configuration of a smaller model of the same events, context and distribution; None for none."""
        return None

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        """Reads the user's own data for ``observe``. Raises ``arbench.data.DataError``."""
        raise NotImplementedError(f"{cls.__name__} does not read data from a path")

    def encode(self, context: Context, n: int) -> Any:
        """Whatever of the context can be computed once a draw, for events of ``n`` elements."""
        return context

    @abstractmethod
    def start(self, batch: int, n: int, code: Any) -> Any:
        """State before the first group. A reset is a new state."""

    @abstractmethod
    def extend(self, state: Any, f: Tensor, g0: int, g1: int) -> tuple[Tensor, Any]:
        """Parameters of groups g0 .. g1-1, teacher-forced on the feed.

        Args:
            state: as left by the extension that ended at g0; may be changed in place.
            f: feed (B, N); only groups before g1 - 1 are read.

        Returns:
            parameters (B, elements of these groups, P), and the state at g1.
        """

    @abstractmethod
    def forward(self, f: Tensor, code: Any) -> Tensor:
        """Parameters (B, N, P) of every element from the whole feed, in one parallel pass."""

    def mark(self, state: Any, g: int) -> Any:
        """Remembers the state at group ``g``, for methods that take guesses back. By default a copy."""
        return g, copied(state)

    def rewind(self, state: Any, mark: Any, f: Tensor, g: int) -> Any:
        """The state at group ``g``, not before the mark's, from one that went beyond it. A mark can be gone
        back to many times.

        Before group ``g`` - 1 the feed (B, N) is what the state was extended on; from there on it may have
        been another, which a state at ``g`` has not read.

        By default the copy extended to ``g``: an evaluation of the network, and none where ``g`` is the
        mark's. A model whose state is a buffer with a position moves the position back.
        """
        at, kept = mark
        state = copied(kept)
        return self.extend(state, f, at, g)[1] if g > at else state

    def initialise(self, f: Tensor, code: Any) -> None:
        """Initialisation from data, where the model's source has one: from a feed (B, N). An explicit call,
        never the first forward. By default nothing."""

    def use(self, backend: str) -> Self:
        """Runs whatever has a kernel on ``backend``, here, in the distribution and in every part.

        Args:
            backend: "reference" for plain PyTorch, "triton" or "numba"; where a kernel has no such backend,
                plain PyTorch.

        Returns:
            itself.

        Raises:
            ValueError: there is no such backend.
        """
        if backend not in BACKENDS:
            raise ValueError(f"no backend '{backend}'; there is: {', '.join(BACKENDS)}")
        for module in self.modules():
            if isinstance(module, Switched):
                module.backend = backend
        self.distribution.backend = backend
        if self.draft is not None:
            self.draft.use(backend)
        return self

    def weights(self, n: int) -> int:
        """How many parameters an event of ``n`` elements needs; the draft's are not among them."""
        return sum(p.numel() for p in self.parameters())


def lecun_normal_(tensor: Tensor, fan_in: int, generator: torch.Generator, gain: float = 1.0) -> Tensor:
    """Fills with N(0, gain^2 / fan_in), which keeps the scale of activations (LeCun et al., 1998)."""
    with torch.no_grad():
        return tensor.normal_(0.0, gain / fan_in**0.5, generator=generator)


def copied(state: T) -> T:
    """Return a copy of a model's state that shares no tensor which stepping may write to.

    Tensors are cloned; lists, tuples, deques, dictionaries and dataclasses are rebuilt; an object with a
    method ``copied`` makes its own copy. Everything else is shared, including a dataclass's fields declared
    with ``field(metadata={"constant": True})``, such as prepared weights or the encoded context. Tensors that
    were views of one storage become storages of their own.
    """
    return cast(T, _copied(state))


def _copied(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.clone()
    if hasattr(state, "copied"):
        return state.copied()
    if isinstance(state, list | deque):
        return type(state)(map(_copied, state))
    if isinstance(state, tuple):
        parts = [_copied(part) for part in state]
        return type(state)(*parts) if hasattr(state, "_fields") else tuple(parts)
    if isinstance(state, dict):
        return {key: _copied(part) for key, part in state.items()}
    if is_dataclass(state) and not isinstance(state, type):
        moving = [f.name for f in fields(state) if f.init and not f.metadata.get("constant")]
        return replace(state, **{name: _copied(getattr(state, name)) for name in moving})
    return state
