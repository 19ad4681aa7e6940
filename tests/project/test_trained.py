"""The scripts of ``benchmarks/trained``: what they measure, how they merge, and the tables that they make."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from arbench.border.shown import Sound
from arbench.models import resolve

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "reports" / "trained"


@pytest.fixture
def script(load: Callable[[Path], ModuleType]) -> Callable[[str], ModuleType]:
    return lambda name: load(ROOT / "benchmarks" / "trained" / f"{name}.py")


def write_run(runs: Path, name: str, bits: list[float]) -> None:
    folder = runs / name
    folder.mkdir(parents=True)
    lines = [{"part": part, "bits": 64 * one, "elements": 64} for part, one in enumerate(bits)]
    (folder / "held_out.jsonl").write_text("".join(json.dumps(line) + "\n" for line in reversed(lines)))


def test_seeds_of_several_sessions_are_merged(script, tmp_path, monkeypatch, capsys) -> None:
    compare, out = script("digits_order"), tmp_path / "digits.jsonl"
    for session, (grouping, bits) in enumerate((("g4", [2.0, 3.0, 4.0]), ("multiscale", [1.5, 2.0, 4.0]))):
        runs = tmp_path / str(session)
        write_run(runs, f"digits-{grouping}-7", bits)
        monkeypatch.setattr(sys, "argv", ["digits_order.py", "--runs", str(runs), "--out", str(out)])
        compare.main()
    (line,) = [one for one in map(json.loads, out.read_text().splitlines()) if "coarse" in one]
    assert (line["coarse"], line["fine"], line["seed"], line["of"]) == ("g4", "multiscale", 7, 3)
    assert line["gain"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert line["standard_error"] == pytest.approx(np.std([0.5, 1, 0], ddof=1) / 3**0.5)
    assert "digits g4 to multiscale: 0.5000 bits fewer" in capsys.readouterr().out


def test_a_difference_stays_where_the_images_are_not_there(script, tmp_path, monkeypatch) -> None:
    out = tmp_path / "digits.jsonl"
    out.write_text((FOLDER / "digits.jsonl").read_text())
    monkeypatch.setattr(sys, "argv", ["digits_order.py", "--runs", str(tmp_path), "--out", str(out)])
    script("digits_order").main()
    assert out.read_text() == (FOLDER / "digits.jsonl").read_text()


def sound(samples: np.ndarray) -> Sound:
    return Sound(samples.astype(np.float32), 16000.0)


def test_a_tone_is_in_its_octave_and_noise_is_white(script) -> None:
    listen, at = script("listen"), np.arange(16000) / 16000
    tone, noise = sound(0.5 * np.sin(2 * np.pi * 500 * at)), sound(np.random.default_rng(0).normal(0, 0.1, 16000))
    octaves = dict(zip(listen.CENTRES_HZ, listen.octaves([tone]).tolist(), strict=True))
    assert octaves[500.0] == pytest.approx(0, abs=0.01)
    assert octaves[4000.0] == -listen.RANGE_DB
    found = {name: listen.measured(one, [noise], [noise]) for name, one in (("tone", tone), ("noise", noise))}
    assert found["tone"]["level_dbfs"] == pytest.approx(20 * np.log10(0.5 / 2**0.5), abs=0.01)
    assert found["tone"]["peak_dbfs"] == pytest.approx(20 * np.log10(0.5), abs=0.01)
    assert found["noise"]["from_white_db"] < 1 < 10 < found["tone"]["from_white_db"]
    assert found["noise"]["from_real_db"] == 0
    assert sum(10 ** (db / 10) for db in listen.white(16000.0)) == pytest.approx(1)


def test_a_sound_with_pauses_has_dynamics(script) -> None:
    listen, noise = script("listen"), np.random.default_rng(0).normal(0, 0.1, 16000)
    pauses = noise * np.where(np.arange(16000) // 2000 % 2, 1, 0.01)
    steady, paused = (listen.dynamics(sound(one)) for one in (noise, pauses))
    assert steady < 3
    assert paused == pytest.approx(40, abs=3)


def test_lines_of_other_models_stay(script, tmp_path) -> None:
    merge, out = script("translations").merge, tmp_path / "translations.jsonl"
    merge(out, [{"model": "a", "decoding": "greedy", "exact": 0.5}, {"model": "a", "decoding": "noisy", "exact": 0.6}])
    merge(out, [{"model": "b", "decoding": "greedy", "exact": 0.7}])
    merge(out, [{"model": "a", "decoding": "greedy", "exact": 0.8}])
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [(line["model"], line["exact"]) for line in lines] == [("b", 0.7), ("a", 0.8)]


def test_the_tables_of_the_report_are_those_of_its_files(script) -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert script("readme").filled(text, FOLDER) == text


def test_a_table_is_made_anew_and_the_words_around_it_stay(script, tmp_path) -> None:
    readme = script("readme")
    line = {"model": "nmt-teacher", "kind": "nmt_teacher:small", "decoding": "greedy", "exact": 0.999, "pairs": 2000}
    line |= {"interval": [0.9964, 0.9997], "symbol_error_rate": 0.00007}
    (tmp_path / "translations.jsonl").write_text(json.dumps(line) + "\n")
    before = "one\n<!-- translations -->\nold\n<!-- end of translations -->\n<!-- sounds -->\n<!-- end of sounds -->\n"
    after = readme.filled(before, tmp_path)
    assert "old" not in after
    assert after.startswith("one\n<!-- translations -->\n")
    assert after.endswith("\n<!-- end of translations -->\n<!-- sounds -->\n<!-- end of sounds -->\n")
    assert "| nmt-teacher | `nmt_teacher:small` | greedy | 99.90% | 99.64% to 99.97% | 0.007% | 2,000 |" in after
    assert readme.filled(after, tmp_path) == after
    with pytest.raises(SystemExit, match="has a place for 'sound'"):
        readme.filled(before.replace("sounds", "sound"), tmp_path)


def test_each_draft_is_the_one_of_a_model_that_ships() -> None:
    folder = ROOT / "benchmarks" / "trained"
    runs = tomllib.loads((folder / "runs.toml").read_text(encoding="utf-8"))
    files = tomllib.loads((folder / "shipped.toml").read_text(encoding="utf-8"))
    chosen = {}
    for file, entry in files.items():
        words = runs[entry["run"]]["command"].split()
        option = "--student" if "--student" in words else "--model"
        chosen[file] = resolve(words[words.index(option) + 1])
    drafts = {file for file in files if file.endswith("_draft")}
    guessed = set()
    for file in files.keys() - drafts:
        one, data = chosen[file], files[file]["data"]
        wanted = one.cls.drafting(one.config)
        guessed |= {
            draft
            for draft in drafts
            if (chosen[draft].cls, files[draft]["data"]) == (one.cls, data)
            and wanted is not None
            and dict(chosen[draft].config) == dict(wanted)
        }
    assert drafts
    assert guessed == drafts
