"""Process of a time check, inside the test process: errors of its versions are charged to their side."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from arbench.bench.call import Kept
from arbench.gate.timing import worker
from arbench.gate.timing.protocol import Build, Failed, ListCases, Load, Verify
from arbench.gate.timing.worker import Server, SideError


def version(folder: Path, text: str = "") -> str:
    """Write a package ``arbench`` with nothing but what a host imports, and return its root."""
    package = folder / "arbench"
    (package / "bench").mkdir(parents=True)
    (package / "__init__.py").write_text(text)
    (package / "bench" / "__init__.py").touch()
    (package / "bench" / "subject.py").touch()
    return str(folder)


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """Restore the settings of torch that a server changes."""
    enabled, threads = torch.is_grad_enabled(), torch.get_num_threads()
    yield
    torch.set_grad_enabled(enabled)
    torch.set_num_threads(threads)


def test_a_version_that_does_not_import_is_named(tmp_path: Path) -> None:
    roots = [version(tmp_path / "old"), version(tmp_path / "new", "raise RuntimeError('broken')")]
    with pytest.raises(SideError) as error:
        Server(Load([roots[0], roots[1], roots[0]], seed=0, threads=1))
    assert worker._failed(error.value) == Failed("RuntimeError: broken", side=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("original = torch.addmm; torch.addmm = lambda *a, **k: original(*a, **k)", "replaces torch.addmm"),
        ("torch.set_num_threads(2)", "changes torch.get_num_threads() from 1 to 2"),
    ],
)
@pytest.mark.parametrize("side", [0, 1])
def test_a_version_that_changes_what_all_share_needs_a_process_of_its_own(
    text: str, said: str, side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "addmm", torch.addmm)
    roots = [version(tmp_path / "old"), version(tmp_path / "new")]
    roots[side] = version(tmp_path / "changed", f"import torch\n{text}\n")
    with pytest.raises(SideError) as error:
        Server(Load([roots[0], roots[1], roots[0]], seed=0, threads=1))
    failed = worker._failed(error.value)
    assert (failed.error, failed.apart) == (f"one of them {said} for the whole process", True)
    assert failed.side in ((0, 2) if side == 0 else (1,))
    torch.set_num_threads(1)
    monkeypatch.undo()
    Server(Load([roots[side]], seed=0, threads=1))  # alone in its process it may


def test_a_version_that_exits_is_charged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leaves(*_: object, **__: object) -> None:
        raise SystemExit(0)

    server = Server(Load([version(tmp_path / name) for name in ("old", "new")], seed=0, threads=1))
    for name in ("cases", "verified"):
        monkeypatch.setattr(f"arbench.gate.timing.version.{name}", leaves)
    for request in (ListCases([{}]), Verify(1, {})):
        with pytest.raises(SideError, match=r"^SystemExit: 0 \(\S*test_worker.py:\d+\)$") as error:
            server.reply(request)
        assert error.value.side == getattr(request, "side", 0)


def two(tmp_path: Path) -> Server:
    return Server(Load([version(tmp_path / name) for name in ("old", "new")], seed=0, threads=1))


def test_a_build_tells_the_verified_outcomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []

    def opened(case: dict[str, object], **facts: object) -> object:
        told.append(facts["outcomes"])
        return lambda: Kept(lambda: None, lambda _: None)

    monkeypatch.setattr("arbench.gate.timing.version.opened", opened)
    server = two(tmp_path)
    server.reply(Build([{"device": "cpu"}] * 2, [0, 1], outcomes={"a": "digest"}))
    assert told == [{"a": "digest"}] * 2


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("when", ["loaded", "loaded, in a package that it imports", "called"])
def test_a_case_that_changes_what_all_share_needs_a_process_of_its_own(
    when: str, side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other side has loaded and called the case before."""
    owner: types.ModuleType = torch
    if "package" in when:
        owner = types.ModuleType("scipy.planted")
        owner.addmm = lambda: None  # type: ignore[attr-defined]

    def replaces(case: dict[str, object]) -> None:
        if case["side"] == side:
            original = owner.addmm
            monkeypatch.setattr(owner, "addmm", lambda *a, **k: original(*a, **k))

    def opened(case: dict[str, object], **_: object) -> object:
        monkeypatch.setitem(sys.modules, owner.__name__, owner)
        if when != "called":
            replaces(case)
        return lambda: Kept(lambda: replaces(case) if when == "called" else None, lambda _: None)

    monkeypatch.setattr("arbench.gate.timing.version.opened", opened)
    server, cases = two(tmp_path), [{"side": 0, "device": "cpu"}, {"side": 1, "device": "cpu"}]
    server.random.shuffle = list.reverse if side == 0 else lambda order: None  # type: ignore[method-assign]
    with pytest.raises(SideError) as error:
        server.reply(Build(cases, [0, 1]))
    said = f"one of them replaces {owner.__name__}.addmm for the whole process"
    assert worker._failed(error.value) == Failed(said, apart=True, side=side)
