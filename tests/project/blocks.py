"""The code blocks of the pages, and a reader who follows a page from top to bottom.

Two marks, comments in HTML that neither the forge nor the site shows, stand on the line before a block:

``<!-- file: my_model.py -->``
    The block is this file. A page may show a command before the file that it needs: files are written first.
``<!-- needs: the network, minutes -->``
    The block is not run everywhere; each reason is one of ``NEEDS``. Every other block of code is run.
"""

from __future__ import annotations

import difflib
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from arbench.cli import main
from arbench.own import beside

ROOT = Path(__file__).parents[2]
NEEDS: dict[str, Callable[[], bool]] = {
    "a CUDA device": torch.cuda.is_available,
    "a C++ compiler": lambda: shutil.which("g++") is not None,
    "the extra hf": lambda: find_spec("transformers") is not None,
    "the extra flows": lambda: find_spec("nflows") is not None and find_spec("zuko") is not None,
    "minutes": lambda: True,  # `make test-slow` runs it
    "hours": lambda: False,
    "the network": lambda: False,
    "a checkout": lambda: False,  # and its branch main: the workflows run the same commands
    "published results": lambda: False,
}
"""The things that a block may need, and whether they are there; what a test cannot have is never there."""
BLOCK = re.compile(r"((?:^<!-- (?:file|needs): [^\n]+ -->\n)*)^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MARK = re.compile(r"<!-- (file|needs): ([^\n]+) -->")
CHEAPER = {
    "run": {"--workers": "1", "--rounds": "1", "--n": "8,16", "--no-samples": None},
    "doctor": {"--instances": "2", "--pairs": "1"},
}
"""Options that a test adds to a command, or puts in the place of its own: fewer and smaller cases. Pages show no figure
that depends on them."""
VARYING = re.compile(r"\d+(?:[.,]\d+)*(?:e-?\d+)?")


@dataclass(frozen=True)
class Block:
    """A block of a page."""

    page: str
    line: int
    language: str
    text: str
    file: str | None = None
    needs: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        """Return whether it is code to be run."""
        return self.language in ("python", "console") and self.file is None

    def lacks(self, *, slow: bool) -> list[str]:
        """Return what it needs and a test that is slow, or is not, does not have."""
        return [one for one in self.needs if not (slow if one == "minutes" else NEEDS[one]())]


def blocks(page: Path, text: str | None = None) -> list[Block]:
    """Return the blocks of a page, in order; a mark that stands before none is refused.

    Args:
        page: the file.
        text: what it says, if that is not what is in the file.
    """
    text = page.read_text(encoding="utf-8") if text is None else text
    name, found = str(page.relative_to(ROOT)), []
    for match in BLOCK.finditer(text):
        marks: dict[str, str] = dict(MARK.findall(match[1]))
        needs = tuple(marks["needs"].split(", ")) if "needs" in marks else ()
        line = text.count("\n", 0, match.start(2)) + 1
        unknown = [one for one in needs if one not in NEEDS]
        if unknown:
            raise ValueError(f"{name}:{line}: '{unknown[0]}' is none of what a block may need: {', '.join(NEEDS)}")
        found.append(Block(name, line, match[2], match[3], marks.get("file"), needs))
    marked = sum(bool(block.file) + bool(block.needs) for block in found)
    if marked != text.count("<!-- file:") + text.count("<!-- needs:"):
        raise ValueError(f"{name}: a mark does not stand right before a block, or has no value")
    return found


@dataclass
class Reader:
    """Someone who follows a page in a folder, the current one.

    Args:
        folder: the current folder.
        names: what Python code has defined so far.
        said: what the last block printed.
        last: the words of the last command.
    """

    folder: Path
    names: dict[str, object] = field(default_factory=lambda: {"__name__": "page"})
    said: str = ""
    last: list[str] = field(default_factory=list)

    def read(self, page: list[Block]) -> None:
        """Follow a page from top to bottom."""
        self.prepare(page)
        for block in page:
            self.follow(block)
        self.unused(page)

    def prepare(self, page: list[Block]) -> None:
        """Write the files of a page, and do what its commands ``arbench new`` do."""
        for block in page:
            if block.file:
                (self.folder / block.file).write_text(block.text, encoding="utf-8")
        for line in dict.fromkeys(line for block in page if block.runs for line in lines(block)):
            if line.startswith("arbench new ") and not self.made(line):
                self.arbench(shlex.split(line, comments=True)[1:])

    def made(self, line: str) -> bool:
        """Return whether the file of a command ``arbench new`` is there."""
        return (self.folder / shlex.split(line, comments=True)[-1]).exists()

    def follow(self, block: Block) -> None:
        """Run a block, or look up what it shows in what the block before printed."""
        if block.language == "text":
            assert not unsaid(block.text, self.said), f"{block.page}:{block.line} was not printed:\n{self.said}"
        elif block.language == "diff":
            self.said = self.change(block)
        elif block.runs:
            self.said = "".join((self.python if block.language == "python" else self.console)(block))

    def change(self, block: Block) -> str:
        """Plant a fault in a file, in a copy of the folder, and run the last command again, which has to find it."""
        changes = [re.findall(rf"^\{sign}(.*)$", block.text, re.MULTILINE) for sign in "-+"]
        copy = self.folder.with_name(f"{self.folder.name}-{block.line}")
        shutil.copytree(self.folder, copy)
        (file,) = (one for one in copy.glob("*.py") if changes[0][0] in one.read_text(encoding="utf-8"))
        text = file.read_text(encoding="utf-8")
        for before, after in zip(*changes, strict=True):
            assert text.count(before) == 1, f"{block.page}:{block.line}: {before}"
            text = text.replace(before, after)
        file.write_text(text, encoding="utf-8")
        with chdir(copy), beside.returning():
            return self.arbench(self.last, code=1)

    def python(self, block: Block) -> Iterator[str]:
        """Run a block of Python, and its tests; what it prints has to be what it says behind ``print``."""
        printed, place = io.StringIO(), f"{block.page}:{block.line}"
        code = compile("\n" * block.line + block.text, block.page, "exec")
        with redirect_stdout(printed):
            exec(code, self.names)
            for name, value in [*self.names.items()]:
                if name.startswith("test_") and callable(value):
                    value()
        said = re.findall(r"^ *print\(.*\)  # (\(.*\))$", block.text, re.MULTILINE)
        shown = [line for one in said for line in re.findall(r"\([^)]*\)", one.partition(":")[0])]
        assert not shown or printed.getvalue().splitlines() == shown, place
        yield printed.getvalue()

    def console(self, block: Block) -> Iterator[str]:
        """Run the commands of a block, each of which has to end with 0."""
        for line in lines(block):
            words = shlex.split(line, comments=True)
            if words[:1] == ["arbench"]:
                if not (words[1] == "new" and self.made(line)):
                    yield self.arbench(words[1:])
            elif words:
                path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
                environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
                bash = ["bash", "-ec", line]
                done = subprocess.run(bash, cwd=self.folder, env=environment, capture_output=True, text=True)
                assert done.returncode == 0, f"{block.page}:{block.line}: {line}\n{done.stdout}{done.stderr}"
                yield done.stdout

    def arbench(self, words: list[str], code: int = 0) -> str:
        """Run a command in this process, with fewer repetitions, which ends with a code; return what it prints."""
        printed, self.last = io.StringIO(), words
        words = [*words]
        for option, value in CHEAPER.get(words[0], {}).items():
            if option in words:
                if option == "--n" and words[words.index(option) + 1].isdecimal():
                    continue  # the one size that a model has
                del words[words.index(option) : words.index(option) + 2]
            words += [option] if value is None else [option, value]
        with redirect_stdout(printed), pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == code, f"arbench {shlex.join(words)} ended with {ended.value}:\n{printed.getvalue()}"
        return printed.getvalue()

    def unused(self, page: list[Block]) -> None:
        """Run the files of Python that no command names and nothing else has imported."""
        commands = " ".join(line for block in page for line in lines(block))
        for block in page:
            place = str(self.folder / (block.file or ""))
            known = {getattr(module, "__file__", None) for module in [*sys.modules.values()]}
            if block.language == "python" and block.file and place not in known and block.file not in commands:
                runpy.run_path(place)


def lines(block: Block) -> list[str]:
    """Return the commands of a block of the console."""
    return block.text.replace("\\\n", " ").splitlines() if block.language == "console" else []


def unsaid(shown: str, said: str) -> list[str]:
    """Return the lines that a page shows and that were not printed, whatever their numbers and line breaks are."""
    plain = [[VARYING.sub("#", word) for word in text.split()] for text in (shown, said)]
    matcher = difflib.SequenceMatcher(None, *plain, autojunk=False)
    gone = [plain[0][a:b] for what, a, b, _, _ in matcher.get_opcodes() if what in ("delete", "replace")]
    return [" ".join(words) for words in gone if words != ["..."]]
