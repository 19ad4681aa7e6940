"""Passes that an element needs: by samplers whose steps depend on the weights, with random and with trained ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from arbench.border.printable import on_one_line
from arbench.report.labels import DEPENDS_ON_WEIGHTS, DRAFTED, base_name, of_models
from arbench.report.quantities import NONE, Column
from arbench.report.table import Mark, Table, order
from arbench.results import Case, Results, Trained, with_preset

TITLE = "Passes that an element needs"


def trained_of(case: Case, results: Results) -> Trained | None:
    """Return the facts about the trained weights of a case; None where they are random or its file does not say."""
    found = results.models.get((case.model, case.preset))
    return found.trained if found is not None else None


def are_unknown(case: Case, results: Results) -> bool:
    """Return whether weights may be trained or random: those of a file, and those that come with a model."""
    found = results.models.get((case.model, case.preset))
    return results.run.plan.get("options", {}).get("weights") is not None or (
        found is not None and found.brings_weights
    )


def has_trained(results: Results) -> bool:
    """Return whether a model of the run has trained weights."""
    return any(one.trained is not None for one in results.models.values())


def quality(trained: Trained) -> str:
    """Return what trained weights are: ``trained on speech, 3.71 bits per audio sample, held out``."""
    where = "held out" if trained.held_out else "on the data of the training itself"
    if trained.elements == 0:
        where = "of a training that has not ended"
    return f"trained on {trained.data}, {trained.bits:.3g} {trained.unit}, {where}"


def passes_table(results: Results) -> Table | None:
    """Return evaluations of the network over elements, with random and with trained weights; None without any.

    The rows of a model are of one N, the largest of those at which the most evaluations are known, and of the smallest
    batch and the first settings that were measured.
    """
    rows: list[list[str]] = []
    notes = [
        "A pass evaluates the model once: naive and cached take one for each element. Those of a draft are left out; a "
        "model whose state has to be rebuilt takes another one where guesses are taken back."
    ]
    for model, weights in _pairs(results).items():
        trained = [one for one in weights if one is not None]
        for name in trained:
            label = f"{model}@{name}"
            rows += _rows(label, _at_one_size({one: weights[one] for one in (None, name) if one in weights}), name)
            facts = trained_of(weights[name][0], results)
            if facts is not None:
                guessed = list(dict.fromkeys(one.method for one in weights[name] if _drafted(one)))
                notes.append(f"{label}: {quality(facts)}")
                if guessed and facts.draft is None:
                    by = " and ".join(map(on_one_line, guessed))
                    notes.append(f"{label}: the draft of {by} has random weights; a trained one guesses better")
        if not trained:
            rows += _rows(model, _at_one_size(weights), None)
    if not rows:
        return None
    kept = 5 if any(row[-1] != NONE for row in rows) else 4
    columns = [Column("model", number=False), Column("method", number=False), *map(Column, ("N", "random", "trained"))]
    return Table(TITLE, columns[:kept], [row[:kept] for row in rows], notes, marks=[Mark(row[1]) for row in rows])


def _pairs(results: Results) -> dict[str, dict[str | None, list[Case]]]:
    """Return the cases by model with its preset, and within it by the name of trained weights, None for random ones."""
    found: dict[str, dict[str | None, list[Case]]] = {}
    for case in order(of_models(results)):
        if case.nfe is None or case.status == "inexact" or base_name(case.method) not in DEPENDS_ON_WEIGHTS:
            continue
        preset, name = case.preset, None
        if trained_of(case, results) is not None:
            preset, _, name = case.preset.rpartition("@")
        elif are_unknown(case, results):
            continue
        found.setdefault(on_one_line(with_preset(case.model, preset)), {}).setdefault(name, []).append(case)
    return found


def _drafted(case: Case) -> bool:
    return base_name(case.method) in DRAFTED


def _at_one_size(weights: dict[str | None, list[Case]]) -> list[tuple[str | None, Case]]:
    """Return the cases at one N and in the same settings, each with the name of its weights."""
    cases = [(name, case) for name, known in weights.items() for case in known]
    settings = {id(case): (case.backend, case.device, case.dtype, case.batch) for _, case in cases}
    first = min(settings.values(), key=lambda one: one[-1])
    cases = [(name, case) for name, case in cases if settings[id(case)] == first]
    sizes = Counter(case.n for _, case in cases)
    most = max(sizes, key=lambda n: (sizes[n], n))
    return [(name, case) for name, case in cases if case.n == most]


def _rows(label: str, cases: list[tuple[str | None, Case]], trained: str | None) -> Iterator[list[str]]:
    methods: dict[str, dict[str | None, Case]] = {}
    for name, case in cases:
        methods.setdefault(case.method, {})[name] = case
    for method, known in methods.items():
        case = next(iter(known.values()))
        random, other = known.get(None), known.get(trained) if trained is not None else None
        yield [label, on_one_line(method), f"{case.n:,}", _passes(random), _passes(other)]


def _passes(case: Case | None) -> str:
    return NONE if case is None or case.nfe is None else f"{case.nfe / case.n:.3g}"
