"""Trial of the symbols of an alphabet: none changes earlier parameters, and steps read each as forward does.

A leak, or a fault of a state, may show for one symbol of thousands. Symbols that the model's code names, those at the
ends of the alphabet and round numbers are tried first, and the others as far as the time goes, in events that hold each
once. The parameters of ``forward`` are compared with those of single steps, which cannot read later elements: so a leak
shows however near or far it reaches within the event. Where events are far longer than those before, symbols are tried
again. As later elements of events that begin alike, symbols must also leave the first parameters bit-equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from arbench.bench.dtypes import as_float64
from arbench.bench.inexact import InexactError
from arbench.bench.models.evidence import EXACT, first_difference
from arbench.bench.models.leaks.leaking import MOST_NUMBERS
from arbench.bench.models.leaks.spent import Spent
from arbench.bench.models.leaks.symbols.named import named_symbols
from arbench.bench.models.walks import ExtendError, changed, extensions
from arbench.models import Source

WIDE = 256
"""Alphabets of more symbols are tried here as far as the time goes. Of others the probes of a model try every symbol at
every place, so that here each is tried once with single steps, in float64."""
SHORT = 256
"""Elements of an event up to which symbols are tried: single steps through a long one take long."""
LIKELY = 192
"""Symbols that are tried whatever the time, by all parameters of each element."""
ENDS = 16
"""Symbols at each end of an alphabet that are among them."""
FACTORS = 8
"""Named numbers whose products are among them: code may name a symbol as so many thousands."""
SECONDS = 2.0
"""Seconds in each case after which no more symbols are tried by few parameters of each element."""
WHOLE = 0.35
"""Share of these seconds after which no more are tried by all parameters, once the others have been."""
FARTHER = 4
"""How many times as long as before events are in which symbols are tried again: what one changes may lie far off."""
WORK = 1_500_000_000
"""Budget of one forward: weights of the model times elements of all rows, about one multiplication each."""
LARGE_WORK = 15_000_000_000
"""The same of a large model, up to ``LARGE_ROWS``: a step reads all weights, however few its rows are."""
LARGE_ROWS = 16
MOST_ROWS = 64
FEW_ROWS = 1024
"""Most events at once where a model computes few parameters of each element."""
FIRST_ROWS = 16
"""Events of the first forward with few parameters, by whose time the others are chosen: code of the user's may take far
more time and memory than the weights say."""
FORWARD_S = 0.5
"""Seconds of one forward with few parameters, at most."""
SUSPECT = 16.0
"""Difference of parameters, over the usual one, from which on it is looked at in float64."""


@dataclass
class _Pass:
    """A pass over symbols, some at a time, and once more over those that were tried in far shorter events alone.

    Attributes:
        order: the symbols.
        at: number of them that were tried.
        n: elements of the events of which ``shorter`` is known.
        shorter: number of symbols that were tried in shorter events alone.
        again: number of these that have been tried once more.
    """

    order: Sequence[int] = ()
    at: int = 0
    n: int = 0
    shorter: int = 0
    again: int = 0

    def reaches(self, n: int) -> bool:
        """Take the number of elements of the events to come; return whether they are far longer than those before."""
        if n < FARTHER * self.n:
            return False
        self.n, self.shorter, self.again = n, self.at, 0
        return True

    def some(self, count: int, n: int) -> Sequence[int]:
        """Return up to so many symbols that come next in events of n elements; none once it is done."""
        if self.at < len(self.order):
            return self.order[self.at : self.at + count]
        return self.order[self.again : min(self.again + count, self.shorter)] if n == self.n else ()

    def tried(self, symbols: Sequence[int]) -> None:
        """Count the symbols that came next."""
        if self.at < len(self.order):
            self.at += len(symbols)
        else:
            self.again += len(symbols)


@dataclass
class _Progress:
    """Symbols of one model that were tried in its cases so far."""

    named: int
    likely: Sequence[int]
    whole: _Pass
    """Those that were tried by all parameters, beside the likely ones."""
    quick: _Pass
    """Those that were tried while the model computed few parameters of each element."""


@dataclass(frozen=True)
class Tried:
    """Symbols of an alphabet that were tried, in all cases of a model so far.

    Attributes:
        levels: size of the alphabet.
        named: number of its symbols that the model's code names.
        stepped: number of symbols with which all parameters of ``forward`` were compared with single steps.
        symbols: number of symbols with which some of them were, at least.
    """

    levels: int
    named: int
    stepped: int
    symbols: int

    def facts(self) -> dict[str, Any]:
        """Return facts for the results file."""
        names = {"levels": self.levels, "named": self.named, "stepped": self.stepped, "tried": self.symbols}
        return {f"symbols_{name}": value for name, value in names.items()}


_known: WeakKeyDictionary[Source, _Progress] = WeakKeyDictionary()


def try_symbols(source: Source, twin: Source, f: Tensor, context: Mapping[str, Tensor]) -> Tried | None:
    """Try symbols of a wide alphabet, those first that no case before has tried.

    Args:
        source: the model, whose ``forward`` and ``extend`` have passed the other probes.
        twin: the model in float64.
        f: a real event (1 or more, N), for what comes before.
        context: its conditioning.

    Returns:
        What was tried of a wide alphabet; None where the network reads no such one, or has no incremental step.

    Raises:
        InexactError: a symbol changes earlier parameters, or single steps read it in another way.
    """
    levels = getattr(source.distribution, "levels", 0)
    if source.feeds == "z" or not source.distribution.finite or not source.steps:
        return None
    own = {name: value[:1] for name, value in context.items()}
    if levels <= WIDE:
        if source not in _known and f.shape[1] <= SHORT:
            _Trial(twin, twin, as_float64(f[:1]), own, levels).exactly(range(levels))
            _known[source] = _Progress(0, (), _Pass(), _Pass())
        return None
    trial = _Trial(source, twin, f[:1], own, levels)
    progress = _known.get(source) or _started(source, levels)
    _known[source] = progress
    long = trial.n > SHORT
    if not long and progress.whole.reaches(trial.n):
        trial.stepped(progress.likely)
    quickly = not long and _quickly(trial, progress.quick)
    spent = Spent()
    while not long and spent.seconds < (WHOLE if quickly else 1.0) * SECONDS:
        symbols = progress.whole.some(trial.at_once, trial.n)
        if not symbols:
            break
        trial.tried([one for one in symbols if one not in progress.likely])
        progress.whole.tried(symbols)
    order = progress.whole.order
    stepped = {*progress.likely, *order[: progress.whole.at]}
    return Tried(levels, progress.named, len(stepped), len(stepped.union(order[: progress.quick.at])))


def _quickly(trial: _Trial, symbols: _Pass) -> bool:
    """Try symbols while the model computes few parameters of each element; return whether it can.

    What a symbol changes in a network shows in any of them, and those of a wide alphabet take most of the time.
    """
    symbols.reaches(trial.n)
    narrowed = getattr(trial.source, "narrowed", None)
    if narrowed is None:
        return False
    spent = Spent()
    with narrowed() as width:
        if not width:
            return False
        few = _as_quick(trial, width)
        while few is not None and spent.seconds < SECONDS and (some := symbols.some(few.at_once, trial.n)):
            try:
                few.tried(some)
            except Exception as error:  # code of the user's may want all parameters, and gets them below
                if isinstance(error, InexactError) and not isinstance(error, ExtendError):
                    raise
                raising = few.raising(some)
                break
            symbols.tried(some)
        else:
            return few is not None
    trial.stepped(raising)
    return False


def _as_quick(trial: _Trial, width: int) -> _Trial | None:
    """Return a trial of as many events at once as one forward takes ``FORWARD_S`` for; None where that raises."""
    few, spent = trial.with_width(width, FIRST_ROWS), Spent()
    try:
        few.evaluate()
    except Exception:  # code of the user's may want all parameters
        return None
    return trial.with_width(width, max(int(FIRST_ROWS * FORWARD_S / max(spent.seconds, 1e-6)), FIRST_ROWS))


def _started(source: Source, levels: int) -> _Progress:
    named = named_symbols(source, levels)
    few = [one for one in named if one > 1][:FACTORS]
    near = [one + by for one in named for by in (0, 1, -1)] + [a * b for a, b in combinations(few, 2)]
    order = dict.fromkeys(one for one in [*near, *_usual(levels), *_spread(levels)] if 0 <= one < levels)
    every = list(order)
    return _Progress(len(named), every[:LIKELY], _Pass(every), _Pass(every))


def _usual(levels: int) -> Iterator[int]:
    """Yield the ends of an alphabet, and round numbers."""
    yield from range(ENDS)
    yield from range(levels - ENDS, levels)
    yield from (2**power + by for power in range(4, levels.bit_length()) for by in (0, -1))
    yield from range(1000, levels, max(1000, levels // 64000 * 1000))


def _weights(source: Source, narrow: bool) -> int:
    """Return the number of weights; without those of tables, which only look up, where the last layer is narrow."""
    looked_up = [one.weight for one in source.modules() if isinstance(one, nn.Embedding)] if narrow else []
    tables = {id(one) for one in looked_up}
    return sum(one.numel() for one in source.parameters() if id(one) not in tables)


def _spread(levels: int) -> Iterator[int]:
    """Yield every symbol, each run of them spread over the alphabet."""
    step = max(int(levels * 0.6180339887), 1)
    while torch.gcd(torch.tensor(step), torch.tensor(levels)) != 1:
        step += 1
    yield from ((index * step) % levels for index in range(levels))


class _Trial:
    """Trials of one model at one N.

    Args:
        source: the model.
        twin: the model in float64.
        f: a real event (1, N).
        context: its conditioning.
        levels: size of the alphabet.
        width: number of parameters of an element, where it is not that of the law.
        rows: largest number of events at once, if that is not as many as there is room for.
    """

    def __init__(
        self,
        source: Source,
        twin: Source,
        f: Tensor,
        context: Mapping[str, Tensor],
        levels: int,
        width: int | None = None,
        rows: int | None = None,
    ) -> None:
        self.source = source
        self._twin, self._f, self._context, self._levels, self._narrow = twin, f, context, levels, width is not None
        self.n = n = f.shape[1]
        self._bounds = source.schedule(n)
        each = max(_weights(source, self._narrow) * n, 1)
        work = max(min(WORK // each, MOST_ROWS if width is None else FEW_ROWS), min(LARGE_WORK // each, LARGE_ROWS))
        numbers = source.distribution.params_width
        self._room = max(min(work, MOST_NUMBERS // (n * (width or numbers))), 1)
        self._rows = min(self._room, rows or self._room)
        self._whole = max(min(self._rows, MOST_NUMBERS // (n * numbers)), 1)
        self._begin = self._bounds[1] if len(self._bounds) > 2 else 0
        self._seen = self._bounds[min(2, len(self._bounds) - 1)]
        self._places = max(self._bounds[-2], 1)  # no parameter follows from the last group
        self.at_once = self._rows * self._places
        self._usual: Tensor | None = None

    def with_width(self, width: int, rows: int) -> _Trial:
        """Return the same for so many parameters of an element, and for up to so many events at once."""
        return _Trial(self.source, self._twin, self._f, self._context, self._levels, width, rows)

    def evaluate(self) -> None:
        """Evaluate ``forward`` on as many events as are tried at once."""
        self.source(self._f.repeat(self._rows, 1), self._code(self.source, self._rows))

    def _code(self, source: Source, rows: int) -> Any:
        own = as_float64(dict(self._context)) if source is self._twin else self._context
        repeated = {name: value.repeat(rows, *[1] * (value.dim() - 1)) for name, value in own.items()}
        return source.encode(repeated, self._f.shape[1])

    def tried(self, symbols: Sequence[int]) -> None:
        """Try symbols, each once in each way. Raises InexactError if one shows a fault."""
        at_once = self._rows * (self._f.shape[1] - self._begin)
        for first in range(0, len(symbols), at_once):
            self._later(symbols[first : first + at_once])
        self.stepped(symbols)

    def raising(self, symbols: Sequence[int]) -> Sequence[int]:
        """Return one of some symbols that make the model raise: where not all of them do, one that does."""
        while len(symbols) > 1:
            first = symbols[: len(symbols) // 2]
            try:
                self.tried(first)
                symbols = symbols[len(first) :]
            except Exception as error:
                if isinstance(error, InexactError) and not isinstance(error, ExtendError):
                    raise
                symbols = first
        return symbols

    def stepped(self, symbols: Sequence[int]) -> None:
        """Compare ``forward`` with single steps on events of symbols. Raises InexactError if they differ."""
        for first in range(0, len(symbols), self.at_once):
            self._step_by_step(symbols[first : first + self.at_once])

    def exactly(self, symbols: Sequence[int]) -> None:
        """Compare ``forward`` with single steps in float64 on events of symbols. Raises InexactError if they differ."""
        for first in range(0, len(symbols), self.at_once):
            self._differs_in_steps(self._placed(symbols[first : first + self.at_once]))

    def _placed(self, symbols: Sequence[int]) -> Tensor:
        """Return as few events (B, N) as hold symbols once each, where parameters follow."""
        rows = -(-len(symbols) // self._places)
        x = self._f.repeat(rows, 1)
        flat = x[:, : self._places].flatten().clone()
        flat[: len(symbols)] = torch.tensor(symbols).to(flat)
        x[:, : self._places] = flat.view(rows, self._places)
        return x

    def _later(self, symbols: Sequence[int]) -> None:
        """Try symbols as later elements. Raises InexactError if the first parameters change."""
        x, begin, seen = self._f.repeat(self._rows, 1), self._begin, self._seen
        if self._usual is None:
            self._usual = self.source(x, self._code(self.source, len(x)))[:, :seen].clone()
        flat = x[:, begin:].flatten().clone()
        flat[: len(symbols)] = torch.tensor(symbols).to(flat)
        x[:, begin:] = flat.view(len(x), -1)
        after = self.source(x, self._code(self.source, len(x)))[:, :seen]
        wrong = (after != self._usual) & ~(after.isnan() & self._usual.isnan())
        if not wrong.any():
            return
        x = self._worst(x, torch.where(wrong, (after - self._usual).abs(), 0).amax(-1))
        x = self._halved(x, lambda some: bool(self._moved(some, self._f.repeat(len(some), 1), begin).any()))
        self._leaks(x, begin)

    def _step_by_step(self, symbols: Sequence[int]) -> None:
        x = self._placed(symbols)
        params = self.source(x, self._code(self.source, len(x)))
        kind = torch.promote_types(params.dtype, torch.float32)
        off = (self._steps(self.source, x).to(kind) - params.to(kind)).abs_().amax(-1)
        floor = 8 * torch.finfo(params.dtype).eps * (1 + float(params.abs().max()))
        if not (off <= max(SUSPECT * float(off.nan_to_num().median()), floor)).all():
            x = self._halved(self._worst(x, off), lambda some: bool(self._wrong_steps(some)[0].any()))
            self._differs_in_steps(x)

    def _worst(self, x: Tensor, off: Tensor) -> Tensor:
        """Return as many events (B, N) as have room with all parameters, those first that are the furthest off."""
        most = off.nan_to_num(torch.inf).amax(-1)
        return x[most.argsort(descending=True, stable=True)[: min(self._whole, int((most > 0).sum()))]]

    def _steps(self, source: Source, x: Tensor) -> Tensor:
        """Return the parameters (B, N, P) of single steps that cannot read later elements."""
        code, cuts = self._code(source, len(x)), range(len(self._bounds))
        narrow = self._narrow and source is self.source  # then it has fewer parameters than its law
        found = extensions(source, x, code, cuts, changing=True, checked=not narrow)
        return torch.cat([one for one, _ in found], dim=1)

    def _halved(self, x: Tensor, wrong: Callable[[Tensor], bool]) -> Tensor:
        """Return the fewest of some events (B, N), found by halving, that show a fault; all where halves do not."""
        while len(x) > 1:
            first, last = x[: len(x) // 2], x[len(x) // 2 :]
            if wrong(first):
                x = first
            elif wrong(last):
                x = last
            else:
                break
        return x

    def _wrong_steps(self, x: Tensor) -> tuple[Tensor, float]:
        """Return where (B, N) single steps return other parameters than ``forward`` in float64, and how far off."""
        exact = as_float64(x)
        expected = self._twin(exact, self._code(self._twin, len(x)))
        off = (self._steps(self._twin, exact) - expected).abs().amax(-1)
        return ~(off <= EXACT * (1 + float(expected.abs().max()))), float(off.max())

    def _differs_in_steps(self, x: Tensor) -> None:
        """Raise InexactError if events (B, N) have other parameters in single steps, in float64."""
        wrong, off = self._wrong_steps(x)
        if not wrong.any():
            return
        row, at = first_difference(wrong)
        group = next(g for g in range(len(self._bounds) - 1) if at < self._bounds[g + 1])
        self._leaks(x, self._bounds[group])
        after = f" after symbol {int(x[row, self._bounds[group] - 1])}" if group else ""
        raise InexactError(
            f"forward and extend differ by {off:.3g} in float64 from element {at} on{after}, and not after most "
            "symbols: look at what treats some of them in another way",
            first_difference=[0, at],
            half="extend",
            check="extend",
        )

    def _leaks(self, x: Tensor, begin: int) -> None:
        """Raise InexactError if elements of events (B, N) from ``begin`` on change earlier parameters, in float64."""
        f = self._f.repeat(len(x), 1)
        plain = torch.where(f == x, changed(self.source, f), f)
        plain[:, :begin] = x[:, :begin]
        moved = self._moved(x, plain, begin)
        if not moved.any():
            return
        symbol, place = None, self._first_place(x, plain, begin)
        one = plain.clone()
        one[:, place] = x[:, place]
        if (alone := self._moved(one, plain, place)).any():
            moved, begin = alone, place
            symbol = int(x[first_difference(moved)[0], place])
        at = first_difference(moved)[1]
        which = f"element {begin} where that is symbol {symbol}" if symbol is not None else f"elements from {begin} on"
        raise InexactError(
            f"forward leaks: parameters of element {at} change with {which}, and not with most symbols",
            first_difference=[0, at],
            leak_from=begin,
            leak_value=symbol,
        )

    def _first_place(self, x: Tensor, plain: Tensor, begin: int) -> int:
        """Return by halving the first element up to which those from ``begin`` on change earlier parameters."""
        still, changes = begin, x.shape[1]
        while changes - still > 1:
            middle = (still + changes) // 2
            one = plain.clone()
            one[:, begin:middle] = x[:, begin:middle]
            if self._moved(one, plain, begin).any():
                changes = middle
            else:
                still = middle
        return changes - 1

    def _moved(self, x: Tensor, plain: Tensor, begin: int) -> Tensor:
        """Return where (B, M) parameters up to the group at ``begin`` differ between two events, in float64."""
        seen = next(bound for bound in self._bounds if bound > begin)
        code = self._code(self._twin, len(x))
        found, other = (self._twin(as_float64(one), code)[:, :seen] for one in (x, plain))
        return ~((found - other).abs().amax(-1) <= EXACT * (1 + float(other.abs().max())))
