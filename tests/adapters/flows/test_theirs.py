"""``arbench verify`` names what is wrong with a flow that is passed as a function of a file."""

from __future__ import annotations

import pytest

pytest.importorskip("zuko", reason="needs zuko, of the extra flows: pip install 'arbench[flows]'")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("leaks", "is WRONG: layer 2 of 3 (MaskedAutoregressiveTransform) leaks: the map of element"),
        ("half", "the log-determinant of layer 1 of 3 (MaskedAutoregressiveTransform) is"),
        ("one_feature", "the log-determinant of layer 2 of 3 (MaskedAutoregressiveTransform) is"),
        ("mixes_rows", "is WRONG: a row of a batch changes with the other rows"),
    ],
)
def test_a_fault_is_named(verify, fault: str, said: str) -> None:
    code, found = verify("--model", f"zukos.py:{fault}", "--dtype", "float32")
    assert code == 1, found
    assert said in found
