"""Tests of runs of trained weights: the case names them, the results state them, and other weights are other cases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from arbench.bench.models.subject import ModelSubject
from arbench.bench.plan import Options, PlanError, make_plan
from arbench.bench.runner import run_plan
from arbench.bench.workers.worker import Job
from arbench.models import ModelError, resolve
from arbench.results import ResultsError, Trained, read

Writer = Callable[..., Path]


@pytest.fixture
def folder(trained: Writer, tmp_path: Path) -> Path:
    """Return the folder of a training run of WaveNet."""
    return trained("wavenet:tiny", tmp_path / "mine" / "model.safetensors").parent


def planned(*models: str, **more):
    return make_plan(Options(models=models, n=(8,), methods=("cached",), rounds=1, workers=1, **more))


def refusal(*models: str, **more) -> str:
    with pytest.raises(PlanError) as caught:
        planned(*models, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_case_names_the_weights_and_the_results_state_them(pretend, folder, tmp_path):
    pretend()
    plan = planned("wavenet:tiny", f"wavenet@{folder}")
    found = resolve(f"wavenet@{folder}")
    name = f"mine-{found.trained.sha256[:8]}"
    run_plan(plan, tmp_path / "out")
    results = read(tmp_path / "out")
    rest = "sample/cached/eager/cpu/float32/b1/n8"
    assert list(results.cases) == [f"wavenet:tiny/{rest}", f"wavenet:tiny@{name}/{rest}"]
    assert results.models["wavenet", "tiny"].trained is None
    digest = found.trained.sha256
    facts = Trained("speech", 3.71, "bits per audio sample", True, 0, 12, digest, None, "0" * 64, elements=143000)
    assert results.models["wavenet", f"tiny@{name}"].trained == facts
    lines = [line for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines() if '"kind":"model"' in line]
    assert ["trained" in line for line in lines] == [False, True], "files without trained weights look as before"


def test_a_run_whose_checkpoint_changed_is_not_resumed(pretend, folder, trained, tmp_path):
    pretend()
    before = run_plan(planned(f"wavenet@{folder}"), tmp_path / "out")
    assert run_plan(planned(f"wavenet@{folder}"), tmp_path / "out", resume=True).samples == before.samples
    trained("wavenet:tiny", folder / "model.safetensors", seed=8)
    with pytest.raises(ResultsError) as refused:
        run_plan(planned(f"wavenet@{folder}"), tmp_path / "out", resume=True)
    assert str(refused.value) == (
        f"{tmp_path}/out/results.jsonl contains a run of other weights of wavenet:tiny@{folder}, whose checkpoint has "
        "changed since; restore it, or choose another --out"
    )


def test_weights_that_ship_and_changed_are_not_resumed_either(pretend, shipping, tmp_path):
    pretend()
    shipping("wavenet:tiny", "speech")
    run_plan(planned("wavenet@speech"), tmp_path / "out")
    shipping("wavenet:tiny", "speech", seed=8)
    with pytest.raises(ResultsError, match=r"a run of other weights of wavenet:tiny@speech, whose checkpoint has"):
        run_plan(planned("wavenet@speech"), tmp_path / "out", resume=True)


def test_a_checkpoint_that_changes_during_a_run_is_noticed(folder, trained):
    (case,) = planned(f"wavenet@{folder}").cases
    job = Job("prove", [case], 0, 1)
    assert ModelSubject(job).setup.chosen.preset == case.preset
    trained("wavenet:tiny", folder / "model.safetensors", seed=8)
    with pytest.raises(ModelError) as caught:
        ModelSubject(job)
    file = folder / "model.safetensors"
    assert str(caught.value) == f"the checkpoint {file} changed during the run; start another run"


def test_trained_weights_are_verified_and_counted_as_random_ones(measure, folder):
    results = measure(f"wavenet@{folder}", n=[8], methods=["parallel", "fixed_point", "speculative", "rejection"])
    assert {case.status for case in results.cases.values()} == {"ok"}
    remarks = {case.method: (case.verified or {}).get("remark") for case in results.cases.values()}
    about = "the weights of the draft are random, beside trained ones of the model: few of its guesses are kept"
    assert {method for method, remark in remarks.items() if remark == about} == {"speculative", "rejection"}
    assert all(case.nfe for case in results.cases.values())


def test_a_trained_draft_needs_no_remark(measure, folder, trained):
    chosen = resolve(f"wavenet@{folder}")
    smaller = chosen.cls.drafting(chosen.config)
    settings = ",".join(f"{k}={v}" for k, v in smaller.items() if v != chosen.config.get(k))
    trained(f"wavenet:tiny,{settings}", folder / "draft.safetensors")
    results = measure(f"wavenet@{folder}", n=[8], methods=["speculative"])
    assert all((case.status, (case.verified or {}).get("remark")) == ("ok", None) for case in results.cases.values())
    assert all(model.trained.draft for model in results.models.values())


@pytest.mark.slow
def test_relative_paths_are_found_by_workers(measure_in_processes, folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    results = measure_in_processes("wavenet@./mine", n=[8], methods=["cached"])
    assert [case.status for case in results.cases.values()] == ["ok"]


def test_a_suite_may_name_trained_weights(folder, tmp_path):
    suite = tmp_path / "mine.toml"
    suite.write_text(f'[[models]]\nmodel = "wavenet@{folder}"\n\n[[models]]\nmodel = "lstm:tiny"\n')
    plan = make_plan(Options(suite=str(suite), models=["wavenet"], n=(8,), methods=("cached",)))
    assert [case.spec for case in plan.cases] == [f"wavenet:tiny@{folder}"]


def test_what_cannot_be_planned_is_refused(folder, tmp_path, shipping):
    file = folder / "model.safetensors"
    assert refusal(f"wavenet@{folder}", weights=str(file)).endswith("are given too; leave out one of them")
    assert refusal("wavenet:tiny@qqq").startswith("no trained weights 'qqq' of wavenet ship; ")
    assert refusal(f"wavenet:tiny@{tmp_path}/no").startswith(f"checkpoint {tmp_path}/no: does not exist")


def test_checkpoints_are_models_of_measure(measure_in_processes, pretend, folder, tmp_path):
    pretend()
    how = {"n": [8], "methods": ["cached"]}
    results = measure_in_processes("wavenet:tiny", checkpoints=folder, **how)
    assert [case.preset[:5] for case in results.cases.values()] == ["tiny", "tiny@"]
    with pytest.raises(PlanError, match="/no: does not exist; name the folder of a training run"):
        measure_in_processes("wavenet:tiny", checkpoints=[tmp_path / "no"], **how)
