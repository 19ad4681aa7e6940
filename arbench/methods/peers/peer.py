"""A peer: other people's implementation of a model that arbench has, and how to run it as a method of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from arbench.methods.base import Method, Outcome, Task
from arbench.methods.outside import staying
from arbench.methods.peers.checkout import Rewrites, imported
from arbench.methods.peers.prepared import Prepared
from arbench.models import Source
from arbench.own.raised import one_line


class PeerError(Exception):
    """Unusable peer; the message is one line for the user."""


@dataclass(frozen=True)
class Peer:
    """An implementation that draws the same events from the same noise as a model of ours, once it has its weights.

    Args:
        name: name of the method.
        repository: address of the repository.
        modules: its modules to import, as in ``import``.
        model: class of our models that it can be.
        lacks: returns why it cannot be a model of that class, as in "lets no layer ...; add skip=256"; None if it can.
        build: builds its network from its modules and a model of ours, whose weights it copies; the network is kept as
            long as the model, which it must not refer to.
        draw: draws with the network, under the task's noise; in every call, so what it does is timed.
        summary: one line for the user: what is called.
        differences: what a reader must know before comparing its times with ours.
        rewrites: as for ``arbench.methods.peers.checkout.imported``.
    """

    name: str
    repository: str
    modules: Sequence[str]
    model: type[Source]
    lacks: Callable[[Any], str | None]
    build: Callable[[list[ModuleType], Any], Any]
    draw: Callable[[Any, Any, Task], Outcome]
    summary: str
    differences: Sequence[str]
    rewrites: Rewrites = field(default_factory=dict)

    def method(self, root: Path) -> Method:
        """Import the peer from a checkout of its repository; return the method.

        Raises:
            PeerError: there is no such folder, it is no checkout of the repository, or it cannot be imported.
        """
        modules = self._imported(root)
        networks = Prepared(lambda source: self.build(modules, source))

        def run(source: Source, task: Task) -> Outcome:
            if task.given is not None:
                raise ValueError(f"{self.name} keeps no given elements")
            return self.draw(networks(source), source, task)

        return Method(
            self.name,
            "sample",
            "x",
            staying(run),
            self.summary,
            lacks=self._lacks,
            outside=True,
            prepare=networks,
            remark=self._remark,
        )

    @property
    def _remark(self) -> str:
        sentences = [f"{text[:1].upper()}{text[1:]}." for text in self.differences]
        return " ".join([f"{self.name} is {self.summary}, with the model's weights.", *sentences])

    def _lacks(self, source: Source | type[Source]) -> str | None:
        if isinstance(source, type):
            return None if issubclass(source, self.model) else f"is a {self.model.__name__}"
        return self.lacks(source) if isinstance(source, self.model) else f"is a {self.model.__name__}"

    def _imported(self, root: Path) -> list[ModuleType]:
        if not root.is_dir():
            raise PeerError(f"peer '{self.name}': no folder {root}; clone {self.repository}")
        for module in self.modules:
            file = Path(*module.split(".")).with_suffix(".py")
            if not (root / file).is_file():
                raise PeerError(f"peer '{self.name}': {root} has no {file}; name a checkout of {self.repository}")
        try:
            return imported(root, self.modules, self.rewrites)
        except ModuleNotFoundError as error:
            package = str(error.name).partition(".")[0]
            raise PeerError(
                f"peer '{self.name}': it imports {package}, which is not installed; pip install {package}"
            ) from error
        except (Exception, SystemExit) as error:  # other people's code may raise anything
            raise PeerError(f"peer '{self.name}': importing {root} failed: {one_line(error)}") from error
