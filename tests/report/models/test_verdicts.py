"""Sentences on growth, verdicts on claims, and headlines."""

from __future__ import annotations

import msgspec
import pytest

from arbench.report import headlines, remarks, rows, sentences
from arbench.report.models.verdicts import best, exact_growth
from arbench.report.summary import summary
from arbench.results import Case, Fit


def said(results, model: str, method: str, metric: str):
    found = [
        one
        for one in sentences(results)
        if one.model == model and f"({method})" in one.subject and metric in one.statement
    ]
    assert len(found) == 1
    return found[0]


def test_one_sentence_a_fit(results) -> None:
    assert len(sentences(results)) == len(results.fits)


def test_exact_claims_are_said_with_their_formula(results) -> None:
    one = said(results, "wavenet:nv", "cached", "depth")
    assert one.line == (
        "holds: wavenet:nv sampling (cached): depth grows as O(N), as claimed: 148·N + 3, "
        "exact at 6 sizes, 256 to 16,384"
    )
    rows = said(results, "pixelcnn:gated", "cached", "depth")
    assert "173·N + 40·√(N/3) + 12, exact at 5 sizes" in rows.statement


def test_a_wrong_claim_is_loud(results) -> None:
    one = said(results, "pixelcnn:gated", "sequential", "depth")
    assert one.verdict == "fails"
    assert one.line.startswith("FAILS: pixelcnn:gated scoring (sequential): claimed depth O(1)")
    assert "measured O(N): 9·N" in one.statement


def test_a_bound_is_said_as_one(results) -> None:
    one = said(results, "wavenet:nv", "fixed_point", "depth")
    assert "within the claimed bound, at most O(N)" in one.statement


def test_a_bound_that_holds_is_not_said_to_be_exceeded(build) -> None:
    """Scattered values may look like the next growth class."""

    def scattered(line):
        if isinstance(line, Fit) and (line.method, line.metric) == ("fixed_point", "depth"):
            return msgspec.structs.replace(line, claimed="<= 1", fitted="log N", why="at most 4 passes")
        return line

    one = said(build(edit=scattered), "wavenet:nv", "fixed_point", "depth")
    assert one.statement == "depth is at most O(1), as claimed: at most 4 passes"


def test_times_are_measured_and_claim_nothing(results) -> None:
    one = said(results, "wavenet:nv", "cached", "time")
    assert one.verdict is None
    assert one.line.startswith("measured: ")
    assert "N^1.0" in one.statement


def test_an_undecided_claim_gives_its_reason(build) -> None:
    def undecided(line):
        if isinstance(line, Fit) and line.metric == "depth":
            return msgspec.structs.replace(
                line, verdict="undecided", fitted=None, residual=None, why="3 sizes measured"
            )
        return line

    one = said(build(edit=undecided), "wavenet:nv", "cached", "depth")
    assert one.line.endswith("claimed depth O(N), not confirmed: 3 sizes measured")


def test_a_claim_can_hold_or_fail_without_a_class(build) -> None:
    def classless(line):
        if isinstance(line, Fit) and line.metric == "depth":
            return msgspec.structs.replace(line, fitted=None, residual=None, why="N^0.9 at most")
        return line

    results = build(edit=classless)
    assert said(results, "wavenet:nv", "cached", "depth").statement.endswith("N^0.9 at most")
    assert "N^0.9 at most" in said(results, "pixelcnn:gated", "sequential", "depth").statement


def test_headlines_are_the_taxonomy(results) -> None:
    assert [one.text for one in headlines(results)] == [
        "scoring depth O(1) (parallel), sampling depth O(N) (cached)",
        "scoring depth O(1) (parallel), sampling depth O(N) (cached)",
        "scoring depth O(N) (inversion), sampling depth O(1) (parallel)",
    ]


def test_own_samples_and_bounds_are_details_and_not_headlines(results) -> None:
    student = headlines(results)[2]
    details = " / ".join(student.details)
    assert "own_samples depth is O(1), but only on the model's own samples" in details
    assert "inversion_fixed_point depth is O(1), on this data; at most O(N)" in details


def test_methods_with_rounded_weights_are_named_apart(build, models) -> None:
    """They are exact for another model, whose draws need not be those of the others."""
    names = {"fixed_point": "fused,weights=bfloat16"}

    def rounded(line):
        if isinstance(line, Case) and line.op == "sample":
            kept = {"rounded_weights": "bfloat16"} if line.method in names else {}
            line = msgspec.structs.replace(
                line, method=names.get(line.method, line.method), verified={"how": "", **kept}
            )
        return line

    results = build(models=models[:1], edit=rounded)
    (own,) = [line for line in headlines(results)[0].details if "naive and cached" in line]
    (other,) = [line for line in headlines(results)[0].details if "cases: fused" in line]
    assert own == "verified in 8 cases: naive and cached give the same draws under the same noise"
    assert other == (
        "verified in 6 cases: fused,weights=bfloat16 gives the draws of the model with weights rounded to bfloat16 "
        "under the same noise, not those of its own weights"
    )
    said = (
        "Verified against the model with weights rounded to bfloat16: sample fused,weights=bfloat16; "
        "draws may differ from those of its own weights."
    )
    assert said in remarks(results)
    assert said in summary(results)
    table = rows(results)
    cells = [dict(zip([one.title for one in table.columns], row, strict=True)) for row in table.rows]
    exactness = {cell["method"]: cell["exactness"] for cell in cells if cell["op"] == "sample"}
    assert exactness == {"naive": "exact", "cached": "exact", "fused,weights=bfloat16": "exact, rounded weights"}


def test_headlines_give_speed_over_the_reference_and_over_real_time(results) -> None:
    details = " / ".join(headlines(results)[0].details)
    assert "the speed of naive at N = 1,024" in details
    assert "real time at N = 16,384" in details


def test_approximate_methods_are_never_the_best(build) -> None:
    def students(line):
        if isinstance(line, Case) and (line.op, line.method) == ("score", "parallel"):
            return msgspec.structs.replace(line, exactness="approximate")
        return line

    found = best(build(edit=students), "wavenet:nv", "score")
    assert found is not None
    assert found.method == "sequential"


def test_a_bound_is_the_best_where_there_is_nothing_firmer(build) -> None:
    def only_jacobi(line):
        kept = getattr(line, "op", None) != "sample" or line.method == "fixed_point"
        return line if kept else None

    found = best(build(edit=only_jacobi), "wavenet:nv", "sample")
    assert found is not None
    assert found.method == "fixed_point"


@pytest.mark.parametrize(
    ("bound", "verdict", "named"),
    [("<= log N", "holds", "parallel"), ("<= N", "holds", "sequential"), ("<= log N", "fails", "sequential")],
)
def test_a_bound_below_what_others_need_is_the_best(bound, verdict, named, build) -> None:
    def attention(line):
        """Let whole events have a bound, which a fit exceeds where it fails, and single steps grow as N."""
        if not isinstance(line, Fit) or (line.op, line.metric) != ("score", "depth"):
            return line
        if line.method == "parallel":
            fitted = "N^2" if verdict == "fails" else "log N"
            return msgspec.structs.replace(line, claimed=bound, fitted=fitted, verdict=verdict)
        return msgspec.structs.replace(line, claimed="N", fitted="N") if line.method == "sequential" else line

    found = best(build(edit=attention), "wavenet:nv", "score")
    assert found is not None
    assert found.method == named


def test_exact_growth_is_only_for_fits_without_residual(results) -> None:
    for fit in results.fits.values():
        growth = exact_growth(fit)
        assert (growth is not None) == (fit.residual == 0)
        if growth is not None:
            assert growth.predict(fit.sizes[-1]) == pytest.approx(fit.values[-1])


def test_parameters_that_grow_are_said_of_all_methods(build) -> None:
    sizes = [256, 512, 1024, 2048]

    def more(line):
        if isinstance(line, Fit) and (line.model, line.method, line.metric) == ("wavenet", "cached", "depth"):
            grown = dict(metric="weights", claimed=None, fitted="N", verdict="undecided", residual=0.0)
            values = [3.0 * n + 2 for n in sizes]
            return [line, msgspec.structs.replace(line, **grown, sizes=sizes, values=values)]
        return line

    results = build(edit=more)
    (one,) = [one for one in sentences(results) if one.subject == "all methods"]
    grows = "number of parameters grows as O(N): 3·N + 2, exact at 4 sizes, 256 to 2,048"
    assert one.line == f"measured: wavenet:nv all methods: {grows}"
    (head,) = [head for head in headlines(results) if head.model == "wavenet:nv"]
    assert f"the {grows}" in head.details
    assert grows in summary(results)
