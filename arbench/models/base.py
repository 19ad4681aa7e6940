"""The protocol of autoregressive generators: every method runs any model that follows it."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self

import torch
from torch import Tensor, nn

from arbench.backends import COMPILE, MODEL_BACKENDS, compiling, current
from arbench.border.shown import Shown, numbers, sounds
from arbench.distributions import Distribution
from arbench.models.copying import StateError as StateError
from arbench.models.copying import copied as copied

Op = Literal["score", "sample"]
"""Operation of a model."""
Context = Mapping[str, Tensor]
"""Conditioning of events: tensors by name, their first axis the batch."""


@dataclass(frozen=True)
class Piece:
    """A part of the data with exactly one event: what ``observe`` makes of it scores each of its elements once.

    Args:
        data: data for ``observe``.
        n: number of elements of the event.
        first: elements before this one belong to another piece too, which scores them.
        part: number of the recording, image, passage or pair that the piece comes from.
    """

    data: Any
    n: int
    first: int
    part: int


@dataclass(frozen=True)
class Claim:
    """A model's claim about one method: the growth classes of depth and work over N.

    A class is '1', 'log N', 'sqrt N', 'N', 'N log N', 'N^2' or 'N^3'; the prefix '<= ' means "at most".
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
"""Families of the taxonomy in *Deep Learning: Practice and Trends* (NIPS 2017), in the order of its table."""


def at_most(depth: str = "N", work: str = "N^2") -> dict[tuple[Op, str], Claim]:
    """Return the claims of samplers that guess ahead, whose network evaluations depend on the data."""
    claim = Claim(f"<= {depth}", f"<= {work}")
    return {("sample", name): claim for name in ("fixed_point", "blocks", "forecast")}


class NativeDraw(Protocol):
    """A draw of events in native code, which can stop after any element and go on."""

    step_bytes: int
    """Bytes of weights that an element needs, however many events are drawn at once."""
    exchanges: int
    """How often threads exchange partial sums for an element; 0 for one thread."""

    def draw(self, noise: Tensor, given: Tensor | None = None, record: bool = False) -> tuple[Tensor, Tensor | None]:
        """Draw the next M elements.

        Args:
            noise: standard noise (B, M, K).
            given: the first of these elements (B, at most M), which are taken instead of draws.
            record: whether to return the parameters.

        Returns:
            The elements (B, M), and the parameters (B, M, P) or None.
        """


class Switched(nn.Module):
    """A part of a model that may run on kernels."""

    backend: str = "eager"
    """Backend of the part, one of ``MODEL_BACKENDS``; ``Source.use`` sets it."""

    def repeated(self, tensor: Tensor, number: int) -> list[Tensor]:
        """Return a tensor that is never written to ``number`` times.

        On "compile" these are copies: a graph whose inputs are one tensor does not serve when they are several.
        """
        return [tensor.clone() for _ in range(number)] if self.backend == COMPILE else [tensor] * number


class _OldCitation:
    """A read-only class attribute that warns and returns the citation."""

    def __get__(self, model: Source | None, cls: type[Source]) -> str:
        warnings.warn(f"{cls.__name__}.source is deprecated: read citation", FutureWarning, stacklevel=2)
        return cls.citation


class Source(Switched, ABC):
    """An autoregressive generator: P(x) = prod_g P(x_g | x_<g), where g runs over groups of elements.

    An event x has shape (B, N). Elements are numbered in the order of generation. A group is a run of
    consecutive elements that are independent given the groups before it; ``schedule`` gives the bounds.
    The network reads a *feed* f (B, N): the event itself (``feeds == "x"``), or the noise that drew it
    (``feeds == "z"``, an inverse autoregressive flow). A stack of layers that are no single factorisation
    (``feeds == "layers"``) is an ``arbench.models.layers.stacks.Stack``.

    A subclass defines ``__init__`` (keyword configuration), ``presets``, ``claims`` and the methods below.
    Contract: ``forward`` equals ``extend`` over all groups, and the parameters of group g depend only on the
    feed of the groups before g and on the context.
    """

    element: ClassVar[str] = "element"
    """Name of an element: audio sample, sub-pixel, token, ..."""
    family: ClassVar[str] = ""
    """Row of the taxonomy, a key of ``FAMILIES``; empty for none."""
    remark: str = ""
    """Caveat that a reader needs before comparing figures; shown beside them."""
    brings_weights: ClassVar[bool] = False
    """True if the weights come with the model, trained or not, as those of a module that is built already do: nothing
    says that they are random ones."""
    steps: ClassVar[bool] = True
    """False if ``extend`` is no incremental step, but evaluates the network on all elements again: only ``forward`` is
    known. Methods that need a step then leave the model out, and nothing is compared with ``forward``."""
    citation: ClassVar[str] = ""
    """Publication of the model: authors, year, and arXiv number or DOI."""
    source = _OldCitation()
    feeds: ClassVar[Literal["x", "z", "layers"]] = "x"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    default_preset: ClassVar[str] = "tiny"
    claims: ClassVar[Mapping[tuple[Op, str], Claim]] = {}
    """Claims by (op, method)."""
    ladder: Sequence[int] = (64, 128, 256, 512, 1024)
    """Default sizes N to measure: at least five, spanning 16x."""
    count_ladder: Sequence[int] = (4, 8, 12, 16, 24)
    """Small sizes N at which operations are counted one by one."""

    alphabets: Mapping[str, int] = {}
    """Number of values of each integer entry of the context."""
    draft: Source | None = None
    """Smaller model of the same events that guesses for speculative sampling; ``Chosen.build`` makes it."""
    distribution: Distribution
    rate_hz: float | None = None
    """Elements per second of real time, for audio."""
    prompt_length: int | None = None
    """Tokens of a language model's prompt, conditioning that is read in one pass before the first element; None for
    models of anything else, which reports then do not describe in the words of that field."""
    receptive_field: int | None = None
    """Number of elements before an element that its law depends on; None where that has no bound."""
    intractable: ClassVar[str] = ""
    """Reason why the probability of what ``shown`` returns cannot be computed: events have further elements, which are
    not shown. Empty where ``log_prob`` is that probability."""
    cell: float | None = None
    """Width of a level, where an element is a level blurred by uniform noise within its cell (uniform dequantisation,
    Uria et al., *RNADE*, 2013): a density times it bounds the probability of the level from below. None otherwise."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Accept ``source``, the deprecated name of ``citation``, on a user's model."""
        super().__init_subclass__(**kwargs)
        for base in cls.__mro__:
            if "citation" in vars(base):
                break
            if isinstance(renamed := vars(base).get("source"), str):
                warnings.warn(f"{cls.__name__}.source is deprecated: name it citation", FutureWarning, stacklevel=3)
                cls.citation = renamed
                break

    def schedule(self, n: int) -> Sequence[int]:
        """Return the bounds of the groups: group g contains elements bounds[g] .. bounds[g+1]-1.

        By default each element is a group.

        Raises:
            ValueError: the model has no event of ``n`` elements; the message gives sizes that it has.
        """
        if n < 1:
            raise ValueError(f"an event has at least one element, got {n}")
        return range(n + 1)

    @abstractmethod
    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return real events (B, N) and their context, one for each global row index.

        Args:
            n: number of elements N.
            rows: global row indices; an event is reproducible from (seed, row).
            seed: seed of the run.
            data: result of ``load_data``, or None for the data that ships.
        """

    @classmethod
    def preset_name(cls, preset: str) -> str:
        """Return what results call a preset: its name, unless it is the path of something that may change."""
        return preset

    @classmethod
    def own_methods(cls) -> Sequence[Any]:
        """Return methods, ``arbench.methods.Method``, that only models of this class have, beside the built-in ones.

        A user names them as the built-in ones, and they are verified by the same rule.
        """
        return ()

    @classmethod
    def drafting(cls, config: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the configuration of a smaller model of the same events, context and distribution, if any."""
        return None

    @classmethod
    def numbers(cls, config: Mapping[str, Any], n: int) -> tuple[int, int] | None:
        """Return how many weights a model has, and how many numbers the state of an event, before either is made.

        Models that may be larger than a machine define it, so that they are refused before they are built. None, the
        default, where this is not known.

        Args:
            config: configuration of the model, as in ``presets``.
            n: number of elements N.
        """
        return None

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> Any:
        """Read the user's own data for ``observe``.

        Args:
            path: file or folder of the data.
            config: configuration of the model, as in ``presets``.

        Raises:
            arbench.data.DataError: the data cannot be read or does not fit the configuration.
            NotImplementedError: the model reads no data of the user's.
        """
        raise NotImplementedError(f"{cls.__name__} does not read data from a path")

    def divide(self, data: Any = None, share: float | None = None) -> tuple[Any, Any]:
        """Divide the data into a part to train on and a held-out part, each of which ``observe`` takes as its data.

        Args:
            data: result of ``load_data``, or a part; None for the data that ships.
            share: fraction of the data to hold out; by default what is usual for the kind.

        Raises:
            arbench.data.DataError: there is too little data to divide.
            NotImplementedError: the model does not say how.
        """
        raise NotImplementedError(f"{type(self).__name__} does not divide its data; define divide and pieces")

    def pieces(self, data: Any, n: int, prefix: int = 0) -> Iterator[Piece]:
        """Yield pieces of a part of the data that score each of its elements exactly once.

        Args:
            data: a part, as ``divide`` returns it.
            n: largest number of elements of a piece.
            prefix: elements that a piece repeats from the one before it, as context; smaller than ``n``.

        Raises:
            arbench.data.DataError: the data has no events of ``n`` elements.
            NotImplementedError: the model does not say how.
        """
        raise NotImplementedError(f"{type(self).__name__} does not divide its data; define divide and pieces")

    def continued(self, before: Any, data: Any, count: int) -> tuple[Any, Sequence[int]]:
        """Return a part of the data after the last elements of the part that it continues.

        Where the events of a part are apart from each other, as images are, nothing continues anything; this is the
        default.

        Args:
            before: the part before it, as ``divide`` returns it.
            data: the part.
            count: largest number of elements of ``before`` to repeat.

        Returns:
            The longer part, and the number of repeated elements at the beginning of each recording or text; empty where
            nothing was repeated.
        """
        return data, ()

    @property
    def unit(self) -> str:
        """Unit of quality: bits per element, with what an element's values are where bits depend on it."""
        return f"bits per {self.element}"

    def counted(self, x: Tensor) -> Tensor | None:
        """Return which elements (B, N) of events are data and not padding; None, the default, for all."""
        return None

    def encode(self, context: Context, n: int) -> Any:
        """Compute once per draw whatever depends on the context alone, for events of ``n`` elements."""
        return context

    @abstractmethod
    def start(self, batch: int, n: int, code: Any) -> Any:
        """Return a new state, before the first group; a reset is another call."""

    @abstractmethod
    def extend(self, state: Any, f: Tensor, g0: int, g1: int) -> tuple[Tensor, Any]:
        """Return the parameters of groups g0 .. g1-1, teacher-forced on the feed, and the state at g1.

        Args:
            state: state after the extension that stopped at g0; may be changed in place.
            f: feed (B, N); only groups before g1 - 1 are read.
            g0: first group.
            g1: group after the last.

        Returns:
            parameters (B, elements of these groups, P), and the state at g1.
        """

    @abstractmethod
    def forward(self, f: Tensor, code: Any) -> Tensor:
        """Return the parameters (B, N, P) of every element from the whole feed, in one parallel pass."""

    def native(self, code: Any, batch: int, *, weights: torch.dtype | None = None, threads: int = 1) -> NativeDraw:
        """Return a draw in native code, before the first element, for the method ``fused``.

        A model that defines this one function offers the method; ``arbench.kernels.samplers`` has the parts.

        Args:
            code: result of ``encode``.
            batch: number of events at once, B.
            weights: dtype in which the loop reads the weights, to which they were rounded; None for their own.
            threads: number of threads.

        Raises:
            NotImplementedError: the model has no native loop.
        """
        raise NotImplementedError(f"{type(self).__name__} has no native loop")

    def lacks_native(self) -> str | None:
        """Return why ``native`` cannot draw from this model, as in "has no draw from a Poisson"; None if it can."""
        return None

    def mark(self, state: Any, g: int) -> Any:
        """Return a mark of the state at group ``g``, for methods that take guesses back; by default a copy.

        Raises:
            StateError: ``copied`` cannot copy an object in the state; define this method and ``rewind``.
        """
        return g, self._copied(state)

    def rewind(self, state: Any, mark: Any, f: Tensor, g: int) -> Any:
        """Return the state at group ``g`` from one that went beyond it.

        By default this extends the mark's copy to ``g``, which evaluates the network unless ``g`` is the
        mark's own group. A model whose state is a buffer with a position moves the position back instead.

        Args:
            state: state to take back.
            mark: result of ``mark`` at ``g`` or before; it can be used many times.
            f: feed (B, N), up to group ``g`` - 2 the one that the state was extended on; later groups may
                differ, since a state at ``g`` has not read them.
            g: group to return to.
        """
        at, kept = mark
        state = self._copied(kept)
        return self.extend(state, f, at, g)[1] if g > at else state

    def _copied(self, state: Any) -> Any:
        try:
            return copied(state, self)
        except StateError as error:
            raise StateError(
                f"the state of {type(self).__name__} contains {error}; define its methods mark(state, g) and "
                "rewind(state, mark, f, g), which take the state back to group g"
            ) from None

    def covers(self, context: Context) -> int | None:
        """Return the number of elements that conditioning is long enough for; None, the default, where any is."""
        return None

    def longest(self, data: Any = None) -> int | None:
        """Return the number of elements of the longest event in the data; None, the default, where it has no end.

        Args:
            data: result of ``load_data``, or None for the data that ships.
        """
        return None

    def natural(self, data: Any = None) -> int:
        """Return the number of elements of an event to look at or to listen to.

        By default it is that of the longest event in the data or, where that has no end, the largest of the ladder up
        to 512.

        Args:
            data: result of ``load_data``, or a part, as ``divide`` returns it; None for the data that ships.
        """
        return self.longest(data) or max((n for n in self.ladder if n <= 512), default=min(self.ladder))

    def shown(self, x: Tensor) -> Sequence[Shown]:
        """Return events (B, N) as pictures, sounds or texts: the inverse of what ``observe`` makes of the data.

        By default audio is sound, and other events are texts: the numbers of their elements.
        """
        if self.rate_hz is not None:
            return sounds(self.amplitudes(x).float().cpu().numpy(), self.rate_hz)
        return [numbers(row) for row in x.tolist()]

    def told(self, context: Context) -> Mapping[str, Sequence[Shown | int]]:
        """Return what people can read or see of the conditioning of B events, by name; one entry for each event.

        By default these are the labels, and the symbols by their numbers; spectrograms are left out.
        """
        return labels(context)

    def amplitudes(self, x: Tensor) -> Tensor:
        """Return the audio, float32 amplitudes in [-1, 1], of elements (B, M); by default the elements themselves."""
        return x

    def initialise(self, f: Tensor, code: Any) -> None:
        """Initialise the weights from a feed (B, N), where the model's publication does so.

        This is an explicit call, never part of the first ``forward``. By default it does nothing.
        """

    def use(self, backend: str) -> Self:
        """Select the backend of every kernel in the model, its distribution, its parts and its draft.

        On "compile", ``forward`` and the parts of steps that are marked ``compilable`` run under ``torch.compile``,
        ``forward`` for every size at once. Where no part is marked, ``extend`` runs so. Draws and log-probabilities run
        in plain PyTorch.

        Args:
            backend: "eager" for plain PyTorch, "compile", "triton" or "numba"; a kernel without a backend runs in plain
                PyTorch.

        Returns:
            the model itself.

        Raises:
            ValueError: there is no such backend.
        """
        backend = current(backend)
        if backend not in MODEL_BACKENDS:
            raise ValueError(f"no backend '{backend}'; available: {', '.join(MODEL_BACKENDS)}")
        for module in self.modules():
            if isinstance(module, Switched):
                module.backend = backend
        compiling.use(self, backend == COMPILE)
        self.distribution.backend = "eager" if backend == COMPILE else backend
        if self.draft is not None:
            self.draft.use(backend)
        return self

    def weights(self, n: int) -> int:
        """Return the number of parameters that an event of ``n`` elements needs, without the draft's."""
        return sum(p.numel() for p in self.parameters())


def labels(context: Context) -> dict[str, Sequence[Shown | int]]:
    """Return the integers of a context by name: a label (B,) as a number, symbols (B, S) as a text of numbers."""
    found = {name: value.tolist() for name, value in context.items() if not value.is_floating_point()}
    return {name: [numbers(row) if isinstance(row, list) else row for row in rows] for name, rows in found.items()}


def lecun_normal_(tensor: Tensor, fan_in: int, generator: torch.Generator, gain: float = 1.0) -> Tensor:
    """Fill a tensor with N(0, gain^2 / fan_in), which keeps the scale of activations (LeCun et al., 1998)."""
    with torch.no_grad():
        return tensor.normal_(0.0, gain / fan_in**0.5, generator=generator)
