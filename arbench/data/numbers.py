"""Numbers written out in English and German, by the optional package ``num2words``."""

from __future__ import annotations

from collections.abc import Iterable

from arbench.data.packages import EXTRA, missing

NUMBERS = range(10_000)
"""Numbers of the named data ``numbers``."""


def number_pairs(numbers: Iterable[int] = NUMBERS) -> list[tuple[str, str]]:
    """Return each number in words: (English, German), such as ("twenty-one", "einundzwanzig").

    Raises:
        DataError: the package ``num2words`` is not installed.
    """
    try:
        from num2words import num2words
    except ImportError:
        raise missing("numbers", "num2words", EXTRA) from None
    return [(num2words(number, lang="en"), num2words(number, lang="de")) for number in numbers]
