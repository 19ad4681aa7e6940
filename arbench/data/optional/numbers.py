"""Numbers written out in English and German, by the optional package ``num2words``."""

from __future__ import annotations

import random
from collections.abc import Iterable

from arbench.data.optional.packages import EXTRA, missing

SHORT, BELOW, CHOSEN = 1_000, 1_000_000, 19_000


def numbers() -> list[int]:
    """Return the numbers of the named data ``numbers``, 20,000: all below 1,000, and a choice below 1,000,000."""
    return [*range(SHORT), *sorted(random.Random(0).sample(range(SHORT, BELOW), CHOSEN))]


def number_pairs(which: Iterable[int] | None = None) -> list[tuple[str, str]]:
    """Return each number in words: (English, German), such as ("twenty-one", "einundzwanzig").

    Args:
        which: the numbers; None for those of ``numbers``.

    Raises:
        DataError: the package ``num2words`` is not installed.
    """
    try:
        from num2words import num2words
    except ImportError:
        raise missing("numbers", "num2words", EXTRA) from None
    which = numbers() if which is None else which
    return [(num2words(number, lang="en"), num2words(number, lang="de")) for number in which]
