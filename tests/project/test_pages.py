"""The pages in docs/ and the README: what they link to is there, and their commands are commands of arbench."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest

from arbench.cli import group
from arbench.methods import METHODS
from arbench.models.registry import BUILT_IN
from arbench.report.labels import STATUS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}[^\n]*\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands() -> Iterator[tuple[str, str]]:
    """Yield each command of arbench, from blocks and from text, with the name of its page."""
    for page in PAGES:
        lines = [line for block in blocks(page, "console") for line in block.replace("\\\n", " ").splitlines()]
        lines += [" ".join(one.split()) for one in re.findall(r"`(arbench [^`]+)`", page.read_text(encoding="utf-8"))]
        for line in dict.fromkeys(lines):
            if line.startswith("arbench "):
                yield page.name, line


def anchor(heading: str) -> str:
    """Return the anchor that forges and Sphinx make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "")).strip().lower().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    missing = []
    for place, heading in LINK.findall(page.read_text(encoding="utf-8")):
        target = (page.parent / place).resolve() if place else page
        headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE) if heading else []
        if not target.exists() or (heading and heading not in map(anchor, headings)):
            missing.append(f"{place}#{heading}")
    assert not missing


def unknown(line: str) -> list[str]:
    """Return the options of a command line, whatever stands before them, that its command does not have."""
    words = [word for word in shlex.split(line, comments=True)[1:] if word not in ("...", "…")]
    command: click.Command = group
    context = click.Context(group, info_name="arbench")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        with context:
            _, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, click.Context(found, parent=context)
    known = {option for one in command.get_params(context) for option in (*one.opts, *one.secondary_opts)}
    return [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]


@pytest.mark.parametrize(("page", "line"), list(commands()), ids=lambda text: text[:60])
def test_commands_have_the_options_that_they_are_given(page: str, line: str) -> None:
    assert unknown(line) == [], page


@pytest.mark.parametrize(
    "line",
    [
        "arbench report A B --onto FOLDER",
        "arbench compare A B --onto=FOLDER",
        "arbench history FOLDER --onto .",
        "arbench new model my_model.py --onto .",
        "arbench run ... --onto mine",
        "arbench --onto",
    ],
)
def test_an_option_that_a_command_does_not_have_is_noticed(line: str) -> None:
    assert [one.partition("=")[0] for one in unknown(line)] == ["--onto"]


FORGE = {"console", "python", "text", "diff", "toml", "yaml", "bash", "latex", "json", "make", "c", "cpp", ""}
"""Languages of blocks that a forge shows as they are meant."""


def strange(text: str) -> list[str]:
    """Return what a site understands in a page and a forge shows raw: directives, and lists of definitions."""
    fences = re.findall(r"^ *(?:```|:::)(\S*)", text, re.MULTILINE)
    return [one for one in fences if one not in FORGE] + re.findall(r"^: .*", text, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_reads_on_a_forge_as_on_the_site(page: Path) -> None:
    assert strange(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("text", ["```{toctree}\na\n```\n", "**work**\n: Operations.\n", ":::{note}\nA\n:::\n"])
def test_what_only_the_site_understands_is_noticed(text: str) -> None:
    assert strange(text)


def test_the_side_bar_of_the_site_has_every_page() -> None:
    listed = (
        (ROOT / "docs" / "conf.py").read_text(encoding="utf-8").partition("\nNAVIGATION = {")[2].partition("\n}")[0]
    )
    pages = {page.stem for page in PAGES} - {"README", "index"}
    assert [page for page in sorted(pages) if f'"{page}"' not in listed] == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_page_of_what_there_is_names_every_model_and_method() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    names = {*BUILT_IN, *(method.name for method in METHODS)}
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []


def test_every_state_of_a_row_is_explained_by_the_name_on_the_page_and_that_in_the_file() -> None:
    page = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
    assert [name for name, shown in STATUS.items() if f"\n| {shown} | `{name}` | " not in page] == []


def test_the_page_of_the_results_file_is_that_of_the_schema(load: Callable[[Path], ModuleType]) -> None:
    made = load(ROOT / "docs" / "results_file.py").page()
    assert (ROOT / "docs" / "results-file.md").read_text(encoding="utf-8") == made, "python docs/results_file.py"


def test_every_field_of_the_results_file_says_what_it_is() -> None:
    fields = re.findall(r"^\| `(\w+)` \|.*\|\s*\|$", (ROOT / "docs" / "results-file.md").read_text(), re.MULTILINE)
    assert not fields
