"""Methods that a run asks for, and those of them that a model has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from arbench.bench.options import Options, PlanError
from arbench.border.naming import method_name, method_spec, split_method
from arbench.methods import (
    METHODS,
    Method,
    MethodError,
    NoMethodError,
    is_plain,
    lacking,
    methods_for,
    place_of,
    resolve,
)
from arbench.methods.peers import PeerError, adapter_of, place_of_peer
from arbench.methods.peers import resolve as resolve_peer
from arbench.models import Claim, Source
from arbench.own.raised import one_line
from arbench.stats.claims import parse


@dataclass(frozen=True)
class Wanted:
    """A method of a run.

    Args:
        method: the method.
        spec: its place for ``arbench.methods.resolve``, with its settings; None if its name is enough.
        own: whether it is one of some models' own, which others have not.
    """

    method: Method
    spec: str | None = None
    own: bool = False

    @property
    def unlisted(self) -> bool:
        """True unless a model has it without being asked: it is from outside, or has settings."""
        return self.method not in METHODS


def check_name(spec: str, may_own: bool = False) -> None:
    """Check what can be said of a method without running code of the user.

    Args:
        spec: what the user calls it.
        may_own: whether models of the run may have methods of their own, of names that are not known yet.

    Raises:
        PlanError: there is no such method, or it cannot be used.
    """
    if may_own and is_plain(spec):
        return
    try:
        found = resolve(spec) if place_of(spec) is None else []
    except MethodError as error:
        raise _refusal(error) from None
    for one in found:
        if (why := one.unable()) is not None:
            raise PlanError(f"method '{spec}' {why}")


def wanted(spec: str, kinds: Iterable[type[Source]] = ()) -> list[Wanted]:
    """Return the methods of a name or place; this imports code of the user. Raises PlanError.

    Args:
        spec: what the user calls them.
        kinds: classes of models whose own methods are meant too.
    """
    try:
        found, name = resolve(spec, kinds), method_name(spec)
    except MethodError as error:
        raise _refusal(error) from None
    place = None if method_spec(spec) == name else method_spec(spec)
    return [Wanted(method, place, is_plain(spec)) for method in found]


def _refusal(error: MethodError) -> PlanError:
    return PlanError(str(error), absent=isinstance(error, NoMethodError))


def fitting(source: Source, asked: Sequence[Wanted] | None, ops: Sequence[str]) -> list[Wanted]:
    """Return the methods of a model among those asked for, the listed ones first, in the order of the tables.

    Args:
        source: the model.
        asked: the methods; None for all that the model has.
        ops: operations; all if empty.
    """
    have = [Wanted(method) for method in methods_for(source) if asked is not None or not method.on_request]
    if asked is not None:
        known = {(one.method.op, one.method.name) for one in asked}
        have = [one for one in have if (one.method.op, one.method.name) in known]
        present = {(one.method.op, one.method.name) for one in have}
        more = {(one.method.name, one.method.op, one.spec): one for one in asked if one.unlisted and runs(one, source)}
        have += [one for one in more.values() if (one.method.op, one.method.name) not in present]
    return [one for one in have if not ops or one.method.op in ops]


def runs(one: Wanted, source: Source) -> bool:
    """Return whether a method can run a model."""
    if one.own and split_method(one.method.name)[0] not in {method.name for method in source.own_methods()}:
        return False
    return one.method.feeds == source.feeds and _lacks(one.method, source) is None


def why_not(source: Source, asked: Iterable[Wanted]) -> Mapping[str, str]:
    """Return what keeps methods from running a model, by their names."""
    found = {method.name: why for method, why in lacking(source).items()}
    known, said = list(asked), {}
    for one in known:
        name, feeds = one.method.name, {other.method.feeds for other in known if other.method.name == one.method.name}
        if one.unlisted and source.feeds not in feeds:
            reads = {"x": "events", "z": "noise", "layers": "both, layer by layer"}
            said[name] = f"runs models that read {reads[one.method.feeds]}, and this one reads {reads[source.feeds]}"
        elif one.unlisted and one.method.feeds == source.feeds and (why := _lacks(one.method, source)) is not None:
            said[name] = why
        elif name in found:
            said[name] = found[name]
    return said


def _lacks(method: Method, source: Source) -> str | None:
    """Return what keeps a method from running a model. Raises PlanError if code of the user fails to say."""
    try:
        return method.lacks(source)
    except Exception as error:  # code of the user may raise anything
        if not method.outside:
            raise
        raise PlanError(f"method '{method.name}': its lacks fails: {one_line(error)}") from error


def claim_of(source: Source | type[Source], method: Method) -> Claim | None:
    """Return what is claimed of a method's growth: by the model, or by the method itself.

    A model claims it of the name without settings, or of a method with the same operations.

    Raises:
        ValueError: the method claims an unknown growth.
    """
    names = method.name.partition(",")[0], method.like
    claim = next((source.claims[method.op, name] for name in names if (method.op, name) in source.claims), None)
    if claim is not None or method.claim is None:
        return claim
    for stated in (method.claim.depth, method.claim.work):
        parse(stated)
    return method.claim


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
        return Wanted(resolve_peer(spec), place_of_peer(spec))
    except PeerError as error:
        raise PlanError(str(error)) from None


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
        if one.method.lacks(type(source)) is not None:
            continue
        why = _lacks(one.method, source)
        if why is not None:
            raise PlanError(f"peer '{one.method.name}' cannot be {name}: it {why}")
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
