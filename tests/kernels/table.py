"""Says which compiled programs to look at again, and where they and the table in ``reports/kernels`` differ."""

from __future__ import annotations

import hashlib
import math
import random
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Row = dict[str, str]
SHARE = 0.05
"""Part of the unchanged programs that is compiled again."""


def seed(table: Path) -> str:
    """Return what the sample depends on: the commit that is checked out; outside git, the table's content."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, cwd=table.parent, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return hashlib.sha256(table.read_bytes()).hexdigest()


def sample(fingerprints: Iterable[str], seed: str) -> set[str]:
    """Return a random twentieth of some fingerprints, and at least one."""
    known = sorted(set(fingerprints))
    return set(random.Random(seed).sample(known, math.ceil(SHARE * len(known))))


@dataclass
class Comparison:
    """Rows of the table beside the programs there are."""

    programs: list[Row] = field(default_factory=list)
    """A row per program: figures just compiled, else those of the table."""
    wrong: list[str] = field(default_factory=list)
    """Sentences about what differs."""
    changed: int = 0
    """How many programs have another fingerprint than their row."""


def compare(rows: Sequence[Row], found: Sequence[Row], identity: Sequence[str], figures: Sequence[str]) -> Comparison:
    """Compare the table's rows with the programs found.

    Args:
        rows: Rows of the table.
        found: Rows of the programs there are: with figures where they were compiled, and without elsewhere.
        identity: Columns that say which program a row is of.
        figures: Columns read off the machine code. A row is compared in these if it is of the program's Triton
            version, or has its fingerprint.
    """
    result = Comparison()
    of_table = _by_identity(rows, identity)
    of_found = _by_identity(found, identity)
    for key in of_table.keys() | of_found.keys():
        if len(of_table[key]) != len(of_found[key]):
            result.wrong.append(f"{' '.join(key)}: {len(of_table[key])} rows for {len(of_found[key])} programs")
    taken: defaultdict[tuple[str, ...], int] = defaultdict(int)
    for new in found:
        key = tuple(new[name] for name in identity)
        at, taken[key] = taken[key], taken[key] + 1
        old = of_table[key][at] if at < len(of_table[key]) else {}
        changed = old.get("fingerprint") != new["fingerprint"]
        result.changed += changed
        if figures[0] not in new and changed:
            result.wrong.append(f"{' '.join(key)}: its fingerprint differs from its row's, and it was not compiled")
        if old.get("triton") == new["triton"] or not changed:
            result.wrong += [
                f"{' '.join(key)}: {name} {old[name] or 'none'} in the table, {new[name] or 'none'} now"
                for name in figures
                if name in new and new[name] != old[name]
            ]
        result.programs.append({**old, **new})
    return result


def _by_identity(rows: Sequence[Row], identity: Sequence[str]) -> defaultdict[tuple[str, ...], list[Row]]:
    found: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in identity)].append(row)
    return found
