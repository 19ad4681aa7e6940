"""A peer of the simplest WaveNet: without a past but the sample before, it is a table of logits."""

from __future__ import annotations

from pathlib import Path

BIGRAM = "wavenet:tiny,layers=1,cycle=1,kernel=1,local=0,classes=0"
"""A WaveNet whose parameters depend on the sample before only."""
THEIRS = """
import torch


class Table:
    def __init__(self, first, after):
        self.first, self.after = first, after

    def generate(self, n):
        logits, found = self.first, []
        for _ in range(n):
            symbol = torch.distributions.Categorical(torch.softmax(logits, dim=-1)).sample()
            found.append(symbol)
            logits = self.after[symbol]
        return torch.stack(found)
"""
ADAPTER = """
import torch

from arbench.methods.peers import Peer
from arbench.methods.peers.noise import NoiseDraws, own_distributions
from arbench.methods import Outcome
from arbench.models.wavenet import WaveNet


def lacks(source):
    return None if source.stack.kernel == 1 else "looks back one sample; add kernel=1"


def build(modules, source):
    table = modules[0].Table(*logits(source))
    table.distributions = own_distributions(modules[0])
    return table


def logits(source):
    events = torch.stack([torch.arange(source.levels), torch.zeros(source.levels, dtype=torch.long)], dim=1)
    first, after = source(events, source.encode({}, 2)).unbind(1)
    return first[0], after


def draw(table, source, task):
    draws = NoiseDraws(task)
    table.distributions.Categorical = draws.categorical()
    x = table.generate(task.n).unsqueeze(0)
    return Outcome(x, x, draws.params)


PEER = Peer(
    name="table",
    repository="https://example.org/table",
    modules=("theirs.net",),
    model=WaveNet,
    lacks=lacks,
    build=build,
    draw=draw,
    summary="generate of table",
    differences=("it is a table",),
)
"""


def write(folder: Path, adapter: tuple[str, str] = ("", ""), theirs: tuple[str, str] = ("", "")) -> str:
    """Write the adapter and a checkout; return what to give to ``--peer``.

    Args:
        folder: where.
        adapter: a text of the adapter, and what replaces it.
        theirs: the same of the code of the checkout.
    """
    package = folder / "checkout" / "theirs"
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("")
    for path, text, (old, new) in (
        (folder / "table.py", ADAPTER, adapter),
        (package / "net.py", THEIRS, theirs),
    ):
        assert old in text
        path.write_text(text.replace(old, new) if old else text)
    return f"{folder / 'table.py'}={folder / 'checkout'}"
