"""A run of a plan: opens its results file, has every case measured, and writes the rows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from arbench.bench import analyse
from arbench.bench.case import CaseKey
from arbench.bench.plan import Plan
from arbench.bench.progress import Progress, Quiet
from arbench.bench.recorder import Recorder, new_run, recorded_plan
from arbench.bench.samples import by_case
from arbench.bench.workers.failure import NoWorkerError
from arbench.bench.workers.pool import WorkerPool
from arbench.bench.workers.profiling import profile_cases
from arbench.bench.workers.supervisor import Supervisor
from arbench.meters import differences, environment, limits
from arbench.results import FILE_NAME, Limits, Results, ResultsError, Resume, StoppedBy, TakenError, Writer, read


def run_plan(
    plan: Plan,
    folder: Path,
    *,
    resume: bool = False,
    argv: list[str] | None = None,
    progress: Progress | None = None,
    profile: bool = False,
) -> Results:
    """Measure a plan into ``folder/results.jsonl``; on an interrupt, write the rows of what was measured.

    Args:
        plan: the cases and options.
        folder: created if missing.
        resume: continue a killed run of the same plan; a finished one stays as it is.
        argv: command line, for the record.
        progress: receives reports.
        profile: whether to profile a case of each method once all is timed, also of a finished run.

    Raises:
        ResultsError: the folder contains another run, is in use, or cannot be written.
        WriteError: the disk is full; what was measured before is intact.
        TakenError: another program deleted, replaced or changed the file; every line is in the file that it names.
        NoWorkerError: no worker process starts; the rows of what was measured are written.
        KeyboardInterrupt: passed on, once the rows are written.
    """
    progress = progress or Quiet()
    with Writer(folder / FILE_NAME) as writer, WorkerPool() as pool:
        recorder = _opened(plan, writer, resume, argv or [], progress)
        for model in plan.models:
            if (model.model, model.preset) not in recorder.results.models:
                recorder.write(model)
        stopped: dict[str, StoppedBy] = {}
        try:
            groups = plan.by_worker()
            for number, cases in enumerate(groups, 1):
                spares = 1 if number == len(groups) else 2
                stopped |= Supervisor(plan, cases, recorder, progress, pool, spares).run()
            _check_roof(plan, recorder, progress, pool)
        except (KeyboardInterrupt, NoWorkerError):
            _write_rows(recorder, stopped)
            _check_place(writer, recorder.results, "the run was interrupted")
            raise
        pool.close()
        _note_outside(recorder.results, progress)
        _write_rows(recorder, stopped)
        if profile:
            profile_cases(plan, recorder, folder, progress, pool)
        _check_place(writer, recorder.results)
        return recorder.results


def _write_rows(recorder: Recorder, stopped: dict[str, StoppedBy]) -> None:
    """Write the rows that are not in the file yet, and the seal of the run's end."""
    for row in analyse.derive(recorder.results, stopped):
        if not recorder.results.has(row):
            recorder.write(row)
    recorder.seal(end=True)


def _check_place(writer: Writer, results: Results, *more: str) -> None:
    """Raise TakenError if another program took the file away."""
    if writer.moves:
        raise TakenError("; ".join([*writer.moves, *more]), results, writer.path)


def _note_outside(results: Results, progress: Progress) -> None:
    """Tell the user which cases a resumed run would try again."""
    proofs = {case for case, line in results.verifications.items() if line.outside}
    match len(proofs | {case for case, line in results.counts.items() if line.outside}):
        case 0:
            return
        case 1:
            progress.note("1 case ended because its worker was killed from outside; --resume tries it again")
        case many:
            progress.note(f"{many} cases ended because workers were killed from outside; --resume tries them again")


def _opened(plan: Plan, writer: Writer, resume: bool, argv: list[str], progress: Progress) -> Recorder:
    """Begin a results file, or continue one, without what something outside was to blame for. Raises ResultsError."""
    import torch

    options = plan.options
    torch.set_num_threads(options.threads)
    here, now = environment(options.device), datetime.now(UTC).isoformat(timespec="seconds")
    if writer.empty:
        progress.note("measuring the machine's own limits")
        run = new_run(plan, here, now, argv, limits(options.device, options.threads))
        run.sealed = True
        writer.write(run)
        return Recorder(Results(run), writer, notice=progress.note)
    if not resume:
        raise ResultsError(f"{writer.path} already contains a run; continue it with --resume, or choose another --out")
    results = read(writer.path)
    results.forget_outside()
    _check_same_plan(plan, results, writer.path)
    changed = differences(results.run.environment, here)
    for name in changed:
        progress.note(f"the environment changed since the run began: {name}")
    again = Resume(results.run.run_id, now, argv, here, results.run.limits, changed)
    return Recorder(results, writer, before=again, notice=progress.note)


def _check_same_plan(plan: Plan, results: Results, path: Path) -> None:
    """Raise ResultsError if a results file was begun with another plan."""
    wanted, found = recorded_plan(plan), results.run.plan
    recorded = type(plan.options)().as_plan() | found.get("options", {})  # an older file has fewer options
    if recorded != wanted["options"]:
        raise ResultsError(f"{path} contains a run with other options; resume it without changing them")
    for spec, digests in found.get("checkpoints", {}).items():
        if wanted.get("checkpoints", {}).get(spec, digests) != digests:
            raise ResultsError(
                f"{path} contains a run of other weights of {spec}, whose checkpoint has changed since; restore it, or "
                "choose another --out"
            )
    if found.get("cases") != wanted["cases"]:
        raise ResultsError(
            f"{path} contains a run of other cases: {recorded.get('suite') or 'its model'} has changed since; "
            "restore it, or choose another --out"
        )
    for peer, commit in wanted.get("peers", {}).items():
        before = found.get("peers", {}).get(peer, commit)
        if before != commit:
            raise ResultsError(f"{path} contains a run of {peer} at {before}; check that out, or choose another --out")
    before, now = found.get("sources", {}), wanted.get("sources", {})
    changed = [file for file, digest in now.items() if before.get(file, digest) != digest]
    if changed:
        raise ResultsError(
            f"{path} contains a run of another version of {changed[0]}; restore that file, or choose another --out"
        )


def _check_roof(plan: Plan, recorder: Recorder, progress: Progress, pool: WorkerPool) -> None:
    """Measure the machine's limits and the cases that exceed them again, before their rows become errors."""
    results = recorder.results
    samples = by_case(results.samples)
    last = max((datetime.fromisoformat(line.measured_at) for line in results.limits), default=None)

    def suspect(case: CaseKey) -> bool:
        return analyse.above_roof(case, results, samples.get(case.id, [])) is not None

    def measured_again(case: CaseKey) -> bool:
        return last is not None and any(s.started_at > last.timestamp() for s in samples[case.id])

    suspects = [case for case in plan.cases if suspect(case) and not measured_again(case)]
    if not suspects:
        return
    progress.note("a result exceeds the measured limit of this machine: measuring both again")
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    recorder.write(Limits(now, limits(plan.options.device, plan.options.threads)))
    for case in filter(suspect, suspects):
        worker = 1 + max(s.worker for s in samples[case.id])
        Supervisor(plan, [case], recorder, progress, pool).time_again(worker)
