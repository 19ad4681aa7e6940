"""Differences between environments that change how long a call takes."""

from __future__ import annotations

from typing import Any

import pytest

from arbench.report.compare.environment import differences

HERE: dict[str, Any] = {
    "cpu": {"model": "Example 1", "usable_cores": 2},
    "gpu": None,
    "threads": {"torch": 1, "variables": {}},
    "versions": {"torch": "2.11", "python": "3.12.1", "arbench": "0.1.0"},
    "load": {"1min": 0.1},
}


def elsewhere(**parts: Any) -> dict[str, Any]:
    return {**HERE, **parts}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, []),
        ({"load": {"1min": 9.0}}, []),
        ({"versions": {**HERE["versions"], "arbench": "0.2.0"}}, []),
        ({"cpu": {"model": "Example 1"}}, []),
        ({"cpu": {"model": "Example 1", "usable_cores": 2, "frequency_mhz": 9}}, []),
        ({"threads": {"torch": 1, "variables": {"OMP_NUM_THREADS": "1"}}}, []),
        ({"threads": {"torch": 2, "variables": {}}}, ["threads.torch (1, 2)"]),
        (
            {"threads": {"torch": 1, "variables": {"KMP_AFFINITY": "compact"}}},
            ["threads.variables.KMP_AFFINITY (none, compact)"],
        ),
        ({"versions": {"torch": "2.13", "python": "3.12.1"}}, ["versions.torch (2.11, 2.13)"]),
        (
            {"gpu": {"name": "Example GPU", "temperature_c": 40}},
            ["gpu.name (none, Example GPU)"],
        ),
    ],
)
def test_what_makes_two_environments_differ(changes: dict[str, Any], said: list[str]) -> None:
    assert differences(HERE, elsewhere(**changes)) == said
    assert len(differences(elsewhere(**changes), HERE)) == len(said)


@pytest.mark.parametrize(("new", "said"), [("550.54", []), ("550.90", ["gpu.driver (550.54, 550.90)"])])
def test_a_driver_stored_as_a_number_is_compared_as_text(new: str, said: list[str]) -> None:
    assert differences({"gpu": {"driver": 550.54}}, {"gpu": {"driver": new}}) == said


def test_environments_that_know_less_are_compared_in_what_both_know() -> None:
    less = {"cpu": {"model": "Example 1", "logical_cores": 4}, "versions": {"python": "3.12.1"}}
    assert differences(HERE, less) == differences(less, HERE) == []
    assert differences({}, HERE) == []
