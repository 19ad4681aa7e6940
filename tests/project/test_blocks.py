"""Every block of Python and of the console that the pages show is run, or is marked with what it needs."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from arbench import meters
from arbench.bench import prove, runner
from arbench.bench.workers import checking
from arbench.results import read

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "benchmarks/peers/README.md", *(f"docs/{one.name}" for one in sorted(ROOT.glob("docs/*.md")))]
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in PAGES}
CODE = [name for name in PAGES if "```python\n" in TEXTS[name] or "```console\n" in TEXTS[name]]
SLOW = [name for name in CODE if "minutes -->" in TEXTS[name]]
RATES = [{"bytes": 32768, "gb_per_s": 1e6}]
LIMITS = {"copy": RATES, "read": RATES, "matmul": {"float32": 1e6}, "timer_s": 1e-7}
EARLIER = {
    "docs/compare.md": {"my_model.py": "arbench/cli/starters/model.py"},
    "docs/paper.md": {"runs/mine/results.jsonl": "reports/fused/student/results.jsonl"},
    "docs/results-file.md": {"results.jsonl": "reports/fused/student/results.jsonl"},
}
"""Files that a reader of a page has already, and where they come from."""

LEFT = {
    "README.md": ("results/*/report.html", "Bigram"),
    "docs/gate.md": ("counters.jsonl", "MyModel"),
    "docs/paper.md": ("runs/mine/paper/references.bib", "{arbench-run-"),
    "docs/python.md": ("mine/report.html", "wavenet:tiny"),
    "docs/training.md": ("results/*/summary.md", "Quality beside speed"),
    "docs/tutorial.md": ("first/report.html", "wavenet:tiny"),
}
"""A file that a reader of a page finds afterwards, and what it says."""


@pytest.fixture(scope="module")
def tool(load: Callable[[Path], ModuleType]) -> ModuleType:
    return load(Path(__file__).with_name("blocks.py"))


@pytest.fixture
def reader(
    tool: ModuleType,
    load: Callable[[Path], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    forgotten: None,
) -> Iterator[Any]:
    """Yield a reader in an empty folder; workers' jobs run in this process, and this machine's limits are constants."""
    for room in (runner, prove, checking):
        monkeypatch.setattr(room, "WorkerPool", load(ROOT / "tests" / "workers.py").Inside)
    for room in (runner, meters):
        monkeypatch.setattr(room, "limits", lambda device, threads=None: LIMITS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tool.Reader(tmp_path)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def follow(page: str, tool: ModuleType, reader: Any, *, slow: bool) -> None:
    """Follow a page as far as what it needs is there; no row of what it measures may have failed."""
    for name, source in EARLIER.get(page, {}).items():
        (reader.folder / name).parent.mkdir(parents=True, exist_ok=True)
        if source.endswith(".md"):
            (text,) = [block.text for block in tool.blocks(ROOT / source) if block.file == name]
            (reader.folder / name).write_text(text, encoding="utf-8")
        else:
            shutil.copy(ROOT / source, reader.folder / name)
    there = [block for block in tool.blocks(ROOT / page) if not block.lacks(slow=slow)]
    reader.read(there)
    if page in LEFT:
        (file,) = reader.folder.glob(LEFT[page][0])
        assert LEFT[page][1] in file.read_text(encoding="utf-8")
    for file in reader.folder.rglob("results.jsonl"):
        assert {case.status for case in read(file).cases.values()} == {"ok"}, file


@pytest.mark.parametrize("page", CODE)
def test_a_page_does_what_it_says(page: str, tool: ModuleType, reader: Any) -> None:
    follow(page, tool, reader, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW)
def test_a_page_does_what_it_says_where_there_are_minutes(page: str, tool: ModuleType, reader: Any) -> None:
    follow(page, tool, reader, slow=True)


def shown(tool: ModuleType, text: str) -> list[Any]:
    """Return the blocks of a page with this text."""
    found: list[Any] = tool.blocks(ROOT / "README.md", text)
    return found


def test_marks_are_read_and_others_refused(tool: ModuleType, said: Callable[..., str]) -> None:
    text = "A\n\n<!-- file: a.py -->\n<!-- needs: hours, the network -->\n```python\n1\n```\n```{toctree}\na\n```\n"
    (block,) = shown(tool, text)
    assert (block.language, block.text, block.line, block.file) == ("python", "1\n", 5, "a.py")
    assert block.lacks(slow=True) == ["hours", "the network"]
    (minutes,) = shown(tool, "<!-- needs: minutes -->\n```console\narbench\n```\n")
    assert (minutes.lacks(slow=False), minutes.lacks(slow=True)) == (["minutes"], [])
    unknown = said(ValueError, shown, tool, text.replace("hours", "luck"))
    assert unknown.startswith("README.md:5: 'luck' is none of what a block may need: a CUDA device, ")
    for loose in (text.replace("-->\n```", "-->\n\n```"), text.replace("file: a.py", "file:")):
        wrong = said(ValueError, shown, tool, loose)
        assert wrong == "README.md: a mark does not stand right before a block, or has no value"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("```console\narbench list --model nonsense\n```", "ended with"),
        ("```console\nfalse\n```", "false"),
        ("```python\nprint((1, 2))  # (1, 3)\n```", "README.md:1"),
        ("```python\ndef test_x():\n    assert 1 == 2, 'no'\n```", "no"),
        ("```console\narbench --version\n```\n```text\narbench 7.7.7 of gold\n```", "README.md:4 was not printed"),
        ("```python\nprint('right')\n```\n```text\nwrong\n```", "README.md:4 was not printed"),
    ],
)
def test_what_a_page_says_and_is_not_so_is_noticed(text: str, why: str, tool: ModuleType, reader: Any) -> None:
    blocks = shown(tool, f"{text}\n")
    with pytest.raises(AssertionError, match=re.escape(why)):
        reader.read(blocks)


def test_numbers_and_line_breaks_of_what_is_printed_may_differ(tool: ModuleType) -> None:
    said = "model is right: 7 methods, in 2.4 s\n  law: within 1.8e-07 of 2,193\n"
    assert tool.unsaid("model is right: 7 methods,\n  in 12.25 s\n...\nof 9\n", said) == []
    assert tool.unsaid("model is WRONG: 7 methods,\n", said) == ["WRONG:"]
