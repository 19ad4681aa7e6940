"""The tables a reader sees first."""

from __future__ import annotations

from arbench.report.kernels.tables import kernel_tables
from arbench.report.table import Table, model_tables
from arbench.results import Results


def headline(results: Results, width: int = 100) -> list[Table]:
    """Return one table per model, then one per kernel.

    A model's table shows each method at the largest N that is ok, with notes on the other sizes. A kernel's
    shows each implementation, its fraction of the machine's limit and its speed-up over torch eager.

    Args:
        results: what was measured.
        width: characters per line; optional columns are dropped until a table fits, and a kernel whose
            table stays too wide gets one for each configuration.
    """
    return [*model_tables(results, width), *kernel_tables(results, width)]
