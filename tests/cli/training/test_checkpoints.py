"""Trained weights on the command line: --checkpoint, the list of those that ship, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arbench.models.weights import Decoded, Quality

FEW = ("--n", "8", "--method", "fixed_point", "--rounds", "1", "--workers", "1")


@pytest.fixture
def folder(trained, tmp_path) -> Path:
    return trained("wavenet:tiny", tmp_path / "mine" / "model.safetensors").parent


def test_random_and_trained_weights_in_one_run(answer, inside, folder, tmp_path):
    out = tmp_path / "out"
    found = answer("run", "--model", "wavenet:tiny", "--checkpoint", folder, *FEW, "--no-samples", "--out", out)
    assert found.code == 0, found.err
    assert "model              " in found.out.partition("Passes that an element needs\n")[2].splitlines()[0]
    assert ": trained on speech, 3.71 bits per audio sample, held out" in " ".join(found.out.split())
    page = (out / "report.html").read_text()
    command = f"arbench sample --model wavenet:tiny@{folder} --out {out}/samples/wavenet-tiny-mine-"
    assert "Passes by weights" in page
    assert command in " ".join(page.split())
    assert f"    {command}" in (out / "summary.md").read_text()
    assert not (out / "samples").exists()


def test_a_run_draws_samples_of_trained_weights_alone(answer, inside, trained, tmp_path):
    trained("factorised:tiny", tmp_path / "mine" / "model.safetensors")
    few, out = ("--n", "16", "--method", "cached", "--rounds", "1", "--workers", "1"), tmp_path / "out"
    found = answer("run", "--model", "factorised:tiny", "--checkpoint", tmp_path / "mine", *few, "--out", out)
    assert found.code == 0, found.err
    assert f"\nsamples  {out}/samples\n" in found.out
    (drawn,) = (out / "samples").iterdir()
    assert drawn.name.startswith("factorised-tiny-mine-")
    assert f"<code>samples/{drawn.name}</code>" in (out / "report.html").read_text()


def test_a_checkpoint_and_a_suite_are_refused(refusal, folder):
    said = refusal("run", "--suite", "exact", "--checkpoint", folder)
    assert said == "--checkpoint adds a model, and --suite names its own; add model = 'NAME@FILE' to the suite"


@pytest.mark.parametrize("command", [("run",), ("check", "--baseline", "b.jsonl")])
def test_what_is_no_checkpoint_is_refused(command, refusal, tmp_path):
    file = tmp_path / "no.safetensors"
    assert refusal(*command, "--checkpoint", file).startswith(f"checkpoint {file}: does not exist; name the folder of")
    file.write_text("weights, honestly\n" * 9)
    assert refusal(*command, "--checkpoint", file).startswith(f"checkpoint {file}: not a readable safetensors file (")


def test_the_code_that_a_checkpoint_imports_is_said(answer, trained, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from arbench.models.wavenet import WaveNet\n\n\nclass Mine(WaveNet):\n    pass\n"
    )
    trained(f"{tmp_path}/mine.py:Mine:tiny", tmp_path / "model.safetensors")
    found = answer("run", "--checkpoint", tmp_path, "--method", "qqq", "--out", tmp_path / "out")
    assert found.code == 2
    assert f"arbench: importing {tmp_path}/mine.py:Mine, which --checkpoint names\n" in found.err


def test_what_ships_is_listed_with_what_it_costs(answer, shipping):
    shipping("wavenet:tiny,layers=2", "speech")
    shipping("lstm:tiny", "manual", teacher="lstm:small@manual")
    exact = (Decoded("argmax", 2000, 1500), Decoded("noisy parallel", 2000, 1800))
    shipping("parallel_nmt:tiny", "pairs", quality=Quality(1.5, "bits per symbol", 90, True, exact))
    said = " ".join(answer("list", "--model", "wavenet").out.split())
    cost = "trained on speech, 3.71 bits per audio sample on held-out data"
    assert f"--model wavenet:tiny,layers=2@speech: {cost}" in said
    assert "distilled from lstm:small@manual" in " ".join(answer("list", "--model", "lstm").out.split())
    said = " ".join(answer("list", "--model", "parallel_nmt").out.split())
    assert "held-out data; 75.00% of 2,000 translations exact, argmax decoding; 90.00% of 2,000" in said
    (listed,) = json.loads(answer("list", "--model", "wavenet@speech", "--json").out)["models"]
    assert listed["spec"] == "wavenet"
    assert [(one["spec"], one["quality"]["bits"]) for one in listed["trained"]] == [
        ("wavenet:tiny,layers=2@speech", 3.71)
    ]
    assert "trained: wavenet:tiny,layers=2@speech" in answer("list").out


def test_a_damaged_file_that_ships_is_refused_in_one_line(refusal, shipping):
    path = shipping("wavenet:tiny", "speech")
    path.write_text("")
    assert refusal("list", "--model", "wavenet").startswith(f"checkpoint {path}: not a readable safetensors file (")
