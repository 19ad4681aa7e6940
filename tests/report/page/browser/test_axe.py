"""Accessibility by axe-core: nothing serious or critical, in both themes and widths."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

WIDE, PHONE = (1280, 900), (390, 844)
"""Width and height of a screen, pixels."""

VERSION = "4.14.1"


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory, lack) -> str:
    """Return the source of axe-core, from npm; without npm or its registry the tests say what they lack."""
    if shutil.which("npm") is None:
        lack("npm is not installed, so axe-core cannot be had")
    folder: Path = tmp_path_factory.mktemp("axe")
    done = subprocess.run(["npm", "pack", f"axe-core@{VERSION}"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        lack(f"npm cannot reach its registry, so axe-core cannot be had: {done.stderr.splitlines()[:1]}")
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as opened:
        packed = opened.extractfile("package/axe.min.js")
        assert packed is not None
        return packed.read().decode()


def findings(page, axe: str) -> list[str]:
    """Return what axe finds that is serious or critical: rule, help and the first elements."""
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert found["passes"], "axe looked at something"
    return [
        f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes'][:3]]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("name", "size"), [("report", WIDE), ("report", PHONE), ("kernel_report", WIDE)])
def test_axe_finds_nothing_serious(visit, axe, name, size, theme, request) -> None:
    page = visit(request.getfixturevalue(name), size, color_scheme=theme, bypass_csp=True).page
    assert findings(page, axe) == []


def test_axe_finds_nothing_serious_on_several_runs_nor_with_a_case_open(visit, axe, several_report) -> None:
    page = visit(several_report, bypass_csp=True).page
    page.locator("a.of").first.focus()
    page.locator("#tip").wait_for(state="visible")
    assert findings(page, axe) == []


def test_a_planted_fault_is_found(visit, axe, report) -> None:
    page = visit(report, bypass_csp=True).page
    page.evaluate("document.querySelector('.theme label').replaceWith(document.querySelector('.theme select'))")
    assert any(line.startswith("select-name") for line in findings(page, axe))
