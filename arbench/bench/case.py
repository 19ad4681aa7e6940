"""A case: one combination of model, method and size to measure, as plain data that travels between processes."""

from __future__ import annotations

from typing import Any

import msgspec

from arbench.backends import COMPILE
from arbench.results import KEY, Exactness, Op
from arbench.results.ranges import Natural, Rate, Size
from arbench.results.schema.names import Claimed

KERNEL_SPEC = "kernels"
"""The ``spec`` of every kernel's case: one worker loads all kernels."""

_LATER = ("method_spec", "chunk", "threads")
"""Fields that earlier versions do not know, None where they say nothing."""


class CaseKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that identifies a case, and what is known about it before measuring."""

    spec: str
    """Name of the model for ``arbench.models.resolve``; ``KERNEL_SPEC`` for a kernel."""
    model: str
    preset: str
    op: Op
    method: str
    backend: str
    device: str
    dtype: str
    batch: Size
    n: Size
    element: str
    weights: Natural
    exactness: Exactness
    rate_hz: Rate | None = None
    claimed_depth: Claimed | None = None
    claimed_work: Claimed | None = None
    reference: bool = False
    """True for the method that speed-ups of its op refer to."""
    data_dependent: bool = False
    returning: bool = False
    method_spec: str | None = None
    """Place of the method for ``arbench.methods.resolve``, with its settings, or of a peer after ``peer:``;
    None if ``method`` is its name there."""
    chunk: Size | None = None
    """Elements that the method draws at a time, with their noise; None if it draws all before it returns."""
    threads: Size | None = None
    """Threads of the method where its name states them; None: those of the run."""

    @property
    def id(self) -> str:
        """The name of the case in a results file and in messages."""
        where = f"{self.backend}/{self.device}/{self.dtype}/b{self.batch}/n{self.n}"
        return f"{self.model}:{self.preset}/{self.op}/{self.method}/{where}"

    @property
    def compiled(self) -> bool:
        """True if ``torch.compile`` runs its model, by the backend of the run or of its method."""
        return self.backend == COMPILE or f"backend={COMPILE}" in self.method.split(",")

    @property
    def key(self) -> tuple[Any, ...]:
        """The case without its size, equal to ``results.Case.key``."""
        return tuple(getattr(self, name) for name in KEY)

    @property
    def title(self) -> str:
        """The name, in messages, of everything that one worker loads."""
        return KERNEL_SPEC if self.spec == KERNEL_SPEC else f"{self.model}:{self.preset}"

    @property
    def worker_key(self) -> tuple[str, str, str]:
        """Spec, device and dtype: cases that share them are measured by the same worker."""
        return self.spec, self.device, self.dtype

    def recorded(self) -> dict[str, Any]:
        """Return the case as plain data, without the fields that earlier versions do not know where they say nothing.

        So a run that an earlier version began can be continued.
        """
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {key: value for key, value in plain.items() if key not in _LATER or value is not None}
