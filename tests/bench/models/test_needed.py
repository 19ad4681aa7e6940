"""Cases that verdicts need, and claims of methods that exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from arbench.bench.plan import Options, PlanError, make_plan

MODEL = """
from arbench.models.wavenet import WaveNet
from arbench.models import Claim

class Mine(WaveNet):
    claims = {{{key}: Claim("1", "N")}}
"""


def extra(*models: str, **options) -> set[tuple[str, str, int, int]]:
    plan = make_plan(Options(models=models, n=(8,), **options))
    assert not {case.key for case in plan.needed} & {case.key for case in plan.cases}
    assert not any(case.claimed_depth or case.claimed_work for case in plan.needed)
    return {(case.op, case.method, case.n, case.batch) for case in plan.needed}


def test_a_bound_needs_a_single_pass_and_the_reference_of_its_op() -> None:
    """The smallest size of WaveNet's ladder of counts is 4."""
    both = {("score", "parallel", 4, 1), ("sample", "naive", 4, 1)}
    assert extra("wavenet:tiny", methods=["speculative"]) == both
    assert extra("wavenet:tiny", methods=["speculative", "naive"]) == {("score", "parallel", 4, 1)}
    assert extra("wavenet:tiny", methods=["blocks"], batch=(1, 3)) == {(*one[:3], b) for one in both for b in (1, 3)}
    assert extra("wavenet:tiny", methods=["cached"]) == set()
    assert extra("wavenet:tiny") == set()


def test_a_case_that_two_tables_of_a_suite_need_is_there_once(tmp_path: Path) -> None:
    table = '[[models]]\nmodel = "wavenet:tiny"\nmethods = ["speculative"]\nn = '
    (tmp_path / "suite.toml").write_text(f'title = "two"\n{table}8\n{table}16\n')
    plan = make_plan(Options(suite=str(tmp_path / "suite.toml")))
    assert sorted((case.op, case.method, case.n) for case in plan.needed) == [
        ("sample", "naive", 4),
        ("score", "parallel", 4),
    ]


def test_flows_are_scored_by_their_own_reference() -> None:
    found = extra("parallel_wavenet:tiny", methods=["inversion_fixed_point"])
    assert found == {("sample", "parallel", 4, 1), ("score", "inversion", 4, 1)}


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("('sample', 'cashed')", "('sample', 'cashed'), which is no method; did you mean 'cached'?"),
        ("('sampel', 'cached')", "('sampel', 'cached'), which is no method; did you mean 'sample'?"),
        ("('score', 'cached')", "('score', 'cached'), which is no method; available: "),
        ("'cached'", "'cached', which is no method; a key is an op and a method, such as ('sample', 'cached')"),
    ],
)
def test_a_claim_of_a_method_that_does_not_exist_is_refused(tmp_path: Path, key: str, hint: str) -> None:
    (tmp_path / "mine.py").write_text(MODEL.format(key=key))
    spec = f"{tmp_path}/mine.py:Mine:tiny"
    with pytest.raises(PlanError) as refused:
        make_plan(Options(models=[spec], n=(8,)))
    assert str(refused.value).startswith(f"model '{spec}': `claims` names {hint}")
