"""arbench new: a file to start from, which replaces nothing."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from arbench.results import read

STARTER = (resources.files("arbench.cli.starters") / "model.py").read_text(encoding="utf-8")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_writes_a_model_under_the_name_that_it_is_given(answer, here):
    found = answer("new", "model", "mine.py")
    assert (found.code, found.err) == (0, "")
    assert found.out == "mine.py is written; measure it with: arbench run --model mine.py:MyModel\n"
    text = (here / "mine.py").read_text()
    assert "arbench run --model mine.py:MyModel" in text
    assert text.replace("mine.py", "my_model.py") == STARTER


def test_an_existing_file_stays_as_it_is(refusal, here):
    (here / "mine.py").write_text("mine")
    said = "mine.py exists already; choose another name, or run it: arbench run --model mine.py:MyModel"
    assert refusal("new", "model", "mine.py") == said
    assert (here / "mine.py").read_text() == "mine"


def test_a_link_to_nowhere_is_not_followed(refusal, here):
    (here / "mine.py").symlink_to(here / "elsewhere.py")
    assert "exists already" in refusal("new", "model", "mine.py")
    assert not (here / "elsewhere.py").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("new model mine", "mine: the file of a model is Python; name it mine.py"),
        ("new model none/mine.py", "none/mine.py: cannot be written (No such file or directory); choose another place"),
        ("new model", "Missing argument 'FILE.py'; for example: arbench new model my_model.py"),
        ("new", "Missing command."),
        ("new modl mine.py", "No such command 'modl'. Did you mean 'model'?"),
    ],
)
def test_wrong_use_is_one_line(refusal, here, words, said):
    assert refusal(*words.split()) == said
    assert list(here.iterdir()) == []


def test_a_method_that_it_lacks_is_refused_with_the_reason(refusal, inside, here):
    (here / "mine.py").write_text(STARTER)
    words = "run --model mine.py:MyModel --method speculative --out out"
    assert refusal(*words.split()) == (
        "model 'mine.MyModel' has none of the methods requested; it has: score parallel, score sequential, "
        "sample naive, sample cached, sample stream, sample fixed_point, sample blocks, sample forecast; "
        "speculative needs a draft: MyModel defines no drafting(config), the configuration of a smaller model"
    )


def test_it_imports_no_torch(here):
    code = (
        "import sys\nfrom arbench.cli import main\n"
        "try:\n    main(['new', 'model', 'mine.py'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_what_it_wrote_is_verified_and_measured(answer, inside, here):
    assert answer("new", "model", "mine.py").code == 0
    words = "run --model mine.py:MyModel --n 8 --method parallel --method cached --rounds 1 --workers 1 --out out"
    found = answer(*words.split(), "--method", "speculative")
    assert found.code == 0, found.err
    said = (
        "arbench: no model of this run has speculative; speculative needs a draft: MyModel defines no "
        "drafting(config), the configuration of a smaller model"
    )
    assert said in found.err.splitlines()
    rows = read(here / "out").cases.values()
    assert {(row.method, row.status) for row in rows} == {("parallel", "ok"), ("cached", "ok")}
