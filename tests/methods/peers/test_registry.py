"""Peers are found by what a user types, or refused in one line that says what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from arbench.methods.peers import PeerError, registry, resolve, shipped
from arbench.models import resolve as model
from arbench.models.made import MADE
from arbench.models.wavenet import WaveNet

Peer = Callable[..., str]


@pytest.fixture
def error(said: Callable[..., str]) -> Callable[[str], str]:
    """Return a function that resolves what must be refused, and returns the one line."""
    return partial(said, PeerError, resolve)


def test_a_peer_is_a_method_of_its_kind_of_model(peer: Peer) -> None:
    method = resolve(peer())
    assert (method.name, method.op, method.feeds, method.exactness) == ("table", "sample", "x", "pointwise")
    assert method.outside
    assert method.remark == "table is generate of table, with the model's weights. It is a table."
    assert method.lacks(WaveNet) is None
    assert method.lacks(MADE) == "is a WaveNet"
    assert method.lacks(model("made:tiny").build()) == "is a WaveNet"
    assert method.lacks(model("wavenet:tiny").build()) == "looks back one sample; add kernel=1"


def test_the_same_text_gives_the_same_method(peer: Peer) -> None:
    """Its networks are kept with it: another method would build them again."""
    spec = peer()
    assert resolve(spec) is resolve(spec)


@pytest.mark.parametrize("spec", ["r9y9", "r9y9=", "=here", "="])
def test_a_name_and_a_path_are_needed(spec: str, error) -> None:
    assert error(spec) == (f"expected NAME=PATH, the name of a peer and a checkout of its repository, got '{spec}'")


def test_unknown_peers_get_a_suggestion(error) -> None:
    assert error("r9y=here") == "unknown peer 'r9y'; did you mean 'r9y9'?"


def test_an_installed_arbench_says_where_adapters_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error) -> None:
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "nowhere")
    assert error("r9y9=here") == (
        "peer 'r9y9': adapters are in a checkout of arbench; name the file, benchmarks/peers/r9y9.py=PATH"
    )


def test_a_folder_that_is_no_checkout_is_refused(peer: Peer, tmp_path: Path, error) -> None:
    adapter = peer().partition("=")[0]
    assert error(f"{adapter}={tmp_path}/nowhere") == (
        f"peer 'table': no folder {tmp_path}/nowhere; clone https://example.org/table"
    )
    assert error(f"{adapter}={tmp_path}") == (
        f"peer 'table': {tmp_path} has no theirs/net.py; name a checkout of https://example.org/table"
    )


def test_a_missing_package_is_named(peer: Peer, error) -> None:
    spec = peer(theirs=("import torch", "import torch\nimport nowhere_to_be_found.part"))
    assert error(spec) == (
        "peer 'table': it imports nowhere_to_be_found, which is not installed; pip install nowhere_to_be_found"
    )


def test_code_that_fails_is_refused(peer: Peer, error) -> None:
    spec = peer(theirs=("import torch", "import torch\nraise SystemExit(3)"))
    assert error(spec) == (f"peer 'table': importing {spec.partition('=')[2]} failed: SystemExit: 3 (net.py:3)")


def test_adapters_that_are_none_are_refused(peer: Peer, tmp_path: Path, error) -> None:
    missing = f"{tmp_path / 'other.py'}=here"
    assert error(missing) == f"peer '{missing}': no file {tmp_path / 'other.py'}"
    spec = peer(adapter=("PEER = Peer(", "NOTHING = Peer("))
    file = spec.partition("=")[0]
    assert error(spec) == f"peer '{spec}': {file} has no PEER; set PEER = arbench.methods.peers.Peer(...)"
    spec = peer(adapter=('name="table"', 'name="cached"'))
    del sys.modules["arbench_user_table"]
    assert error(spec) == f"peer '{spec}': arbench has a method 'cached'; give the peer another name"
    spec = peer(adapter=("import torch", "import torch\n1 / 0"))
    del sys.modules["arbench_user_table"]
    assert error(spec) == f"peer '{spec}': importing {file} failed: ZeroDivisionError: division by zero (table.py:3)"


def test_every_adapter_that_ships_has_the_name_of_its_file() -> None:
    assert set(shipped()) == {"kan-bayashi", "pclucas14", "r9y9"}
    page = (registry.SHIPPED / "README.md").read_text("utf-8")
    for name in shipped():
        found = registry.peer_of(f"{name}=.")
        assert found.name == name
        assert f"| `{name}` | [{found.repository.removeprefix('https://github.com/')}]({found.repository})" in page
