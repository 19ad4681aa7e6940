"""Seals: a line that is missing, doubled or changed is noticed, and the lines before the last good seal are named."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec
import pytest

from arbench.report.seals import seal_line
from arbench.results import Integrity, ResultsError, Run, Samples, Verification, Writer, read

RUN = Run(
    schema=1,
    run_id="r",
    started_at="2026-01-05T12:00:00+00:00",
    argv=[],
    seed=0,
    git=None,
    plan={},
    environment={},
    limits={},
    sealed=True,
)


def sealed(path: Path, *, end: bool = True) -> list[bytes]:
    """Write two rounds of two cases with a seal after each, and return the lines."""
    with Writer(path) as writer:
        writer.write(RUN)
        for case in "ab":
            writer.write(Verification(case, "ok", "pointwise", {"how": "exactly"}))
        writer.seal()
        for number in range(2):
            for case in "ab":
                writer.write(Samples(case, 0, number, 1.7e9 + number, [1.25e-3, 2.5e-3]))
            writer.seal()
        if end:
            writer.write(Verification("a", "ok", "pointwise", None))
            writer.seal(end=True)
    return path.read_bytes().splitlines(keepends=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl"


def seals(lines: list[bytes]) -> list[int]:
    """Return the numbers of the lines that are seals."""
    return [number for number, line in enumerate(lines, 1) if line.startswith(b'{"kind":"seal"')]


def test_a_seal_states_number_and_digest_of_the_lines_before_it(path):
    lines = sealed(path)
    assert seals(lines) == [4, 7, 10, 12]
    for number in seals(lines):
        digest = hashlib.sha256(b"".join(lines[: number - 1])).hexdigest()
        assert msgspec.json.decode(lines[number - 1]) == {
            "kind": "seal",
            "lines": number - 1,
            "sha256": digest,
            **({"end": True} if number == 12 else {}),
        }


def test_what_the_seals_of_a_file_say(path, unseal):
    lines = sealed(path)
    assert read(path).integrity == Integrity(sealed=True, whole=12, ended=True)
    assert read(path).integrity.intact
    for kept in range(1, 12):
        path.write_bytes(b"".join(lines[:kept]))
        last = max([number for number in seals(lines) if number <= kept], default=0)
        assert read(path).integrity == Integrity(sealed=True, whole=last, after=kept - last)
        assert not read(path).integrity.intact
    path.write_bytes(b"".join(lines))
    unseal(path)
    assert read(path).integrity == Integrity()


def said_of(path: Path, lines: list[bytes]) -> str:
    """Return the refusal of a damaged file, without its path."""
    path.write_bytes(b"".join(lines))
    with pytest.raises(ResultsError) as refused:
        read(path)
    text = str(refused.value)
    assert text.startswith(f"{path}:")
    assert "\n" not in text
    return text.removeprefix(f"{path}:")


def advice(good: int) -> str:
    if good == 0:
        return ""
    return f"; the last good seal is line {good}: restore the file, or keep what is whole with head -n {good}"


def damages(lines: list[bytes]):
    """Yield files that are damaged before their last seal, each with the number of the first line that differs."""
    for number in range(2, len(lines)):
        yield "deleted", number, [*lines[: number - 1], *lines[number:]]
        yield "doubled", number + 1, [*lines[:number], *lines[number - 1 :]]
    for number, line in enumerate(lines, 1):
        for place in (found.start() for found in re.finditer(rb"\d", line)):
            digit = b"7" if line[place : place + 1] != b"7" else b"3"
            yield "changed", number, [*lines[: number - 1], line[:place] + digit + line[place + 1 :], *lines[number:]]


def test_every_damage_before_a_seal_is_refused_with_the_last_good_seal(path):
    lines = sealed(path)
    seen = set()
    for what, first, damaged in damages(lines):
        said = said_of(path, damaged)
        number = int(said.partition(":")[0])
        assert number >= first, (what, first, said)
        good = max([one for one in seals(damaged) if one < min(first, number)], default=0)
        assert said.endswith(advice(good)), (what, first, said)
        seen.add(what)
        if what == "doubled" and damaged[first - 1].startswith(b'{"kind":"samples"'):
            assert said == f"{first}: damaged: it repeats line {first - 1}{advice(good)}"
        elif what == "deleted":
            assert said.startswith(f"{number}: damaged: this seal does not agree with the lines before it")
    assert seen == {"deleted", "doubled", "changed"}


def test_a_doubled_line_of_samples_is_refused_where_no_seal_follows(path):
    lines = sealed(path, end=False)[:6]
    assert said_of(path, [*lines, lines[-1]]) == f"7: damaged: it repeats line 6{advice(4)}"


def test_a_file_from_before_seals_is_read_as_it_was(path, unseal):
    sealed(path)
    lines = unseal(path)
    path.write_bytes(b"".join([*lines, lines[-2]]))
    assert len(read(path).samples) == 5
    assert read(path).integrity == Integrity()


def test_a_file_is_not_sealed_twice(path):
    lines = sealed(path)
    with Writer(path) as writer:
        writer.seal(end=True)
        writer.seal()
    assert path.read_bytes() == b"".join(lines)
    with Writer(path) as writer:
        writer.write(Samples("a", 1, 0, 1.7e9, [1e-3]))
        writer.seal()
        writer.seal(end=True)
    assert read(path).integrity == Integrity(sealed=True, whole=15, ended=True)
    with Writer(path.with_name("empty.jsonl")) as writer:
        writer.seal(end=True)
        assert writer.empty


@pytest.mark.parametrize(("kept", "said"), [(6, "2 lines were"), (5, "1 line was")])
def test_lines_that_no_seal_covered_before_a_run_went_on_are_counted(path, kept, said):
    lines = sealed(path)[:kept]
    path.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b"0.00125", b"0.125")]))
    with Writer(path) as writer:
        for number in range(2):
            writer.write(Samples("a", 1, number, 1.7e9, [1e-3]))
            writer.seal(end=number == 1)
    found = read(path)
    assert found.integrity == Integrity(sealed=True, whole=kept + 4, ended=True, unsealed=kept - 4)
    assert seal_line(found) == (
        f"intact: {kept + 4} lines, all as they were sealed; {said} written before an interruption and sealed only "
        "after it. Seals show damage, not forgery."
    )
    with Writer(path) as writer:
        assert writer.integrity == found.integrity


def test_an_interrupt_between_a_line_and_its_seal_leaves_a_true_seal(path, monkeypatch):
    with Writer(path) as writer:
        writer.write(RUN)
        writer.seal()
        writer.write(Samples("a", 0, 0, 1.7e9, [1e-3]))

        def interrupted(*args):
            raise KeyboardInterrupt

        monkeypatch.setattr("arbench.results.seals.Tape.add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.seal()
        monkeypatch.undo()
        writer.seal(end=True)
    assert read(path).integrity.intact


def taken_away(path: Path, how: str) -> None:
    if how == "deleted":
        path.unlink()
    elif how == "replaced":
        other = path.with_name("other")
        other.write_bytes(b"not mine\n")
        other.replace(path)
    elif how == "folder deleted":
        path.unlink()
        path.parent.rmdir()
    else:
        path.write_bytes(b"")  # the same file, emptied


@pytest.mark.parametrize(
    ("how", "why", "name"),
    [
        ("deleted", "was deleted", "results.jsonl"),
        ("folder deleted", "was deleted", "results.jsonl"),
        ("replaced", "was replaced", "results-2.jsonl"),
        ("emptied", "was changed", "results-2.jsonl"),
    ],
)
def test_a_file_that_is_taken_away_is_written_again(tmp_path, how, why, name):
    path = tmp_path / "run" / "results.jsonl"
    with Writer(path) as writer:
        writer.write(RUN)
        writer.write(Samples("a", 0, 0, 1.7e9, [1e-3]))
        taken_away(path, how)
        writer.write(Samples("a", 0, 1, 1.7e9, [1e-3]))
        writer.seal(end=True)
        assert writer.path == path.with_name(name)
        assert writer.moves == [f"{path} {why} while it was written; all results are in {path.with_name(name)}"]
        with pytest.raises(ResultsError, match="is being written by another run"):
            Writer(writer.path)
    found = read(path.with_name(name))
    assert [line.round for line in found.samples] == [0, 1]
    assert found.integrity.intact
    if how == "replaced":
        assert path.read_bytes() == b"not mine\n"
