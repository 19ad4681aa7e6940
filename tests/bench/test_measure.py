"""``arbench.measure``: options, results, files and refusals."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

import arbench
from arbench.bench.job import Job
from arbench.bench.models import counting
from arbench.bench.models import subject as model_subject
from arbench.bench.plan import Options, PlanError, make_plan
from arbench.results import Results, ResultsError, read


def test_measure_returns_results_and_leaves_a_file(measure, tmp_path):
    results = measure("wavenet:tiny", n=[8], methods=["cached"], seed=3, out=tmp_path)
    assert isinstance(results, Results)
    assert [(case.method, case.n, case.status) for case in results.cases.values()] == [("cached", 8, "ok")]
    assert results.run.seed == 3
    assert read(tmp_path) == results
    with pytest.raises(ResultsError, match=re.escape("already contains a run; continue it with --resume")):
        measure("wavenet:tiny", n=[8], methods=["cached"], seed=3, out=tmp_path)
    again = measure("wavenet:tiny", n=[8], methods=["cached"], seed=3, out=tmp_path, resume=True)
    assert again.samples == results.samples


def test_without_a_folder_nothing_stays(pretend, tmp_path, monkeypatch):
    pretend()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    results = arbench.measure("wavenet:tiny", n=[8, 16], methods=["cached"], rounds=1, workers=1)
    assert len(results.samples) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_name_or_several(pretend):
    pretend()
    one = arbench.measure("wavenet:tiny", n=[48], ops=["score"], rounds=1, workers=1)
    two = arbench.measure(["wavenet:tiny", "pixelcnn:tiny"], n=[48], ops=["score"], rounds=1, workers=1)
    assert {case.model for case in one.cases.values()} == {"wavenet"}
    assert {case.model for case in two.cases.values()} == {"wavenet", "pixelcnn"}


def test_one_value_serves_as_a_list_of_one(pretend):
    pretend()
    sizes = [{"n": 8}, {"n": np.int64(8)}, {"n": range(8, 9)}]
    found = [arbench.measure("wavenet:tiny", methods="cached", rounds=1, workers=1, **size) for size in sizes]
    assert [[(case.method, case.n) for case in one.cases.values()] for one in found] == [[("cached", 8)]] * 3


def test_a_dtype_and_a_device_may_be_those_of_pytorch(pretend):
    pretend()
    kind = {"dtype": torch.float64, "device": torch.device("cpu")}
    (case,) = arbench.measure("lstm:tiny", methods="cached", n=4, rounds=1, workers=1, **kind).cases.values()
    assert (case.dtype, case.device) == ("float64", "cpu")


def test_an_unknown_option_is_a_type_error(tmp_path):
    said = r"^measure has no option 'method'; did you mean 'methods'\?$"
    with pytest.raises(TypeError, match=said):
        arbench.measure("wavenet:tiny", method="cached", out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": "abc"}, "n[0]: expected `int`, got `str`"),
        ({"n": [True]}, "n[0]: expected `int`, got `bool`"),
        ({"rounds": "2"}, "rounds: expected `int | null`, got `str`"),
        ({"n": [0]}, "--n must be at least 1, got 0"),
        ({"ops": ["scor"]}, "unknown op 'scor'; did you mean 'score'?"),
        ({"count_budget": 0}, "--count-budget must be above 0 seconds"),
        ({"budget": float("inf")}, "--budget must be at most 1e+06 seconds"),
    ],
)
def test_a_question_that_cannot_be_asked(tmp_path, options, said):
    with pytest.raises(PlanError, match=f"^{re.escape(said)}$"):
        arbench.measure("wavenet:tiny", out=tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []


def test_no_model_at_all():
    with pytest.raises(PlanError, match=r"^no model to measure; add --model NAME$"):
        arbench.measure([])


def test_arbench_has_nothing_else():
    with pytest.raises(AttributeError, match="has no attribute 'mesure'"):
        _ = arbench.mesure


def test_rows_of_another_backend_carry_the_eager_counts(measure, monkeypatch):
    monkeypatch.setattr(counting, "DIRECT_S", 60.0)  # memory is always quick to measure
    asked = dict(n=[8, 16], methods=["parallel", "cached"], count_budget=1000.0)
    eager, numba = (measure("wavenet:tiny", backend=backend, **asked) for backend in ("eager", "numba"))
    assert numba.run.plan["options"]["backend"] == "numba"
    assert {case.backend for case in numba.cases.values()} == {"numba"}
    twins = {(case.op, case.method, case.n): case for case in eager.cases.values()}
    for case in numba.cases.values():
        twin = twins[case.op, case.method, case.n]
        assert (case.status, case.error) == ("ok", None)
        for counter in ("depth", "nfe", "flops", "ops", "bytes", "count_source"):
            assert getattr(case, counter) == getattr(twin, counter)
        assert case.peak_bytes is not None


@pytest.mark.parametrize("backend", ["eager", "numba"])
def test_memory_is_the_backends_own(monkeypatch, backend):
    ran = []

    def weighed(call, device):
        ran.append(call)
        return 123

    monkeypatch.setattr(model_subject, "peak_bytes", weighed)
    cases = make_plan(Options(models=["wavenet:tiny"], methods=["parallel"], n=[8], backend=backend)).cases
    subject = model_subject.ModelSubject(Job("prove", cases, seed=0, threads=1))
    with torch.no_grad():
        (line,) = [line for line in subject.count(cases, 1.0) if line.case == cases[0].id]
    assert (line.peak_bytes == 123) == (len(ran) == 1) == (backend == "numba")
