"""The scripts of ``benchmarks/trained``: what they measure, how they merge, and the tables that they make."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from arbench.border.shown import Sound
from arbench.models import resolve

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "reports" / "trained"
VOICES = ("1-british-woman", "2-american-man", "3-scottish-man", "4-american-woman", "5-old-british-man")


@pytest.fixture
def script(load: Callable[[Path], ModuleType]) -> Callable[[str], ModuleType]:
    return lambda name: load(ROOT / "benchmarks" / "trained" / f"{name}.py")


def write_run(runs: Path, name: str, bits: list[float]) -> None:
    runs.mkdir(parents=True)
    line = {"part_bits": [64 * one for one in bits], "part_elements": [64] * len(bits)}
    (runs / f"{name}.json").write_text(json.dumps(line))


def test_seeds_of_several_sessions_are_merged(script, tmp_path, monkeypatch, capsys) -> None:
    compare, out = script("digits_order"), tmp_path / "digits.jsonl"
    for session, (grouping, bits) in enumerate((("g4", [2.0, 3.0, 4.0]), ("multiscale", [1.5, 2.0, 4.0]))):
        runs = tmp_path / str(session)
        write_run(runs, f"digits-{grouping}-7", bits)
        (runs / f"digits-{grouping}-draft.json").write_text("{}")
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


def test_the_digits_of_the_report_are_those_of_its_runs(script, tmp_path, monkeypatch) -> None:
    out = tmp_path / "digits.jsonl"
    out.write_text((FOLDER / "digits.jsonl").read_text())
    monkeypatch.setattr(sys, "argv", ["digits_order.py", "--runs", str(FOLDER / "runs"), "--out", str(out)])
    script("digits_order").main()
    assert out.read_text() == (FOLDER / "digits.jsonl").read_text()


def test_the_spread_over_seeds_stands_beside_the_one_over_images(script, tmp_path) -> None:
    same = {"series": "digits", "coarse": "g4", "fine": "multiscale", "of": 3, "standard_error": 0.25}
    lines = [{**same, "seed": seed, "gain": gain, "kept": seed > 0} for seed, gain in enumerate((0.1, 0.2, 0.6))]
    (tmp_path / "digits.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    table = script("readme").digits(tmp_path)
    assert (
        f"| 3 | 4 to 10 | +0.300 | 0.250 | {np.std([0.1, 0.2, 0.6], ddof=1):.3f} | +0.100†, +0.200, +0.600 |" in table
    )


def sound(samples: np.ndarray) -> Sound:
    return Sound(samples.astype(np.float32), 16000.0)


def test_a_tone_is_in_its_octave_and_noise_is_white(script) -> None:
    listen, at = script("listen"), np.arange(16000) / 16000
    tone, noise = sound(0.5 * np.sin(2 * np.pi * 500 * at)), sound(np.random.default_rng(0).normal(0, 0.1, 16000))
    octaves = dict(zip(listen.CENTRES_HZ, listen.octaves([tone]).tolist(), strict=True))
    assert octaves[500.0] == pytest.approx(0, abs=0.01)
    assert octaves[4000.0] == -listen.RANGE_DB
    found = {name: listen.measured(one, [[noise]]) for name, one in (("tone", tone), ("noise", noise))}
    assert found["tone"]["level_dbfs"] == pytest.approx(20 * np.log10(0.5 / 2**0.5), abs=0.01)
    assert found["tone"]["peak_dbfs"] == pytest.approx(20 * np.log10(0.5), abs=0.01)
    assert found["noise"]["from_white_db"] < 1 < 10 < found["tone"]["from_white_db"]
    assert found["noise"]["from_real_db"] == 0
    assert sum(10 ** (db / 10) for db in listen.white(16000.0)) == pytest.approx(1)


def test_a_clip_is_compared_with_the_voices_but_one(script) -> None:
    listen, at = script("listen"), np.arange(16000) / 16000
    tones = [sound(0.5 * np.sin(2 * np.pi * frequency * at)) for frequency in (250, 500, 1000)]
    sets = listen.without_one(tones)
    assert [[tones.index(one) for one in some] for some in sets] == [[1, 2], [0, 2], [0, 1]]
    each = [listen.measured(tones[0], [some])["from_real_db"] for some in sets]
    assert each[0] > each[1] + 5
    assert listen.measured(tones[0], sets)["from_real_db"] == pytest.approx(np.mean(each), abs=0.01)


def test_the_real_clips_are_one_a_voice(script) -> None:
    source = resolve("wavenet:unconditional,layers=1,cycle=1").build(0)
    clips = script("listen").voices(source, 1600, 0)
    _, held_out = source.divide(None)
    assert len(clips) == len(held_out) == 5
    for clip, recording in zip(clips, held_out, strict=True):
        assert np.abs(clip.samples - recording.samples[:1600]).max() < 0.05


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
    readme, text = script("readme"), (FOLDER / "README.md").read_text(encoding="utf-8")
    assert readme.filled(text, FOLDER) == text
    assert {found["name"] for found in readme.BLOCK.finditer(text)} == readme.TABLES.keys()


def test_what_the_report_says_of_its_figures_holds(script) -> None:
    readme = script("readme")
    speech = readme.run_of(FOLDER, "speech-wavenet")
    fitted, recursive = ([readme.baseline(FOLDER, "speech", one, part) for part in VOICES] for one in readme.ADAPTIVE)
    parts = [bits / count for bits, count in zip(speech["part_bits"], speech["part_elements"], strict=True)]
    assert speech["bits"] < 3.4
    assert all(ours < theirs for ours, theirs in zip(parts, fitted, strict=True))
    assert speech["bits"] < readme.baseline(FOLDER, "speech", readme.ADAPTIVE[1])
    assert any(ours > theirs for ours, theirs in zip(parts, recursive, strict=True))
    text = readme.run_of(FOLDER, "text-transformer")["bits"]
    better = ("Witten-Bell 5-gram, adaptive", "bzip2 -9", "xz -9e")
    assert max(readme.baseline(FOLDER, "text", one) for one in better) < text
    assert text < readme.baseline(FOLDER, "text", "Witten-Bell 5-gram")
    lines = [json.loads(line) for line in (FOLDER / "digits.jsonl").read_text().splitlines()]
    first = [one for one in lines if one.get("seed") == 0 and "grouping" in one]
    bits, nine = (
        {one["grouping"]: one["bits"] for one in first if one["series"] == series} for series in ("digits", "digits9")
    )
    assert nine["sequential"] < nine["g4"]
    least = min(readme.baseline(FOLDER, "digits", one) for one in ("independent pixels", "bzip2 -9"))
    assert bits["g4"] < bits["multiscale"] < bits["sequential"] < least
    assert not any(one["differing"] for one in readme.lines_of(FOLDER / "kills.jsonl"))


def test_a_table_is_made_anew_and_the_words_around_it_stay(script, tmp_path) -> None:
    readme = script("readme")
    exact = {"exact": 0.999, "pairs": 2000, "interval": [0.9964, 0.9997], "symbol_error_rate": 0.00007}
    run = {"run": "nmt-teacher", "model": "nmt_teacher:small", "translation": {"greedy": exact}}
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "nmt-teacher.json").write_text(json.dumps(run))
    line = {**exact, "model": "nmt-self", "kind": "nmt_teacher:small", "decoding": "greedy", "exact": 0.5}
    (tmp_path / "translations.jsonl").write_text(json.dumps(line) + "\n")
    before = (
        "one\n<!-- translations -->\nold\n<!-- end of translations -->\n<!-- sounds -->\nold\n<!-- end of sounds -->\n"
    )
    after = readme.filled(before, tmp_path)
    assert "old" not in after
    assert after.startswith("one\n<!-- translations -->\n")
    assert "| nmt-teacher | `nmt_teacher:small` | greedy | 99.90% | 99.64% to 99.97% | 0.007% | 2,000 |" in after
    assert "| nmt-self | `nmt_teacher:small` | greedy | 50.00% |" in after
    assert "\nNot measured yet: `python benchmarks/trained/listen.py` makes `sounds.jsonl`.\n" in after
    assert readme.filled(after, tmp_path) == after
    with pytest.raises(SystemExit, match="has a place for 'sound'"):
        readme.filled(before.replace("sounds", "sound"), tmp_path)


def finished(folder: Path, curve: list[float], bits: list[float]) -> None:
    """Write the folder of a run that is complete: two weights of 3 by 4 and 5."""
    said = {
        "model": "lstm",
        "preset": "tiny",
        "data": {"name": "help", "sha256": "0" * 64},
        "recipe": {"steps": 20, "eval_n": None, "n": 64, "held_out_prefix": 7},
        "quality": {"bits": 2.5, "unit": "bits per byte", "elements": 99},
        "seed": 3,
        "steps": 10,
        "seconds": 1.5,
        "command": f"arbench distill --teacher {folder.parent}/speech-teacher --student lstm:tiny",
        "teacher": None,
    }
    folder.mkdir(parents=True)
    header = {"a": {"shape": [3, 4]}, "b": {"shape": [5]}, "__metadata__": {"arbench.checkpoint": json.dumps(said)}}
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    evaluations = [
        {"step": 10 + at, "loss": 1.23456789, "quality": one, "seconds": 2.55} for at, one in enumerate(curve)
    ]
    parts = [{"part": part, "bits": one, "elements": 4} for part, one in enumerate(bits)]
    for name, lines in (("curve", evaluations), ("held_out", reversed(parts))):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_finished_run_is_kept_with_its_times(script, tmp_path, monkeypatch) -> None:
    harvest, runs, out = script("harvest"), tmp_path / "runs", tmp_path / "out"
    finished(runs / "text-lstm", [3.0, 2.0], [8.0, 9.87654321])
    (runs / "unfinished").mkdir()
    times = [{"run": run, "seconds": at} for at, run in enumerate(("text-lstm", "unfinished", "text-lstm"))]
    (runs / "times.jsonl").write_text("".join(json.dumps(line) + "\n" for line in times))
    out.mkdir()
    old = [{"run": "text-lstm", "seconds": 77}, {"run": "other", "seconds": 88}]
    (out / "times.jsonl").write_text("".join(json.dumps(line) + "\n" for line in old))
    monkeypatch.setattr(sys, "argv", ["harvest.py", "--runs", str(runs), "--out", str(out)])
    harvest.main()
    kept = json.loads((out / "runs" / "text-lstm.json").read_text())
    assert [file.name for file in (out / "runs").iterdir()] == ["text-lstm.json"]
    assert (kept["model"], kept["weights"], kept["best_step"], kept["bits"]) == ("lstm:tiny", 17, 10, 2.5)
    assert kept["command"] == "arbench distill --teacher runs/speech-teacher --student lstm:tiny"
    assert (kept["window"], kept["context"]) == (64, 7)
    assert kept["curve"] == [[10, 1.23457, 3.0, 2.5], [11, 1.23457, 2.0, 2.5]]
    assert (kept["part_bits"], kept["part_elements"]) == ([8.0, 9.87654], [4, 4])
    lines = [json.loads(line) for line in (out / "times.jsonl").read_text().splitlines()]
    assert [(line["run"], line["seconds"]) for line in lines] == [("other", 88), ("text-lstm", 0), ("text-lstm", 2)]


def test_a_curve_is_not_lost_to_a_run_that_was_scored_again(script, tmp_path, monkeypatch) -> None:
    harvest, out = script("harvest"), tmp_path / "out"
    for runs, curve in (("trained", [3.0]), ("rescored", [])):
        finished(tmp_path / runs / "text-lstm", curve, [8.0])
        out.mkdir(exist_ok=True)
        monkeypatch.setattr(sys, "argv", ["harvest.py", "--runs", str(tmp_path / runs), "--out", str(out)])
        harvest.main()
    assert json.loads((out / "runs" / "text-lstm.json").read_text())["curve"]
    monkeypatch.setattr(sys, "argv", ["harvest.py", "--runs", str(tmp_path / "none")])
    with pytest.raises(SystemExit, match="has no run that is complete"):
        harvest.main()


def test_a_run_of_the_report_is_the_one_that_ships() -> None:
    files = tomllib.loads((ROOT / "benchmarks" / "trained" / "shipped.toml").read_text(encoding="utf-8"))
    table = {one["file"].removesuffix(".safetensors"): one for one in json.loads((FOLDER / "shipped.json").read_text())}
    held = 0
    for name, line in table.items():
        kept = FOLDER / "runs" / f"{files[name]['run']}.json"
        if kept.exists():
            run = json.loads(kept.read_text(encoding="utf-8"))
            same = ("command", "seed", "data_sha256", "elements", "seconds")
            assert [run[key] for key in same] == [line[key] for key in same]
            assert run["bits"] == pytest.approx(line["bits"], abs=0.002)
            assert sum(run["part_bits"]) / sum(run["part_elements"]) == pytest.approx(run["bits"], rel=1e-4)
            held += 1
    assert held


def case(model: str, method: str, n: int, median_s: float | None, **more: Any) -> SimpleNamespace:
    ok = {"status": "ok", "exactness": "pointwise", "error": None, "ci95_s": (0.9, 1.1), "range_s": None}
    return SimpleNamespace(**{"model": model, "method": method, "n": n, "median_s": median_s, **ok, **more})


def test_a_sampler_without_a_time_is_in_the_line_of_a_student(script, tmp_path) -> None:
    students = script("students")
    cases = [
        case("wavenet", "cached", 1000, 4.0),
        case("wavenet", "fused", 1000, None, status="timeout", error="took too long"),
        case("wavenet", "cached", 4000, 9.0),
        case("wavenet", "fused", 4000, 3.0, exactness="distribution"),
        case("parallel_wavenet", "parallel", 1000, 2.0, ci95_s=None, range_s=(1.0, 3.0)),
        case("parallel_wavenet", "parallel", 4000, 3.0),
    ]
    lines = students.seconds(cases, "wavenet", "parallel_wavenet", [1000, 4000])
    assert lines[0]["teacher"]["fused"] == {"why": "took too long"}
    assert "distribution" in lines[1]["teacher"]["fused"]["why"]
    assert students.best(lines[1]["teacher"]) == "cached"
    with pytest.raises(
        SystemExit, match=r"the student parallel_wavenet has no time at N = 16,000 \(parallel: not meas"
    ):
        students.seconds([*cases, case("wavenet", "cached", 16000, 9.0)], "wavenet", "parallel_wavenet", [16000])
    line = {"student": "speech-student", "unit": "bits", "student_bits": 10, "teacher_bits": 9, "power_loss": 0.5}
    line |= {"divergence": [[100, 2.0], [200, 1.0]], "divergence_bits": 1.5, "seconds": lines}
    line |= {"best_step": 100, "best_by": "divergence plus power loss"}
    (tmp_path / "students.jsonl").write_text(json.dumps(line) + "\n")
    table = script("readme").students(tmp_path)
    shown = "cached 4 (0.9 to 1.1); fused: no time (took too long) | parallel 2 (1 to 3) | 2 |"
    assert f"| speech-student | 1,000 | {shown}" in table
    assert "2.000 (step 100) to 2.000 (step 100)" in table[2]


def test_a_folder_that_is_no_run_is_not_deleted(script, tmp_path) -> None:
    refusal = script("frontier").refusal
    assert refusal(tmp_path / "new") is None
    assert refusal(tmp_path) is None
    (tmp_path / "mine.txt").write_text("mine")
    assert "is not the folder of a run" in refusal(tmp_path)
    assert "is not the folder of a run" in refusal(tmp_path / "mine.txt")
    (tmp_path / "results.jsonl").write_text("")
    assert refusal(tmp_path) is None


def test_kills_of_a_kind_take_the_place_of_those_before(script, tmp_path) -> None:
    out = tmp_path / "kills.jsonl"
    script("kills").forget("train", out)
    assert not out.exists()
    out.write_text("".join(json.dumps({"kind": kind}) + "\n" for kind in ("train", "density", "train")))
    script("kills").forget("train", out)
    assert out.read_text() == '{"kind": "density"}\n'


def test_a_run_of_another_command_does_not_ship(script) -> None:
    ship, runs = script("ship"), Path("/somewhere/else")
    wanted = ship.command("nmt-student")
    assert "--teacher runs/nmt-teacher " in wanted
    made = wanted.replace("runs/", f"{runs}/")
    ship.check(runs / "nmt-student", SimpleNamespace(command=made))
    with pytest.raises(SystemExit, match="has 'arbench distill"):
        ship.check(runs / "nmt-student", SimpleNamespace(command=made.replace("--batch 48", "--batch 47")))


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
