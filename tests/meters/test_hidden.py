"""Work that dispatches nothing makes counts unknown with a reason; compiled functions are counted as their twin."""

import ctypes
import math
import os
import queue
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
import torch
from torch import from_numpy
from torch.utils._python_dispatch import _disable_current_modes

from arbench.meters import compiled
from arbench.meters.count import Counts, count
from arbench.meters.memory import Peak, peak

N = 64
W = torch.randn(8, 8)
BUFFER = torch.zeros(N)
VIEW, ADDRESS = BUFFER.numpy(), BUFFER.data_ptr()


@numba.njit
def recurrence(x):
    h = 0.0
    for t in range(len(x)):
        h = math.tanh(h + x[t])
        x[t] = h
    return h


@numba.vectorize
def twice(x):
    return 2 * x


def unseen_chain(x):
    """Return the result of a chain of operations that no dispatch mode sees, as of a frame that is compiled already."""
    with _disable_current_modes():
        for _ in range(N):
            x = torch.tanh(x + 1)
    return x


def by_views_kept_from_before():
    for t in range(1, N):
        VIEW[t] = VIEW[t - 1] + 1
    return BUFFER * 2


def by_views_after_an_operation():
    BUFFER.zero_()
    return by_views_kept_from_before()


def by_numpy():
    h = 0.0
    for value in (W[0] + 1).numpy():
        h = math.tanh(h + value)
    return torch.full((2,), h)


def by_numpy_at_the_end():
    return torch.tensor((W[0] + 1).numpy().cumsum().tolist())


def by_numbers():
    h = 0.0
    for value in W[0].tolist():
        h = math.tanh(h + value)
    return W * h


def by_a_list():
    return torch.tensor([math.tanh(value) for value in W[0].tolist()])


def by_new_memory():
    out = torch.empty(8, 8)
    with _disable_current_modes():
        out.copy_(unseen_chain(W))
    return out


def by_zeros():
    out = torch.zeros(8, 8)
    with _disable_current_modes():
        out.copy_(unseen_chain(W))
    return out + 1


def in_place():
    out = W + 1
    with _disable_current_modes():
        for _ in range(N):
            out.tanh_()
    return out


def by_address(owner):
    ctypes.memset(owner.data_ptr(), 0, 8)


def by_the_address():
    numbers = (ctypes.c_float * N).from_address(ADDRESS)
    for t in range(1, N):
        numbers[t] = numbers[t - 1] + 1
    return BUFFER * 2


def by_the_address_after_an_operation():
    BUFFER.zero_()
    return by_the_address()


def by_a_view_of_storage():
    storage = (W + 1).untyped_storage()
    storage[0] = 1


def by_two_storages_of_one_array():
    for _ in range(N):
        ALIASES[0].add_(1)
        ALIASES[1].add_(1)


ALIASES = [torch.from_numpy(array) for array in [np.zeros(3)] for _ in range(2)]


def by_another_program():
    return W + float(subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True, check=True).stdout)


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda: from_numpy(VIEW + 1) * 2, "no operation that was seen"),
        (by_another_program, "another process"),
        (lambda: W + os.system("true"), "another process"),
        (lambda: W[0] * recurrence((W[0] + 1).numpy()), "recurrence, compiled by Numba"),
        (lambda: BUFFER + recurrence(VIEW), "recurrence, compiled by Numba"),
        (lambda: W + float(twice(VIEW).sum()), "twice, compiled by Numba"),
        (by_views_kept_from_before, "NumPy array that the call can reach"),
        (by_views_after_an_operation, "NumPy array that the call can reach"),
        (by_numpy, "through NumPy"),
        (by_numpy_at_the_end, "through NumPy"),
        (lambda: np.asarray(W) + (W + 1).exp().sum().item(), "through NumPy"),
        (lambda: W * float(np.from_dlpack(W[0]).sum()), "through DLPack"),
        (by_numbers, "in Python"),
        (by_a_list, "in Python"),
        (lambda: torch.from_numpy(VIEW + 1), "from_numpy"),
        (lambda: torch.from_dlpack(W) * 2, "from_dlpack"),
        (lambda: torch.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(W)) * 2, "to_dlpack"),
        (lambda: torch.frombuffer(bytearray(8), dtype=torch.float32) * 2, "frombuffer"),
        (lambda: torch.tensor(VIEW + 1) * 2, "NumPy array"),
        (lambda: torch.as_tensor(VIEW + 1) * 2, "NumPy array"),
        (lambda: W.new_tensor(VIEW + 1) * 2, "NumPy array"),
        (lambda: by_address(W + 1), "data_ptr"),
        (lambda: by_address((W + 1).untyped_storage()), "data_ptr"),
        (lambda: (ctypes.memset(ADDRESS, 1, 8), BUFFER + 1), "ctypes.memset"),
        (by_the_address, "memory changed"),
        (by_the_address_after_an_operation, "memory changed"),
        (by_a_view_of_storage, "__setitem__"),
        (lambda: unseen_chain(W), "no operation that was seen"),
        (lambda: {"x": [unseen_chain(W)]}, "no operation that was seen"),
        (lambda: unseen_chain(W)[0] + 1, "no operation that was seen"),
        (by_new_memory, "memory changed"),
        (by_zeros, "memory changed"),
        (in_place, "memory changed"),
        (lambda: in_place() + 1, "memory changed"),
        (by_two_storages_of_one_array, "two storages"),
    ],
)
def test_what_cannot_be_seen_is_unknown(call, why):
    counts = count(call)
    assert (counts.depth, counts.ops, counts.flops, counts.bytes) == (None,) * 4
    assert why in counts.why_unknown


def by_a_lookup():
    table, at = torch.arange(1, N + 2), torch.zeros((), dtype=torch.long)
    for _ in range(N):
        at = table[at]
    return at + 0


def by_a_lookup_through_narrow():
    table, at = torch.arange(1, N + 2), torch.zeros((), dtype=torch.long)
    for _ in range(N):
        at = table.narrow(0, at, 1)[0]
    return at + 0


def by_indices_of_a_split():
    base, at = torch.arange(N + 2), torch.zeros((), dtype=torch.long)
    for _ in range(N):
        at = torch.tensor(torch.tensor_split(base, (at + 1).reshape(1))[0].shape[0])
    return at + 0


def by_what_is_shown():
    at = torch.zeros(())
    for _ in range(N):
        at = torch.tensor(float(re.findall(r"[-\d.]+", repr(at))[0])) + 1
    return at + 0


@pytest.mark.parametrize(
    "call", [by_a_lookup, by_a_lookup_through_narrow, by_indices_of_a_split, by_what_is_shown], ids=lambda f: f.__name__
)
def test_what_the_host_reads_lifts_what_it_decides(call):
    assert N <= count(call).depth <= 2 * N + 2


def test_numbers_that_are_read_side_by_side_are_no_chain():
    numbers = torch.arange(1, N + 1)  # each is the place of the next
    assert count(lambda: W + sum(int(numbers[i]) for i in range(N))).depth == 1


def test_values_that_are_written_again_as_they_were_are_unknown_too():
    by_views_kept_from_before()
    assert count(by_views_kept_from_before).depth is None
    by_views_after_an_operation()
    assert count(by_views_after_an_operation).depth is None


def honest():
    table, mask = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, False, True])
    made = [table[[0, 2]] * 0.5, table.new_tensor([1, 2]) + 1, torch.as_tensor([3, 4]) + 1]
    first = mask.tolist().index(False)
    return [*made, table[first:] * 0.5 + torch.tensor(first)]


@pytest.mark.parametrize("call", [honest, lambda: W, lambda: {"weights": [W, BUFFER]}, lambda: torch.empty(3)])
def test_what_the_host_knows_in_advance_and_what_existed_is_no_secret(call):
    assert count(call).why_unknown is None


def test_a_tensor_that_only_a_cache_holds_existed_before():
    class Out:
        reach = {0: torch.ones(3)}

    Out.__module__ = "torch.nn"  # not followed, as the caches of libraries are not
    assert count(lambda: Out.reach[0] + 1) == Counts(1, 1, 0, 24, None)


def test_nothing_is_left_behind():
    before = {owner: dict(vars(owner)) for owner in (torch.Tensor, torch.UntypedStorage, threading.Thread)}
    functions = (torch.from_numpy, torch.tensor, torch.compile, type(recurrence).__call__)
    count(lambda: unseen_chain(W))
    assert {owner: dict(vars(owner)) for owner in before} == before
    assert (torch.from_numpy, torch.tensor, torch.compile, type(recurrence).__call__) == functions
    assert recurrence(np.zeros(3)) == 0


STANDING, ANSWERS = queue.Queue(), queue.Queue()


def serve():
    while (task := STANDING.get()) is not None:
        ANSWERS.put(task())


@pytest.fixture(scope="module")
def workers():
    """Start a pool and a thread that exist before any count."""
    pool, thread = ThreadPoolExecutor(1), threading.Thread(target=serve)
    pool.submit(int).result()
    thread.start()
    yield pool
    STANDING.put(None)
    thread.join()
    pool.shutdown()


def product():
    return W @ W


def by_a_new_thread(pool):
    found = []
    thread = threading.Thread(target=lambda: found.append(product()))
    thread.start()
    thread.join()
    return found[0]


def by_a_standing_thread(pool):
    STANDING.put(product)
    return ANSWERS.get()


@pytest.mark.parametrize(
    ("work", "why"),
    [
        (by_a_new_thread, "another thread"),
        (lambda pool: pool.submit(product).result(), "another thread"),
        (lambda pool: next(pool.map(lambda _: product(), range(3))), "another thread"),
        (by_a_standing_thread, "no operation that was seen"),
    ],
)
@pytest.mark.parametrize("used", [False, True])
def test_work_of_another_thread_is_unknown_in_counts_and_memory(workers, work, why, used):
    def call():
        found = work(workers)
        return found + 1 if used else found

    counts, memory = count(call), peak(call, "cpu")
    assert (counts.depth, counts.ops, counts.flops, counts.bytes, memory.bytes) == (None,) * 5
    assert why in counts.why_unknown
    assert why in memory.why_unknown


def hiding(graph, inputs):
    """Compile nothing, and show no operation, as generated code does."""
    return lambda *args: unseen(graph, args)


def unseen(graph, args):
    with _disable_current_modes():
        return graph(*args)


def steps(h):
    for _ in range(9):
        h = torch.tanh(h @ W)
    return h


def test_a_warm_compiled_function_is_counted_as_its_eager_twin():
    fast = torch.compile(steps, backend=hiding)
    with torch.no_grad():
        fast(W)
    eager = count(lambda: steps(W))
    assert (eager.depth, eager.twin) == (18, None)
    assert count(lambda: fast(W)) == Counts(18, 18, eager.flops, eager.bytes, None, compiled.TWIN)
    assert peak(lambda: fast(W), "cpu") == Peak(3 * W.nbytes, None, compiled.TWIN)
    module = torch.compile(torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh()), backend=hiding)
    with torch.no_grad():
        module(W)
    assert count(lambda: module(W)).depth == 2
    assert count(lambda: torch.compile(steps, backend=hiding)(W)).twin == compiled.TWIN
    graphs = []
    again = torch.compile(steps, backend=lambda graph, inputs: graphs.append(graph) or graph)
    again(W)
    assert graphs, "the compiler works again after a count"


def test_a_replayed_graph_is_unknown(monkeypatch):
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda self: None)
    counts = count(lambda: torch.cuda.CUDAGraph.replay(None))
    assert counts.why_unknown == "a captured graph was replayed"


def test_a_custom_operator_without_formulas_hides_its_depth_and_flops_only():
    @torch.library.custom_op("arbench_test::chain", mutates_args=("x",))
    def chain(x: torch.Tensor) -> None:
        for _ in range(N):
            x.tanh_()

    counts = count(lambda: chain(W.clone()))
    assert (counts.depth, counts.ops, counts.flops) == (None, 2, None)
    assert "custom operator" in counts.why_unknown
