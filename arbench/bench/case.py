"""A case: one thing that is measured, as plain data that travels between processes."""

from __future__ import annotations

import msgspec

from arbench.results import Exactness, Op

KERNELS = "kernels"
"""What stands as ``spec`` where kernels are measured: one worker holds all of them."""


class CaseKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that says what is measured, and what is known of it before measuring."""

    spec: str
    """What ``arbench.models.resolve`` finds the model by; ``KERNELS`` for a kernel."""
    model: str
    preset: str
    op: Op
    method: str
    backend: str
    device: str
    dtype: str
    batch: int
    n: int
    element: str
    weights: int
    exactness: Exactness
    rate_hz: float | None = None
    claimed_depth: str | None = None
    claimed_work: str | None = None
    reference: bool = False
    """Whether speed-ups of its op are stated over it."""
    data_dependent: bool = False
    returning: bool = False

    @property
    def id(self) -> str:
        """Names the case in a results file and to the user."""
        where = f"{self.backend}/{self.device}/{self.dtype}/b{self.batch}/n{self.n}"
        return f"{self.model}:{self.preset}/{self.op}/{self.method}/{where}"

    @property
    def family(self) -> tuple[str, str, Op, str, str, str, str, int]:
        """The case without its size, as ``results.Case.key``."""
        return (
            self.model,
            self.preset,
            self.op,
            self.method,
            self.backend,
            self.device,
            self.dtype,
            self.batch,
        )

    @property
    def title(self) -> str:
        """Names to the user what a worker holds."""
        return KERNELS if self.spec == KERNELS else f"{self.model}:{self.preset}"

    @property
    def setting(self) -> tuple[str, str, str]:
        """What one worker holds: cases that share a model, or all kernels, on a device in a dtype."""
        return self.spec, self.device, self.dtype
