"""The integrity of results files, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from arbench.results import Results

INTACT, UNSEALED, NONE = "intact", "unsealed (interrupted)", "without seals"


def state(results: Results) -> str:
    """Return ``intact``, ``unsealed (interrupted)``, or ``without seals``."""
    found = results.integrity
    return INTACT if found.intact else UNSEALED if found.sealed else NONE


def seal_line(results: Results) -> str:
    """Return one sentence on whether the lines of a file are those that were written."""
    found = results.integrity
    if found.intact:
        how = "all as they were written"
        if found.unsealed:
            how = f"all as they were sealed; {_written(found.unsealed)} before an interruption and sealed only after it"
        return f"{INTACT}: {found.whole:,} lines, {how}. Seals show damage, not forgery."
    if not found.sealed:
        return f"{NONE}, so missing or changed lines cannot be detected."
    last = f"line {found.whole:,} is the last seal" if found.whole else "it has no seal"
    return f"{UNSEALED}: the run did not reach its end; {last}, and {_lines(found.after)} no seal after."


def of_files(files: Mapping[str, Results]) -> list[str]:
    """Return a note on the seals of several files, by name; none where no file has seals."""
    if not any(results.integrity.sealed for results in files.values()):
        return []
    return [f"Seals: {', '.join(f'{name} is {state(results)}' for name, results in files.items())}."]


def tally(files: Iterable[Results]) -> list[str]:
    """Return a note that counts files by their seals; none where no file has seals."""
    counts = Counter(map(state, files))
    if not counts.keys() - {NONE}:
        return []
    return [f"Seals: {', '.join(f'{counts[one]} {one}' for one in (INTACT, UNSEALED, NONE) if counts[one])}."]


def _lines(count: int) -> str:
    return f"{count:,} {'line has' if count == 1 else 'lines have'}"


def _written(count: int) -> str:
    return f"{count:,} {'line was' if count == 1 else 'lines were'} written"
