"""``arbench.measure``: the command line's ``arbench run`` as a function, and its result."""

from __future__ import annotations

import operator
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from arbench.border.naming import model_name
from arbench.border.printable import printable
from arbench.border.suggest import did_you_mean
from arbench.results import Results, ResultsError

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from arbench.bench.progress import Progress
    from arbench.models import Source

Model: TypeAlias = "str | type[Source] | type[nn.Module] | nn.Module | Callable[..., nn.Module]"
"""A model as a user names or passes it."""

_WIDTH = 100
"""Characters of a line of the printed result."""


@dataclass(eq=False, repr=False)
class Measured(Results):
    """Results of ``measure``; a notebook shows the answer and tables, and so does ``print``.

    Attributes:
        folder: the folder of the results file; None where it was temporary.
    """

    folder: Path | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Results):
            return NotImplemented
        return all(getattr(self, one.name) == getattr(other, one.name) for one in fields(Results))

    def __repr__(self) -> str:
        from arbench.report import answers, differences, headline, profiles, remarks

        told = [line for one in answers(self) for line in (one.model, *(f"  {text}" for text in one.sentences))]
        blocks = [
            "\n".join([*told, *remarks(self)]),
            *("\n".join(table.lines(_WIDTH)) for table in headline(self, _WIDTH)),
        ]
        blocks.append(
            "\n".join([*(line for one in profiles(self) for line in one.lines), *differences(self, of_methods=False)])
        )
        return printable("\n\n".join(filter(None, blocks))) or "no results"

    def _repr_html_(self) -> str:
        from arbench.report import cell

        return cell(self)

    def frame(self) -> pd.DataFrame:
        """Return one row per case; see ``arbench.report.frame``."""
        from arbench.report import frame

        return frame(self)

    def report(self, folder: str | Path | None = None) -> Path:
        """Write ``report.html``, ``summary.md`` and the figures; return the path of the page.

        Args:
            folder: created if missing; by default that of the results, or ``results/TIME`` where it was temporary.

        Raises:
            OSError: the folder cannot be written.
        """
        from arbench.report import render

        if folder is None:
            folder = self.folder or new_folder()
        return render(self, folder, self.folder)[0]


def measure(
    models: Model | Sequence[Model] | None = None,
    *,
    law: str | None = None,
    checkpoints: str | Path | Sequence[str | Path] = (),
    suite: str | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
    profile: bool = False,
    **options: Any,
) -> Measured:
    """Verify, count and time models, as ``arbench run`` does.

    Args:
        models: one or several of NAME[:PRESET], path.py:Class[:PRESET], package.module:Class[:PRESET], or a subclass
            of ``arbench.models.Source`` itself, also one from a notebook, with its default preset; by default those
            of the suite, or wavenet. Trained weights follow an at sign, as in "wavenet:nv@speech". With ``law`` also a
            plain module that returns parameters (B, N, K) for events (B, N), its class, or a function that returns one.
        law: the law of an element, for such modules: "categorical:256", "normal", "logistic_mixture:10", ...
        checkpoints: files of trained weights, or folders of training runs: each adds its model and preset.
        suite: name of a suite that ships, or path of a TOML file; ``options`` override it.
        out: folder of the results file; by default a temporary one, removed unless an exception ends the run.
        resume: continue the killed run in ``out``.
        progress: whether to show the progress; by default on a terminal and in a notebook.
        profile: whether to say where the time of a call of each method goes: ``profiles`` of the results has it, and
            ``out`` the traces.
        **options: fields of ``arbench.bench.plan.Options``: ops, methods, peers, n, batch, backend, device, dtype,
            threads, target_ci, budget, workers, rounds, timeout, count_budget, seed, data, weights. ``methods`` takes
            a sampler's function, and a ``Method``, itself, too.

    Returns:
        The results; their ``frame()`` is a table of all cases, and their ``report()`` writes a report.

    Raises:
        PlanError: the options make no plan; nothing was measured or written.
        ResultsError: ``out`` contains another run, is in use, or cannot be written; or ``resume`` has no ``out``.
        NoWorkerError: no worker process starts (``arbench.bench.workers.failure``); what was measured is in ``out``.
        TakenError: another program deleted, replaced or changed the results file; the error has the results.
        TypeError: an option is unknown.
    """
    from arbench.bench.options import Options, PlanError
    from arbench.bench.runner import run_plan
    from arbench.bench.suite import suite_options
    from arbench.bench.workers.given import given
    from arbench.bench.workers.planning import planned
    from arbench.border.naming import with_setting
    from arbench.models import ModelError, Source

    if out is not None and not os.fspath(out):
        raise ResultsError("out is empty; name a folder")
    if resume and out is None:
        raise ResultsError("resume needs out; name the folder of the run to continue")

    defaults = suite_options(suite) if suite is not None else Options()
    classes: dict[str, Any] = {}
    functions: dict[str, Any] = {}
    if "methods" in options:
        options["methods"] = _methods(options["methods"], functions)
    options = _checked(options)
    if models is not None:
        several: list[Any] = list(models) if isinstance(models, list | tuple) else [models]
        for one in several:
            if isinstance(one, Source):
                kind = type(one).__name__
                raise PlanError(f"measure takes names and classes, got {kind}; pass a class, not an object")
        named = [one if isinstance(one, str) else _named(one, law, classes) for one in several]
        options["models"] = named if law is None else [with_setting(one, f"law={law}") for one in named]
    elif law is not None:
        raise PlanError("law is that of models which are plain modules; pass one, as in measure(net, law='normal')")
    files = [checkpoints] if isinstance(checkpoints, str | os.PathLike) else checkpoints
    if files:
        options["models"] = [*options.get("models", ()), *_trained([os.fspath(one) for one in files], suite)]
    with ExitStack() as opened:
        try:
            opened.enter_context(given(classes, functions))
        except ModelError as error:
            raise PlanError(str(error)) from None
        display = opened.enter_context(_shown(progress))
        plan = planned(replace(defaults, **options), progress=display)
        if out is not None:
            return _measured(run_plan(plan, Path(out), resume=resume, progress=display, profile=profile), Path(out))
        with _passing() as folder:
            return _measured(run_plan(plan, Path(folder), progress=display, profile=profile), None)


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with a list in place of a single value, where a list is expected.

    Raises:
        PlanError: an option has the wrong type.
        TypeError: an option is unknown.
    """
    from arbench.bench.options import Options, PlanError

    known = {one.name: one for one in fields(Options) if one.name not in ("models", "suite")}
    for name in options.keys() - known.keys():
        raise TypeError(f"measure has no option '{name}'; {did_you_mean(name, known)}")
    found = {name: _plain(value, several=known[name].default == ()) for name, value in options.items()}
    try:
        msgspec.convert(found, Options)
    except msgspec.ValidationError as error:
        what, _, place = str(error).rpartition(" - at `$.")
        raise PlanError(f"{place.rstrip('`')}: {what[:1].lower()}{what[1:]}") from None
    return found


def _plain(value: Any, several: bool) -> Any:
    """Return an option as plain data: paths, dtypes and devices as text, integers of NumPy as those of Python."""
    from arbench.bench.dtypes import by_name

    value = by_name(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if several and not isinstance(value, str) and isinstance(value, Iterable):
        return [_plain(one, several=False) for one in value]
    if not isinstance(value, bool) and hasattr(value, "__index__"):
        value = operator.index(value)
    return [value] if several else value


def _trained(files: Sequence[str], suite: str | None) -> list[str]:
    """Return the models of checkpoints. Raises PlanError if a file is no checkpoint, or a suite names the models."""
    from arbench.bench.plan import PlanError
    from arbench.models import WeightsError
    from arbench.models.weights import spec_of

    if suite is not None:
        raise PlanError("checkpoints add models, and the suite names its own; add model = 'NAME@FILE' to the suite")
    try:
        return [spec_of(file) for file in files]
    except WeightsError as error:
        raise PlanError(str(error)) from None


@contextmanager
def _passing() -> Iterator[str]:
    """Yield a temporary folder, which stays if the run ends with an exception and left something in it."""
    folder = tempfile.mkdtemp(prefix="arbench-")
    try:
        yield folder
    except BaseException as error:
        if os.listdir(folder):
            error.add_note(f"what was measured is in {folder}")
        else:
            os.rmdir(folder)
        raise
    shutil.rmtree(folder)


def new_folder() -> Path:
    """Return the folder of a run for which none was named."""
    return Path("results") / datetime.now().strftime("%Y-%m-%d-%H%M%S")


def _named(cls: Any, law: str | None, classes: dict[str, Any]) -> str:
    """Return what results call the model of a class or an object, and add it under this name.

    Raises:
        PlanError: no model can be made of it, or another one has the same name.
    """
    from arbench.bench.plan import PlanError
    from arbench.models import ModelError, names
    from arbench.models.registry import given_class, title

    try:
        module = given_class(cls, law).__module__
    except ModelError as error:
        raise PlanError(str(error)) from None
    name = _placed(title(cls), module)
    if name in names() or classes.setdefault(name, cls) is not cls:
        raise PlanError(f"two models are called {name}; rename the class")
    return name


def _methods(given: Any, functions: dict[str, Any]) -> Any:
    """Return methods with names in place of functions and ``Method`` objects, and add these under their names.

    Raises:
        PlanError: one is no method, or has the name of another.
    """
    from arbench.bench.plan import PlanError
    from arbench.methods import Method, MethodError, methods_of, registry

    def name_of(one: Any) -> Any:
        if not callable(one) and not isinstance(one, Method):
            return one
        code = one.run if isinstance(one, Method) else one
        called = one.name if isinstance(one, Method) else getattr(one, "__name__", type(one).__name__)
        name = _placed(called, getattr(code, "__module__", "__main__"))
        try:
            methods_of(one, name)
        except MethodError as error:
            raise PlanError(str(error)) from None
        if name in registry.names() or functions.setdefault(name, one) is not one:
            raise PlanError(f"two methods are called {name}; rename the function")
        return name

    if callable(given) or isinstance(given, Method):
        return name_of(given)
    return [name_of(one) for one in given] if isinstance(given, list | tuple) else given


def _placed(called: str, module: str) -> str:
    """Return what results call something of a module of the user, as if it had been named by its file."""
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    if file.endswith(".py") and Path(file).stem != "__init__":
        return model_name(file, called)
    return called if module == "__main__" else model_name(f".{module}", called)


def _measured(results: Results, folder: Path | None) -> Measured:
    return Measured(**{one.name: getattr(results, one.name) for one in fields(Results)}, folder=folder)


@contextmanager
def _shown(progress: bool | None) -> Iterator[Progress]:
    """Yield a receiver that shows the progress, if it is to be shown."""
    from arbench.bench.progress import Quiet
    from arbench.cli.progress import Display

    display = Display()
    if progress or (progress is None and display.watched):
        with display:
            yield display
    else:
        yield Quiet()
