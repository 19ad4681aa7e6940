"""Memory that a case needs at least, as far as it is known before measuring, and the refusal of what cannot fit."""

from __future__ import annotations

from collections.abc import Collection

from arbench.bench.dtypes import DTYPES
from arbench.bench.options import Options, PlanError
from arbench.meters import available_bytes
from arbench.models import Chosen, Source

FLOAT = 4
"""Bytes of a float32, in which weights are made on the host."""
DOUBLE = 8
"""Bytes of a float64, and of an int64."""
UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")


def needed_bytes(
    source: Source, ops: Collection[str], batch: int, n: int, options: Options, device: str = "cpu"
) -> int:
    """Return a lower bound of the memory that verifying a case takes on a device.

    Verification holds the weights and the parameters of all elements both in the measured dtype and in float64, beside
    the elements and, for sampling, their noise. The noise is made in float64 on the host. What the network takes on top
    is not known before it runs.

    Args:
        source: the model.
        ops: operations of the case: 'score', 'sample' or both.
        batch: number of events B.
        n: number of elements N.
        options: the measured dtype and device.
        device: the device to count on: the measured one, or 'cpu' for the host.
    """
    law, size = source.distribution, DTYPES[options.dtype].itemsize
    elements = batch * n
    noise = getattr(law, "noise_width", 1) if "sample" in ops else 0
    made = elements * noise * DOUBLE if device == "cpu" else 0
    if device != options.device:
        return made
    weights = sum(p.numel() for p in source.parameters()) * (size + DOUBLE)
    element = DOUBLE if law.finite else size
    return weights + max(made, elements * (element + getattr(law, "params_width", 1) * (size + DOUBLE) + noise * size))


def check_room(chosen: Chosen, batch: int, n: int, options: Options) -> None:
    """Refuse a model whose weights and state cannot fit into the memory that is available now, before it is built.

    Args:
        chosen: the model.
        batch: number of events B.
        n: number of elements N.
        options: the measured dtype and device.

    Raises:
        PlanError: it needs more; the message states both figures, and what to do.
    """
    known = chosen.cls.numbers(chosen.config, n)
    if known is None:
        return
    weights, state = known
    both = DTYPES[options.dtype].itemsize + DOUBLE  # verification holds all of it in float64 too
    needs = {"cpu": weights * FLOAT} | {options.device: (weights + batch * state) * both}
    for device, needed in needs.items():
        left = available_bytes(device)
        if needed > left:
            where = "the host" if device == "cpu" else device
            raise PlanError(
                f"model '{chosen.name}:{chosen.preset}' has {weights:,} weights and {state:,} numbers of state an "
                f"event at N = {n:,}: with batch {batch} it needs at least {in_units(needed)} of memory, and {where} "
                f"has {in_units(left)} available; choose fewer layers, a smaller --batch or --n, or a larger machine"
            )


def check_memory(title: str, source: Source, ops: Collection[str], batch: int, n: int, options: Options) -> None:
    """Refuse a case that cannot fit into the memory that is available now.

    Args:
        title: name of the model.
        source: the model.
        ops: operations that the case has.
        batch: number of events B.
        n: number of elements N.
        options: the measured dtype and device.

    Raises:
        PlanError: it needs more; the message states both figures.
    """
    held = sum(p.numel() * p.element_size() for p in source.parameters() if p.device.type == "cpu")
    for device in dict.fromkeys(("cpu", options.device)):
        needed, left = needed_bytes(source, ops, batch, n, options, device), available_bytes(device)
        left += held if device == "cpu" else 0  # the model is already there
        if needed > left:
            where = "the host" if device == "cpu" else device
            raise PlanError(
                f"{title} with batch {batch} and N = {n} needs at least {in_units(needed)} of memory, and {where} has "
                f"{in_units(left)} available; choose a smaller --batch or --n"
            )


def in_units(count: int) -> str:
    """Return a number of bytes in decimal units, with three digits."""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.3g} {UNITS[unit]}"
