"""Write docs/results-file.md from the schema of results files.

    python docs/results_file.py          # writes the page
    python docs/results_file.py --check  # exits with 1 if the page is out of date

The types are those of ``arbench/results/schema``, the words its docstrings.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from itertools import pairwise
from pathlib import Path

import msgspec

from arbench.results import facts, ranges, schema
from arbench.results.schema import derived, measured, names, run

PAGE = Path(__file__).with_name("results-file.md")
HEAD = """# The results file

A run writes `results.jsonl`: JSON Lines, UTF-8, one object a line, only ever appended. `kind` says what a line is. The
names below are stable: scripts of yours can rely on them. A name that is added gets a default, so that old files still
read; a name that is taken away or changes its meaning raises `schema` and is in the changelog.

```python
import json

with open("results.jsonl", encoding="utf-8") as file:
    lines = [json.loads(line) for line in file]
for case in (line for line in lines if line["kind"] == "case" and line["status"] == "ok"):
    print(case["id"], case["depth"], case["median_s"])
```

`arbench.report.frame(arbench.results.read(FOLDER))` gives the cases as a pandas table. Reading validates every line.
A last line without its end, from a writer that was killed, is dropped with a warning; anything else that does not
validate is refused, with the line's number.

Times are seconds, sizes bytes, work floating-point operations (a multiply-add counts two). `null` means "not known",
never 0. A field with a default may be missing from a line.

This page is made from the schema by `python docs/results_file.py`.
"""
JSON = {"True": "true", "False": "false", "None": "null"}
PARTS = (run, measured, derived)
"""The modules of the schema that have classes of lines."""


def attributes(module: object) -> dict[str, dict[str, str]]:
    """Return the docstring below each annotated name, by class ('' for the module) and name."""
    tree = ast.parse(inspect.getsource(module))  # type: ignore[arg-type]
    found: dict[str, dict[str, str]] = {}
    for owner, body in [("", tree.body), *((n.name, n.body) for n in tree.body if isinstance(n, ast.ClassDef))]:
        for line, after in pairwise(body):
            target = getattr(line, "target", None) or (line.targets[0] if isinstance(line, ast.Assign) else None)
            if isinstance(target, ast.Name) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                found.setdefault(owner, {})[target.id] = " ".join(str(after.value.value).split())
    return found


def written(module: object) -> dict[str, dict[str, str]]:
    """Return the annotation of each field as it is written, by class and name."""
    tree = ast.parse(inspect.getsource(module))  # type: ignore[arg-type]
    return {
        node.name: {
            one.target.id: ast.unparse(one.annotation)
            for one in node.body
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        }
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }


def shown(text: str) -> str:
    """Return an annotation or a docstring as Markdown in a cell of a table."""
    text = re.sub(r"Annotated\[(.*), msgspec\.Meta\(min_length=1\)\]", r"\1, not empty", text)
    text = text.replace("``", "`").replace(" | None", " or null").replace("dict[str, Any]", "object")
    text = re.sub(r"\b(True|False|None)\b", lambda m: f"`{JSON[m[0]]}`", text)
    return text.replace("|", "or")


def rows(kind: type[msgspec.Struct]) -> list[str]:
    """Return a table of the fields of a line."""
    said, types = ({name: one for part in PARTS for name, one in read(part).items()} for read in (attributes, written))
    lines = ["| field | type | default | what it is |", "|---|---|---|---|"]
    for field in msgspec.structs.fields(kind):
        owner = next(base.__name__ for base in kind.__mro__ if field.name in types.get(base.__name__, {}))
        if field.required:
            default = ""
        else:
            value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
            default = f"`{msgspec.json.encode(value).decode()}`"
        what = shown(said.get(owner, {}).get(field.name, ""))
        lines.append(f"| `{field.name}` | {shown(types[owner][field.name])} | {default} | {what} |")
    return lines


def literals() -> list[str]:
    """Return a table of the names that a field may have, and of the ranges of numbers."""
    said, bounds = (attributes(module).get("", {}) for module in (names, ranges))
    lines = ["| type | values |", "|---|---|"]
    for name in ("Op", "Status", "Exactness", "CountSource", "StoppedBy", "Verdict"):
        values = ", ".join(f"`{value}`" for value in getattr(names, name).__args__)
        more = f": {shown(said[name])}" if name in said else ""
        lines.append(f"| {name} | {values}{more} |")
    for name, text in bounds.items():
        meta = getattr(ranges, name).__metadata__[0]
        lines.append(f"| {name} | from {meta.ge:g} to {meta.le:g}. {shown(text)} |")
    return lines


def free() -> list[str]:
    """Return a table of what is read of the free facts."""
    lines = ["| field | what arbench reads of it |", "|---|---|"]
    for name, kind in facts.TYPES.items():
        lines.append(f"| `{name}` | {', '.join(f'`{one.name}`' for one in msgspec.structs.fields(kind))} |")
    return lines


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    for kind in schema.AnyLine.__args__:
        tag = kind.__struct_config__.tag
        parts += [f"## `{tag}`", "", inspect.getdoc(kind) or "", "", *rows(kind), ""]
    nested = {
        "`trained` of a model": run.Trained,
        "`translations` of `trained`": run.Decoded,
        "`most` of a profile": measured.Operator,
    }
    for title, kind in nested.items():
        parts += [f"## {title}", "", inspect.getdoc(kind) or "", "", *rows(kind), ""]
    parts += ["## Names and ranges", "", *literals(), ""]
    parts += [
        "## Free facts",
        "",
        "These fields are objects whose other entries are kept as they are and may change between versions.",
        "",
        *free(),
        "",
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != page() and f"{PAGE} is out of date: python docs/results_file.py")
    PAGE.write_text(page(), encoding="utf-8")
