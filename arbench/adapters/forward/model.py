"""A model of a plain module that returns parameters (B, N, K) for events (B, N), and of a law that is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from arbench.adapters.forward.built import built
from arbench.adapters.forward.convention import Convention, FailedError, called, convention_of, events, shifted
from arbench.adapters.forward.data import read_events
from arbench.adapters.forward.outputs import parameters, part_of
from arbench.distributions import law_of
from arbench.models import Context, ModelError, Source

PRESET = "given"
"""Name of the only preset: the module with the arguments that the user gives."""
SHORT = 8
"""Number of elements of the events that show how outputs are read, if the module takes so few."""
REMARK = (
    "Only forward is known: it is probed for leaks, and compared with no incremental step. It samples in whole passes; "
    "a step of its own lowers the depth and the work of sampling: see docs/bring-your-own.md, A subclass."
)
"""Caveat of all models of this kind."""


class Forward(Source):
    """A module of which only ``forward`` is known; ``adapted`` makes a subclass for each.

    Args:
        law: the law of an element, as ``arbench.distributions.law_of`` takes it.
        shift: 1 if output i of the module is the law of element i + 1, 0 if it is that of element i; None to find out.
        begin: what the module reads before the first element, where ``shift`` is 1.
        seed: seed of random weights.
        **settings: arguments of the module's class, or of the function that returns it.

    Raises:
        ModelError: a setting is wrong.
    """

    steps = False
    remark = REMARK
    presets = {PRESET: {}}
    default_preset = PRESET
    made: ClassVar[Any]
    """Object that the user named: a class of modules, a module, or a function that returns one."""
    found: ClassVar[list[Convention]]
    """How outputs are read, once it is known: one entry, since weights do not change it."""
    taken: ClassVar[set[int]]
    """Numbers of elements N that the module is known to take."""

    def __init__(self, *, law: str, shift: int | None = None, begin: float = 0, seed: int = 0, **settings: Any) -> None:
        super().__init__()
        self.distribution = law_of(law)
        if shift is not None and (isinstance(shift, bool) or shift not in (0, 1)):
            raise ModelError(f"shift is 0 or 1, got {shift!r:.40}")
        if isinstance(begin, bool) or not isinstance(begin, int if self.distribution.finite else int | float):
            raise ModelError(f"begin is an element that is read before the first one, got {begin!r:.40}")
        self._shift, self._begin = shift, begin
        self.network = built(type(self).made, settings, seed)

    def schedule(self, n: int) -> Sequence[int]:
        """Return the bounds of groups of one element.

        Raises:
            ValueError: the module fails on ``n`` elements, returns something else than parameters of them, or it is not
                clear whose they are.
        """
        bounds = super().schedule(n)
        if n not in self.taken:
            try:
                self._take(n)
            except FailedError as error:
                raise ValueError(f"{error}; {self._sizes(n)}") from None
        if "remark" not in vars(self):
            self.remark = f"{REMARK} {self.found[0].said(self._begin)}"
        return bounds

    @property
    def unchecked(self) -> list[tuple[str, str, str]]:
        """Assumption of a verification, why it is made, and the setting that replaces it: whose law an output is."""
        guessed = self.found[0].guessed() if self.found else None
        return [] if guessed is None else [("whose law an output is", *guessed)]

    def _take(self, n: int) -> None:
        """Find out whether the module takes ``n`` elements, and how its outputs are read if that is not known yet."""
        if not self.found:
            try:
                how = convention_of(self.network, self.distribution, SHORT, self._shift)
            except FailedError:
                how = convention_of(self.network, self.distribution, n, self._shift)
            self.found.append(how)
        part_of(self._outputs(n), (2, n, self.distribution.params_width))
        self.taken.add(n)

    def _outputs(self, n: int) -> Any:
        """Return what the module returns for two events of ``n`` elements. Raises FailedError if it fails."""
        x = events(self.network, self.distribution, 2, n, torch.Generator().manual_seed(0))
        return called(self.network, self._read(x), n)

    def _read(self, f: Tensor) -> Tensor:
        """Return what the module reads of a feed (B, N)."""
        return shifted(f, self._begin) if self.found[0].shift else f

    def _sizes(self, n: int) -> str:
        """Return which of the default sizes the module takes, where it fails at ``n``."""
        good = []
        for other in self.ladder:
            try:
                if other != n:
                    self._take(other)
                    good.append(str(other))
            except ValueError:
                continue
        if good:
            return f"it takes N = {', '.join(good)}: choose these with --n {','.join(good)}"
        return "it takes none of the default sizes: choose sizes that it takes with --n"

    @classmethod
    def load_data(cls, path: str, config: Mapping[str, Any]) -> np.ndarray:
        """Read events (rows, N) from a NumPy file. Raises DataError if it has none of the law."""
        return read_events(path, law_of(config["law"]))

    def longest(self, data: Any = None) -> int | None:
        """Return the number of elements of the events in the user's data."""
        return None if data is None else int(data.shape[1])

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return events (B, N) and no conditioning: those of the data, or random symbols or standard normal numbers.

        Raises:
            ValueError: as ``schedule``; or the events of the data have fewer than ``n`` elements.
        """
        self.schedule(n)
        if data is not None:
            if n > data.shape[1]:
                raise ValueError(f"the events of the data have {data.shape[1]:,} elements, and N is {n:,}; choose less")
            picked = [int(np.random.default_rng([seed, row]).integers(len(data))) for row in rows]
            return torch.from_numpy(data[picked, :n].copy()), {}
        network, law = self.network, self.distribution
        draws = [torch.Generator().manual_seed(seed * 65537 + row) for row in rows]
        return torch.cat([events(network, law, 1, n, draw).cpu() for draw in draws]), {}

    def forward(self, f: Tensor, code: Any) -> Tensor:
        """Return the parameters (B, N, K) of every element."""
        if not self.found:
            self.schedule(f.shape[1])
        return parameters(self.network(self._read(f)), self.found[0].part)

    def start(self, batch: int, n: int, code: Any) -> Any:
        """Return the conditioning: there is no state."""
        return code

    def extend(self, state: Any, f: Tensor, g0: int, g1: int) -> tuple[Tensor, Any]:
        """Return the parameters of elements g0 .. g1-1, from a pass over all N elements."""
        return self(f, state)[:, g0:g1], state

    def mark(self, state: Any, g: int) -> None:
        """Return nothing: there is no state to come back to."""

    def rewind(self, state: Any, mark: Any, f: Tensor, g: int) -> Any:
        """Return the state, which is none."""
        return state
