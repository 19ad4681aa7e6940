"""Exit codes of checks, and the stable parts of their JSON."""

from __future__ import annotations

import msgspec
import pytest

from arbench.findings import Check, Finding


def check(*found: tuple[str, str]) -> Check:
    return Check("before", "after", findings=[Finding(gate, "id", "m", what, "text") for gate, what in found])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "code", "strict"),
    [
        ([("exact", "same")], 0, 0),
        ([("exact", "same"), ("time", "improvement")], 0, 0),
        ([("exact", "same"), ("exact", "regression")], 1, 1),
        ([("time", "regression"), ("exact", "unmeasured")], 1, 1),
        ([("exact", "undecided")], 0, 4),
        ([("exact", "same"), ("exact", "unmeasured")], 0, 4),
        ([], 3, 3),
        ([("exact", "unmeasured")], 3, 3),
        ([("time", "added"), ("time", "removed")], 3, 3),
        ([("exact", "same"), ("time", "added")], 0, 0),
        ([("exact", "same"), ("time", "unmeasured")], 3, 3),
        ([("exact", "unmeasured"), ("time", "improvement")], 3, 3),
    ],
)
def test_the_exit_code(found: list[tuple[str, str]], code: int, strict: int) -> None:
    assert check(*found).exit_code() == code
    assert check(*found).exit_code(strict=True) == strict


def test_the_json_says_its_schema_and_has_every_part() -> None:
    said = msgspec.to_builtins(check())
    assert said["schema"] == 1
    assert (said["findings"], said["notes"], said["instances"]) == ([], [], [])
