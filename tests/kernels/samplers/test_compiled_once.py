"""A fresh process compiles each function of a native sampler once: a second time would delay a user's first draw."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DRAW = """
import gc, json, torch, arbench
from numba.core.dispatcher import Dispatcher
from arbench.kernels.packed_matmul import pack_weight, packed_matmul

next(iter(arbench.stream("wavenet:tiny", chunk=4, n=4, method="fused")))
packed_matmul(torch.ones(1, 16), pack_weight(torch.ones(16, 16)), backend="numba")
print(json.dumps({
    f"{one.py_func.__module__}.{one.py_func.__name__}": [str(signature) for signature in one.signatures]
    for one in gc.get_objects() if isinstance(one, Dispatcher) and "samplers" in one.py_func.__module__
}))
"""


@pytest.mark.slow
def test_each_function_has_one_signature(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", DRAW], env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    compiled = {name.rpartition(".")[2] for name, signatures in found.items() if signatures}
    assert {"run", "product", "products", "exchange", "gate", "draw"} <= compiled
    assert {name: signatures for name, signatures in found.items() if len(signatures) > 1} == {}
