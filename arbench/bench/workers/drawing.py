"""Samples of the trained models of a run, drawn in a worker once all is measured: a report shows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from arbench.bench.inexact import InexactError
from arbench.bench.job import Draw, Job, Message
from arbench.bench.options import Options, PlanError
from arbench.bench.plan import Plan
from arbench.bench.progress import Progress
from arbench.bench.workers.failure import WorkerFailure
from arbench.bench.workers.pool import WorkerPool
from arbench.border.gallery import FOLDER, LINES
from arbench.border.naming import file_name
from arbench.results import Results, with_preset

if TYPE_CHECKING:
    from arbench.bench.models.drawing import Drawing

SECONDS = 10.0
"""Predicted time of a draw at most: it is of fewer or shorter events otherwise."""
LIMIT_S = 60.0
"""Time after which a draw is given up."""
SHORTEST_S, FEWEST = 0.25, 2
"""Shortest sound that is worth listening to, and the fewest before they become shorter."""


def draw_samples(plan: Plan, results: Results, out: Path, progress: Progress) -> None:
    """Draw samples of each model of a run that has trained weights, into ``out / "samples"``.

    Those that a folder holds already stay. What cannot be drawn costs a note.

    Args:
        plan: the run.
        results: what it measured.
        out: its folder.
        progress: receives a stage, and the notes.
    """
    draws = wished(plan, results, out / FOLDER)
    if not draws:
        return
    assert isinstance(plan.options, Options)
    progress.stage("drawing samples", len(draws), 0)
    with WorkerPool() as pool:
        while draws:
            job = Job(
                "draw",
                [],
                plan.options.seed,
                plan.options.threads,
                weights=plan.options.weights,
                data=plan.options.data,
                models=[one.spec for one in draws],
                draws=draws,
            )
            began, why = _conversation(pool, job, min(LIMIT_S, plan.options.timeout), progress)
            if not why:
                return
            progress.note(f"no samples of {draws[began].spec}: {why}")
            draws = draws[began + 1 :]


def _conversation(pool: WorkerPool, job: Job, timeout: float, progress: Progress) -> tuple[int, str]:
    """Have a worker draw; return the number of the draw that it began last, and why that failed, or nothing."""
    began, why = -1, ""
    with closing(pool.converse(job, timeout)) as messages:  # type: ignore[type-var]
        for message in messages:
            if isinstance(message, WorkerFailure) or message.error is not None:
                why = str(message.error)
            else:
                began += 1
                progress.step(job.draws[began].spec)
    return max(began, 0), why


def wished(plan: Plan, results: Results, folder: Path) -> list[Draw]:
    """Return the samples to draw: of each model with trained weights, sampled by an exact method, that has none yet."""
    trained = {(one.model, one.preset) for one in plan.models if one.trained is not None}
    found: dict[tuple[str, str], Draw] = {}
    names: list[str] = []
    for case in plan.cases:
        model = case.model, case.preset
        if model not in trained or model in found:
            continue
        names.append(file_name(with_preset(*model), names, "model"))
        found[model] = Draw(case.spec, case.device, case.dtype, str(folder / names[-1]), _element_s(results, model))
    return [one for one in found.values() if not (Path(one.folder) / LINES).exists()]


def _element_s(results: Results, model: tuple[str, str]) -> float:
    """Return the seconds of an element by the fastest exact sampler, or 0 where none was timed."""
    cases = [one for one in results.cases.values() if (one.model, one.preset, one.op) == (*model, "sample")]
    times = [one.median_s / one.n / one.batch for one in cases if one.median_s and one.exactness == "pointwise"]
    return min(times, default=0.0)


def draw(job: Job) -> Iterator[Message]:
    """Draw and write the samples of a job in a worker; yield a message before each, and one on what stops it."""
    for one in job.draws:
        yield Message(begin=one.spec, step="draw")
        try:
            bounded(one, job).draw().write(one.folder)
        except (PlanError, InexactError) as error:
            yield Message(error=str(error))
            return
        except OSError as error:
            yield Message(error=f"{one.folder} cannot be written ({error.strerror})")
            return


def bounded(one: Draw, job: Job) -> Drawing:
    """Return a draw of the default number and length of events, or of fewer or shorter ones that take SECONDS.

    There are two sounds before they become shorter; other events keep their length.

    Raises:
        PlanError: an argument is wrong, or a single event takes too long.
    """
    from arbench.bench.models.drawing import Drawing

    def of(count: int | None = None, n: int | None = None) -> Drawing:
        return Drawing(
            one.spec,
            count=count,
            n=n,
            seed=job.seed,
            data=job.data,
            weights=job.weights,
            device=one.device,
            dtype=one.dtype,
        )

    found = of()
    count, n = usual = found.case.batch, found.case.n
    shortest = (found.source.rate_hz or 0) * SHORTEST_S or n
    while (takes := count * n * one.element_s) > SECONDS:
        if count > FEWEST or (count > 1 and n / 2 < shortest):
            count //= 2
        elif n / 2 >= shortest:
            n //= 2
        else:
            raise PlanError(f"an event of {n:,} {found.case.element}s would take about {takes:.0f} s")
    return found if (count, n) == usual else of(count, n)
