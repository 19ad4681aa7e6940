"""arbench kernels: lists, refusals, times, files, and resuming."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from arbench.kernels import KERNELS
from arbench.results import read

SMALL = "--kernel softmax --op forward --compiled 0 --rounds 1 --workers 1 --seed 3"


@pytest.fixture(scope="session")
def timed(
    finish: Callable[..., Any],
    quickly: str,
    load: Callable[[Path], ModuleType],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, list[str]]:
    """Return the folder of a run of softmax and its output, made once and shared by the test processes.

    Triton is imported first, as PyTorch does with modules that a worker needs before it knows its job.
    """

    def make(place: Path) -> None:
        found = finish("kernels", *SMALL.split(), "--out", place / "run", before=f"import triton; {quickly}")
        (place / "said.json").write_text(json.dumps([found.code, found.out, found.err]))

    place = load(Path(__file__).parents[1] / "once.py").folder(tmp_path_factory, "kernels", make)
    return place / "run", json.loads((place / "said.json").read_text())


@pytest.fixture
def copied(timed: tuple[Path, list[str]], tmp_path: Path) -> Path:
    """Return a copy of that folder."""
    return Path(shutil.copytree(timed[0], tmp_path / "copied"))


def test_a_run_lists_times_and_checks(timed):
    folder, (code, out, err) = timed
    assert code == 0, err
    assert "Traceback" not in err
    listed, _, table = out.partition("\n\n")
    assert listed.splitlines() == [
        f"softmax  {KERNELS['softmax'].summary} (eager, triton)",
        "  forward   bytes = 2 R W s",
        "            FLOPs = 4 R W",
        "  backward  bytes = 3 R W s",
        "            FLOPs = 4 R W",
        "|y|: elements of y, |weight|: elements of the weight, s: bytes of a number",
    ]
    assert "torch · eager" in table
    assert "checked, not timed" in table
    assert "failed" not in table
    assert f"report   {folder}/report.html\nresults  {folder}/results.jsonl\n" in out
    assert {"results.jsonl", "report.html", "summary.md", "figures"} == {p.name for p in folder.iterdir()}


def test_its_results_are_of_kernels(timed):
    results = read(timed[0])
    assert results.run.argv[0] == "kernels"
    assert results.run.plan["options"]["kernels"] == ["softmax"]
    rows = [(row.preset, row.op, row.method, row.backend, row.status) for row in results.cases.values()]
    assert rows == [
        ("rows=16000,width=256", "forward", "torch", "eager", "ok"),
        ("rows=512,width=8192", "forward", "torch", "eager", "ok"),
        ("rows=3,width=129", "forward", "arbench", "triton", "checked"),
        ("rows=5,width=16,dim=0", "forward", "arbench", "triton", "checked"),
    ]
    first, _, checked, _ = results.cases.values()
    assert (first.bytes, first.flops) == (2 * 4 * 16000 * 256, 4 * 16000 * 256)
    assert (first.batch, first.n, first.element, first.weights) == (16000, 256, "logit", 0)
    assert (first.count_source, first.stopped_by, first.workers) == ("formula", "rounds", 1)
    assert first.median_s
    assert (checked.samples, checked.median_s) == (0, None)
    assert checked.verified["interpreted"]


def test_resuming_a_finished_run_measures_nothing_more(answer, copied):
    before = read(copied)
    found = answer("kernels", "--resume", "--out", copied, "--json")
    assert found.code == 0
    kinds = [json.loads(line)["kind"] for line in found.out.splitlines()]
    assert kinds == ["case"] * 4
    after = read(copied)
    assert (after.samples, after.cases) == (before.samples, before.cases)


def test_a_folder_is_resumed_by_its_own_command_only(refusal, copied, finished, tmp_path):
    said = refusal("run", "--resume", "--out", copied)
    assert said == "the results file is a run of kernels; continue it with: arbench kernels --resume"
    models = Path(shutil.copytree(finished[0], tmp_path / "models"))
    said = refusal("kernels", "--resume", "--out", models)
    assert said == "the results file is a run of models; continue it with: arbench run --resume"
    said = refusal("kernels", *SMALL.split(), "--out", copied)
    assert said == (
        f"{copied}/results.jsonl already contains a run; continue it with --resume, or choose another --out"
    )


def test_the_list_says_what_each_costs(answer):
    found = answer("kernels", "--list")
    assert (found.code, found.err) == (0, "")
    for name, kernel in KERNELS.items():
        said = " ".join(found.out.split())
        assert f"{name} {kernel.summary}" in said
        parts = [part for formula in kernel.formula.values() for part in formula.split(", FLOPs = ")]
        assert all(part in said for part in parts)
    assert max(map(len, found.out.splitlines())) <= 80
    (softmax,) = json.loads(answer("kernels", "--list", "--json", "--kernel", "softmax").out)["kernels"]
    assert softmax["cost"] == dict(KERNELS["softmax"].formula)
    assert softmax["sizes"]["cpu"][0] == {"rows": 16000, "width": 256}


REFUSED = [
    ("--kernel sofmax", "unknown kernel 'sofmax'; did you mean 'softmax'?"),
    ("--kernel softmax --kernel nothing", "unknown kernel 'nothing'; available: {kernels}"),
    ("--kernel sofmax --list", "unknown kernel 'sofmax'; did you mean 'softmax'?"),
    (
        "--kernel sample_from_logits --op backward",
        "none of these kernels has a gradient: sample_from_logits; measure --op forward",
    ),
    ("--op sideways", "Invalid value for '--op': 'sideways' is not one of 'forward', 'backward'."),
    ("--workers 0", "--workers must be at least 1, got 0"),
    ("--compiled -1", "--compiled must be at least 0, got -1"),
    ("--device cuda:x", "unknown device 'cuda:x'; use cpu, cuda or cuda:INDEX"),
    ("--dtype float8", "unknown dtype 'float8'; did you mean 'float64'?"),
    ("--resume", "--resume needs --out: the folder of the run to continue"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_wrong_use_is_one_line_before_any_work(refusal, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    assert refusal("kernels", *words.split()) == said.format(kernels=", ".join(KERNELS))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--backend triton", "backend 'triton' needs a CUDA device; add --device cuda"),
        ("--backend tritn", "unknown backend 'tritn'; did you mean 'triton'?"),
    ],
)
def test_a_backend_that_models_do_not_run_on_here(refusal, tmp_path, words, said):
    assert refusal("run", "--model", "wavenet:tiny", *words.split(), "--out", tmp_path / "out") == said
