"""Process of a time check, inside the test process: errors of its versions are charged to their side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from arbench.bench.call import Kept
from arbench.gate.timing import worker
from arbench.gate.timing.protocol import Build, Failed, ListCases, Load, Open, Opened, Verify
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


def test_what_a_case_needs_is_loaded_once_and_knows_the_verified_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[tuple[str, object]] = []

    def opened(case: dict[str, str], **facts: object) -> object:
        loaded.append((case["id"], facts["outcomes"]))
        return lambda: None

    monkeypatch.setattr("arbench.gate.timing.version.opened", opened)
    server = two(tmp_path)
    for _ in range(2):
        assert server.reply(Open([{"id": "a"}, {"id": "b"}], {"a": "digest"})) == Opened()
    assert sorted(loaded) == [("a", {"a": "digest"}), ("b", {"a": "digest"})]


def test_an_error_of_a_case_loaded_ahead_is_raised_where_it_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("arbench.gate.timing.version.opened", broken)
    server, cases = two(tmp_path), [{"id": "a", "device": "cpu"}] * 2
    assert server.reply(Open(cases, {})) == Opened()
    with pytest.raises(SideError, match=r"^RuntimeError: broken"):
        server.reply(Build(cases, [0, 1]))


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("ahead", [True, False])
def test_a_case_that_changes_what_all_share_when_it_is_loaded_needs_a_process_of_its_own(
    ahead: bool, side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaces(case: dict[str, object], **_: object) -> object:
        if case["side"] == side:
            original = torch.addmm
            monkeypatch.setattr(torch, "addmm", lambda *a, **k: original(*a, **k))
        return lambda: Kept(lambda: None, lambda _: None)

    monkeypatch.setattr("arbench.gate.timing.version.opened", replaces)
    server, cases = two(tmp_path), [{"side": 0, "device": "cpu"}, {"side": 1, "device": "cpu"}]
    with pytest.raises(SideError) as error:
        server.reply(Open(cases, {}) if ahead else Build(cases, [0, 1]))
    failed = worker._failed(error.value)
    assert (failed.error, failed.apart) == ("one of them replaces torch.addmm for the whole process", True)
