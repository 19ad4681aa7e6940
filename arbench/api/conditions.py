"""The conditions of a stream: its model, conditioning and first elements, all checked."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from arbench.bench.dtypes import DTYPES, by_name
from arbench.bench.models.setup import moved
from arbench.bench.options import MOST_EVENTS, PlanError, check_backend, check_between, check_device
from arbench.data import DataError
from arbench.models import Context, ModelError, Source, WeightsError, resolve
from arbench.models.registry import of_class

Model: TypeAlias = "str | type[Source] | Source"
"""A model as a user names, passes or builds it."""


@dataclass(frozen=True)
class Conditions:
    """A model and the conditioning of the events to draw.

    Args:
        source: the model.
        name: what messages call it.
        n: number of elements of an event, N.
        batch: number of events, B.
        context: conditioning, on the model's device.
        dtype: dtype of the weights.
        device: device of the weights.
        own: whether the conditioning is the model's own, from its data.
    """

    source: Source
    name: str
    n: int
    batch: int
    context: Context
    dtype: torch.dtype
    device: torch.device
    own: bool


def prepared(
    model: Model,
    built: Mapping[str, Any],
    *,
    n: int | None,
    batch: int,
    context: Context | None,
    given: Any,
    seed: int,
) -> tuple[Conditions, Tensor | None]:
    """Check the arguments of ``arbench.stream``, and build its model.

    Args:
        model: see ``stream``.
        built: the arguments that a model is built with, by name.
        n: see ``stream``.
        batch: see ``stream``.
        context: see ``stream``.
        given: see ``stream``.
        seed: see ``stream``.

    Returns:
        the model and the conditioning, and the given elements (B, M) or None.

    Raises:
        PlanError: an argument is wrong.
    """
    batch = at_least_one("batch", batch)
    n = None if n is None else at_least_one("n", n)
    if not 0 <= _whole("seed", seed) < 2**63:
        raise PlanError(f"seed must be between 0 and 2^63 - 1, got {seed}")
    source, name, data = _model(model, built, seed)
    if source.feeds == "layers":
        raise PlanError(f"{name} inverts whole layers, so it does not stream; use arbench.sample")
    if source.feeds != "x":
        raise PlanError(f"{name} draws all elements in one pass, so it does not stream; use its method 'parallel'")
    first = next((p for p in source.parameters() if p.is_floating_point()), torch.empty(0))
    dtype, device = first.dtype, first.device
    n = _length(source, name, n, context, data)
    own = context is None
    try:
        source.schedule(n)
        prompt = None if given is None else _prompt(source, given, batch, n, dtype).to(device)
        if context is None:
            context = source.observe(n, range(batch), seed, data)[1]
    except (ValueError, DataError) as error:
        raise PlanError(f"{name}: {error}") from None
    if not own:
        _check_context(source, name, context, batch)
    context = {key: moved(value, device, dtype) for key, value in context.items()}
    return Conditions(source, name, n, batch, context, dtype, device, own), prompt


def at_least_one(name: str, value: Any) -> int:
    """Return an argument that counts something. Raises PlanError if it does not."""
    value = _whole(name, value)
    check_between(name, value, 1, MOST_EVENTS)
    return value


def text(name: str, value: Any, example: str) -> str:
    """Return an argument that is a name. Raises PlanError if it is not."""
    if not isinstance(value, str):
        raise PlanError(f"{name} must be a name, as in {name}='{example}', got {value!r:.40}")
    return value


def _whole(name: str, value: Any) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise PlanError(f"{name} must be an integer, got {value!r:.40}") from None


def _model(model: Model, built: Mapping[str, Any], seed: int) -> tuple[Source, str, Any]:
    """Return a model, what messages call it, and the user's data. Raises PlanError."""
    if isinstance(model, Source):
        name = type(model).__name__
        if more := [key for key, value in built.items() if value is not None]:
            raise PlanError(f"{name} is built already; leave out {more[0]}, or pass the model's name")
        _check_weights(model, name)
        return model, name, None
    dtype, device, backend = (
        default if built[key] is None else text(key, by_name(built[key]), default) for key, default in _BUILT.items()
    )
    check_device(device, dtype)
    check_backend(backend, device)
    try:
        chosen = resolve(model) if isinstance(model, str) else of_class(model)
        data = None if built["data"] is None else _path("data", built["data"])
        loaded = None if data is None else chosen.cls.load_data(os.fspath(built["data"]), chosen.config)
        weights = None if built["weights"] is None else _path("weights", built["weights"])
        source = chosen.build(seed, DTYPES[dtype], device, weights, backend)
    except (ModelError, WeightsError, DataError, NotImplementedError) as error:
        raise PlanError(str(error)) from None
    return source, f"{chosen.name}:{chosen.preset}", loaded


def _path(name: str, value: Any) -> Path:
    try:
        return Path(os.fspath(value))
    except TypeError:
        raise PlanError(f"{name} must be the path of a file, got {type(value).__name__}") from None


_BUILT = {"dtype": "float32", "device": "cpu", "backend": "eager"}


def _check_weights(source: Source, name: str) -> None:
    for key, tensor in source.named_parameters():
        if tensor.isnan().any():
            raise PlanError(f"{name}: weight '{key}' has NaN; give weights that are numbers")


def _length(source: Source, name: str, n: int | None, context: Context | None, data: Any) -> int:
    """Return the number of elements to draw. Raises PlanError if nothing says it, or the conditioning is too short."""
    try:
        most = None if context is None else source.covers(context)
    except (KeyError, IndexError, AttributeError, TypeError):
        most = None  # the context lacks an entry, which is refused afterwards
    if n is None:
        n = source.longest(data) if most is None else most
        if n is None:
            raise PlanError(f"{name}: nothing says how long an event is; give n, the number of elements")
    if most is not None and n > most:
        raise PlanError(f"{name}: the context is long enough for {most:,} elements, n is {n:,}; give a longer context")
    return n


def _check_context(source: Source, name: str, context: Any, batch: int) -> None:
    """Raise PlanError unless conditioning has the entries, axes and alphabets of the model's own."""
    if not isinstance(context, Mapping):
        raise PlanError(f"{name}: context is {type(context).__name__}; give a dictionary of tensors")
    wanted = source.observe(min(source.count_ladder), range(1), 0)[1]  # short, since this only shows what there is
    if context.keys() != wanted.keys():
        names = ", ".join(f"'{key}'" for key in wanted) or "nothing"
        raise PlanError(f"{name}: context must have {names}, got {', '.join(map(repr, context)) or 'nothing'}")
    for key, like in wanted.items():
        value = context[key]
        if not isinstance(value, Tensor) or value.dim() != like.dim():
            what = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise PlanError(f"{name}: context '{key}' is {what}; give a tensor of {like.dim()} axes (B, ...)")
        if len(value) != batch:
            raise PlanError(f"{name}: context '{key}' is for {len(value)} events, batch is {batch}; make them equal")
        if value.is_floating_point() != like.is_floating_point():
            raise PlanError(f"{name}: context '{key}' is of {value.dtype}; give {like.dtype}")
        if value.is_floating_point():
            if not value.isfinite().all():
                raise PlanError(f"{name}: context '{key}' is not finite; give numbers")
        elif value.numel() and not 0 <= int(value.min()) <= int(value.max()) < source.alphabets[key]:
            raise PlanError(
                f"{name}: context '{key}' is from {int(value.min())} to {int(value.max())}; "
                f"give values from 0 to {source.alphabets[key] - 1}"
            )


def _prompt(source: Source, given: Any, batch: int, n: int, dtype: torch.dtype) -> Tensor:
    """Return given elements (B, M). Raises PlanError unless they can begin an event."""
    law = source.distribution
    try:
        x = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError):
        raise PlanError(f"given is {type(given).__name__}; give elements (M,) or ({batch}, M)") from None
    if x.dim() == 1:
        x = x.expand(batch, -1)
    if x.dim() != 2 or len(x) != batch:
        raise PlanError(f"given has the shape {tuple(x.shape)}; give elements (M,) or ({batch}, M)")
    m = x.shape[1]
    if m > n:
        raise PlanError(f"given has {m:,} elements, and the event only {n:,}; give fewer, or a larger n")
    if m not in source.schedule(n):
        raise PlanError(f"given has {m:,} elements; give as many as complete a group that is drawn at once")
    if not law.finite:
        if not x.is_floating_point() or not x.isfinite().all():
            raise PlanError("given must be finite real numbers, as the model draws them")
        return x.to(dtype)
    if x.is_floating_point() or x.is_complex() or x.dtype == torch.bool:
        raise PlanError(f"given is of {x.dtype}; give elements as the model draws them, which are integers")
    levels = getattr(law, "levels", MOST_EVENTS)
    if x.numel() and not 0 <= int(x.min()) <= int(x.max()) < levels:
        raise PlanError(f"given is from {int(x.min())} to {int(x.max())}; the model draws 0 to {levels - 1}")
    return x.long()
