"""The text below a figure or a table: what it shows, where and how it was measured, and how to repeat it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from arbench.report import facts
from arbench.report.drawings import DEPTH, FRONTIER, KERNEL_FIGURES, MAP, WITH_BARS
from arbench.report.figures.drawing import Drawing
from arbench.report.labels import interval_of, is_kernel, listed, model_label, of_kernels, of_models
from arbench.results import Case, Results, Run

_VERSIONS = {"python": "Python", "torch": "PyTorch", "triton": "Triton", "numba": "Numba", "cuda": "CUDA"}
"""Names of what was used, by their keys in ``environment``; arbench comes first."""
_COUNTED = (MAP, f"-{DEPTH}")
"""Ends of the names of figures that show counts alone."""


@dataclass(frozen=True)
class Caption:
    """A caption, as plain text.

    Attributes:
        text: sentences.
        command: the command that repeats the measurement.
    """

    text: str
    command: str

    def write(self, escape: Callable[[object], str], code: Callable[[object], str]) -> str:
        """Return it as markup.

        Args:
            escape: makes text of sentences.
            code: makes text of the command.
        """
        return f"{escape(self.text)} Repeat with {code(self.command)}."

    def __str__(self) -> str:
        return self.write(str, str)


def of_figure(drawing: Drawing, results: Results) -> Caption:
    """Return the caption of a figure."""
    text = [drawing.text]
    cases = _cases(drawing, results)
    if drawing.name.endswith(_COUNTED):
        text += [_sizes(cases), "Depth is counted, and does not depend on the machine."]
    else:
        text += [_sizes(cases), machine(results.run), _times(cases, drawing.name.endswith(WITH_BARS))]
    return Caption(" ".join(filter(None, [*text, software(results.run)])), facts.command(results.run))


def of_table(title: str, notes: Sequence[str], cases: Iterable[Case], results: Results) -> Caption:
    """Return the caption of a table.

    Args:
        title: its title.
        notes: its notes; each gets a full stop if it has none.
        cases: the cases that it shows.
        results: what was measured.
    """
    said = [_sentence(one) for one in (title, *notes)]
    text = [*said, machine(results.run), _times(list(cases), False), software(results.run)]
    return Caption(" ".join(filter(None, text)), facts.command(results.run))


def machine(run: Run) -> str:
    """Return the machine in a sentence; empty where nothing is known."""
    cpu, gpu, threads = (run.environment.get(name) or {} for name in ("cpu", "gpu", "threads"))
    words = [str(cpu["model"])] if cpu.get("model") else []
    for count, what in ((cpu.get("usable_cores"), "core"), (threads.get("torch"), "thread")):
        if count:
            words.append(f"{count} {what}{'s' if count != 1 else ''}")
    if gpu.get("name"):
        words.insert(0, str(gpu["name"]))
    return f"Machine: {', '.join(words)}." if words else ""


def software(run: Run) -> str:
    """Return the versions in a sentence."""
    known = run.environment.get("versions") or {}
    words = [" ".join(filter(None, ["arbench", known.get("arbench")]))]
    words += [f"{name} {known[key]}" for key, name in _VERSIONS.items() if known.get(key)]
    if run.git:
        words.append(f"commit {run.git}")
    return f"Software: {', '.join(words)}."


def _cases(drawing: Drawing, results: Results) -> list[Case]:
    if drawing.name in KERNEL_FIGURES:
        return [case for case in of_kernels(results) if case.median_s]
    cases = [case for case in of_models(results) if drawing.model in (None, model_label(case))]
    if drawing.name == FRONTIER or not drawing.name.endswith(_COUNTED):
        return [case for case in cases if case.status == "ok"]
    return cases


def _sizes(cases: Sequence[Case]) -> str:
    """Return N, batch, dtype, backend and device of cases; a kernel's N and batch are part of its configuration."""
    if not cases:
        return ""
    words = []
    if not any(map(is_kernel, cases)):
        words = [f"N = {_span(case.n for case in cases)}", f"batch {_span(case.batch for case in cases)}"]
    words += [listed(dict.fromkeys(getattr(case, name) for case in cases)) for name in ("dtype", "backend", "device")]
    return f"Settings: {', '.join(words)}."


def _span(values: Iterable[int]) -> str:
    known = sorted(set(values))
    if len(known) < 4:
        return listed(f"{one:,}" for one in known)
    return f"{known[0]:,} to {known[-1]:,}"


def _times(cases: Sequence[Case], bars: bool) -> str:
    """Return what times and their bars are."""
    timed = [case for case in cases if case.workers]
    if not timed:
        return ""
    said = f"Times are medians over {_span(case.workers for case in timed)} fresh processes"
    kinds = []
    if any(case.ci95_s for case in timed):
        kinds.append("95% intervals over processes")
    if any(interval_of(case) and not case.ci95_s for case in timed):
        kinds.append("the range over processes where fewer than six were timed")
    return f"{said}; bars are {' and '.join(kinds)}." if bars and kinds else f"{said}."


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return line if not line or line.endswith((".", "!", "?")) else f"{line}."
