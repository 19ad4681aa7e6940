"""The checkpoints that ship are those of the table in reports/trained, and keep what it promises."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from arbench.data import NAMED, DataError, checkpoints
from arbench.models import resolve
from arbench.models.parallel_nmt import ParallelNMT
from arbench.models.weights import read
from arbench.train import Recipe
from arbench.train.parts import divided, scored
from arbench.train.translation import exact_match

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
    assert [vars(one) for one in said.quality.translations] == line.get("translations", [])
    assert (said.command, said.seed, said.data.sha256) == (line["command"], line["seed"], line["data_sha256"])
    assert abs(line["bits"] - line["bits_float32"]) < 0.002
    assert resolve(named(file)).build().distribution is not None


def test_the_commands_are_those_of_the_committed_runs() -> None:
    folder = ROOT / "benchmarks" / "trained"
    runs, files = (tomllib.loads((folder / name).read_text("utf-8")) for name in ("runs.toml", "shipped.toml"))
    for name, line in TABLE.items():
        run = runs[files[name.removesuffix(checkpoints.SUFFIX)]["run"]]
        assert line["command"] == run["command"].replace("{out}/", "runs/")


def costed(file: Path) -> Any:
    said = read(file)
    return pytest.param(file, id=file.stem, marks=[pytest.mark.slow] if said.quality.elements > QUICK else [])


@pytest.mark.parametrize("file", [costed(file) for file in FILES])
def test_the_held_out_bits_are_measured_again(file: Path) -> None:
    said = read(file)
    recipe, model = Recipe.of(said.recipe), resolve(named(file)).build()
    try:
        data = type(model).load_data(said.data.name, said.config) if said.data.name in NAMED else None
    except DataError as error:
        pytest.skip(str(error))
    parts = divided(model, data, said.data.name)
    assert parts.sha256 == said.data.sha256
    if said.quality.translations:
        stated = said.quality.translations[0]
        found = exact_match(model, parts.held_out, recipe.eval_n or recipe.n)[stated.decoding]
        assert found.pairs == stated.pairs
        assert abs(found.equal - stated.equal) <= 1 + stated.pairs // 1000
    if isinstance(model, ParallelNMT) and said.teacher is not None:
        return  # its bits are given an alignment that does not ship
    quality = scored(model, parts, recipe)
    assert quality.elements == said.quality.elements
    assert quality.bits == pytest.approx(said.quality.bits, abs=1e-3)
