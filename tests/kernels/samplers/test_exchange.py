"""Two threads that add what the other passes, and one that waits for a thread that never comes."""

from __future__ import annotations

import threading

import numpy as np
from numba import njit

from arbench.kernels.samplers.exchange import COUNTERS, exchange, stop, wait


@njit(nogil=True)
def _rounds(counters, boxes, thread, part, count):
    for number in range(1, count + 1):
        part[1::5] = number * (thread + 1)
        if not exchange(counters, boxes, thread, number, part, 1, 5, 3, 2):
            return number
        for row in range(2):
            if part[1 + 5 * row] != 3 * number:
                return -number
    return 0


def test_both_threads_get_the_same_sums_every_time() -> None:
    counters, boxes = np.zeros(COUNTERS, np.int64), np.zeros((2, 2, 6))
    parts, failed = [np.zeros(10), np.ones(10)], [0, 0]
    _rounds(counters.copy(), boxes.copy(), 0, parts[0].copy(), 0)  # compiles

    def work(thread: int) -> None:
        failed[thread] = _rounds(counters, boxes, thread, parts[thread], 2000)
        if failed[thread]:
            stop(counters)  # or the other would wait forever, and the process with it

    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == [0, 0]
    passed = np.array([1, 2, 3, 6, 7, 8])
    assert np.array_equal(parts[0][passed], parts[1][passed])
    assert (np.delete(parts[1], passed) == 1).all()  # what is not passed stays


def test_a_thread_whose_other_never_comes_can_be_stopped() -> None:
    counters, ended = np.zeros(COUNTERS, np.int64), []
    wait(counters, 1, 0)  # compiles
    thread = threading.Thread(target=lambda: ended.append(wait(counters, 1, 1)), daemon=True)
    thread.start()
    stop(counters)
    thread.join(60)
    assert ended == [False]
