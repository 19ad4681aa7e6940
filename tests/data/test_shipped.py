"""The checkpoints that ship are those of the table in reports/trained, and keep what it promises."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from arbench.data import checkpoints
from arbench.models import resolve
from arbench.models.weights import read
from arbench.train.quality import measured
from arbench.train.run import divided

ROOT = Path(__file__).parents[2]
TABLE = {line["file"]: line for line in json.loads((ROOT / "reports/trained/shipped.json").read_text("utf-8"))}
FILES = sorted(checkpoints.FOLDER.glob(f"*{checkpoints.SUFFIX}"))
MOST = 12e6
"""Bytes of all files together."""
QUICK = 30_000
"""Elements whose scoring is no slow test."""


def named(file: Path) -> str:
    said = read(file)
    return f"{said.model}:{said.preset}@{checkpoints.name_of(file)}"


def test_the_files_are_those_of_the_table_and_small() -> None:
    assert [file.name for file in FILES] == sorted(TABLE)
    assert FILES
    assert sum(file.stat().st_size for file in FILES) < MOST


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_says_what_the_table_says(file: Path) -> None:
    line, said = TABLE[file.name], read(file)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == line["sha256"]
    assert (said.quality.bits, said.quality.unit, said.quality.elements) == (
        line["bits"],
        line["unit"],
        line["elements"],
    )
    assert said.quality.held_out
    assert (said.command, said.seed, said.data.sha256) == (line["command"], line["seed"], line["data_sha256"])
    assert abs(line["bits"] - line["bits_float32"]) < 0.002
    assert resolve(named(file)).build().distribution is not None


def test_the_commands_are_those_of_the_committed_runs() -> None:
    folder = ROOT / "benchmarks" / "trained"
    runs, files = (tomllib.loads((folder / name).read_text("utf-8")) for name in ("runs.toml", "shipped.toml"))
    for name, line in TABLE.items():
        run = runs[files[name.removesuffix(checkpoints.SUFFIX)]["run"]]
        assert line["command"] == run["command"].replace("{out}/", "runs/")


def scored(file: Path) -> Any:
    said = read(file)
    return pytest.param(file, id=file.stem, marks=[pytest.mark.slow] if said.quality.elements > QUICK else [])


@pytest.mark.parametrize("file", [scored(file) for file in FILES])
def test_the_held_out_bits_are_measured_again(file: Path) -> None:
    said, recipe = read(file), read(file).recipe
    chosen = resolve(named(file))
    model = chosen.build()
    parts = divided(model, None, said.data.name)
    assert parts.sha256 == said.data.sha256
    found = measured(model, parts.held_out, recipe["eval_n"] or recipe["n"], recipe["prefix"], seed=said.seed)
    assert found.elements == said.quality.elements
    assert found.bits == pytest.approx(said.quality.bits, abs=1e-3)
