"""Facts about the machine: complete, free of names and paths, and compared without volatile ones."""

import copy
import getpass
import json
import platform
import socket
from pathlib import Path

import pytest
import torch

from arbench.meters.environment import caches, differences, environment


@pytest.fixture(scope="module")
def facts():
    return environment("cpu")


def test_the_facts_are_complete_and_survive_json(facts):
    assert json.loads(json.dumps(facts)) == facts
    assert set(facts) == {"cpu", "gpu", "threads", "versions", "torch", "os", "load"}
    assert facts["cpu"]["logical_cores"] >= facts["cpu"]["usable_cores"] >= 1
    assert facts["cpu"]["model"]
    assert facts["gpu"] is None
    assert facts["threads"]["torch"] == torch.get_num_threads()
    assert facts["versions"]["torch"] == torch.__version__
    assert facts["load"]["per_cpu"] == pytest.approx(facts["load"]["1min"] / facts["cpu"]["usable_cores"])


def test_no_names_and_no_paths(facts):
    text = json.dumps(facts)
    for secret in (socket.gethostname(), platform.node(), str(Path.home()), str(Path.cwd())):
        assert secret not in text or len(secret) < 3
    values = [v for part in facts.values() if part for v in part.values()]
    assert getpass.getuser() not in values
    assert not any(isinstance(v, str) and v.startswith("/") for v in values)


def test_thread_settings_show(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert environment("cpu")["threads"]["variables"]["OMP_NUM_THREADS"] == "7"
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert "OMP_NUM_THREADS" not in environment("cpu")["threads"]["variables"]


def test_differences_name_changed_facts_except_volatile_ones(facts):
    other = copy.deepcopy(facts)
    other["load"] = {"1min": 99.0}
    other["cpu"]["frequency_mhz"] = 1
    assert differences(facts, other) == []
    other["versions"]["torch"] = "0.1"
    other["threads"]["variables"]["KMP_BLOCKTIME"] = "0"
    other["gpu"] = {"name": "a GPU", "clock_sm_mhz": 5, "driver": "1"}
    del other["os"]["libc"]
    expected = [
        "gpu.driver",
        "gpu.name",
        "os.libc",
        "threads.variables.KMP_BLOCKTIME",
        "versions.torch",
    ]
    assert [name for name in differences(facts, other) if name != "gpu"] == expected
    assert differences(other, facts) == differences(facts, other)


@pytest.mark.parametrize(("new", "names"), [("550.54", []), ("550.90", ["gpu.driver"])])
def test_a_driver_stored_as_a_number_is_compared_as_text(new, names):
    assert differences({"gpu": {"driver": 550.54}}, {"gpu": {"driver": new}}) == names


def test_an_environment_does_not_differ_from_itself_later(facts):
    assert differences(facts, environment("cpu")) == []


def test_caches_grow_with_their_level():
    sizes = caches()
    assert list(sizes.values()) == sorted(sizes.values())
    assert all(size >= 1 << 10 for size in sizes.values())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_is_described():
    gpu = environment("cuda")["gpu"]
    assert gpu["name"] == torch.cuda.get_device_name()
    assert gpu["memory_bytes"] > 0
