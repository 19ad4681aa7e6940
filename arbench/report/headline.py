"""The tables a reader sees first."""

from __future__ import annotations

from arbench.report.kernels.tables import kernel_tables
from arbench.report.table import Table, model_tables
from arbench.results import Results


def headline(results: Results, width: int = 100) -> list[Table]:
    """One table a model: each method at the largest N that is ok, notes for sizes that are not. Then one
    table a kernel: each implementation, beside the machine's limit and over torch eager.

    Args:
        results: what was measured.
        width: characters a line may have; columns that can be spared are left out to fit, and a kernel
            whose table is too wide gets one for each configuration.
    """
    return [*model_tables(results, width), *kernel_tables(results, width)]
