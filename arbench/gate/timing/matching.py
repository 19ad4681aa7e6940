"""Cases to time: those that both versions plan and that the new version computes correctly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arbench.bench.progress import Progress
from arbench.findings import Finding, Outcome
from arbench.gate.timing.hosts import Cases, Host, HostError
from arbench.gate.timing.pool import HostPool
from arbench.gate.timing.protocol import Refusal, Verified
from arbench.gate.timing.trees import Tree
from arbench.gate.titles import title
from arbench.results import with_preset


class MissingError(Exception):
    """Request for something that neither version has; the message is one line for the user."""


@dataclass
class Matching:
    """Search for the cases to time.

    Args:
        pool: the versions.
        progress: receiver of the stages.
        grow: whether to look for larger sizes than the ones to time, too.

    Attributes:
        findings: one for each case or model that only one version has, or that a version gets wrong.
        larger: larger sizes of each case that both versions plan by default, with their ids, ascending.
        crashed: how a process crashed in the verification of a case by the new version, and the next one did not, by
            the case's id.
    """

    pool: HostPool
    progress: Progress
    grow: bool = False
    findings: list[Finding] = field(default_factory=list)
    larger: dict[str, list[tuple[str, Cases]]] = field(default_factory=dict)
    crashed: dict[str, str] = field(default_factory=dict)

    def cases(self, hosts: list[Host], requests: Sequence[Mapping[str, Any]], kernels: bool) -> dict[str, Cases]:
        """Return the cases to time, by id.

        Args:
            hosts: the host to ask; it is replaced if it dies in verification.
            requests: fields of ``Options`` (or ``KernelOptions``), one mapping for each model or kernel.
            kernels: whether to plan kernels.

        Raises:
            MissingError: neither version has a model or kernel.
            HostError: the versions cannot share a process.
        """
        found: dict[str, Cases] = {}
        for request in requests:
            options = [_placed(request, tree, self.pool.after) for tree in self.pool.trees]
            old, new, _ = self._listed(hosts, options, kernels)
            if isinstance(new, Refusal) or isinstance(old, Refusal):
                self._refused(named(request), old, new)
                continue
            for name, case in _selected(request, old, new).items():
                if name not in new or name not in old:
                    self._one_sided(name, in_words(case), model_of(case), added=name in new)
                elif name not in found and self._correct(hosts, name, (old[name], new[name])):
                    found[name] = (old[name], new[name], old[name])
                    self.larger[name] = []
            if self.grow:
                self._grow(hosts, [{k: v for k, v in one.items() if k != "n"} for one in options], found, kernels)
        return found

    def _listed(self, hosts: list[Host], options: list[dict[str, Any]], kernels: bool) -> list[Any]:
        """Return what each side plans; an error names what was planned. Raises HostError."""
        try:
            return self._planned(hosts, options, kernels)
        except HostError as error:
            if error.apart:
                raise
            what = f"{error} while {named(options[1])} was planned"
            raise HostError(what, error.side, gone=error.gone, death=error.death) from None

    def _planned(self, hosts: list[Host], options: list[dict[str, Any]], kernels: bool) -> list[Any]:
        """Return what each side plans; a host that dies is replaced once. Raises HostError."""
        try:
            return hosts[0].list_cases(options, kernels).sides
        except HostError as error:
            if error.death is None:
                raise
            self.pool.replace(hosts, 0)
            return hosts[0].list_cases(options, kernels).sides

    def _grow(self, hosts: list[Host], options: list[dict[str, Any]], found: dict[str, Cases], kernels: bool) -> None:
        """Find the larger sizes of each case, among those that both versions plan by default."""
        old, new, _ = self._listed(hosts, options, kernels)
        if isinstance(new, Refusal) or isinstance(old, Refusal):
            return
        for name, cases in found.items():
            more = [
                (other, (old[other], case, old[other]))
                for other, case in new.items()
                if other in old and _is_larger(case, cases[1])
            ]
            self.larger[name] = self.larger[name] or sorted(more, key=lambda sized: sized[1][1]["n"])

    def _refused(self, what: str, old: Any, new: Any) -> None:
        """Record that a version does not plan a request. Raises MissingError if neither does."""
        refusal = new if isinstance(new, Refusal) else old
        if isinstance(new, Refusal) and isinstance(old, Refusal):
            raise MissingError(refusal.why)
        if refusal.absent:
            self._one_sided(what, what, what, added=refusal is old, why=f" ({refusal.why})")
            return
        outcome: Outcome = "regression" if refusal is new else "unmeasured"
        where = (self.pool.after if refusal is new else self.pool.before).label
        text = f"{what} fails in {where}: {refusal.why}"
        self.findings.append(Finding("time", what, "case", outcome, text, model=what))

    def _one_sided(self, name: str, what: str, model: str, added: bool, why: str = "") -> None:
        lacks = (self.pool.before if added else self.pool.after).label
        text = f"{what}: {lacks} does not have it{why}"
        self.findings.append(Finding("time", name, "case", "added" if added else "removed", text, model=model))

    def _correct(self, hosts: list[Host], name: str, pair: Cases) -> bool:
        """Return whether the new version computes a case correctly; record it if not."""
        self.progress.stage(f"verifying {in_words(pair[1])}", 1, 0)
        proof, crash = self._verified(hosts, 1, pair[1])
        if crash is not None:
            self.crashed[name] = crash
        if proof.status == "ok":
            if proof.outcome is not None:
                self.pool.learn(name, proof.outcome)
            return True
        before = self._verified(hosts, 0, pair[0])[0].status
        outcome: Outcome = "regression" if before == "ok" else "unmeasured"
        verb = "fails" if proof.status == "error" else f"is {proof.status}"
        text = f"{in_words(pair[1])} {verb}{' now' if before == 'ok' else ''}: {proof.error}"
        self.findings.append(
            Finding("time", name, "verification", outcome, text, before, proof.status, model=model_of(pair[1]))
        )
        return False

    def _verified(self, hosts: list[Host], side: int, case: Mapping[str, Any]) -> tuple[Verified, str | None]:
        """Return the result of a version's verification, and how a process crashed in it though the next one did not.

        An exception or a hang in it counts as an error, and so does a death that repeats in a fresh process.
        """
        crash: str | None = None
        for again in (False, True):
            try:
                return hosts[0].verify(side, case), crash
            except HostError as error:
                if error.apart and not self.pool.apart:
                    raise
                if error.gone:
                    self.pool.replace(hosts, 0)
                if error.death is None or again:
                    return Verified("error", str(error)), None
                crash = None if error.death.outside else str(error)
                self.pool.drop_ahead()  # it may want the memory of those that were started ahead
        raise AssertionError


def _is_larger(case: Mapping[str, Any], than: Mapping[str, Any]) -> bool:
    """Return whether a case is another one at a larger size; then its model may have more weights."""
    same = {"n": 0, "weights": 0}
    return case["n"] > than["n"] and {**case, **same} == {**than, **same}


def in_words(case: Mapping[str, Any]) -> str:
    """Return the name of a case for the user: ``cached sampling of wavenet:nv (N = 64)``."""
    return f"{title(model_of(case), case['op'], case['method'])} (N = {case['n']})"


def model_of(case: Mapping[str, Any]) -> str:
    """Return the model or kernel of a case with its preset."""
    return with_preset(case["model"], case["preset"])


def named(request: Mapping[str, Any]) -> str:
    """Return the models or kernels of a request, as the user named them."""
    return " ".join(request.get("models") or request.get("kernels") or ())


def _selected(request: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cases of both sides; without a requested size only those of the smallest size, a shared one if any."""
    both = {**old, **new}
    shared = {name: case for name, case in both.items() if name in old and name in new}
    if request.get("n") or request.get("kernels") or not both:
        return both
    least = min(case["n"] for case in (shared or both).values())
    return {name: case for name, case in both.items() if case["n"] == least}


def _placed(request: Mapping[str, Any], tree: Tree, checked: Tree) -> dict[str, Any]:
    """Return the options for a tree: a model or method in a file, also by absolute path, is the tree's own copy."""

    def there(spec: str) -> str:
        place, colon, rest = spec.partition(":")
        if not place.endswith(".py"):
            return spec
        path = Path(place)
        if path.is_absolute() and path.resolve().is_relative_to(checked.root.resolve()):
            return f"{tree.root / path.resolve().relative_to(checked.root.resolve())}{colon}{rest}"
        return f"{tree.place / path}{colon}{rest}"

    named = ((name, [there(spec) for spec in request.get(name) or ()]) for name in ("models", "methods"))
    return {**request, **{name: specs for name, specs in named if specs}}
