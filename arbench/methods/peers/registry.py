"""Peers by what a user types: the name or the file of an adapter, and the folder of a checkout."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from arbench.border.suggest import did_you_mean
from arbench.files import require_regular
from arbench.methods.base import Method
from arbench.methods.peers.peer import Peer, PeerError
from arbench.methods.registry import names
from arbench.own import beside
from arbench.own.raised import one_line

SHIPPED = Path(__file__).parents[3] / "benchmarks" / "peers"
"""Adapters of a checkout of arbench; an installed arbench has none."""


PLACE = "peer:"
"""Beginning of the place of a peer among methods."""


def shipped() -> dict[str, Path]:
    """Return the files of the adapters in a checkout of arbench, by name."""
    files = sorted(SHIPPED.glob("*.py")) if SHIPPED.is_dir() else []
    return {file.stem.replace("_", "-"): file for file in files}


def split_peer(spec: str) -> tuple[str, str]:
    """Split NAME=PATH or path/to/adapter.py=PATH. Raises PeerError."""
    name, equals, path = spec.partition("=")
    if not (name and equals and path):
        raise PeerError(f"expected NAME=PATH, the name of a peer and a checkout of its repository, got '{spec}'")
    return name, path


def adapter_of(spec: str) -> Path:
    """Return the file of a peer's adapter, and run no code of it. Raises PeerError."""
    name, _ = split_peer(spec)
    known = shipped()
    if name in known:
        return known[name]
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise PeerError(f"peer '{spec}': no file {name}")
        return Path(name)
    if not known:
        raise PeerError(
            f"peer '{name}': adapters are in a checkout of arbench; name the file, benchmarks/peers/{name}.py=PATH"
        )
    raise PeerError(f"unknown peer '{name}'; {did_you_mean(name, known)}")


@cache
def resolve(spec: str) -> Method:
    """Find a peer by NAME=PATH, and import it from its checkout; the same text gives the same method.

    Raises:
        PeerError: there is no such adapter, or it is unusable; or there is no such checkout, or it cannot be imported.
    """
    return peer_of(spec).method(Path(split_peer(spec)[1]))


def peer_of(spec: str) -> Peer:
    """Import the adapter of a peer. Raises PeerError."""
    file = adapter_of(spec)
    try:
        require_regular(file)
        with beside.returning():
            found = getattr(beside.import_file(file), "PEER", None)
    except (Exception, SystemExit) as error:  # an adapter of the user's may raise anything while it is imported
        raise PeerError(f"peer '{spec}': importing {file} failed: {one_line(error)}") from error
    if not isinstance(found, Peer):
        raise PeerError(f"peer '{spec}': {file} has no PEER; set PEER = arbench.methods.peers.Peer(...)")
    if found.name in names():
        raise PeerError(f"peer '{spec}': arbench has a method '{found.name}'; give the peer another name")
    return found


def place_of_peer(spec: str) -> str:
    """Return the place of a peer among methods, from NAME=PATH."""
    return f"{PLACE}{spec}"


def peer_spec(place: str | None) -> str | None:
    """Return NAME=PATH of a peer from the place of a method; None for another method."""
    return place.removeprefix(PLACE) if place is not None and place.startswith(PLACE) else None


def peer_at(place: str | None) -> Method | None:
    """Return the method of a peer from the place of a method; None for another method. Raises PeerError."""
    spec = peer_spec(place)
    return None if spec is None else resolve(spec)
