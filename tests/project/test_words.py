"""The prose of the project: docstrings open plainly, and phrases that nobody reads at once stay out."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("arbench", "kernels", "benchmarks", "tests", "docs")
OPENINGS = re.compile(r"(Of|What|Whether)\b")
BANNED = (
    "options go before",
    "not a whole number",
    "several behind commas",
    "least change of time",
    "that counts, of all",
    "clock sagged",
    "fell silent",
    "sign of life",
    "nobody shall",
    "shall hear",
    "said aloud",
    "asked for, of",
)
"""Phrases of earlier versions, each of which had to be read twice."""


def sources() -> list[Path]:
    """Return every Python file of the project; the link ``arbench/kernels`` leads to ``kernels``."""
    files = (file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py")))
    return [file for file in files if ROOT / "arbench" / "kernels" not in file.parents]


def texts() -> list[Path]:
    """Return every file that a user or contributor reads."""
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml")]
    pages += [file for room in ROOMS for pattern in ("*.j2", "*.toml", "*.md") for file in (ROOT / room).rglob(pattern)]
    return [file for file in (*sources(), *pages) if file != Path(__file__)]


def docstrings(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and text of every docstring, those of attributes included."""
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        for child in body if isinstance(body, list) else ():
            match child:
                case ast.Expr(value=ast.Constant(value=str(said))):
                    yield child.lineno, said.lstrip()


def openings(text: str) -> list[str]:
    """Return the docstrings that open with a fragment or a question."""
    return [f"line {line}: {said.splitlines()[0]}" for line, said in docstrings(text) if OPENINGS.match(said)]


def banned(text: str) -> list[str]:
    """Return the banned phrases of a text, however its lines break."""
    joined = re.sub(r"[\s\"'#]+", " ", text)
    return [phrase for phrase in BANNED if phrase in joined]


def test_docstrings_open_with_a_verb_or_a_noun() -> None:
    found = {str(file.relative_to(ROOT)): bad for file in sources() if (bad := openings(file.read_text("utf-8")))}
    assert not found, "\n".join(f"{file} {line}" for file, lines in found.items() for line in lines)


def test_phrases_that_were_replaced_stay_out() -> None:
    found = {str(file.relative_to(ROOT)): bad for file in texts() if (bad := banned(file.read_text("utf-8")))}
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        '"""Of a family, its cases."""',
        'def f():\n    """Whether it is warm."""',
        'class A:\n    """What a worker is told."""',
        'class A:\n    x: int\n    """Whether speed-ups refer to it."""',
    ],
)
def test_a_fragment_is_noticed(text: str) -> None:
    assert openings(text)


def test_a_banned_phrase_is_noticed_across_lines() -> None:
    assert banned('raise Error(\n    "the worker fell "\n    "silent")') == ["fell silent"]


def test_every_file_was_read() -> None:
    tracked = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {str(file.relative_to(ROOT)) for file in sources()} >= set(tracked.split())
