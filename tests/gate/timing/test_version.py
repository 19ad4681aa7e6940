"""Refusals of versions: an attribute of the error says what is absent; older versions are read by their words."""

from __future__ import annotations

import pytest

from arbench.bench.plan import Options, PlanError, make_plan
from arbench.gate.timing import version

TINY = {"models": ["wavenet:tiny"], "methods": ["cached"], "n": [8]}


def refused(**options: object) -> version.Refusal | None:
    """Return this version's refusal of options."""
    with pytest.raises((PlanError, version.NoOptionError)) as error:
        version.cases({**TINY, **options})
    return version.refusal(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"models": ["wavenett"]}, "unknown model"),
        ({"models": ["wavenet:tinny"]}, "has no preset"),
        ({"models": ["no_such_file.py:Mine"]}, "no file"),
        ({"methods": ["cachedd"]}, "unknown method"),
        ({"methods": ["inversion"]}, "none of the methods"),
        ({"speed": 9}, "has no option speed"),
    ],
)
def test_what_does_not_exist_is_absent(options: dict[str, object], words: str) -> None:
    found = refused(**options)
    assert found is not None
    assert words in found.why
    assert found.absent


@pytest.mark.parametrize(
    "options", [{"n": [0]}, {"models": ["wavenet:tiny,layers=x"]}, {"models": ["wavenet:tiny,depth=3"]}]
)
def test_what_is_wrong_is_not_absent(options: dict[str, object]) -> None:
    found = refused(**options)
    assert found is not None
    assert not found.absent


def test_the_attribute_decides_whatever_the_words_say() -> None:
    for absent in (True, False):
        error = PlanError("model 'mine' is broken: unknown model of the weather")
        error.absent = absent
        found = version.refusal(error)
        assert found is not None
        assert found.absent == absent


def test_a_plan_carries_the_attribute() -> None:
    for models, absent in ((["wavenett"], True), (["none.py"], False)):
        with pytest.raises(PlanError) as error:
            make_plan(Options(models=models))
        assert error.value.absent == absent


def older(name: str, base: type[Exception]) -> type[Exception]:
    """Return an error class of a version from before the attribute."""
    return type(name, (base,), {})


OLD = older("PlanError", Exception)


@pytest.mark.parametrize(
    ("error", "absent"),
    [
        (OLD("unknown model 'wavenett'; did you mean 'wavenet'?"), True),
        (OLD("model 'wavenet' has no preset 'tinny'; there is: tiny"), True),
        (OLD("unknown method 'cachedd'; did you mean 'cached'?"), True),
        (OLD("model 'wavenet' has none of the methods asked for; it has: score parallel"), True),
        (older("_GoneError", OLD)("model 'mine.py:Mine': no file mine.py"), True),
        (OLD("model 'mine.py:Mine': importing mine.py failed: SyntaxError"), False),
        (ValueError("--n must be at least 1"), False),
    ],
)
def test_errors_of_older_versions_are_read_by_their_words(error: Exception, absent: bool) -> None:
    found = version.refusal(error)
    assert found is not None
    assert found.absent == absent


def test_any_other_error_is_no_refusal() -> None:
    assert version.refusal(RuntimeError("unknown model")) is None
