"""The table of compiled programs: what is compiled again, and what is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

IDENTITY = ("program", "target")
FIGURES = ("registers", "loads")


@pytest.fixture(scope="session")
def table(load: Callable[[Path], ModuleType]) -> ModuleType:
    return load(Path(__file__).with_name("table.py"))


def row(program: str, fingerprint: str, **figures: str) -> dict[str, str]:
    return {"program": program, "target": "sm_90", "triton": "3.9.0", "fingerprint": fingerprint, **figures}


HELD = row("held", "a", registers="40", loads="8x128")
LOOPED = row("looped", "b", registers="62", loads="4x32")


def test_what_is_unchanged_is_as_the_table_says(table: ModuleType) -> None:
    found = table.compare([HELD, LOOPED], [row("held", "a"), LOOPED], IDENTITY, FIGURES)
    assert found.programs == [HELD, LOOPED]
    assert (found.wrong, found.changed) == ([], 0)


def test_a_wrong_figure_in_the_table_is_found_once_the_program_is_compiled(table: ModuleType) -> None:
    planted = {**HELD, "registers": "39", "loads": ""}
    assert not table.compare([planted], [row("held", "a")], IDENTITY, FIGURES).wrong
    assert table.compare([planted], [HELD], IDENTITY, FIGURES).wrong == [
        "held sm_90: registers 39 in the table, 40 now",
        "held sm_90: loads none in the table, 8x128 now",
    ]


def test_a_changed_program_must_be_compiled(table: ModuleType) -> None:
    found = table.compare([HELD], [row("held", "other")], IDENTITY, FIGURES)
    assert found.wrong == ["held sm_90: its fingerprint differs from its row's, and it was not compiled"]
    assert found.changed == 1


def test_a_changed_program_is_compared_with_its_row(table: ModuleType) -> None:
    same = table.compare([HELD], [{**HELD, "fingerprint": "other"}], IDENTITY, FIGURES)
    assert (same.wrong, same.changed) == ([], 1)
    more = table.compare([HELD], [{**HELD, "fingerprint": "other", "registers": "41"}], IDENTITY, FIGURES)
    assert more.wrong == ["held sm_90: registers 40 in the table, 41 now"]


def test_figures_of_another_triton_are_not_compared(table: ModuleType) -> None:
    newer = {**HELD, "fingerprint": "other", "triton": "4.0.0", "registers": "99"}
    found = table.compare([HELD], [newer], IDENTITY, FIGURES)
    assert (found.wrong, found.changed, found.programs) == ([], 1, [newer])


def test_equal_fingerprints_are_compared_whatever_version_a_row_names(table: ModuleType) -> None:
    renamed = {**HELD, "triton": "4.0.0", "registers": "41"}
    assert table.compare([HELD], [renamed], IDENTITY, FIGURES).wrong == [
        "held sm_90: registers 40 in the table, 41 now"
    ]


def test_programs_and_rows_must_be_the_same(table: ModuleType) -> None:
    for rows, programs in (([HELD], [HELD, LOOPED]), ([HELD, LOOPED], [HELD])):
        (complaint,) = table.compare(rows, programs, IDENTITY, FIGURES).wrong
        assert complaint.startswith("looped sm_90: ")
        assert complaint.endswith(f"{len(rows) - 1} rows for {len(programs) - 1} programs")


def test_two_programs_of_one_name_are_told_apart_by_their_order(table: ModuleType) -> None:
    second = {**HELD, "fingerprint": "c", "registers": "50"}
    assert not table.compare([HELD, second], [HELD, second], IDENTITY, FIGURES).wrong
    assert len(table.compare([HELD], [HELD, second], IDENTITY, FIGURES).wrong) == 1
    assert len(table.compare([HELD, second], [second, HELD], IDENTITY, FIGURES).wrong) == 2


def test_the_sample_is_a_twentieth_and_changes_with_its_seed(table: ModuleType) -> None:
    known = [f"{i:04x}" for i in range(1000)]
    samples = [table.sample(known, str(i)) for i in range(200)]
    assert {len(one) for one in samples} == {50}
    assert samples[0] == table.sample(reversed(known), "0")
    assert set().union(*samples) >= set(known[:900])
    assert len(table.sample(known[:3], "0")) == 1
    assert table.sample([], "0") == set()


def test_the_seed_is_the_commit_and_without_git_the_table(
    table: ModuleType, tmp_path: Path, git: Callable[..., str], committed: Callable[[Path], Path]
) -> None:
    (tmp_path / "loose").mkdir()
    for name in ("loose", "kept"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "programs.csv").write_text("kernel\n")
    kept = committed(tmp_path / "kept")
    assert table.seed(kept / "programs.csv") == git(kept, "rev-parse", "HEAD")
    loose = table.seed(tmp_path / "loose" / "programs.csv")
    (tmp_path / "loose" / "programs.csv").write_text("kernel,program\n")
    assert table.seed(tmp_path / "loose" / "programs.csv") != loose
