"""Windows that cover a long event, each with some of the one before it as context."""

from __future__ import annotations

from collections.abc import Iterator


def windows(length: int, n: int, prefix: int) -> Iterator[tuple[int, int, int]]:
    """Yield windows that cover ``length`` elements: begin, end, and the elements that the window before has too.

    Args:
        length: number of elements to cover.
        n: largest number of elements of a window.
        prefix: elements that a window repeats from the one before it, smaller than ``n``.
    """
    if not 0 <= prefix < n:
        raise ValueError(f"a window of {n} elements cannot repeat {prefix} of the one before it")
    covered = 0
    while covered < length:
        begin = max(covered - prefix, 0)
        end = min(begin + n, length)
        yield begin, end, covered - begin
        covered = end
