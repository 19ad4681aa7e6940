"""Instances: each builds a case afresh on every side and times the sides in turns."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from arbench.bench.progress import Progress
from arbench.findings import Finding, Outcome
from arbench.gate.timing.effort import LONGEST_RUN_S, TOGETHER, Effort, sizes
from arbench.gate.timing.hosts import Cases, Host, HostError
from arbench.gate.timing.matching import in_words, model_of
from arbench.gate.timing.pool import HostPool
from arbench.stats.change import Observations
from arbench.stats.intervals import hodges_lehmann

Ratios = tuple[list[float], list[float]]
"""Ratios of a case, one an instance: new version over old one, and equal code over old one."""
FAR_SLOWER = 10.0
"""Factor between the versions' seconds at which the slower one is to blame for a host that hangs."""
BLAMED_ROUNDS = 3
"""Calls of each version that are made for that. The fastest counts: a machine that has just stalled may stall again."""


class Timer:
    """Timer of cases in instances.

    Args:
        pool: the versions.
        effort: number of processes and instances.
        rng: source of the order of cases.
        progress: receiver of the stages.

    Attributes:
        instances: facts of every instance, as plain data.
        keep: called with the id of a case and the seconds of every call of an instance, a list for each side.
        broken: finding for each case that cannot be timed, by id.
        crashed: how a process crashed in a case, and the next one did not, by the case's id.
    """

    def __init__(self, pool: HostPool, effort: Effort, rng: random.Random, progress: Progress) -> None:
        self.pool = pool
        self.effort = effort
        self.instances: list[dict[str, Any]] = []
        self.keep: Callable[[str, list[list[float]]], None] = lambda *_: None
        self.broken: dict[str, Finding] = {}
        self.crashed: dict[str, str] = {}
        self._died: set[str] = set()
        self._random = rng
        self._progress = progress

    def run(self, cases: Mapping[str, Cases]) -> dict[str, Observations]:
        """Time one run of every case, the instances of all cases mixed.

        Where no further process can be had, the cases are ``broken``; the instances that were timed remain.

        Raises:
            HostError: the versions cannot share a process.
        """
        found: dict[str, Ratios] = {name: ([], []) for name in cases}
        try:
            self._run(cases, found)
        except HostError as error:
            if error.apart and not self.pool.apart:
                raise
            for name, case in cases.items():
                if name not in self.broken:
                    text = f"{in_words(case[1])} could not be timed to the end: {self.pool.failure(error)}"
                    self.broken[name] = Finding("time", name, "seconds", "unmeasured", text, model=model_of(case[1]))
        return {name: Observations(*ratios) for name, ratios in found.items()}

    def _run(self, cases: Mapping[str, Cases], found: Mapping[str, Ratios]) -> None:
        effort = self.effort
        steps = effort.processes * effort.instances * len(cases)
        self._progress.stage("timing in turns" if len(cases) > 1 else "timing", steps, 0)
        batch = 1 if self.pool.apart else effort.processes
        for _ in range(0, effort.processes, batch) if cases else ():
            with self.pool.opened(batch) as hosts:
                first = self.pool.started - batch + 1
                for place in range(batch):
                    for _ in range(effort.instances):
                        for name in self._random.sample(list(cases), len(cases)):
                            if name not in self.broken:
                                self._instance(hosts, place, first + place, name, cases[name], found[name])
                            self._progress.step(name)

    def _instance(self, hosts: list[Host], place: int, process: int, name: str, cases: Cases, found: Ratios) -> None:
        effort, who = self.effort, in_words(cases[1])
        instances = min(effort.processes * effort.instances, TOGETHER.processes * TOGETHER.instances)
        try:
            call_s = hosts[place].build(cases, range(len(cases)))
            rounds, calls = sizes(call_s)
            if rounds * calls * call_s * len(cases) * instances > LONGEST_RUN_S:
                text = f"{who}: a call takes {call_s:.2g} s, too long for a check; choose a smaller N"
                self.broken[name] = Finding("time", name, "seconds", "unmeasured", text, model=model_of(cases[1]))
                return
            timed = hosts[place].turns(rounds, calls)
        except HostError as error:
            if error.apart and not self.pool.apart:
                raise
            if error.gone:
                self.pool.replace(hosts, place)
                if error.death is not None and name not in self._died:
                    self._died.add(name)
                    if not error.death.outside:
                        self.crashed[name] = str(error)
                    self._instance(hosts, place, process, name, cases, found)
                    return
                if error.side is None:
                    error = self._blamed(hosts, place, cases, error)
            worse = error.side == 1
            neither = error.side is None and error.death is not None
            outcome: Outcome = "regression" if worse else "undecided" if neither else "unmeasured"
            text = f"{who} fails{' now' if worse else ''}: {error}"
            if outcome == "undecided":
                text = f"{who} is undecided: its process died twice, but not of one version alone: {error}"
            self.broken[name] = Finding("time", name, "case", outcome, text, model=model_of(cases[1]))
            return
        self.keep(name, timed.seconds)
        old, new, same = timed.seconds
        ratio, equal = (_ratio(old, other) for other in (new, same))
        for values, value in zip(found, (ratio, equal), strict=True):
            values.append(value)
        self.instances.append(
            {
                "case": name,
                "process": process,
                "rounds": rounds,
                "calls": calls,
                "before_s": median(old),
                "after_s": median(new),
                "again_s": median(same),
                "ratio": ratio,
                "equal": equal,
                "clock_mhz": timed.clock_mhz,
            }
        )

    def _blamed(self, hosts: list[Host], place: int, cases: Cases, error: HostError) -> HostError:
        """Return the error of a host that died or hung, with the side at fault where that can be found.

        At fault is a side that takes much longer than the others, or that fails in a process of its own.
        """
        try:
            hosts[place].build(cases, range(len(cases)))
            old, new, same = map(min, hosts[place].turns(BLAMED_ROUNDS, 1).seconds)
            if new > FAR_SLOWER * max(old, same):
                return HostError(f"{error}; a call takes {new:.2g} s, {old:.2g} s before", 1)
            return error
        except HostError as again:
            if again.side is not None:
                return again
        self.pool.replace(hosts, place)
        alone = self.pool.start(apart=True)
        try:
            alone.ready()
            alone.build(cases, range(len(cases)))
            alone.turns(1, 1)
        except HostError as found:
            return found
        finally:
            alone.close()
        return error


def _ratio(before: list[float], after: list[float]) -> float:
    """Return how many times as long the calls of one side take, from calls made in turns.

    Differences of pairs are symmetric about 0 for equal code, even where some calls are slowed. Differences from the
    mean of both copies of the old version are not: on a busy machine they made equal code look 0.2% faster.
    """
    return math.exp(hodges_lehmann([math.log(b / a) for a, b in zip(before, after, strict=True)]))
