"""Profiles of the methods of a run, made in a worker once all is timed: where the time of a call goes."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from arbench.bench.analyse import planned
from arbench.bench.case import CaseKey
from arbench.bench.job import Job, Message
from arbench.bench.options import Options
from arbench.bench.plan import Plan
from arbench.bench.progress import Progress
from arbench.bench.recorder import Recorder
from arbench.bench.workers.failure import WorkerFailure
from arbench.bench.workers.pool import WorkerPool
from arbench.border.naming import file_name
from arbench.border.whole import write_bytes
from arbench.results import Case, Results

FOLDER = "profiles"
"""Folder of the traces, in that of the run."""
MOST_S = 2.0
"""Longest call to profile: it is made some ten times."""
MOST_OPERATIONS = 50_000
"""Most operations of a call to profile: a trace has several events for each, and they are counted one by one."""
UNCOUNTED_S = 0.25
"""Longest call to profile whose number of operations is unknown."""


def profile_cases(plan: Plan, recorder: Recorder, out: Path, progress: Progress, pool: WorkerPool) -> None:
    """Profile one case of each method of a run, and record it, with its trace in ``out / "profiles"``.

    What was profiled before stays. What cannot be profiled costs a note.

    Args:
        plan: the run.
        recorder: what it measured; receives the profiles.
        out: its folder.
        progress: receives a stage, and the notes.
        pool: provides the processes.
    """
    results = recorder.results
    chosen = wished(planned(results), results, progress)
    todo = [case for case in chosen if not _there(case, results, out)]
    if not todo:
        return
    progress.stage("profiling", len(todo), 0)
    again = {case.id for case in todo}
    kept = [line.file for case, line in results.profiles.items() if case not in again and line.file is not None]
    taken = [Path(file).name.removesuffix(".json.gz") for file in kept]
    files: dict[str, Path] = {}
    for case in todo:
        taken.append(file_name(case.id, taken, "case"))
        files[case.id] = Path(FOLDER, f"{taken[-1]}.json.gz")
    groups: dict[Any, list[CaseKey]] = {}
    for case in todo:
        groups.setdefault(case.worker_key, []).append(case)
    try:
        for left in groups.values():
            while left:
                job = _job(plan, results, left, {case.id: str(out / files[case.id]) for case in left})
                began, why = _conversation(pool, job, plan.options.timeout, recorder, files, progress)
                if not why:
                    break
                progress.note(f"no profile of {left[0].title if began is None else left[began].id}: {why}")
                left = [] if began is None else left[began + 1 :]
    finally:
        recorder.seal(end=True)


def wished(cases: Iterable[CaseKey], results: Results, progress: Progress) -> list[CaseKey]:
    """Return the cases to profile: of each method of each model one, of the smallest batch that was timed.

    Its N is the largest at which a call takes at most ``MOST_S`` and ``MOST_OPERATIONS``, and the same for the models
    of a run that have the method, where they share one.

    Args:
        cases: the cases of the run.
        results: what it measured.
        progress: receives a note on each method without such a case.
    """
    sizes: dict[tuple[Any, ...], dict[int, CaseKey]] = {}
    batches: dict[tuple[Any, ...], int] = {}
    for case in cases:
        row = results.cases.get(case.id)
        if row is None or row.status != "ok" or row.median_s is None:
            continue
        one = _but_batch(case)
        batches[one] = min(case.batch, batches.get(one, case.batch))
        fitting = sizes.setdefault((*one, case.batch), {})
        if _fits(row):
            fitting[case.n] = case
    chosen = {one: sizes[*one, batch] for one, batch in batches.items()}
    found = []
    for one, fitting in chosen.items():
        if not fitting:
            progress.note(f"no profile of {':'.join(one[:2])} {one[2]} {one[3]}: {_unfit()}")
            continue
        alike = [set(other) for key, other in chosen.items() if key[2:] == one[2:] and other]
        found.append(fitting[max(set.intersection(*alike) or fitting)])
    return found


def _but_batch(case: CaseKey) -> tuple[Any, ...]:
    """Return what identifies a method of a model: first the model, then what methods of several models share."""
    return case.model, case.preset, case.op, case.method, case.backend, case.device, case.dtype


def _fits(row: Case) -> bool:
    assert row.median_s is not None
    if row.ops is None or row.twin is not None:
        return row.median_s <= (MOST_S if row.twin is not None else UNCOUNTED_S)
    return row.median_s <= MOST_S and row.ops <= MOST_OPERATIONS


def _unfit() -> str:
    return (
        f"every call takes more than {MOST_S:g} s ({UNCOUNTED_S:g} s where its operations are not counted) or "
        f"{MOST_OPERATIONS:,} operations; add a smaller N"
    )


def _there(case: CaseKey, results: Results, out: Path) -> bool:
    """Return whether a case has a profile, and its trace is where it was."""
    line = results.profiles.get(case.id)
    return line is not None and (line.file is None or (out / line.file).exists())


def _job(plan: Plan, results: Results, cases: list[CaseKey], traces: dict[str, str]) -> Job:
    options = plan.options
    assert isinstance(options, Options)
    proofs = results.verifications
    outcomes = {c.id: str(facts["outcome"]) for c in cases if "outcome" in (facts := proofs[c.id].verified or {})}
    return Job(
        "profile",
        list(cases),
        options.seed,
        options.threads,
        outcomes=outcomes,
        traces=traces,
        limits=results.limits[-1].limits if results.limits else results.run.limits,
        **options.worker_facts(),
    )


def _conversation(
    pool: WorkerPool, job: Job, timeout: float, recorder: Recorder, files: dict[str, Path], progress: Progress
) -> tuple[int | None, str]:
    """Have a worker profile; return the number of the case that it began last, if any, and what stopped it, if any."""
    began: int | None = None
    why = ""
    with closing(pool.converse(job, timeout)) as messages:  # type: ignore[type-var]
        for message in messages:
            if isinstance(message, WorkerFailure) or message.error is not None:
                why = str(message.error)
                continue
            if message.begin is not None:
                began = [case.id for case in job.cases].index(message.begin)
            if message.line is not None:
                file = str(files[message.line.case])
                recorder.write(msgspec.structs.replace(message.line, file=file))
                progress.step(message.line.case)
    return began, why


def profiled(job: Job) -> Iterator[Message]:
    """Profile the cases of a job in a worker, and write their traces; yield each profile, and what stops it."""
    from arbench.bench.inexact import InexactError
    from arbench.bench.models.profile import profile_of
    from arbench.bench.models.subject import ModelSubject
    from arbench.bench.subject import opened
    from arbench.meters.profile import TraceError

    subject = opened(job)
    assert isinstance(subject, ModelSubject)
    call_of = subject.build()
    for case in job.cases:
        yield Message(begin=case.id, step="profile")
        try:
            line, trace = profile_of(case, subject.method(case), call_of(case), job.limits)
            write_bytes(Path(job.traces[case.id]), gzip.compress(trace, 6))
        except (InexactError, TraceError) as error:
            yield Message(error=str(error))
            return
        except OSError as error:
            yield Message(error=f"{job.traces[case.id]} cannot be written ({error.strerror})")
            return
        yield Message(line=line)
