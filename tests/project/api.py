"""The public interface as text: a line for each name with its signature, and for each option of a command.

``make api`` writes it to ``docs/api.txt``; `test_api` holds the code against that file. The command refuses to write
until the section *Unreleased* of ``CHANGELOG.md`` has every name or option that was added, changed or removed.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[2]
FILE, CHANGELOG = ROOT / "docs" / "api.txt", ROOT / "CHANGELOG.md"
HEAD = """\
# The public interface of arbench: what is not here may change without notice, and what is here gets a line in
# CHANGELOG.md when it changes. `make api` writes this file.
"""
MODULES = (
    "arbench",
    "arbench.distributions",
    "arbench.kernels",
    "arbench.methods",
    "arbench.models",
    "arbench.report",
    "arbench.results",
    "arbench.testing",
    "arbench.train",
)
"""The packages for users; of others, the names that the documents tell users to import."""
ALONE = (
    "arbench.api.Measured",
    "arbench.api.streams.Stream",
    "arbench.backends.compiling.compilable",
    "arbench.bench.models.samples.Samples",
    "arbench.border.shown.Picture",
    "arbench.border.shown.Sound",
    "arbench.border.shown.Text",
    "arbench.models.base.NativeDraw",
    "arbench.models.base.Piece",
    "arbench.models.weights.write",
)
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class _Text:
    """An annotation that is shown as it was written."""

    def __init__(self, written: str) -> None:
        self.written = written

    def __repr__(self) -> str:
        return self.written


def listing() -> list[str]:
    """Return a line for each public name, sorted."""
    public: dict[str, Any] = {}
    for name in MODULES:
        module = importlib.import_module(name)
        public |= {f"{name}.{one}": getattr(module, one) for one in _names(module)}
    for path in ALONE:
        place, _, one = path.rpartition(".")
        public[path] = getattr(importlib.import_module(place), one)
    classes = {value for value in public.values() if inspect.isclass(value)}
    return sorted([*options(), *(line for path, value in public.items() for line in _lines(path, value, classes))])


def options() -> Iterator[str]:
    """Yield a line for each option and argument of each command, and whether it takes a value."""
    from arbench.cli import group

    with click.Context(group, info_name="arbench") as context:
        commands = [("arbench", group)]
        while commands:
            path, command = commands.pop()
            if isinstance(command, click.Group):
                commands += [
                    (f"{path} {name}", one)
                    for name in command.list_commands(context)
                    if (one := command.get_command(context, name))
                ]
            for one in command.params:
                names = ", ".join([*one.opts, *one.secondary_opts]) if isinstance(one, click.Option) else one.name
                flag = isinstance(one, click.Option) and one.is_flag
                yield f"{path} {names}" + (": flag" if flag else "")


def unnamed(old: Iterable[str], new: Iterable[str], changelog: str) -> list[str]:
    """Return the names whose lines differ and that the section *Unreleased* of a changelog does not have, as code.

    Args:
        old: the lines before.
        new: the lines now.
        changelog: the text of the file.
    """
    section = changelog.partition("## [Unreleased]")[2].partition("\n## [")[0]
    code = " ".join(re.findall(r"`([^`\n]+)`", section))
    changed = sorted({line.partition("(")[0].partition(":")[0] for line in set(old) ^ set(new)})
    short = {name: re.split(r"[ .]", name)[-1] for name in changed}
    return [name for name in changed if not re.search(rf"(?<!\w){re.escape(short[name])}(?![\w-])", code)]


def stored() -> list[str]:
    """Return the lines of the file."""
    return [line for line in FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def _names(module: Any) -> list[str]:
    if hasattr(module, "__all__"):
        return [*module.__all__]
    return [name for name, value in vars(module).items() if not name.startswith("_") and _is_own(name, value, module)]


def _is_own(name: str, value: Any, module: Any) -> bool:
    if inspect.isclass(value) or inspect.isfunction(value):
        return value.__module__.startswith(module.__name__)
    return name.isupper()


def _lines(path: str, value: Any, classes: set[type]) -> Iterator[str]:
    """Yield the line of a name; for a class, also those of its members, unless it shares them with a public base."""
    yield path + (_signature(value) if inspect.isclass(value) or inspect.isroutine(value) else "")
    if not inspect.isclass(value):
        return
    fields = {*getattr(value, "__dataclass_fields__", ()), *getattr(value, "__struct_fields__", ())}
    bases = [one for one in value.__mro__[1:] if one in classes]
    for name in sorted(set(dir(value)) - fields):
        owner = next(one for one in value.__mro__ if name in vars(one))
        if name.startswith("_") or not owner.__module__.startswith("arbench"):
            continue
        shown = _member(value, name)
        if not any(hasattr(base, name) and _member(base, name) == shown for base in bases):
            yield f"{path}.{name}{shown}"


def _member(owner: type, name: str) -> str:
    member = inspect.getattr_static(owner, name)
    if inspect.isfunction(member) or isinstance(member, classmethod | staticmethod):
        return _signature(getattr(owner, name))
    return ": property" if isinstance(member, property) else ": attribute"


def _signature(value: Any) -> str:
    """Return the signature, nothing for a class that inherits its constructor from outside.

    Annotations that are no text are left out: versions of Python print types differently.
    """
    if inspect.isclass(value) and not _has_constructor(value):
        return ""
    known = inspect.signature(value)
    kept = [one.replace(annotation=_text(one.annotation)) for one in known.parameters.values()]
    return _ADDRESS.sub("", str(known.replace(parameters=kept, return_annotation=_text(known.return_annotation))))


def _has_constructor(value: type) -> bool:
    own = [vars(one) for one in value.__mro__ if one.__module__.startswith("arbench")]
    made = any("__init__" in one or "__new__" in one for one in own) and not getattr(value, "_is_protocol", False)
    return made or hasattr(value, "__struct_fields__")


def _text(annotation: Any) -> Any:
    return _Text(annotation) if isinstance(annotation, str) else inspect.Signature.empty


def main() -> int:
    """Write the file; return 1 where the changelog lacks a name."""
    new = listing()
    missing = unnamed(stored(), new, CHANGELOG.read_text(encoding="utf-8")) if FILE.exists() else []
    if missing:
        print(f"CHANGELOG.md, Unreleased: name what changed: {', '.join(missing)}", file=sys.stderr)
        return 1
    FILE.write_text(HEAD + "\n".join(new) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
