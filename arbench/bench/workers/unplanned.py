"""Why a worker planned nothing, in words for the user."""

from __future__ import annotations

from arbench.bench.job import Message, Step
from arbench.bench.options import PlanError
from arbench.bench.workers.failure import NoWorkerError, WorkerFailure


class PlanningError(Exception):
    """Failure to plan that is no fault of the options or of a user's model."""


def failed(step: Step | None, failure: WorkerFailure, timeout: float) -> Exception:
    """Return the error of a worker that stopped while it planned.

    Args:
        step: what it began last; None if it began nothing.
        failure: how it stopped.
        timeout: seconds that a step may take.
    """
    if step is None and failure.status == "timeout":
        return PlanError(f"planning did not begin: {failure.error}; end what else runs on this machine, or try again")
    if step is None:
        return NoWorkerError(failure.error)
    if failure.status == "timeout":
        todo = "choose a smaller model, or a longer --timeout" if step.what == "model" else "give a longer --timeout"
        return PlanError(f"{step.what} '{step.spec}': no answer within {timeout:g} s while it was {step.did}; {todo}")
    todo = "correct the model, or choose a smaller one" if step.what == "model" else "correct it"
    return PlanError(f"{step.what} '{step.spec}': {failure.error} while it was {step.did}; {todo}")


def reported(step: Step | None, message: Message) -> Exception:
    """Return the error of a worker that met one while it planned, and said so."""
    if step is not None and message.oom:
        return PlanError(
            f"{step.what} '{step.spec}': out of memory while it was {step.did} ({message.error}); choose a smaller one"
        )
    return PlanningError(f"planning {step.spec if step else 'a run'} failed: {message.error}")
