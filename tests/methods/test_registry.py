"""Tests of the registry: a name, a file or a module finds its methods, or an error of one line says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch

from arbench.methods import METHODS, Method, MethodError, Task, place_of, registry, resolve
from arbench.methods.stepwise import CACHED
from arbench.models import resolve as resolve_model

MINE = """
import torch
from arbench.methods import Method, sampler
from arbench.methods.stepwise import cached
from arbench.models import Claim


def draw(model, noise):
    '''Draw everything at once.'''
    return noise.argmax(-1)


def whole(source, task):
    return cached(source, task)


@sampler(summary="stated", claim=Claim("1", "N"), exactness="distribution")
def stated(noise, *, width=8, name="a"):
    return noise


def _configured(settings):
    if set(settings) != {"width"}:
        raise ValueError(f"takes width,\\nnot {', '.join(settings)}")
    return Method("any", "sample", "x", cached, f"width {settings['width']}")


METHOD = Method("any", "sample", "z", cached, "a whole method", configure=_configured)
BAD_OP = Method("any", "draw", "x", cached, "")
APPROXIMATE = Method("any", "sample", "x", cached, "", exactness="approximate")
CLAIMING = Method("any", "sample", "x", cached, "", claim=("N", "N"))
UNRUN = Method("any", "sample", "x", None, "")
NUMBER = 3


class Drawn:
    pass


def other(model, x):
    return x


def both(noise, task):
    return x


def unfilled(noise, temperature):
    return noise


def positional(noise, /):
    return noise


async def later(noise):
    return noise


def piecewise(noise):
    yield noise
"""


pytestmark = pytest.mark.usefixtures("forgotten")


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a file of methods."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


@pytest.fixture
def error(said: Callable[..., str]) -> Callable[[str], str]:
    """Return a function that resolves what must be refused, and returns the one line."""
    return partial(said, MethodError, resolve)


@pytest.mark.parametrize("name", sorted({m.name for m in METHODS}))
def test_a_name_finds_the_built_in_methods_of_each_op_and_feed(name: str) -> None:
    found = resolve(name)
    assert [id(one) for one in found] == [id(one) for one in METHODS if one.name == name]
    assert place_of(name) is None


def test_a_function_of_the_noise_is_a_sampler_of_both_feeds_that_does_not_record(there: Path) -> None:
    found = resolve("mine.py:draw")
    assert [(m.name, m.op, m.feeds, m.records, m.outside) for m in found] == [
        ("mine.draw", "sample", feeds, False, True) for feeds in "xz"
    ]
    assert found[0].summary == "Draw everything at once"
    assert resolve(f"{there}/mine.py:draw")[0].name == "mine.draw"


def test_a_function_of_a_task_records(there: Path) -> None:
    assert [(m.name, m.records) for m in resolve("mine.py:whole")] == [("mine.whole", True)] * 2


def test_what_is_stated_of_a_function_is_kept(there: Path) -> None:
    (one, _) = resolve("mine.py:stated")
    assert (one.summary, one.claim.depth, one.exactness, one.records) == ("stated", "1", "distribution", False)


def test_defaults_of_a_function_are_its_settings(there: Path, error) -> None:
    assert [(m.name, m.feeds) for m in resolve("mine.py:stated, width=9 ,name=b")] == [
        ("mine.stated,name=b,width=9", feeds) for feeds in "xz"
    ]
    assert error("mine.py:stated,wide=1") == (
        "method 'mine.py:stated': there is no setting 'wide'; did you mean 'width'?"
    )
    assert error("mine.py:stated,width") == "method 'mine.py:stated': expected KEY=VALUE, got 'width'"
    assert error("mine.py:stated,width=1,width=2") == "method 'mine.py:stated': the setting 'width' is given twice"
    assert error("mine.py:draw,width=1") == "method 'mine.py:draw' takes no settings"
    assert error("cached,width=1") == "method 'cached' has no setting 'width'; it has backend"


def test_settings_and_what_a_function_asks_for_reach_it(there: Path) -> None:
    (there / "asking.py").write_text(
        "def draw(model, noise, context, width=8):\n    return model, noise, context, width\n"
    )
    noise = torch.zeros(1, 2, 3)
    task, source = Task(2, {"c": noise}, noise=noise), resolve_model("wavenet:tiny").build()
    for spec, width in (("asking.py:draw", 8), ("asking.py:draw,width=[1, 2]", [1, 2])):
        x = resolve(spec)[0].run(source, task).x
        assert x[0] is source
        assert x[1] is noise
        assert x[2] is task.context
        assert x[3] == width


def test_a_method_configures_itself(there: Path, error) -> None:
    (one,) = resolve("mine.py:METHOD")
    assert (one.name, one.feeds, one.summary) == ("mine.METHOD", "z", "a whole method")
    (wide,) = resolve("mine.py:METHOD,width=3")
    assert (wide.name, wide.summary, wide.outside) == ("mine.METHOD,width=3", "width 3", True)
    assert error("mine.py:METHOD,depth=2") == "method 'mine.py:METHOD': takes width, not depth"


def test_settings_of_a_built_in_method_are_a_part_of_its_name(monkeypatch: pytest.MonkeyPatch, error) -> None:
    def configured(settings: dict[str, object]) -> Method:
        if not isinstance(settings["threads"], int):
            raise ValueError(f"threads is {settings['threads']!r}; use 1 or 2")
        return replace(CACHED, name="cached", summary=str(settings))

    monkeypatch.setattr(registry, "METHODS", (replace(CACHED, configure=configured),))
    (one,) = resolve("cached,weights=bfloat16,threads=2")
    assert one.name == "cached,threads=2,weights=bfloat16"
    assert one.summary == "{'threads': 2, 'weights': 'bfloat16'}"
    assert not one.outside
    assert error("cached,threads=two") == "method 'cached': threads is 'two'; use 1 or 2"


def test_another_package_adds_a_name(there: Path, monkeypatch: pytest.MonkeyPatch, error) -> None:
    (there / "mypackage.py").write_text(MINE)
    monkeypatch.syspath_prepend(there)
    entries = [EntryPoint(name, "mypackage:draw", "arbench.methods") for name in ("theirs", "cached")]
    monkeypatch.setattr(registry, "entry_points", lambda group: entries)
    assert [m.name for m in resolve("theirs")] == ["theirs"] * 2
    assert place_of("theirs") == "mypackage:draw"
    assert resolve("cached") == [CACHED], "what is built in keeps its name"
    assert error("their") == "unknown method 'their'; did you mean 'theirs'?"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("cache", "unknown method 'cache'; did you mean 'cached'?"),
        ("", "unknown method ''; available: parallel, "),
        ("weights", "weights needs a value, as in fused,weights=bfloat16"),
        ("fused,threads", "threads needs a value, as in fused,threads=2"),
        ("nowhere.py:draw", "method 'nowhere.py:draw': no file nowhere.py"),
        ("mine.py", "method 'mine.py' names no function; add one, as in mine.py:draw"),
        ("mine.py:draw:more", "method 'mine.py:draw:more' names no function; add one, as in mine.py:draw"),
        ("mine.py:draws", "method 'mine.py:draws': mine.py has no 'draws'; did you mean 'draw'?"),
        ("no.such.module:draw", "method 'no.such.module:draw': no module 'no' in the current folder, "),
        ("mine.py:Drawn", "method 'mine.py:Drawn' is a class; write draw(model, noise) that returns the events, or "),
        ("mine.py:NUMBER", "method 'mine.py:NUMBER' is of type int; write draw(model, noise)"),
        ("mine.py:other", "method 'mine.py:other' has neither of the parameters noise and task; write draw(model, "),
        ("mine.py:both", "method 'mine.py:both' has both of the parameters noise and task; write draw(model, noise)"),
        ("mine.py:unfilled", "method 'mine.py:unfilled': its parameter 'temperature' is none that arbench fills ("),
        ("mine.py:positional", "method 'mine.py:positional': its parameter 'noise' has no name for callers; remove "),
        ("mine.py:later", "method 'mine.py:later' returns before it is done; write it without async and yield"),
        ("mine.py:piecewise", "method 'mine.py:piecewise' returns before it is done; write it without async and yield"),
        ("mine.py:BAD_OP", "method 'mine.py:BAD_OP': its op is 'draw'; use 'score' or 'sample'"),
        ("mine.py:APPROXIMATE", "method 'mine.py:APPROXIMATE': its exactness is 'approximate'; use 'pointwise' or "),
        ("mine.py:CLAIMING", "method 'mine.py:CLAIMING': its claim is ('N', 'N'); write Claim(depth='N', work='N')"),
        ("mine.py:UNRUN", "method 'mine.py:UNRUN': its run is None; give a function"),
        ("broken.py:draw", "method 'broken.py:draw': importing broken.py failed: ZeroDivisionError: division by zero"),
        ("ending.py:draw", "method 'ending.py:draw': importing ending.py failed: SystemExit: 3 (ending.py:1)"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(there: Path, spec: str, says: str, error) -> None:
    (there / "broken.py").write_text("1 / 0\n")
    (there / "ending.py").write_text("raise SystemExit(3)\n")
    assert error(spec).startswith(says)


FIELDS = {
    "summary": "3",
    "like": "7",
    "remark": "3",
    "prepare": "3",
    "chunk": "0",
    "threads": "'two'",
    "rounds": "'bf16'",
    "backend": "'foo'",
    "twin": "3",
    "devices": "'cpu'",
    "settings": "'width'",
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_no_method_may_have_is_refused(there: Path, field: str, error) -> None:
    (there / "fields.py").write_text(
        "from arbench.methods.stepwise import CACHED\nfrom dataclasses import replace\n\n"
        f"METHOD = replace(CACHED, {field}={FIELDS[field]})\nSOUND = replace(CACHED, reference=True)\n"
    )
    assert error("fields.py:METHOD").startswith(f"method 'fields.py:METHOD': its {field} is {FIELDS[field]}; ")
    (sound,) = resolve("fields.py:SOUND")
    assert (sound.name, sound.reference) == ("fields.SOUND", False)


def test_a_function_that_numba_compiled_is_refused(there: Path, error) -> None:
    (there / "fast.py").write_text("import numba\n\n\n@numba.njit\ndef draw(noise):\n    return noise\n")
    assert error("fast.py:draw") == (
        "method 'fast.py:draw' is compiled by Numba, which takes no tensors; "
        "name a function of model and noise that calls it with noise.numpy()"
    )


def test_each_example_of_a_setting_is_a_method_that_takes_it() -> None:
    for key, spec in registry.EXAMPLES.items():
        assert f"{key}=" in spec
        for method in resolve(spec):
            assert method.name == spec
