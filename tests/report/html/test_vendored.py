"""Other people's JavaScript in a page: it is what its package has, and comes with its licence."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from arbench.report.html import all_scripts, policy
from arbench.report.html.vendored import VENDORED, read


@pytest.mark.parametrize("one", VENDORED, ids=lambda one: one.package)
def test_a_copy_is_what_was_taken(one) -> None:
    assert hashlib.sha256(read(one.file).encode()).hexdigest() == one.sha256
    assert one.text.endswith(read(one.file))
    assert f"{one.package} {one.version}" in one.text.splitlines()[0]


@pytest.mark.parametrize(
    ("package", "said"), [("sortable-tablesort", "public domain"), ("@alpinejs/csp", "MIT License")]
)
def test_licences_are_kept(package, said) -> None:
    (one,) = (one for one in VENDORED if one.package == package)
    assert said in one.licence_text


@pytest.mark.slow
@pytest.mark.parametrize("one", VENDORED, ids=lambda one: one.package)
def test_a_copy_is_the_file_of_its_package(one, tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    done = subprocess.run(
        ["npm", "pack", "--json", f"{one.package}@{one.version}"], cwd=tmp_path, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"npm cannot reach its registry: {done.stderr.splitlines()[:1]}")
    (archive,) = tmp_path.glob("*.tgz")
    assert json.loads(done.stdout)[0]["version"] == one.version
    with tarfile.open(archive) as opened:
        packed = opened.extractfile(f"package/{one.path}")
        assert packed is not None
        assert hashlib.sha256(packed.read()).hexdigest() == one.sha256


def test_the_policy_names_each_script_and_no_address() -> None:
    said = policy(all_scripts())
    assert said.count("'sha256-") == len(all_scripts()) == len(VENDORED) + 1
    assert "default-src 'none'" in said
    assert "http" not in said
    assert "script-src 'sha256-" in said
    assert "unsafe-eval" not in said
