"""Plans: the list of cases that a user's options mean, with every error found before any work."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from arbench.bench.case import CaseKey
from arbench.bench.dtypes import DTYPES
from arbench.bench.job import Step as Step
from arbench.bench.memory import check_memory, check_room
from arbench.bench.models.contract import ContractError, check_class, check_observed
from arbench.bench.models.few import SMALLEST, Few, Shape, at_length
from arbench.bench.models.formulas import check_formulas
from arbench.bench.models.needed import needed
from arbench.bench.models.wanted import (
    Wanted,
    check_name,
    check_peers,
    check_used,
    claim_of,
    fitting,
    fitting_peers,
    wanted,
    wanted_peer,
    why_not,
)
from arbench.bench.options import Measuring as Measuring
from arbench.bench.options import Options as Options
from arbench.bench.options import PlanError as PlanError
from arbench.bench.options import check_backend, check_numbers, check_texts
from arbench.bench.options import check_device as check_device
from arbench.bench.options import recorded_options as recorded_options
from arbench.bench.suite import EACH, Entry, entries, load
from arbench.border.suggest import did_you_mean
from arbench.data import DataError
from arbench.methods import METHODS, is_plain, methods_for, place_of
from arbench.models import (
    FAMILIES,
    Chosen,
    ModelError,
    NoModelError,
    Source,
    WeightsError,
    may_own_methods,
    resolve,
)
from arbench.models.events.translation import TranslationSource
from arbench.own.raised import one_line
from arbench.results import Decoded, Model, Trained
from arbench.stats.claims import parse


@dataclass(frozen=True)
class Plan:
    """The options and cases of a run.

    Args:
        options: the options.
        cases: the cases of one worker stand together, and among them those that differ only in N.
        models: facts about each model, in the order of the taxonomy.
        needed: cases that verdicts need beside these: counted, but neither timed nor shown.
        lacking: what keeps methods that were asked for from running a model, by their names.
    """

    options: Measuring
    cases: list[CaseKey] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    needed: list[CaseKey] = field(default_factory=list)
    lacking: dict[str, str] = field(default_factory=dict, compare=False)

    def by_worker(self) -> list[list[CaseKey]]:
        """Return the cases that each worker measures, in order."""
        groups: dict[tuple[str, str, str], list[CaseKey]] = {}
        for case in self.cases:
            groups.setdefault(case.worker_key, []).append(case)
        return list(groups.values())


def make_plan(options: Options, gone: list[str] | None = None) -> Plan:
    """Check the options against the models, and list the cases.

    This runs code of the models in this process, without a time limit; ``workers.planning.planned`` runs it in another.

    Args:
        options: the options.
        gone: receives one line for each model that does not exist, which is then left out; without this list such a
            model is an error.

    Raises:
        PlanError: an option is wrong; nothing was measured or written.
    """
    steps = planning(options, gone)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            plan: Plan = end.value
            return plan


def checked(options: Options) -> tuple[Options, list[Entry]]:
    """Check everything that needs no model; return the options with the suite's full name, and the models of the run.

    Raises:
        PlanError: an option is wrong.
    """
    if options.suite is not None:
        options = replace(options, suite=load(options.suite).name)
    check_texts(options)
    check_numbers(options)
    check_device(options.device, options.dtype)
    check_backend(options.backend, options.device)
    check_peers(options)
    named = entries(options)
    own = any(may_own_methods(entry.model) for entry in named)
    found = [_checked(entry, own) for entry in named]
    if not found:
        raise PlanError("no model to measure; add --model NAME")
    if options.weights is not None and len({entry.model for entry in found}) > 1:
        raise PlanError("--weights is for one model; run the others separately")
    return options, list(dict.fromkeys(found))


def planning(options: Options, gone: list[str] | None = None, few: Few | None = None) -> Generator[Step, None, Plan]:
    """Make a plan as ``make_plan`` does; yield each step that runs code of the user, before it begins.

    Args:
        options: as for ``make_plan``.
        gone: as for ``make_plan``.
        few: chooses few cases that show most; by default there are all that the options mean.
    """
    options, found = checked(options)
    methods: dict[str, list[Wanted]] = {}
    named = list(dict.fromkeys(name for entry in found for name in entry.methods))
    classes: list[type[Source]] = []
    if any(map(is_plain, named)):
        for entry in found:
            yield Step(entry.model, "imported")
            with suppress(_GoneError):
                classes.append(_chosen(entry.model).cls)
    for name in named:
        if not is_plain(name) and place_of(name) is not None:
            yield Step(name, "imported", "method")
        methods[name] = wanted(name, classes)
    peers: list[Wanted] = []
    for spec in options.peers:
        yield Step(spec, "imported", "peer")
        peers.append(wanted_peer(spec))
    kinds: list[type[Source]] = []
    models: dict[tuple[str, str], Model] = {}
    unique: dict[str, CaseKey] = {}
    extra: dict[str, CaseKey] = {}
    lacking: dict[str, str] = {}
    for entry in found:
        yield Step(entry.model, "imported")
        try:
            chosen = _chosen(entry.model)
        except _GoneError as error:
            if gone is None:
                raise
            gone.append(str(error))
            continue
        _check_family(chosen)
        with _explaining(chosen):
            yield Step(entry.model, "built")
            check_room(chosen, max(entry.batch or (1,)), max(entry.n or (1,)), options)
            source = _built(chosen, options)
            yield Step(entry.model, "planned")
            asked = [one for name in entry.methods for one in methods[name]] if entry.methods else None
            lacking |= _lacking(source, asked or (), options)
            cases = _cases_of(chosen, source, entry, options, asked, peers, few)
            models[chosen.name, chosen.preset] = _model(chosen, source)
            kinds.append(type(source))
            extra |= {case.id: case for case in (() if few else needed(source, cases))}
            for case in cases:
                known = unique.setdefault(case.id, case)
                if case.spec != known.spec:
                    raise PlanError(
                        f"'{case.spec}' and '{known.spec}' are both called {case.model}:{case.preset}; rename one"
                    )
                if case.method_spec != known.method_spec:
                    raise PlanError(
                        f"'{case.method_spec}' and '{known.method_spec}' are both called {case.method}; rename one"
                    )
    if not unique and not gone:
        raise PlanError("no model of the suite has the methods requested; change --method or --op")
    check_used(peers, {case.method for case in unique.values()}, kinds)
    rank = list(FAMILIES.values())
    ranked = sorted(models.values(), key=lambda one: rank.index(one.family) if one.family else len(rank))
    counted = {case.key for case in unique.values()}
    more = [case for case in extra.values() if case.key not in counted]
    return Plan(options, _together(unique.values()), ranked, _together(more), lacking)


def _checked(entry: Entry, own: bool) -> Entry:
    """Return the entry with tuples in place of lists. Raises PlanError for an unknown method or op."""
    for name in entry.methods:
        check_name(name, own)
    for op in entry.ops:
        if op not in ("score", "sample"):
            raise PlanError(f"unknown op '{op}'; {did_you_mean(op, ('score', 'sample'))}")
    return Entry(entry.model, *(tuple(getattr(entry, name)) for name in EACH))


class _GoneError(PlanError):
    """Refusal of a model, preset or method that does not exist; gates of earlier versions know its name."""

    absent = True


def _chosen(spec: str) -> Chosen:
    try:
        return resolve(spec)
    except NoModelError as error:
        raise _GoneError(str(error)) from None
    except ModelError as error:
        raise PlanError(str(error)) from None


def _check_family(chosen: Chosen) -> None:
    family = chosen.cls.family
    if family and family not in FAMILIES:
        raise PlanError(f"model '{chosen.spec}': unknown family '{family}'; {did_you_mean(family, FAMILIES)}")


def _per_symbol(source: Source) -> int:
    """Return the elements of an event for each symbol of the translation in it; 1 for other events."""
    events = getattr(source, "events", source)
    return 64 // events.lengths(64)[1] if isinstance(events, TranslationSource) else 1


def _model(chosen: Chosen, source: Source) -> Model:
    cls, trained = chosen.cls, None
    if chosen.trained is not None and (quality := chosen.trained.said.quality) is not None:
        said = chosen.trained.said
        draft = chosen.trained_draft() if source.draft is not None else None
        trained = Trained(
            said.data.name,
            quality.bits,
            quality.unit,
            quality.held_out,
            said.seed,
            said.steps,
            chosen.trained.sha256,
            draft.sha256 if draft is not None else None,
            said.data.sha256,
            said.teacher,
            quality.elements,
            [Decoded(one.decoding, one.pairs, one.equal) for one in quality.translations],
            _per_symbol(source),
        )
    family = FAMILIES.get(cls.family, "")
    return Model(
        chosen.name,
        chosen.preset,
        family,
        cls.element,
        cls.citation,
        source.remark,
        trained,
        cls.brings_weights,
    )


def _together(cases: Iterable[CaseKey]) -> list[CaseKey]:
    """Sort cases so that those of one worker, and those that differ only in N, stand together as they first appear."""
    first: dict[Any, int] = {}
    known = list(cases)
    for number, case in enumerate(known):
        first.setdefault(case.worker_key, number)
        first.setdefault(case.key, number)
    return sorted(known, key=lambda case: (first[case.worker_key], first[case.key], case.n))


@contextmanager
def _explaining(chosen: Chosen) -> Iterator[None]:
    """Turn an exception of a user's model into one line; one of arbench's own models passes through."""
    try:
        yield
    except PlanError:
        raise
    except ContractError as error:
        raise PlanError(f"model '{chosen.spec}': {error}") from None
    except (Exception, SystemExit) as error:  # a user's code may end the process, too
        if chosen.cls.__module__.startswith("arbench."):
            raise
        raise PlanError(f"model '{chosen.spec}': {one_line(error)}") from error


def _built(chosen: Chosen, options: Options) -> Source:
    """Build a model. Raises PlanError if it cannot be built, or claims something of a method that does not exist."""
    try:
        weights = Path(options.weights) if options.weights else None
        source = chosen.build(options.seed, DTYPES[options.dtype], "cpu", weights)
    except (ModelError, WeightsError) as error:
        raise PlanError(str(error)) from None
    check_claims(chosen.spec, source)
    return source


def check_claims(spec: str, source: Source) -> None:
    """Raise PlanError if a model claims something of a method that does not exist."""
    methods = {(method.op, method.name) for method in (*METHODS, *source.own_methods())}
    for key in source.claims:
        if key in methods:
            continue
        op, name = key if isinstance(key, tuple) and len(key) == 2 else (None, key)
        ops = list(dict.fromkeys(known for known, _ in methods))
        if op in ops:
            hint = did_you_mean(str(name), sorted(known for kind, known in methods if kind == op))
        elif op is not None:
            hint = did_you_mean(str(op), sorted(ops))
        else:
            hint = "a key is an op and a method, such as ('sample', 'cached')"
        raise PlanError(f"model '{spec}': `claims` names {key!r}, which is no method; {hint}")


def _cases_of(
    chosen: Chosen,
    source: Source,
    entry: Entry,
    options: Options,
    asked: list[Wanted] | None,
    peers: list[Wanted],
    few: Few | None,
) -> list[CaseKey]:
    check_class(source)
    methods = _methods(chosen, source, entry, options, asked)
    if few is not None and asked is None:
        methods = few.without_native(methods)
    if "sample" in (entry.ops or ("sample",)):
        methods += fitting_peers(source, f"{chosen.name}:{chosen.preset}", peers)
    if few is None:
        sizes, batches = list(dict.fromkeys(entry.n or source.ladder)), list(dict.fromkeys(entry.batch or (1,)))
        shapes = [Shape(n, batch, options.dtype) for batch in batches for n in sorted(sizes)]
    else:
        named = entry.n if options.n or options.suite is None else sorted(entry.n)[:SMALLEST]
        shapes = few.shapes(source, named, entry.batch, lambda n: _takes(chosen, source, n, options))
        sizes = [shape.n for shape in shapes]
    ops = {one.method.op for one in methods}
    if shapes and ops:
        whole = [shape for shape in shapes if not shape.only]  # that memory holds the others is known
        most, largest = max(shape.batch for shape in whole), max(shape.n for shape in whole)
        check_memory(f"{chosen.name}:{chosen.preset}", source, ops, most, largest, options)
    for n in sizes:
        try:
            source.schedule(n)
        except ValueError as error:
            raise PlanError(f"{chosen.name}:{chosen.preset}: {error}") from None
    _check_data(chosen, source, max(sizes), options)
    found = []
    pairs = [(one, shape) for one in methods for shape in shapes if not shape.only or one.method.name in shape.only]
    for one, shape in pairs if few is None else [*pairs, *at_length(source, methods, shapes)]:
        case = _case(chosen, source, one, shape.batch, shape.n, replace(options, dtype=shape.dtype))
        found.append(case)
        if few is not None and shape.spare:
            few.spare.append(case.id)
    return found


def _takes(chosen: Chosen, source: Source, n: int, options: Options) -> bool:
    """Return whether a model has events of a size that nobody asked for, and whether memory holds them."""
    try:
        source.schedule(n)
        check_memory(chosen.name, source, ("score",), 1, n, options)
        _check_data(chosen, source, n, options)
    except Exception:  # a model may raise anything; at a size that it must have, that is reported
        return False
    return True


def _methods(
    chosen: Chosen, source: Source, entry: Entry, options: Options, asked: list[Wanted] | None
) -> list[Wanted]:
    """Return the requested methods that a model has.

    A model of a suite may have none of them if the command line requests them for all models.
    """
    found, kind = fitting(source, asked, entry.ops), options.device.partition(":")[0]
    kept = [one for one in found if kind in one.method.devices]
    for one in kept:
        if one.method.backend is not None:
            check_backend(one.method.backend, options.device)
        if source.feeds == "layers" and (backend := one.method.backend or options.backend) != "eager":
            raise PlanError(f"model '{chosen.spec}' runs on plain PyTorch alone; leave out the backend '{backend}'")
    if not kept and not (options.suite and (options.methods or options.ops)):
        names = ", ".join(dict.fromkeys(f"{method.op} {method.name}" for method in methods_for(source)))
        lacks = "".join(f"; {name} {why}" for name, why in _lacking(source, asked or (), options).items())
        raise _GoneError(f"model '{chosen.name}' has none of the methods requested; it has: {names}{lacks}")
    return kept


def _lacking(source: Source, asked: Iterable[Wanted], options: Options) -> dict[str, str]:
    """Return what keeps methods that were asked for from running a model in a run, by their names."""
    kind = options.device.partition(":")[0]
    elsewhere = {
        one.method.name: f"runs on {' or '.join(one.method.devices)} alone"
        for one in fitting(source, list(asked), ())
        if kind not in one.method.devices
    }
    return {**why_not(source, asked), **elsewhere}


def _case(chosen: Chosen, source: Source, one: Wanted, batch: int, n: int, options: Options) -> CaseKey:
    method = one.method
    check_formulas(method, source, batch, n)
    try:
        claim = claim_of(source, method)
    except ValueError as error:
        raise PlanError(f"method '{method.name}', its claim: {error}") from None
    try:
        for stated in (claim.depth, claim.work) if claim else ():
            parse(stated)
    except ValueError as error:
        raise PlanError(f"model '{chosen.spec}', claim for {method.op} {method.name}: {error}") from None
    return CaseKey(
        spec=chosen.spec,
        model=chosen.name,
        preset=chosen.preset,
        op=method.op,
        method=method.name,
        backend=options.backend,
        device=options.device,
        dtype=options.dtype,
        batch=batch,
        n=n,
        element=source.element,
        weights=source.weights(n),
        exactness=method.exactness,
        rate_hz=source.rate_hz,
        claimed_depth=claim.depth if claim else None,
        claimed_work=claim.work if claim else None,
        reference=method.reference,
        data_dependent=method.data_dependent,
        returning=method.returning,
        method_spec=one.spec,
        chunk=method.chunk,
        threads=method.threads,
    )


def _check_data(chosen: Chosen, source: Source, n: int, options: Options) -> None:
    try:
        data = chosen.cls.load_data(options.data, chosen.config) if options.data else None
        observed = source.observe(n, [0], options.seed, data)
    except (DataError, NotImplementedError) as error:
        raise PlanError(str(error)) from None
    check_observed(source, observed, 1, n)
