"""The lines of a results file in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from arbench.results.errors import ResultsError
from arbench.results.schema import AnyLine
from arbench.results.schema.derived import Case, Fit, Ratio, Slowdown
from arbench.results.schema.measured import Count, Profile, Samples, Verification
from arbench.results.schema.run import Limits, Model, Resume, Run, Seal
from arbench.results.seals import Integrity


@dataclass
class Results:
    """A results file in memory; of lines with the same key, the last one counts."""

    run: Run
    resumes: list[Resume] = field(default_factory=list)
    models: dict[tuple[str, str], Model] = field(default_factory=dict)
    """Models by name and preset; empty for files from before such lines existed."""
    limits: list[Limits] = field(default_factory=list)
    counts: dict[str, Count] = field(default_factory=dict)
    verifications: dict[str, Verification] = field(default_factory=dict)
    samples: list[Samples] = field(default_factory=list)
    cases: dict[str, Case] = field(default_factory=dict)
    ratios: dict[tuple[str, str], Ratio] = field(default_factory=dict)
    slowdowns: dict[str, Slowdown] = field(default_factory=dict)
    """Slowdowns by the case that samples; empty for files from before such lines existed."""
    fits: dict[tuple[Any, ...], Fit] = field(default_factory=dict)
    profiles: dict[str, Profile] = field(default_factory=dict)
    """Profiles by case; empty without ``--profile``."""
    integrity: Integrity = field(default_factory=Integrity)
    """Finding of the file's seals about its lines."""
    timed: dict[str, list[Samples]] = field(default_factory=dict)
    """The samples by their case."""

    def add(self, line: AnyLine) -> None:
        """Add one line. Raises ResultsError for a second ``run`` line."""
        match line:
            case Run():
                raise ResultsError("a second 'run' line")
            case Resume():
                self.resumes.append(line)
            case Model():
                self.models[line.model, line.preset] = line
            case Limits():
                self.limits.append(line)
            case Count():
                self.counts[line.case] = line
            case Verification():
                self.verifications[line.case] = line
            case Samples():
                self.samples.append(line)
                self.timed.setdefault(line.case, []).append(line)
            case Case():
                self.cases[line.id] = line
            case Ratio():
                self.ratios[line.case, line.reference] = line
            case Slowdown():
                self.slowdowns[line.sample] = line
            case Fit():
                self.fits[(*line.key, line.metric)] = line
            case Profile():
                self.profiles[line.case] = line
            case Seal():
                pass  # it is about the lines, and none of the results

    def slowdown(self, case: Case) -> Slowdown | None:
        """Return the slowdown of a case, unless it or the case that scores is missing or failed since."""
        found = self.slowdowns.get(case.id)
        score = self.cases.get(found.score) if found is not None else None
        return found if score is not None and case.status == score.status == "ok" else None

    def forget_outside(self) -> None:
        """Forget what cases were charged with because something outside ended their worker: they are tried again."""
        self.verifications = {case: line for case, line in self.verifications.items() if not line.outside}
        self.counts = {case: line for case, line in self.counts.items() if not line.outside}

    def has(self, line: AnyLine) -> bool:
        """Return whether a row (``case``, ``ratio``, ``slowdown`` or ``fit``) is already there with these values."""
        match line:
            case Case():
                return self.cases.get(line.id) == line
            case Ratio():
                return self.ratios.get((line.case, line.reference)) == line
            case Slowdown():
                return self.slowdowns.get(line.sample) == line
            case Fit():
                return self.fits.get((*line.key, line.metric)) == line
        return False
