"""No pickle is loaded, neither directly nor through a library, except a class on its way to our own worker.

A class that a user passes to ``arbench.measure`` is pickled by this process and loaded by a worker that it started. The
pickle travels in the job, over the private channel between the two, so it never comes from a file or another process.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import arbench

ROOT = Path(arbench.__file__).parent
FILES = sorted([*ROOT.rglob("*.py"), *(ROOT.parent / "kernels").rglob("*.py")])
GIVEN = "arbench/bench/workers/given.py"
"""The file that loads the one pickle."""
MODULES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
LOADERS = {"torch.load", "torch.jit.load", "torch.hub.load", "pd.read_pickle", "pandas.read_pickle"}


def unpickles(text: str) -> list[str]:
    """Return the calls and imports of a source file that could load a pickle."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [one.name for one in node.names if one.name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{one.name}" for one in node.names}
            found += sorted(names & LOADERS) + [node.module] * ((node.module or "") in MODULES)
        elif isinstance(node, ast.Call):
            call = ast.unparse(node.func)
            allows = [k for k in node.keywords if k.arg == "allow_pickle" and ast.unparse(k.value) != "False"]
            if call in LOADERS or allows:
                found.append(call)
    return found


def test_no_pickle_is_loaded():
    assert len(FILES) > 50
    found = [f"{file.relative_to(ROOT.parent)}: {what}" for file in FILES for what in unpickles(file.read_text())]
    other = [one for one in found if one != f"{GIVEN}: cloudpickle"]
    assert not other, "these could load a pickle, which runs any code in it:\n" + "\n".join(other)
    assert len(found) == 1


def calls(name: str) -> dict[str, list[str]]:
    """Return the arguments of every call of a function, by file."""
    found: dict[str, list[str]] = {}
    for file in FILES:
        text = file.read_text()
        for node in ast.walk(ast.parse(text)) if f"{name}(" in text else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
                place = str(file.relative_to(ROOT.parent))
                found.setdefault(place, []).append(", ".join(map(ast.unparse, node.args)))
    return found


def test_the_one_pickle_comes_from_the_job_of_a_worker_alone():
    assert calls("loads")[GIVEN] == ["found.classes"]
    assert calls("take_given") == {"arbench/bench/workers/worker.py": ["job.given"]}
    assert calls("Given") == {GIVEN: ["list(sys.path), _pickled(classes, methods)"]}


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import load",
        "import dill.source",
        "from torch import load",
        "torch.load(path)",
        "torch.load(path, weights_only=True)",
        "np.load(path, allow_pickle=True)",
        "pd.read_pickle(path)",
        "def f():\n    import joblib",
    ],
)
def test_a_pickle_would_be_seen(text):
    assert unpickles(text)
