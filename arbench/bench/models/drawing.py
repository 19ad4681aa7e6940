"""Drawing samples of a model: events by one method, verified, with their log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import torch
from torch import Tensor

from arbench.bench.case import CaseKey
from arbench.bench.inexact import InexactError
from arbench.bench.job import out_of_memory
from arbench.bench.memory import check_room
from arbench.bench.models.samples import Likeliest, Samples
from arbench.bench.models.setup import ModelSetup, moved
from arbench.bench.models.verify.method import called, verify_outcome
from arbench.bench.models.verify.stack.passage import exact_log_prob
from arbench.bench.models.wanted import Wanted, fitting, wanted, why_not
from arbench.bench.options import Options, PlanError, check_device, check_seed, check_sizes
from arbench.border.shown import Picture
from arbench.data import NAMED, DataError
from arbench.methods import Outcome, Task, is_plain
from arbench.models import Context, ModelError, Source, WeightsError, resolve
from arbench.models.events.translation import TranslationSource
from arbench.models.layers.stacks import Stack
from arbench.own.raised import one_line
from arbench.train.digest import digest
from arbench.train.translation.decode import likeliest

COUNTS = {True: 16, False: 4}
"""Number of events by default: of pictures, and of others."""
FASTEST = ("parallel", "fused", "cached", "fixed_point")
"""Exact samplers, the fastest first; ``parallel`` samples only from models that read noise, and ``fixed_point`` is for
models without an incremental step."""
AT_ONCE = 2**15
"""Elements to verify at once, in several dtypes."""


class Drawing:
    """A draw of events, checked and ready to begin.

    Args:
        spec: names the model for ``arbench.models.resolve``.
        count: number of events B; by default 16 pictures, or 4 sounds or texts.
        n: number of elements N; by default those of the events that trained weights were trained on where these end by
            themselves, as translations do, or else the model's natural event (``Source.natural``), as far as its
            positions were trained.
        method: as in ``Options.methods``; by default the fastest exact one.
        seed: seed of weights, noise and data.
        data: path or name of the data; None for what the weights were trained on where that has a name, or else the
            data that ships.
        weights: safetensors file; None for those of ``spec``.
        device: as in ``Options``.
        dtype: as in ``Options``.

    Attributes:
        source: the model.
        case: what is drawn.
        other_data: name of the data that the weights were trained on, where it is other data; else None.

    Raises:
        PlanError: an argument is wrong; nothing was drawn.
    """

    other_data: str | None

    def __init__(
        self,
        spec: str,
        *,
        count: int | None = None,
        n: int | None = None,
        method: str | None = None,
        seed: int = 0,
        data: str | None = None,
        weights: str | None = None,
        device: str = "cpu",
        dtype: str = "float32",
    ) -> None:
        check_sizes("--count", [] if count is None else [count])
        check_sizes("--n", [] if n is None else [n])
        check_seed(seed)
        check_device(device, dtype)
        try:
            kinds = [] if method is None or not is_plain(method) else [resolve(spec).cls]
        except ModelError as error:
            raise PlanError(str(error)) from None
        asked = None if method is None else wanted(method, kinds)
        try:
            self._setup = ModelSetup(spec, dtype, device, seed, weights, data or trained_on(spec))
            check_room(self._setup.chosen, count or 1, n or 1, Options(device=device, dtype=dtype))
            source = self._setup.build()
            self._one = chosen(source, spec, method, asked)
            self.source = (
                self._setup.build(None, *self._one.method.variant) if any(self._one.method.variant) else source
            )
            self._all = self._setup.loaded
            part = self._part()
            n = n or self._natural(part)
            source.schedule(n)
            first = self._observed(n, 1, part)
            count = count or COUNTS[isinstance(source.shown(first)[0], Picture)]
            self._real = self._observed(n, count, part)
        except (ModelError, WeightsError, DataError) as error:
            raise PlanError(str(error)) from None
        except (ValueError, NotImplementedError) as error:
            raise PlanError(f"{spec}: {' '.join(str(error).split())}") from None
        self.case = self._case(count, n)

    @property
    def weights(self) -> str:
        """The trained weights: their name, or the path of a file; "random" where there are none.

        Those that come with a model are "its own".
        """
        trained = self._setup.chosen.trained
        own = "its own" if self.source.brings_weights else "random"
        return self._setup.weights or (trained.name if trained is not None else own)

    def _part(self) -> Any:
        """Return the held-out part of the data, or all of it where the model does not divide it."""
        trained = self._setup.chosen.trained
        self.other_data = None
        try:
            parts = self.source.divide(self._all)
        except (NotImplementedError, DataError):
            return self._all
        if trained is not None and digest(parts) != trained.said.data.sha256:
            self.other_data = trained.said.data.name
        return parts[1]

    def _natural(self, part: Any) -> int:
        trained = self._setup.chosen.trained
        n = trained.said.recipe.get("n") if trained is not None else None
        if type(n) is int and self.source.counted(torch.zeros(1, 1, dtype=torch.long)) is not None:
            return n
        natural = self.source.natural(part)
        learnt = getattr(self.source, "positions", None) is not None  # of which these events train the first
        return min(natural, n) if type(n) is int and learnt else natural

    def _observed(self, n: int, count: int, part: Any) -> Tensor:
        """Return real events (B, N), from all of the data where the held-out part has none of ``n`` elements."""
        rows = range(count)
        try:
            found = self.source.observe(n, rows, self._setup.seed, part)[0]
            self._setup.loaded = part
        except DataError:
            if part is self._all:
                raise
            found = self.source.observe(n, rows, self._setup.seed, self._all)[0]
            self._setup.loaded = self._all
        return found

    def _case(self, count: int, n: int) -> CaseKey:
        known, method = self._setup.chosen, self._one.method
        return CaseKey(
            spec=known.spec,
            model=known.name,
            preset=known.preset,
            op="sample",
            method=method.name,
            backend=self._setup.backend,
            device=self._setup.device,
            dtype=self._setup.dtype,
            batch=count,
            n=n,
            element=self.source.element,
            weights=self.source.weights(n),
            exactness=method.exactness,
            rate_hz=self.source.rate_hz,
            method_spec=self._one.spec,
            chunk=method.chunk,
            threads=method.threads,
        )

    def draw(self) -> Samples:
        """Draw the events, verify them as ``arbench run`` does, and compute their log-probabilities.

        These are of one parallel pass over each event, and equal those of the parameters that the method drew from.

        Raises:
            InexactError: the method returned something else than what it promises, or code of the user fails.
            PlanError: memory is too small.
        """
        try:
            with torch.no_grad():
                return self._drawn()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            few = f"{self.case.batch} events of {self.case.n:,} elements"
            raise PlanError(f"{self.case.spec}: out of memory with {few}; choose a smaller --n or --count") from None

    def _called(self, task: Task) -> Outcome:
        try:
            return called(self._setup, self.source, self.case, task)[0]
        except InexactError:
            raise
        except Exception as error:  # code of the user may raise anything
            ours = type(self.source).__module__.startswith("arbench.") and not self._one.method.outside
            if ours or out_of_memory(error):
                raise
            raise InexactError(f"fails: {one_line(error)}") from error

    def _drawn(self) -> Samples:
        source, case, setup = self.source, self.case, self._setup
        task = setup.task(source, case, record=self._one.method.records)
        outcome = self._called(task)
        twin, log_probs = setup.twin(source), []
        step = max(AT_ONCE // case.n, 1)
        for begin in range(0, case.batch, step):
            rows = slice(begin, min(begin + step, case.batch))
            part, drawn = _rows(task, outcome, rows)
            one = msgspec.structs.replace(case, batch=rows.stop - rows.start)
            try:
                _, proof = verify_outcome(setup, source, twin, one, part, drawn)
            except InexactError as error:
                raise InexactError(f"rows from {rows.start} on: {error}", **error.facts) from None
            if isinstance(twin, Stack):  # of events as a whole
                log_probs.append(exact_log_prob(twin, drawn.x.double()).unsqueeze(1).cpu())
            else:
                log_probs.append(source.distribution.log_prob(proof.params, drawn.x).double().cpu())
        joint, elements = self._counted(torch.cat(log_probs), outcome.x)
        return Samples(
            source=source,
            case=case,
            seed=setup.seed,
            x=outcome.x,
            real=moved(self._real, setup.device, outcome.x.dtype),
            context=task.context,
            log_prob=None if source.intractable else joint,
            joint=joint,
            elements=elements,
            weights=self.weights,
            data=setup.data or "shipped",
            held_out=setup.loaded is not self._all and self.other_data is None,
            translations=self._translated(task.context, step),
        )

    def _counted(self, log_prob: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probability (B,) of events from that of each element, and the elements (B,) that count."""
        counted = None if self.source.intractable else self.source.counted(x)
        if counted is None:
            return log_prob.sum(1), torch.full((len(x),), x.shape[1])
        return log_prob.where(counted.cpu(), 0.0).sum(1), counted.sum(1).cpu()

    def _translated(self, context: Context, step: int) -> Likeliest | None:
        """Return the likeliest translations of the conditioning, so many rows at once; None for other events."""
        source, n = self.source, self.case.n
        if not isinstance(getattr(source, "events", source), TranslationSource):
            return None
        events, log_probs = [], []
        for begin in range(0, self.case.batch, step):
            part = {name: value[begin : begin + step] for name, value in context.items()}
            x = likeliest(source, part, n)
            events.append(x)
            params = source(x, source.encode(part, n))
            log_probs.append(source.distribution.log_prob(params, x).double().cpu())
        found = torch.cat(events)
        return Likeliest(found, *self._counted(torch.cat(log_probs), found))


def trained_on(spec: str) -> str | None:
    """Return the name of the data that a model's weights were trained on, where ``load_data`` takes it; else None.

    Raises:
        ModelError: there is no such model.
    """
    trained = resolve(spec).trained
    return trained.said.data.name if trained is not None and trained.said.data.name in NAMED else None


def chosen(source: Source, name: str, spec: str | None, asked: Sequence[Wanted] | None) -> Wanted:
    """Return the method that a user names, or the fastest exact one. Raises PlanError if the model has no such."""
    have = {one.method.name: one for one in fitting(source, asked, ["sample"])}
    if asked is None:
        return next(have[one] for one in FASTEST if one in have)
    if have:
        return next(iter(have.values()))
    why = next(iter(why_not(source, asked).values()), None)
    others = ", ".join(one.method.name for one in fitting(source, None, ["sample"]))
    raise PlanError(f"{name} does not sample by '{spec}'{f', which {why}' if why else ''}; it samples by {others}")


def _rows(task: Task, outcome: Outcome, rows: slice) -> tuple[Task, Outcome]:
    """Return some rows of a task and of its outcome."""

    def cut(value: Any) -> Any:
        return value[rows] if isinstance(value, Tensor) else value

    context = {name: value[rows] for name, value in task.context.items()}
    part = replace(task, context=context, noise=cut(task.noise), chance=cut(task.chance))
    fields = {name: cut(getattr(outcome, name)) for name in ("x", "f", "params", "log_prob")}
    return part, replace(outcome, **fields)
