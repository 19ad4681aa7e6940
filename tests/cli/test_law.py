"""``--law``: the law of an element of a model that is a plain module."""

from __future__ import annotations

import json

import pytest

NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.embedding, self.head = nn.Embedding(8, width), nn.Linear(width, 8)

    def forward(self, x):
        return self.head(self.embedding(x))
"""

MISSING = "--law is the law of a --model that is a plain module"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    (tmp_path / "my_net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_methods_of_a_plain_module_are_listed(answer):
    found = answer("list", "--model", "my_net.py:Net", "--law", "categorical:8", "--json")
    assert (found.code, found.err) == (0, "")
    (model,) = json.loads(found.out)["models"]
    assert (model["name"], model["spec"], model["element"]) == ("my_net.Net", "my_net.py:Net", "symbol")
    assert [one["method"] for one in model["methods"]] == ["parallel", "naive", "fixed_point", "forecast"]
    assert "needs an incremental step" in {one["method"]: one["why"] for one in model["lacking"]}["cached"]


def test_the_law_is_that_of_the_plain_module_among_other_models(answer):
    words = ("--model", "wavenet:tiny", "--model", "my_net.py:Net", "--law", "categorical:8")
    found = answer("list", *words, "--json")
    assert (found.code, found.err) == (0, "")
    assert [one["spec"] for one in json.loads(found.out)["models"]] == ["wavenet", "my_net.py:Net"]


def test_samples_of_a_plain_module_are_drawn(answer, here):
    words = ("--model", "my_net.py:Net,width=3", "--law", "categorical:8", "--n", 12, "--count", 2)
    found = answer("sample", *words, "--out", here / "out")
    assert found.code == 0, found.err
    assert found.out.startswith("my_net.Net:given,width=3,law=categorical:8, weights random: 2 events of 12 symbols")
    assert (here / "out" / "samples.jsonl").read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "run --law normal",
            "--law is the law of a --model that is a plain module; add one, as in --model path.py:Net",
        ),
        (
            "run --suite exact --law normal",
            "--law is of a --model, and --suite names its own; add model = 'path.py:Net,law=normal' to it",
        ),
        (
            "run --model wavenet:tiny --law normal",
            "model 'wavenet' has its own law of an element; leave out --law",
        ),
        (
            "run --model my_net.py:Net",
            "model 'my_net.py:Net': Net is an nn.Module, of which only the law of an element is missing; add --law, ",
        ),
        (
            "run --model my_net.py:Net --law normal",
            "my_net.Net:given,law=normal: forward fails on events of this law, and takes symbols; it returns 8 "
            "parameters of each, so choose another law, such as categorical:8",
        ),
        (
            "run --model my_net.py:Net --law categorical:9",
            "my_net.Net:given,law=categorical:9: forward fails on events of this law, and takes symbols; it returns 8 "
            "parameters of each, so choose another law, such as categorical:8",
        ),
        (
            "run --model my_net.py:Net --law categorical:7",
            "my_net.Net:given,law=categorical:7: forward returns (64, 8, 8) for events (64, 8), and the law needs "
            "(64, 8, 7); choose a law of 8 parameters, such as categorical:8",
        ),
        (
            "run --model my_net.py:Net,law=categorical:8 --law categorical:8",
            "model 'my_net.py:Net,law=categorical:8,law=categorical:8': the setting 'law' is given twice",
        ),
        ("list --law normal", f"{MISSING}; add one, as in --model path.py:Net"),
        ("check --baseline b.json --update --law normal", f"{MISSING}; add one, as in --model path.py:Net"),
    ],
)
def test_wrong_use_is_refused_in_one_line(words, said, refusal):
    assert refusal(*words.split()).startswith(said)


@pytest.mark.parametrize(("scheme", "package", "extra"), [("hf", "transformers", "hf"), ("zuko", "zuko", "flows")])
def test_a_missing_package_is_named_with_the_command_that_installs_it(scheme, package, extra, refusal, monkeypatch):
    monkeypatch.setattr("arbench.adapters.extras.importlib.util.find_spec", lambda name: None)
    assert refusal("list", "--model", f"{scheme}:x") == (
        f"model '{scheme}:x' needs {package}, which is not installed: pip install 'arbench[{extra}]'"
    )
