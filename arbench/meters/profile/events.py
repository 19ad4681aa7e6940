"""The events of a Chrome trace, as PyTorch's profiler writes it."""

from __future__ import annotations

import msgspec

CALL = "arbench: one call"
"""Name of the annotation around each call in a trace."""


class TraceError(Exception):
    """Content of a trace that is not as PyTorch's profiler writes it; the message is one line."""


class Arguments(msgspec.Struct):
    """The arguments of an event that are used."""

    external: int | str | None = msgspec.field(default=None, name="External id")


class Event(msgspec.Struct):
    """One event of a trace; times are microseconds."""

    ph: str = ""
    name: str = ""
    cat: str = ""
    ts: float = 0.0
    dur: float = 0.0
    tid: int | str = 0
    args: Arguments | None = None

    @property
    def launcher(self) -> int | str | None:
        """The operator itself, or on a GPU the one that launched a kernel."""
        return self.args.external if self.args is not None else None


class _Trace(msgspec.Struct):
    traceEvents: list[Event]  # noqa: N815  the name in the file


def decoded(trace: bytes) -> list[Event]:
    """Return the events of a Chrome trace. Raises TraceError if it is none."""
    try:
        return msgspec.json.decode(trace, type=_Trace).traceEvents
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise TraceError(f"not a Chrome trace: {error}") from None
