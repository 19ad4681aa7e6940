"""arbench list: what there is to measure."""

from __future__ import annotations

import json

from arbench.bench.settings import DTYPES
from arbench.models import names


def test_every_model_preset_method_and_claim_is_listed(answer):
    found = answer("list", "--json")
    assert (found.code, found.err) == (0, "")
    listed = json.loads(found.out)
    assert [model["name"] for model in listed["models"]] == list(names())
    assert listed["dtypes"] == list(DTYPES)
    assert listed["devices"][0] == "cpu"
    (wavenet,) = [model for model in listed["models"] if model["name"] == "wavenet"]
    assert wavenet["default_preset"] == "nv"
    assert {"nv", "vocoder", "paper", "tiny"} <= wavenet["presets"].keys()
    assert wavenet["presets"]["nv"]["layers"] == 20
    assert wavenet["element"] == "audio sample"
    claims = {(one["op"], one["method"]): one["claims"] for one in wavenet["methods"]}
    assert claims["score", "parallel"] == {"depth": "1", "work": "N"}
    assert claims["sample", "cached"] == {"depth": "N", "work": "N"}
    (student,) = [model for model in listed["models"] if model["name"] == "parallel_wavenet"]
    assert ("sample", "cached") not in {(one["op"], one["method"]) for one in student["methods"]}


def test_the_same_in_words(answer):
    found = answer("list", "--model", "wavenet")
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[0].startswith("wavenet  ")
    assert any(line.startswith("  presets: nv (default), vocoder") for line in lines)
    assert any("cached" in line and "depth N, work N" in line for line in lines)
    assert lines[-2].startswith("devices  cpu")
    assert not any("pixelcnn" in line for line in lines)


def test_a_model_of_ones_own(answer, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from arbench.models.wavenet import WaveNet\n"
        "class Mine(WaveNet):\n"
        '    """My own."""\n'
        "    claims = {}\n"
    )
    found = answer("list", "--model", f"{tmp_path}/mine.py:Mine", "--json")
    (model,) = json.loads(found.out)["models"]
    assert (model["name"], model["summary"]) == ("mine.Mine", "My own.")
    assert {one["claims"] for one in model["methods"]} == {None}
