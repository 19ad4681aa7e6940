"""The growth over N in sentences, and the verdicts on claims."""

from __future__ import annotations

import math
from dataclasses import dataclass

from arbench.report.cells import accepted, largest_speed_up, ratio_label, real_time
from arbench.report.labels import (
    FIT_METRICS,
    GROWTH,
    OPS,
    SharedSettings,
    claim_label,
    listed,
    model_label,
    of_models,
    rounded_weights,
    span_label,
)
from arbench.report.table import order
from arbench.results import OWN_SAMPLES, Case, Fit, Op, Results, Verdict
from arbench.stats import CLASSES, Growth, fit_exact, format_ratio, format_seconds

_METRIC_ORDER = list(FIT_METRICS)
ALL_METHODS = "all methods"
"""The subject of sentences on a model's parameters."""


@dataclass(frozen=True)
class Sentence:
    """A fit in plain words.

    Attributes:
        model: label of the model.
        verdict: None where nothing was claimed.
        subject: op and method: ``sampling (cached)``.
        statement: what was measured, and how it compares with the claim.
    """

    model: str
    verdict: Verdict | None
    subject: str
    statement: str

    @property
    def text(self) -> str:
        """The whole sentence."""
        return f"{self.model} {self.subject}: {self.statement}"

    @property
    def line(self) -> str:
        """The sentence after its verdict, as a terminal shows it."""
        shown = {"holds": "holds", "fails": "FAILS", "undecided": "undecided", None: "measured"}
        return f"{shown[self.verdict]}: {self.text}"


@dataclass(frozen=True)
class Best:
    """The growth of one job of a model by its best exact method."""

    fit: Fit
    method: str


@dataclass(frozen=True)
class Headline:
    """The most important facts about one model."""

    model: str
    score: Best | None
    sample: Best | None
    text: str
    details: tuple[str, ...]


def exact_growth(fit: Fit) -> Growth | None:
    """Return the exact fit behind a fit without residual, with its lower terms; None for a noisy fit."""
    if fit.residual != 0 or not fit.sizes or any(value != int(value) for value in fit.values):
        return None
    growth = fit_exact(fit.sizes, [int(value) for value in fit.values])
    return growth if growth.fitted == fit.fitted else None


def sentences(results: Results) -> list[Sentence]:
    """Return one sentence per fit, ordered by model, with scoring and depth first."""
    return [one for _, one in fits_in_words(results)]


def fits_in_words(results: Results) -> list[tuple[Fit, Sentence]]:
    """Return the fits, each with its sentence, in the order of ``sentences``."""
    shared = SharedSettings(results)
    place = {case.key: i for i, case in enumerate(order(results.cases.values()))}
    fits = sorted(
        results.fits.values(),
        key=lambda f: (place.get(f.key, len(place)), _METRIC_ORDER.index(f.metric)),
    )
    return [(fit, sentence(fit, shared)) for fit in fits]


def sentence(fit: Fit, shared: SharedSettings) -> Sentence:
    """Return a fit as a sentence.

    For example ``wavenet:nv sampling (cached): depth grows as O(N), as claimed: 221·N + 3, exact at 5 sizes,
    256 to 4,096``.
    """
    model = model_label(fit)
    own = fit.metric != "weights"
    subject = f"{OPS[fit.op]} ({shared.method_label(fit)})" if own else ALL_METHODS
    metric = FIT_METRICS[fit.metric]
    if fit.claimed is None:
        text = _grows(fit, metric) if fit.fitted else f"the growth of {metric} has no class"
        return Sentence(model, None, subject, text + _evidence(fit))
    claim = claim_label(fit.claimed)
    if fit.verdict == "undecided":
        text = f"claimed {metric} {claim}, not confirmed: {fit.why}"
        return Sentence(model, "undecided", subject, text)
    if fit.verdict == "fails":
        text = f"claimed {metric} {claim}, measured "
        text += GROWTH[fit.fitted] + _evidence(fit) if fit.fitted else f"another growth: {fit.why}"
        text += f"; grows by: {fit.grows_by}" if fit.grows_by else ""
        return Sentence(model, "fails", subject, text)
    bound = fit.claimed.startswith("<=")
    name = fit.claimed.removeprefix("<=").strip()
    if fit.fitted is None or (bound and CLASSES.index(fit.fitted) > CLASSES.index(name)):
        # the proven bound, and not the class that scattered values look like
        return Sentence(model, "holds", subject, f"{metric} is {claim}, as claimed: {fit.why}")
    agreed = f"within the claimed bound, {claim}" if bound else "as claimed"
    return Sentence(model, "holds", subject, f"{_grows(fit, metric)}, {agreed}{_evidence(fit)}")


def _grows(fit: Fit, metric: str) -> str:
    assert fit.fitted is not None
    verb = "is" if fit.fitted == "1" else "grows as"
    return f"{metric} {verb} {GROWTH[fit.fitted]}"


def _evidence(fit: Fit) -> str:
    growth = exact_growth(fit)
    if growth is not None:
        return f": {growth.formula}, exact at {span_label(fit.sizes)}"
    if fit.fitted == "1":
        return f": {_extent(fit)} over {span_label(fit.sizes)}"
    if fit.exponent is None:
        return f", over {span_label(fit.sizes)}"
    power = f"N^{fit.exponent:.2f}"
    if fit.exponent_ci95 is not None:
        power += f" [{fit.exponent_ci95[0]:.2f}, {fit.exponent_ci95[1]:.2f}]"
    return f": {power} over {span_label(fit.sizes)}"


def _extent(fit: Fit) -> str:
    """Return the smallest and the largest value."""
    low, high = min(fit.values), max(fit.values)
    if fit.metric == "seconds":
        return f"{format_seconds(low)} to {format_seconds(high)}"
    return f"{low:,.0f} to {high:,.0f}"


def best(results: Results, model: str, op: Op) -> Best | None:
    """Return the exact method whose depth grows least; among equals the fastest at the largest N.

    A claimed bound counts as what it guarantees, since the depth below it may depend on the data; among methods with
    the same guarantee those without a bound come first. Methods that are approximate, or score only the model's own
    samples, never are.
    """
    shared = SharedSettings(results)
    exact: dict[tuple[object, ...], list[Case]] = {}
    for case in results.cases.values():
        if case.status == "ok" and case.exactness != "approximate":
            exact.setdefault(case.key, []).append(case)

    def rank(fit: Fit) -> tuple[float, ...]:
        largest = max(exact[fit.key], key=lambda case: case.n)
        seconds = math.inf if largest.median_s is None else largest.median_s
        measured = CLASSES.index(fit.fitted or "1")
        bound = (fit.claimed or "").startswith("<=")
        known = bound and fit.verdict != "fails"
        sure = CLASSES.index((fit.claimed or "").removeprefix("<=").strip()) if known else measured
        return sure, bound, measured, -largest.n, seconds, fit.values[-1]

    fits = [f for f in depth_fits(results, model, op) if f.key in exact and f.method != OWN_SAMPLES]
    found = min(fits, key=rank, default=None)
    return None if found is None else Best(found, shared.method_label(found))


def depth_fits(results: Results, model: str, op: Op) -> list[Fit]:
    """Return the fits of depth that found a class, at the model's smallest batch."""
    found = [
        fit
        for fit in results.fits.values()
        if (model_label(fit), fit.op, fit.metric) == (model, op, "depth") and fit.fitted in CLASSES
    ]
    least = min((fit.batch for fit in found), default=1)
    return [fit for fit in found if fit.batch == least]


def headlines(results: Results) -> list[Headline]:
    """Return one headline per model, in the order of the table."""
    cases = order(of_models(results))
    return [_headline(results, model) for model in dict.fromkeys(map(model_label, cases))]


def _headline(results: Results, model: str) -> Headline:
    score, sample = best(results, model, "score"), best(results, model, "sample")
    asked = {case.op for case in of_models(results) if model_label(case) == model}
    parts = [
        f"{OPS[op]} depth {GROWTH[found.fit.fitted or '1']} ({found.method})" if found else f"{OPS[op]} depth unknown"
        for op, found in (("score", score), ("sample", sample))
        if op in asked
    ]
    chosen = [found.fit.key for found in (score, sample) if found]
    shared = SharedSettings(results)
    details = [
        f"{shared.method_label(fit)} {_grows(fit, 'depth')}, {_condition(fit)}"
        for op in ("score", "sample")
        for fit in depth_fits(results, model, op)
        if fit.key not in chosen and _condition(fit)
    ]
    details += [
        f"the {_grows(fit, FIT_METRICS['weights'])}{_evidence(fit)}"
        for fit in results.fits.values()
        if (model_label(fit), fit.metric) == (model, "weights") and fit.fitted in CLASSES
    ]
    for op in ("score", "sample"):
        details += _verified(results, model, op)
        details += _guessed(results, model, op, shared)
        details += _speed(results, model, op, shared)
    return Headline(model, score, sample, ", ".join(parts), tuple(details))


def _verified(results: Results, model: str, op: Op) -> list[str]:
    """Return which methods were verified to give the same result, and in how many cases; rounded weights apart."""
    mine = [case for case in results.cases.values() if (model_label(case), case.op) == (model, op)]
    mine = [case for case in mine if case.method != OWN_SAMPLES and case.exactness == "pointwise"]
    exact = [case for case in mine if case.status == "ok" and case.verified]
    what = "draws" if op == "sample" else "log-probabilities"
    noise = " under the same noise" if op == "sample" else ""
    lines = []
    for rounding in dict.fromkeys(map(rounded_weights, sorted(exact, key=lambda case: rounded_weights(case) or ""))):
        same = [case for case in exact if rounded_weights(case) == rounding]
        methods = list(dict.fromkeys(case.method for case in same))
        if len(methods) < 2 and rounding is None:
            continue
        ties = sum(int((case.verified or {}).get("excused_ties", 0)) for case in same)
        excused = f", {ties:,} near ties excused" if ties else ""
        give = "give" if len(methods) > 1 else "gives"
        result = f"the same {what}{noise}"
        if rounding is not None:
            result = f"the {what} of the model with weights rounded to {rounding}{noise}, not those of its own weights"
        number = f"{len(same):,} case{'s' if len(same) > 1 else ''}"
        lines.append(f"verified in {number}: {listed(methods)} {give} {result}{excused}")
    return lines


def _guessed(results: Results, model: str, op: Op, shared: SharedSettings) -> list[str]:
    """Return the groups accepted per evaluation, by method, at the largest N of the smallest batch."""
    mine = [case for case in results.cases.values() if (model_label(case), case.op) == (model, op)]
    known = [case for case in mine if case.status == "ok" and accepted(case) is not None]
    if not known:
        return []
    least = min(case.batch for case in known)
    n = max(case.n for case in known if case.batch == least)
    text = [
        f"{accepted(case):.1f} by {shared.method_label(case)}, {case.nfe:,} evaluations"
        for case in known
        if (case.batch, case.n) == (least, n) and case.nfe is not None
    ]
    return [f"groups accepted per evaluation at N = {n:,}: {'; '.join(text)}"] if text else []


def _condition(fit: Fit) -> str:
    if fit.method == OWN_SAMPLES:
        return "but only on the model's own samples"
    if (fit.claimed or "").startswith("<="):
        return f"on this data; {claim_label(fit.claimed or '')} is guaranteed"
    return ""


def _speed(results: Results, model: str, op: str, shared: SharedSettings) -> list[str]:
    """Return the speed of the fastest exact method at the largest N, over its reference and over real time."""
    cases = [
        case
        for case in results.cases.values()
        if model_label(case) == model
        and case.op == op
        and case.status == "ok"
        and case.median_s
        and case.exactness != "approximate"
        and case.method != OWN_SAMPLES
    ]
    if not cases:
        return []
    largest = max(case.n for case in cases)
    fastest = min((case for case in cases if case.n == largest), key=lambda c: c.median_s or 0.0)
    at = f"at N = {largest:,}"
    text = []
    found = largest_speed_up(fastest, results)
    reference = results.cases.get(found[1].reference) if found else None
    if found is not None and reference is not None:
        speed = f"{ratio_label(found[1])} the speed of {shared.method_label(reference)}"
        text.append(f"{OPS[op]} by {shared.method_label(fastest)} has {speed} at N = {found[0]:,}")
    factor = real_time(fastest)
    if factor is not None:
        text.append(_real_time(op, fastest, factor, shared, at))
    return text


def _real_time(op: str, case: Case, factor: float, shared: SharedSettings, at: str) -> str:
    ends = case.ci95_s or case.range_s
    audio = case.n / (case.rate_hz or 1)
    interval = (audio / ends[1], audio / ends[0]) if ends else None
    return f"{OPS[op]} by {shared.method_label(case)} runs at {format_ratio(factor, interval)} real time {at}"
