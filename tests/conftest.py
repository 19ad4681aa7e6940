"""Fixtures that all tests share.

Without a CUDA device Triton's interpreter runs the kernels: that must be said before they are imported.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

# The tests run in several processes at once: more threads than cores would make them several times slower.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

if "PYTEST_XDIST_WORKER" not in os.environ:
    # All workers and their processes share what Numba compiles. Every run starts with an empty folder: Numba does not
    # notice when a function in another file changes.
    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="arbench-numba-")
    atexit.register(shutil.rmtree, os.environ["NUMBA_CACHE_DIR"], ignore_errors=True)

with suppress(ImportError):  # a machine with a GPU may run the tests that need no Hypothesis
    from hypothesis import HealthCheck, settings

    # On a busy machine data may take seconds to draw: no test may fail for that.
    settings.register_profile("arbench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("arbench")

LONG = ("test_aot", "test_interruption", "test_isolation", "test_wheel", "test_blocks", "test_hosts", "test_check")
"""Files with tests of many seconds: started last, one of them would keep a worker busy after all others are done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest tests first."""
    items.sort(key=lambda item: item.path.stem not in LONG)


@pytest.fixture(scope="session")
def load() -> Callable[[Path], ModuleType]:
    """Return a function that loads a file that is not a test, once, without a package or a search path."""

    def loaded(path: Path) -> ModuleType:
        known = f"arbench_tests_{path.parent.name}_{path.stem}"
        if known not in sys.modules:
            spec = spec_from_file_location(known, path)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[known] = module = module_from_spec(spec)
            spec.loader.exec_module(module)
        return sys.modules[known]

    return loaded


@pytest.fixture(autouse=True)
def planned_inside(load: Callable[[Path], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan and draw samples in this process, except in ``test_planning`` and in runs that have one of their own."""
    from arbench.bench.workers import drawing, planning

    for room in (drawing, planning):
        monkeypatch.setattr(room, "WorkerPool", load(Path(__file__).with_name("workers.py")).Inside)
    monkeypatch.setattr(planning, "SILENT_S", 1e6)  # a busy machine may plan slowly


@pytest.fixture(scope="session", autouse=True)
def fast_interpreter(load: Callable[[Path], ModuleType]) -> None:
    """Make Triton's interpreter faster, where it runs the kernels."""
    if os.environ.get("TRITON_INTERPRET") == "1":
        load(Path(__file__).with_name("kernels") / "interpreter.py").speed_up()


@pytest.fixture(scope="session")
def faults(load: Callable[[Path], ModuleType]) -> SimpleNamespace:
    """Return the faults to plant by name; each file contains those of one part of the program."""
    found: dict[str, object] = {}
    for path in sorted((Path(__file__).parent / "methods" / "faults").glob("*.py")):
        module = load(path)
        mine = {k: v for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__}
        assert not mine.keys() & found.keys(), path
        found |= mine
    return SimpleNamespace(**found)


@pytest.fixture(scope="session")
def trained() -> Callable[..., Path]:
    """Return a function that writes the checkpoint of a model with the random weights of another seed."""
    from arbench.models import resolve
    from arbench.models.weights import Checkpoint, Data, Quality, write

    def written(spec: str, path: Path, seed: int = 7, **said: object) -> Path:
        one = resolve(spec)
        place = one.spec.removesuffix(f":{one.preset}")
        facts = {
            "model": place,
            "preset": one.preset,
            "config": one.config,
            "data": Data("speech", "0" * 64),
            "quality": Quality(3.71, "bits per audio sample", 143000, True),
            "recipe": {},
            "seed": 0,
            "steps": 12,
            "seconds": 1.5,
            "command": f"arbench train --model {spec}",
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        write(one.build(seed), path, Checkpoint(**{**facts, **said}))
        return path

    return written


@pytest.fixture
def shipping(trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a checkpoint into the folder of those that ship, which is empty at first."""
    from arbench.data import checkpoints

    monkeypatch.setattr(checkpoints, "FOLDER", tmp_path / "shipped")

    def shipped(spec: str, name: str, **more: object) -> Path:
        stem = spec.replace(":", "-").replace(",", "-").replace("=", "-")
        return trained(spec, tmp_path / "shipped" / f"{stem}-{name}.safetensors", **more)

    return shipped


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Forget the user's modules that a test imports, and where they were found."""
    from arbench.own import beside

    modules, path = set(sys.modules), sys.path[:]
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("arbench_user_", "beside_", "mypackage")):
            del sys.modules[name]
    beside._folders.__init__()  # type: ignore[misc]


@pytest.fixture(scope="session")
def said() -> Callable[..., str]:
    """Return a function that calls another, which must raise an error of a kind, and returns its one line."""

    def call(kind: type[Exception], function: Callable[..., Any], *args: Any) -> str:
        with pytest.raises(kind) as caught:
            function(*args)
        message = str(caught.value)
        assert message
        assert "\n" not in message
        return message

    return call


@pytest.fixture
def unseal() -> Callable[[Path], list[bytes]]:
    """Return a function that makes a results file one from before seals, which may be edited; it returns the lines."""

    def unsealed(path: Path) -> list[bytes]:
        lines = [one for one in path.read_bytes().splitlines(keepends=True) if not one.startswith(b'{"kind":"seal"')]
        lines[0] = lines[0].replace(b',"sealed":true', b"")
        path.write_bytes(b"".join(lines))
        return lines

    return unsealed


@pytest.fixture
def copy_of_this_tree(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that copies the package into a folder and appends ``more`` to WaveNet's file."""

    def copied(name: str, more: str = "") -> Path:
        root = tmp_path / name
        for room in ("arbench", "kernels"):  # arbench/kernels is a link to kernels
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / room, root / room, symlinks=True, ignore=ignored)
        with (root / "arbench" / "models" / "wavenet.py").open("a") as file:
            file.write(more)
        return root

    return copied


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs git in a folder, with a name and an address."""

    def run(folder: Path, *words: str) -> str:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return run


@pytest.fixture
def committed(git: Callable[..., str]) -> Callable[[Path], Path]:
    """Return a function that makes a folder a repository with one commit."""

    def made(root: Path) -> Path:
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "first")
        return root

    return made


@pytest.fixture
def carry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, bytes], Path]:
    """Return what installs a package that carries one file; the package has no code that could be imported."""

    def install(package: str, file: str, content: bytes) -> Path:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        info = tmp_path / f"{package.replace('-', '_')}-9.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 9.0\n")
        (info / "RECORD").write_text(f"{file},,\n")
        monkeypatch.syspath_prepend(tmp_path)
        return path

    return install


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide every installed package that carries data."""

    def none(package: str) -> None:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("arbench.data.optional.packages.files", none)
