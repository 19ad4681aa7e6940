"""Models that take only some sizes are told to list them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import pytest

from arbench.report import failures
from arbench.report.gaps import gaps
from arbench.report.models.sizes import size_hints
from arbench.results import Results

SIZES = (64, 128, 1024, 2048)
LIST = "If it takes only some sizes, list them: `ladder` in its class, or --n."


@pytest.fixture
def failing(results) -> Callable[..., Results]:
    """Return a function that makes results of one model, in which rows fail by N, or by method and N."""
    row = next(iter(results.cases.values()))

    def make(errors: Mapping[object, str]) -> Results:
        found = Results(results.run)
        for method in ("parallel", "cached"):
            for n in SIZES:
                error = errors.get((method, n), errors.get(n))
                status = "error" if error else "ok"
                facts = dict(
                    model="mine.Mine", preset="tiny", op="score", method=method, n=n, status=status, error=error
                )
                found.add(msgspec.structs.replace(row, id=f"{method}/{n}", **facts))
        return found

    return make


def test_a_run_without_errors_has_no_hint(failing, results) -> None:
    assert size_hints(failing({})) == size_hints(results) == []


def test_sizes_beyond_a_limit_fail_alike(failing) -> None:
    found = failing({n: f"AssertionError: {n} is beyond 999 (mine.py:7)" for n in (1024, 2048)})
    assert size_hints(found) == [f"mine.Mine:tiny fails alike at N = 1,024 and 2,048, and not at 64 and 128. {LIST}"]
    assert size_hints(found)[0] in gaps(found)


def test_every_size_fails_alike(failing) -> None:
    found = failing({n: f"RuntimeError: shape '[8, -1]' is invalid for input of size {n}" for n in SIZES})
    assert size_hints(found) == [f"mine.Mine:tiny fails alike at every N. {LIST}"]


@pytest.mark.parametrize("error", ["TypeError: no", "NameError: no", "AttributeError: no"])
def test_an_error_of_code_at_every_size_is_none_of_sizes(error: str, failing) -> None:
    assert size_hints(failing(dict.fromkeys(SIZES, error))) == []
    assert len(size_hints(failing(dict.fromkeys(SIZES[1:], error)))) == 1


def test_errors_that_differ_are_none_of_sizes(failing) -> None:
    assert size_hints(failing({64: "ValueError: one", 2048: "ValueError: other"})) == []


def test_a_method_that_fails_where_others_do_not_is_none_of_sizes(failing) -> None:
    assert size_hints(failing({("cached", 2048): "ValueError: one"})) == []


def test_errors_that_differ_in_a_size_are_one_reason(failing) -> None:
    found = failures(failing({n: f"AssertionError: {n} is beyond 999 (mine.py:7)" for n in (1024, 2048)}))
    assert found == [
        "Failed: mine.Mine:tiny, score parallel and score cached at N = 1,024 and 2,048: "
        "AssertionError: 1024 is beyond 999 (mine.py:7)."
    ]


def test_errors_of_two_lines_of_code_are_two_reasons(failing) -> None:
    found = failing({64: "ValueError: no (mine.py:7)", 128: "ValueError: no (mine.py:8)"})
    assert len(failures(found)) == 2
    assert size_hints(found) == []
