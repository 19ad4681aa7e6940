"""Language models in the words of their field: time to first token, inter-token latency, tokens a second, cache."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from arbench.report.cells import CELLS, COLUMNS, OF_TOKENS, accepted
from arbench.report.labels import SharedSettings, listed, method_key, model_label, of_models
from arbench.report.quantities import NONE, Column, in_one_unit
from arbench.report.table import OF_CHUNKS, Mark, Table, order
from arbench.results import Case, Results
from arbench.stats import format_seconds
from arbench.stats.digits import Interval, format_si

TITLE = "Language models, by prompt and batch"
_SHOWN = ("model", "method", "n", "first_chunk", "gap", "gap_worst", "rate", "cache", "accepted")
HINT = "Time to first token and inter-token latency: add --method stream,chunk=1"


def is_by_token(case: Case) -> bool:
    """Return whether a case is a language model's that passes each token as soon as it is drawn."""
    return case.prompt is not None and case.chunk == 1


def language(results: Results, model: str, shared: SharedSettings) -> list[str]:
    """Return sentences on a language model, at the largest N of each method; none for other models.

    Args:
        results: what was measured.
        model: label of the model.
        shared: settings that all cases share.
    """
    cases = [
        case
        for case in order(of_models(results))
        if model_label(case) == model and case.prompt is not None and case.status == "ok"
    ]
    draws = [case for case in cases if case.op == "sample" and case.exactness != "approximate" and case.median_s]
    by_token = [case for case in draws if is_by_token(case) and case.first_s is not None]
    hint = [f"{HINT}."] if draws and not by_token else []
    lines = [*_latencies(by_token, shared), *_throughput(draws, shared), *hint]
    return [*lines, *_cache(cases), *_acceptance(draws, shared)]


def language_table(results: Results) -> Table | None:
    """Return a row for each exact sampler of language models and each batch, at its largest N; None without any."""
    shared, known = SharedSettings(results), dict[tuple[object, ...], Case]()
    for case in order(of_models(results)):
        if case.prompt is not None and case.status == "ok" and case.op == "sample" and case.exactness != "approximate":
            known[case.key] = case  # the last of a key is that of the largest N
    if not known:
        return None
    cases = list(known.values())
    columns = [replace(COLUMNS[name], title=OF_TOKENS.get(name, COLUMNS[name].title)) for name in _SHOWN]
    columns[2:2] = [Column("prompt"), Column("batch")]
    rows = []
    for case in cases:
        coarse = OF_CHUNKS if case.chunk not in (None, 1) else ()  # the first chunk is no first token
        cells = [NONE if name in coarse else CELLS[name](case, results, shared) for name in _SHOWN]
        cells[2:2] = [f"{case.prompt:,}", f"{case.batch:,}"]
        rows.append(cells)
    return Table(TITLE, *in_one_unit(columns, rows), marks=[Mark(method_key(case), case.id) for case in cases])


def _largest(cases: list[Case]) -> list[Case]:
    """Return the cases at the largest N, the smallest batch first."""
    n = max(case.n for case in cases)
    return sorted((case for case in cases if case.n == n), key=lambda case: case.batch)


def _latencies(cases: list[Case], shared: SharedSettings) -> list[str]:
    methods: dict[tuple[object, ...], list[Case]] = {}
    for case in cases:
        methods.setdefault(case.key[:-1], []).append(case)
    lines = []
    for same in methods.values():
        shown = _largest([case for case in same if case.gap_median_s is not None] or same)
        name, prompt = shared.method_label(shown[0]), shown[0].prompt
        after = f"After a prompt of {prompt:,} tokens" if prompt else "Without a prompt"
        parts = [_latency(case) + (f" at batch {case.batch:,}" if len(shown) > 1 else "") for case in shown]
        lines.append(f"{after} {name} has {'; '.join(parts)}.")
    return lines


def _latency(case: Case) -> str:
    text = f"a time to first token of {_seconds(case.first_s)}"
    if case.gap_median_s is not None:
        text += (
            f" and an inter-token latency of {_seconds(case.gap_median_s)} (median, worst {_seconds(case.gap_worst_s)})"
        )
    return text


def _throughput(cases: list[Case], shared: SharedSettings) -> list[str]:
    """Return how many tokens a second the fastest exact sampler draws, for each batch at the largest N."""
    if not cases:
        return []
    fastest: dict[int, Case] = {}
    for case in _largest(cases):
        best = fastest.setdefault(case.batch, case)
        fastest[case.batch] = min(best, case, key=lambda one: one.median_s or 0.0)
    several = len(fastest) > 1
    parts = []
    for batch, case in sorted(fastest.items()):
        name = shared.method_label(structs.replace(case, batch=1))
        parts.append(f"{_rate(case)} by {name}{f' at batch {batch:,}' if several else ''}")
    first = next(iter(fastest.values()))
    after = f" after a prompt of {first.prompt:,}, whose pass is included" if first.prompt else ""
    return [f"Tokens a second at N = {first.n:,}{after}: {'; '.join(parts)}."]


def _cache(cases: list[Case]) -> list[str]:
    """Return what the state of an event takes, by its last token and as a whole."""
    known = [case for case in cases if case.state_bytes]
    if not known:
        return []
    case = max(known, key=lambda one: one.n)
    read = (case.prompt or 0) + case.n
    whole = f"{_bytes(case.state_bytes)} for {read:,} tokens"
    if case.token_bytes is None:
        return [f"The cache of an event takes {whole}."]
    if case.token_bytes == 0:
        return [
            f"The state of an event takes {_bytes(case.state_bytes)} in {case.dtype}, and a further token adds nothing."
        ]
    return [f"The cache takes {case.token_bytes:,} bytes a token and event in {case.dtype}: {whole}."]


def _acceptance(cases: list[Case], shared: SharedSettings) -> list[str]:
    """Return how many tokens an evaluation settles, for methods that guess ahead, at the largest N of each."""
    found: dict[str, Case] = {}
    for case in sorted(cases, key=lambda one: (one.n, -one.batch)):
        if accepted(case) is not None:
            found[shared.method_label(case)] = case
    parts = [f"{accepted(case):.1f} by {name}" for name, case in found.items()]
    return [f"Acceptance, tokens for each evaluation of the model: {listed(parts)}."] if parts else []


def _seconds(value: float | None) -> str:
    return format_seconds(value or 0.0, _about(value or 0.0))


def _bytes(value: int | None) -> str:
    return format_si(value or 0, "B", _about(value or 0))


def _rate(case: Case) -> str:
    value = case.batch * case.n / (case.median_s or 1.0)
    return f"{float(f'{value:.2g}'):,.10g}"


def _about(value: float) -> Interval:
    """Return an interval that supports two digits, or three of them below 2."""
    return value * 0.95, value * 1.05
