"""BibTeX entries of arbench and of a run."""

from __future__ import annotations

from collections.abc import Mapping

from arbench.report.facts import command
from arbench.report.labels import listed, model_label, of_kernels, of_models
from arbench.report.paper.captions import machine, software
from arbench.report.paper.latex import escape
from arbench.results import Results

TITLE = "arbench: Benchmark autoregressive scoring against sampling"
AUTHORS = "The arbench contributors"
PUBLISHED = "Unreleased software"
"""How arbench was published: its address, once there is one."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MANY = 4
"""Largest number of models that the title of a run names."""


def bibtex(results: Results, sha256: str) -> str:
    """Return the entries ``arbench`` and ``arbench-run-ID``.

    Args:
        results: what was measured.
        sha256: digest of the results file, in hexadecimal digits, by which a reader knows that he has the same one.
    """
    run = results.run
    version = (run.environment.get("versions") or {}).get("arbench")
    year, month = run.started_at[:4], run.started_at[5:7]
    when = {"year": year if year.isdecimal() else ""}
    tool = {
        "title": f"{{{_text(TITLE)}}}",
        "author": f"{{{_text(AUTHORS)}}}",
        **when,
        "howpublished": _text(PUBLISHED),
        "note": _text(f"Version {version}") if version else "",
    }
    short = "".join(one for one in run.run_id if one.isascii() and one.isalnum())[:8]
    measured = {
        "key": f"arbench run {short}",  # for sorting and labels: a run has no author
        "title": f"{{{_text(_title(results))}}}",
        **when,
        "howpublished": f"Results file of arbench, SHA-256 {_breakable(sha256)}",
        "note": _text(" ".join(filter(None, [machine(run), software(run), f"Command: {command(run)}"]))),
    }
    stated = {"month": _MONTHS[int(month) - 1]} if month.isdecimal() and 1 <= int(month) <= 12 else {}
    return _entry("arbench", tool, {}) + "\n" + _entry(f"arbench-run-{short}", measured, stated)


def _text(text: object) -> str:
    r"""Return LaTeX in which braces are pairs: BibTeX counts those in ``\{`` too, and one alone breaks the file."""
    return escape(text).replace(r"\{", r"\textbraceleft{}").replace(r"\}", r"\textbraceright{}")


def _breakable(digits: str) -> str:
    return r"\allowbreak{}".join(digits[at : at + 16] for at in range(0, len(digits), 16))


def _title(results: Results) -> str:
    models = list(dict.fromkeys(model_label(case) for case in of_models(results)))
    kernels = list(dict.fromkeys(case.model for case in of_kernels(results)))
    parts = [
        listed(names) if len(names) <= _MANY else f"{len(names)} {what}"
        for names, what in ((models, "models"), (kernels, "kernels"))
        if names
    ]
    return f"Measurements of {listed(parts) or 'no model'} with arbench"


def _entry(key: str, fields: Mapping[str, str], bare: Mapping[str, str]) -> str:
    r"""Return an entry of type ``misc``, which every style knows.

    Args:
        key: what ``\cite`` calls it.
        fields: LaTeX by name, in braces; empty ones are left out.
        bare: macros by name, such as the names of months.
    """
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    lines += [f"  {name} = {value}," for name, value in bare.items()]
    return "\n".join([f"@misc{{{key},", *lines, "}", ""])
