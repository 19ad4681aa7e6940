"""Peers of a run: other people's implementations, as methods of the models that they can be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from arbench.bench.models.wanted import Wanted
from arbench.bench.options import Options, PlanError
from arbench.methods import Method
from arbench.methods.peers import PeerError, adapter_of, resolve
from arbench.models import Source
from arbench.own.raised import one_line

PLACE = "peer:"
"""Beginning of the ``method_spec`` of a peer's case."""


def check_peers(options: Options) -> None:
    """Check what can be said of the peers without running code of theirs. Raises PlanError."""
    if options.peers and options.ops and "sample" not in options.ops:
        raise PlanError("--peer needs sampling; add --op sample")
    for spec in options.peers:
        try:
            adapter_of(spec)
        except PeerError as error:
            raise PlanError(str(error)) from None


def wanted_peer(spec: str) -> Wanted:
    """Return the method of a peer; this imports the peer. Raises PlanError."""
    try:
        return Wanted(resolve(spec), f"{PLACE}{spec}")
    except PeerError as error:
        raise PlanError(str(error)) from None


def peer_spec(place: str | None) -> str | None:
    """Return NAME=PATH of a peer from a case's ``method_spec``; None for another method."""
    return place.removeprefix(PLACE) if place is not None and place.startswith(PLACE) else None


def peer_of(place: str | None) -> Method | None:
    """Return the method of a peer from a case's ``method_spec``; None for another method. Raises PeerError."""
    spec = peer_spec(place)
    return None if spec is None else resolve(spec)


def fitting_peers(source: Source, name: str, peers: Sequence[Wanted]) -> Iterator[Wanted]:
    """Yield the peers of a model.

    Args:
        source: the model.
        name: what the user calls it, for messages.
        peers: the peers of the run.

    Raises:
        PlanError: a peer of this kind of model cannot be this one.
    """
    for one in peers:
        method = one.method
        if method.lacks(type(source)) is not None:
            continue
        try:
            why = method.lacks(source)
        except Exception as error:  # an adapter of the user's may raise anything
            raise PlanError(f"peer '{method.name}': its lacks fails: {one_line(error)}") from error
        if why is not None:
            raise PlanError(f"peer '{method.name}' cannot be {name}: it {why}")
        yield one


def check_used(peers: Sequence[Wanted], used: set[str], kinds: Sequence[type[Source]]) -> None:
    """Check that each peer is a method of some model.

    Args:
        peers: the peers of the run.
        used: names of the methods of its cases.
        kinds: classes of its models.

    Raises:
        PlanError: a peer is of another kind than all of them.
    """
    for one in peers:
        if one.method.name not in used:
            why = next((why for kind in kinds if (why := one.method.lacks(kind)) is not None), "can only sample")
            raise PlanError(f"peer '{one.method.name}' {why}, and no model of this run is; choose another with --model")
