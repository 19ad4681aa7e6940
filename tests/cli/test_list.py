"""arbench list: models, methods, suites and devices."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pytest

from arbench.bench.dtypes import DTYPES
from arbench.methods import registry
from arbench.models import FAMILIES, names

WRONG = """
from arbench.models import Claim
from arbench.models.wavenet import WaveNet


class Mine(WaveNet):
    claims = {("sample", "cached"): Claim(depth="O(n)", work="N")}
"""


def test_a_claim_of_an_unknown_growth_is_refused(refusal, tmp_path):
    (tmp_path / "mine.py").write_text(WRONG)
    known = "1, log N, sqrt N, N, N log N, N^2, N^3"
    assert refusal("list", "--model", f"{tmp_path}/mine.py:Mine:tiny") == (
        f"model 'Mine': unknown growth class 'O(n)'; known: {known}"
    )


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ('{"sample": Claim("N", "N")}', "`claims` names 'sample', which is no method; "),
        ('{("sample", "cached"): ("N", "N")}', "claims[('sample', 'cached')] is ('N', 'N'); write Claim("),
        ('{("sample", "cached"): Claim(1, "N")}', "claims[('sample', 'cached')] is Claim("),
        ("None", "claims is no dictionary; write {"),
    ],
)
def test_claims_of_another_form_are_refused(claims, said, refusal, tmp_path):
    (tmp_path / "mine.py").write_text(WRONG.replace('{("sample", "cached"): Claim(depth="O(n)", work="N")}', claims))
    assert said in refusal("list", "--model", f"{tmp_path}/mine.py:Mine:tiny")


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
    assert wavenet["citation"] == wavenet["source"] == "van den Oord et al. 2016, arXiv:1609.03499"
    assert listed["families"] == dict(FAMILIES)
    assert wavenet["family"] == "sequential"
    assert all(model["family"] in {*FAMILIES, ""} and "remark" in model for model in listed["models"])
    assert "wavenet:tiny" in listed["suites"]["taxonomy"]["models"]
    claims = {(one["op"], one["method"]): one["claims"] for one in wavenet["methods"]}
    assert claims["score", "parallel"] == {"depth": "1", "work": "N"}
    for method in ("cached", "fused", "stream"):  # the latter two share those of cached, and reports judge them so
        assert claims["sample", method] == {"depth": "N", "work": "N"}
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
    assert max(map(len, lines)) <= 80
    assert not any("pixelcnn" in line for line in lines)


def test_all_of_it_is_grouped_by_family_in_a_few_lines_each(answer):
    found = answer("list")
    lines = found.out.splitlines()
    titles = [line for line in lines if line in FAMILIES.values()]
    assert titles == [title for title in FAMILIES.values() if title in titles]
    assert {FAMILIES["sequential"], FAMILIES["flow"]} <= set(titles)
    named = [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert sorted(named) == sorted(names())
    start = lines.index(FAMILIES["flow"])
    assert any(line.startswith("  parallel_wavenet") for line in lines[start:])
    assert "    presets: paper (default), student, tiny" in lines
    assert "fused, stream), <= N (fixed_point" in " ".join(found.out.split())
    assert any("wavenet:nv,layers=10" in line for line in lines)
    assert any(line.startswith("suite    taxonomy: ") for line in lines)
    assert max(map(len, lines)) <= 125
    assert len(lines) < 8 * len(named) + 20


def test_settings_behind_a_preset_are_named(answer):
    out = answer("list", "--model", "wavenet").out
    settings = " ".join(out[out.index("settings of a preset") :].split())
    assert "as in --model wavenet:nv,layers=20" in settings
    assert {"kernel", "residual"} <= set(settings.replace(",", "").split())


def test_a_model_of_your_own(answer, tmp_path):
    (tmp_path / "mine.py").write_text(
        'from arbench.models.wavenet import WaveNet\nclass Mine(WaveNet):\n    """My own."""\n    claims = {}\n'
    )
    found = answer("list", "--model", f"{tmp_path}/mine.py:Mine", "--json")
    (model,) = json.loads(found.out)["models"]
    assert (model["name"], model["summary"]) == ("mine.Mine", "My own.")
    assert {one["claims"] for one in model["methods"]} == {None}


def test_what_keeps_a_method_from_running_a_model_is_said(answer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert answer("new", "model", "mine.py").code == 0
    found = answer("list", "--model", "mine.py:MyModel")
    why = "needs a draft: MyModel defines no drafting(config), the configuration of a smaller model"
    assert f"sample speculative, rejection {why}" in " ".join(found.out.split())
    (model,) = json.loads(answer("list", "--model", "mine.py:MyModel", "--json").out)["models"]
    assert model["spec"] == "mine.py:MyModel"
    assert "settings of a preset, as in --model mine.py:MyModel:tiny,width=8: width" in found.out
    loop = "needs a native loop, which the model does not have: it does not define native"
    assert f"sample fused {loop}" in " ".join(found.out.split())
    lacking = {"fused": loop, "speculative": why, "rejection": why}
    assert model["lacking"] == [{"op": "sample", "method": m, "why": lacking[m]} for m in lacking]


def test_a_method_of_your_own(answer, refusal, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from arbench.methods import sampler\nfrom arbench.models import Claim\n\n\n"
        "@sampler(claim=Claim('N', 'N'))\ndef draw(model, noise, *, width=8):\n    '''Draw it all.'''\n"
    )
    place = f"{tmp_path}/mine.py:draw"
    found = answer("list", "--method", f"{place},width=16,cached")
    assert (found.code, found.err) == (0, "")
    words = " ".join(found.out.split())
    assert f"sample mine.draw,width=16 {place} Draw it all for models that read events or noise; " in words
    assert "exactness: pointwise claims: depth N, work N returns no parameters: only its draws are verified" in words
    assert "settings, as in mine.draw,width=...: width" in words
    assert "sample cached one incremental step per element for models that read events; " in words
    assert "pixelcnn" not in words
    listed = json.loads(answer("list", "--method", place, "--json").out)
    assert listed["models"] == []
    assert [(one["method"], one["settings"], one["records"]) for one in listed["methods"]] == [
        ("mine.draw", ["width"], False)
    ]
    assert refusal("list", "--method", f"{place}s") == (
        f"method '{place}s': {tmp_path}/mine.py has no 'draws'; did you mean 'draw'?"
    )


def test_methods_of_installed_packages_are_listed(answer, monkeypatch):
    entry = EntryPoint("theirs", "their.samplers:draw", "arbench.methods")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    words = " ".join(answer("list").out.split())
    assert "method theirs: their.samplers:draw, of an installed package; arbench list --method theirs " in words
