"""Tests of the registry: a name finds its model, or an error of one line suggests another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from arbench.models import ModelError, names, registry, resolve, save
from arbench.models.wavenet import WaveNet

MINE = "from arbench.models.wavenet import WaveNet\n\n\nclass Mine(WaveNet):\n    default_preset = 'tiny'\n"


pytestmark = pytest.mark.usefixtures("forgotten")


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def error(said: Callable[..., str]) -> Callable[[str], str]:
    """Return a function that resolves what must be refused, and returns the one line."""
    return partial(said, ModelError, resolve)


@pytest.mark.parametrize("name", names())
def test_a_name_finds_the_default_preset_and_every_other(name: str) -> None:
    chosen = resolve(name)
    assert chosen == resolve(f"{name}:{chosen.cls.default_preset}")
    assert chosen.spec == f"{name}:{chosen.preset}"
    for preset, config in chosen.cls.presets.items():
        assert resolve(f"{name}:{preset}").config == config
        assert resolve(resolve(f"{name}:{preset}").spec) == resolve(f"{name}:{preset}")


@pytest.mark.parametrize("preset", ["", ":tiny"])
def test_a_class_in_a_file(preset: str, file) -> None:
    path = file(MINE)
    chosen = resolve(f"{path}:Mine{preset}")
    assert (chosen.name, chosen.preset) == ("mine.Mine", "tiny")
    assert chosen.spec == f"{path}:Mine:tiny"
    assert resolve(chosen.spec) == chosen
    assert issubclass(chosen.cls, WaveNet)
    assert chosen.build().weights(1) == resolve("wavenet:tiny").build().weights(1)


@pytest.mark.parametrize("preset", ["", ":tiny"])
def test_a_class_in_a_module(preset: str, file, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mypackage").mkdir()
    file(MINE, "mypackage/models.py")
    monkeypatch.syspath_prepend(tmp_path)
    chosen = resolve(f"mypackage.models:Mine{preset}")
    assert (chosen.spec, chosen.preset) == ("mypackage.models:Mine:tiny", "tiny")
    assert chosen.name == resolve(f"{tmp_path}/mypackage/models.py:Mine").name == "models.Mine"
    assert resolve(chosen.spec) == chosen


def test_another_package_adds_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("theirs", "arbench.models.wavenet:WaveNet", "arbench.models")
    same = EntryPoint("pixelcnn", "arbench.models.wavenet:WaveNet", "arbench.models")
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry, same])
    assert resolve("theirs:tiny").cls is WaveNet
    assert resolve("pixelcnn").cls is not WaveNet, "what is built in keeps its name"


def test_two_files_of_one_name_are_two_models(file, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first, second = file(MINE), file(MINE + "    element = 'token'\n", "other/mine.py")
    assert resolve(f"{first}:Mine").cls.element == "audio sample"
    assert resolve(f"{second}:Mine").cls.element == "token"


def test_a_file_found_twice_is_one_class(file) -> None:
    path = file(MINE)
    assert resolve(f"{path}:Mine").cls is resolve(f"{path}:Mine").cls


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("wavnet", "unknown model 'wavnet'; did you mean 'wavenet'?"),
        ("qqq", "unknown model 'qqq'; available: "),
        ("", "unknown model ''; available: "),
        (":tiny", "unknown model ''; available: "),
        ("wavenet:tinny", "model 'wavenet' has no preset 'tinny'; did you mean 'tiny'?"),
        ("wavenet:qqq", "model 'wavenet' has no preset 'qqq'; available: nv, vocoder"),
        ("wavenet:tiny:more", "model 'wavenet' has no preset 'tiny:more'"),
        ("wavenet:nv,layers", "model 'wavenet': expected KEY=VALUE, got 'layers'"),
        ("nowhere.py:Mine", "model 'nowhere.py:Mine': no file nowhere.py"),
        ("nowhere.py", "model 'nowhere.py' names no class; add one, as in nowhere.py:MyModel"),
        ("no.such.module:Mine", "no module 'no' in the current folder, "),
        ("arbench.models.wavenet:WaveNat", "has no 'WaveNat'; did you mean 'WaveNet'?"),
        ("arbench.models.wavenet:Tensor", "Tensor is not a subclass of arbench.models.Source"),
        ("arbench.models.wavenet:pad", "pad is not a subclass of arbench.models.Source"),
        ("arbench.models.base:Source", "Source does not define extend, forward, observe, start"),
        ("math.tau:x", "no module 'math.tau' in math, which is no package"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(spec: str, says: str, error) -> None:
    assert says in error(spec)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("class Mine(:\n", "SyntaxError"),
        ("raise ValueError('one\\ntwo')\n", "ValueError: one two"),
        ("open('/nowhere/at/all')\n", "FileNotFoundError"),
        ("raise SystemExit('usage: mine.py')\n", "SystemExit: usage: mine.py"),
        ("Other = 1\n", "has no 'Mine'"),
        (
            MINE + "    presets = {}\n",
            "has no presets; define settings by name in the class, such as presets = {'tiny': {}}",
        ),
        (MINE + "    presets = {'tiny'}\n", "has no presets; define settings by name in the class"),
        (MINE + "    presets = {'tiny': None}\n", "has no presets; define settings by name in the class"),
        (MINE + "    def __init__(self): ...\n", "its __init__ takes no seed; add seed=0, the seed of random weights"),
        (MINE.replace("Mine", "Mind"), "has no 'Mine'; did you mean 'Mind'?"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_in_one_line(text: str, says: str, file, error) -> None:
    path = file(text)
    message = error(f"{path}:Mine")
    assert says in message
    assert "no file" not in message


def test_a_file_that_failed_is_read_again_once_mended(file, error) -> None:
    path = file("1 / 0\n")
    assert "ZeroDivisionError" in error(f"{path}:Mine")
    path.write_text(MINE)
    assert resolve(f"{path}:Mine").preset == "tiny"


def test_a_setting_is_given_once(error) -> None:
    assert error("made:tiny,order=raster,order=raster") == "model 'made': the setting 'order' is given twice"


def test_a_constructor_of_any_keywords_takes_any_setting(file) -> None:
    body = "    def __init__(self, *, seed=0, **config):\n        super().__init__(**config, seed=seed)\n"
    path = file(MINE + body)
    assert resolve(f"{path}:Mine:tiny,layers=3").build().weights(9) == resolve("wavenet:tiny,layers=3").build().weights(
        9
    )
    with pytest.raises(ModelError, match=r"unexpected keyword argument 'layer' \(\S*mine.py:7\)$"):
        resolve(f"{path}:Mine:tiny,layer=3").build()


def test_without_its_default_preset_a_model_takes_the_first(file, error) -> None:
    path = file(MINE + "    presets = {'small': {}, 'large': {}}\n")
    assert resolve(f"{path}:Mine").preset == "small"
    assert "has no preset 'tiny'; available: small, large" in error(f"{path}:Mine:tiny")


def test_a_draft_that_cannot_be_built_is_named_as_such(file, said: Callable[..., str]) -> None:
    path = file(
        "from arbench.models.lstm import LSTM\n\n\nclass Mine(LSTM):\n    default_preset = 'tiny'\n\n"
        "    @classmethod\n    def drafting(cls, config):\n        return {**config, 'width': -1}\n"
    )
    line = said(ModelError, resolve(f"{path}:Mine").build)
    assert line.startswith(
        "model 'mine.Mine:tiny' can be built, and its draft cannot, the smaller model with width=-1 that guesses ahead "
        "in speculative sampling ("
    )
    assert line.endswith(
        "); choose larger settings, of which a smaller model can be built, or let drafting return None"
    )


@pytest.mark.parametrize("law", ["", "self.distribution = None", "self.distribution = 16"])
def test_a_model_without_a_distribution_is_refused(law: str, file) -> None:
    body = f"    def __init__(self, seed=0):\n        super(WaveNet, self).__init__()\n        {law}\n"
    with pytest.raises(ModelError) as caught:
        resolve(f"{file(MINE + '    presets = dict(tiny={})' + chr(10) + body)}:Mine").build()
    assert str(caught.value) == (
        "model 'mine.Mine:tiny': its __init__ sets no self.distribution; "
        "set one of arbench.distributions, such as Categorical(16)"
    )


def test_a_folder_is_no_file(tmp_path: Path, error) -> None:
    (tmp_path / "folder.py").mkdir()
    assert "folder.py" in error(f"{tmp_path / 'folder.py'}:Mine")


def test_build_is_reproducible_and_rounds_one_model() -> None:
    chosen = resolve("wavenet:tiny")
    one, again, other = chosen.build(1), chosen.build(1), chosen.build(2)
    assert all(map(torch.equal, one.parameters(), again.parameters()))
    assert not torch.equal(one.embedding, other.embedding)  # type: ignore[arg-type]
    wide = chosen.build(1, torch.float64)
    for a, b in zip(one.parameters(), wide.parameters(), strict=True):
        assert torch.equal(a.double(), b)
    assert not one.training
    assert not any(p.requires_grad for p in one.parameters())


def test_build_reads_weights(tmp_path: Path) -> None:
    chosen, path = resolve("wavenet:tiny"), tmp_path / "w.safetensors"
    save(chosen.build(7), path)
    built = chosen.build(0, weights=path)
    assert all(map(torch.equal, built.parameters(), chosen.build(7).parameters()))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("rate_hz = 0", "its rate_hz is 0; give the elements per second as a positive number, or None"),
        ("rate_hz = '16k'", "its rate_hz is '16k'; give the elements per second as a positive number, or None"),
        ("rate_hz = float('nan')", "its rate_hz is nan; give the elements per second as a positive number, or None"),
        ("element = 5", "its element is 5; give it a text"),
        ("citation = 7", "its citation is 7; give it a text"),
    ],
)
def test_what_a_model_says_of_itself_is_checked(line: str, says: str, file, error) -> None:
    path = file(f"{MINE}    {line}\n")
    assert error(f"{path}:Mine") == f"model '{path}:Mine': {says}"


def test_what_an_instance_says_of_itself_is_checked(file) -> None:
    path = file(
        f"{MINE}\n    def __init__(self, **given):\n        super().__init__(**given)\n        self.rate_hz = -1\n"
    )
    with pytest.raises(ModelError) as caught:
        resolve(f"{path}:Mine").build()
    says = "its rate_hz is -1; give the elements per second as a positive number, or None"
    assert str(caught.value) == f"model 'mine.Mine:tiny': {says}"
