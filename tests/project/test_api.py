"""The public interface is the one that ``docs/api.txt`` lists, and what changes in it is in the changelog."""

from __future__ import annotations

from pathlib import Path

import pytest

CHANGELOG = """\
# Changelog

## [Unreleased]

- `stream(chunk=...)`, to measure; `arbench run --stream`.

## [0.1.0]

- `measure`.
"""


@pytest.fixture(scope="module")
def api(load):
    return load(Path(__file__).with_name("api.py"))


def test_it_is_the_one_that_is_listed(api) -> None:
    now, listed = api.listing(), api.stored()
    added, removed = sorted(set(now) - set(listed)), sorted(set(listed) - set(now))
    assert now == listed, f"run `make api`; added or changed: {added}; removed or changed: {removed}"


def test_it_lists_functions_classes_members_and_constants(api) -> None:
    listed = api.stored()
    assert "arbench.__version__" in listed
    assert "arbench.results.SCHEMA" in listed
    assert "arbench.models.Source.forward(self, f: Tensor, code: Any) -> Tensor" in listed
    assert "arbench run --budget" in listed
    assert "arbench run --resume: flag" in listed
    assert "arbench new model file" in listed
    assert any(line.startswith("arbench.measure(models: ") and " -> Measured" in line for line in listed)
    assert any(line.startswith("arbench.results.Case(") and "median_s=None" in line for line in listed)
    assert not any(line.startswith("arbench.distributions.Normal.log_prob(") for line in listed), "as of its base"
    assert len(listed) == len({line.partition("(")[0].partition(":")[0] for line in listed})


@pytest.mark.parametrize(
    ("old", "new", "missing"),
    [
        (["arbench.stream(n)"], ["arbench.stream(n, chunk)"], []),
        (["arbench.measure(n)"], ["arbench.measure(n, m)"], ["arbench.measure"]),
        (["arbench.measure(n)"], [], ["arbench.measure"]),
        ([], ["arbench.models.Source.streams: attribute"], ["arbench.models.Source.streams"]),
        (["arbench.measure(n)"], ["arbench.measure(n)"], []),
        (["arbench run --chunk"], [], ["arbench run --chunk"]),
        ([], ["arbench run --stream: flag"], []),
        ([], ["arbench run --stream-by"], ["arbench run --stream-by"]),
    ],
)
def test_what_changed_has_to_be_named_among_what_is_unreleased(api, old, new, missing) -> None:
    assert api.unnamed(old, new, CHANGELOG) == missing


def test_the_list_is_not_written_until_the_changelog_names_the_change(api, tmp_path, monkeypatch, capsys) -> None:
    listed, changelog = tmp_path / "api.txt", tmp_path / "CHANGELOG.md"
    monkeypatch.setattr(api, "FILE", listed)
    monkeypatch.setattr(api, "CHANGELOG", changelog)
    monkeypatch.setattr(api, "listing", lambda: ["arbench.novel(x)"])
    listed.write_text(f"{api.HEAD}arbench.older(x)\n")
    changelog.write_text(CHANGELOG)
    assert api.main() == 1
    said = capsys.readouterr().err
    assert said == "CHANGELOG.md, Unreleased: name what changed: arbench.novel, arbench.older\n"
    assert api.stored() == ["arbench.older(x)"]
    changelog.write_text(CHANGELOG.replace("- `stream", "- `novel(x)` takes the place of `older`.\n- `stream"))
    assert api.main() == 0
    assert api.stored() == ["arbench.novel(x)"]
