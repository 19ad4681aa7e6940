"""A model ready to be measured: built, with its float64 twin, its data and its tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.bench.dtypes import DTYPES
from arbench.bench.models.chances import chances
from arbench.methods import METHODS, Method, Outcome, Task
from arbench.methods import resolve as resolve_method
from arbench.methods.layerwise import LAYERS_SAMPLE
from arbench.methods.peers import peer_at
from arbench.models import Context, Source, resolve
from arbench.models.layers.stacks import Stack
from arbench.models.weights import rounded


def method_of(case: CaseKey, source: Source | type[Source]) -> Method:
    """Return the method that a case names, for a model, or a class of models, of this feed.

    Raises:
        MethodError: it is not built in, and cannot be found or imported.
        PeerError: the same of a peer.
    """
    wanted = case.op, case.method, source.feeds
    known = next((m for m in (*METHODS, *source.own_methods()) if (m.op, m.name, m.feeds) == wanted), None)
    if known is not None:
        return known
    if (peer := peer_at(case.method_spec)) is not None:
        return peer
    kinds = [source if isinstance(source, type) else type(source)]
    return next(m for m in resolve_method(case.method_spec or case.method, kinds) if (m.op, m.name, m.feeds) == wanted)


def run(source: Source, case: CaseKey, task: Task) -> Outcome:
    """Run the method of a case; what is timed or counted finds the method first."""
    return method_of(case, source).run(source, task)


@dataclass
class ModelSetup:
    """One model in one dtype on one device, and what its cases need.

    Args:
        spec: names the model for ``arbench.models.resolve``.
        dtype: as in ``Options``.
        device: as in ``Options``.
        seed: seed of weights, noise and data.
        weights: safetensors file; None for random weights.
        data: path of the user's data; None for the data that ships.
        backend: backend of the model, as in ``Options``.
    """

    spec: str
    dtype: str
    device: str
    seed: int
    weights: str | None = None
    data: str | None = None
    backend: str = "eager"

    def __post_init__(self) -> None:
        self.chosen = resolve(self.spec)
        self.loaded = self.chosen.cls.load_data(self.data, self.chosen.config) if self.data else None

    def build(self, dtype: str | None = None, rounds: torch.dtype | None = None, backend: str | None = None) -> Source:
        """Build the model in fresh memory, with its weights rounded to ``rounds`` and another backend if given."""
        weights = Path(self.weights) if self.weights else None
        backend = backend or self.backend
        more = {} if backend == "eager" else {"backend": backend}
        model = self.chosen.build(self.seed, DTYPES[dtype or self.dtype], self.device, weights, **more)
        return model if rounds is None else rounded(model, rounds)

    @cached_property
    def random_draft(self) -> bool:
        """True if the model's weights are trained ones, and those of its draft are not."""
        return self.chosen.trained is not None and self.chosen.trained_draft() is None

    @property
    def eager(self) -> ModelSetup:
        """The same setup on plain PyTorch, where every operation can be seen and counted."""
        return replace(self, backend="eager")

    def twin(self, source: Source) -> Source:
        """Build the model and its draft in float64 on plain PyTorch, with the weights of ``source`` after rounding."""
        other = self.eager.build("float64")
        for twin, model in ((other, source), (other.draft, source.draft)):
            if twin is not None and model is not None:
                twin.load_state_dict(model.state_dict())  # in place: copies in float64 would take memory, and seconds
        return other

    def task(self, source: Source, case: CaseKey, record: bool = False) -> Task:
        """Return the input of a case: noise, real events and their conditioning.

        Rows are numbered from 0, so the first row of a batch equals the single event of batch 1.
        """
        kind = DTYPES[self.dtype]
        rows = range(case.batch)
        x, context = source.observe(case.n, rows, self.seed, self.loaded)
        context = {k: moved(v, self.device, kind) for k, v in context.items()}
        noise = source.distribution.noise(self.seed, rows, range(case.n), kind, self.device)
        if case.op == "sample":
            chance = None
            if method_of(case, source).chance:
                chance = chances(self.seed, rows, range(case.n), source.distribution).to(self.device)
            return Task(case.n, context, noise=noise, chance=chance, record=record)
        x = moved(x, self.device, kind)
        if case.method == "own_samples":
            return Task(case.n, context, noise, self._own(source, case.n, context, noise))
        return Task(case.n, context, x=x)

    @staticmethod
    def _own(source: Source, n: int, context: Context, noise: Tensor) -> Tensor:
        with torch.no_grad():
            if isinstance(source, Stack):
                return LAYERS_SAMPLE.run(source, Task(n, context, noise=noise)).x
            return source.distribution.draw(source(noise.squeeze(-1), source.encode(context, n)), noise)


def moved(value: Tensor, device: torch.device | str, dtype: torch.dtype) -> Tensor:
    """Return conditioning or events on a device, in a dtype where they are real numbers."""
    return value.to(device, dtype) if value.is_floating_point() else value.to(device)
