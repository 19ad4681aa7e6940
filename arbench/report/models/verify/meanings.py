"""Meaning of a fault, and where to look for it, by the check that found it."""

from __future__ import annotations

from typing import NamedTuple


class Meaning(NamedTuple):
    """The words for a fault."""

    name: str
    """Name of the check, for a list."""
    means: str
    look: str


MEANINGS: dict[str, Meaning] = {
    "forward": Meaning(
        "forward",
        "no method can read what forward returns",
        "the shape: one row of parameters for each element (B, N, P)",
    ),
    "finite": Meaning(
        "finite",
        "NaN and infinity spread to all that is computed from them, so nothing after that element can be compared",
        "a logarithm or division of 0, an exponential that overflows, a softmax over a row that is masked whole, and "
        "weights that training has blown up",
    ),
    "precision": Meaning(
        "precision",
        "results have fewer digits than the data type that names them",
        "autocast, .half() and .bfloat16(), and tensors that forward makes without a dtype",
    ),
    "repeatable": Meaning(
        "repeatable",
        "forward draws something itself, or keeps something from one call to the next: neither a score nor a draw can "
        "be repeated",
        "dropout that ignores eval(), torch.rand in forward, and attributes that forward sets and reads",
    ),
    "leaks": Meaning(
        "leaks",
        "forward reads what it must predict: its likelihoods are better than they can be, and no sampler draws what it "
        "scores",
        "the mask, the padding, and the shift by one element in forward",
    ),
    "inputs": Meaning(
        "inputs",
        "elements do not depend on those before them, so what the model draws first is forgotten",
        "a mask or a shift that hides the whole past, a detached or overwritten input, and weights of 0",
    ),
    "conditioning": Meaning(
        "conditioning", "events do not depend on it, whatever it is", "encode, and where forward uses its result"
    ),
    "rows": Meaning(
        "rows",
        "the probability of an event depends on the other events of its batch",
        "means, norms and sorts over dimension 0, a reshape that mixes batch and elements, batch normalisation in "
        "training mode, and states that rows share",
    ),
    "extend": Meaning(
        "extend",
        "methods that go step by step draw and score another model than forward",
        "start and extend: what a state keeps, what it is brought up to date with, and which element comes next",
    ),
    "rewind": Meaning(
        "rewind",
        "methods that guess ahead keep something of guesses that were wrong",
        "mark and rewind: how far the state is cut back, and what it shares with the state that was marked",
    ),
    "noise": Meaning(
        "noise",
        "draws are not independent, or not of their law, whatever the parameters are",
        "noise of the distribution",
    ),
    "law": Meaning(
        "law",
        "log-probabilities are none, or draws follow other ones: neither can be compared with those of another model",
        "log_prob and draw of the distribution: the normalising constant, and the order of the parameters",
    ),
    "log_det": Meaning(
        "log-determinant",
        "densities are off by it, so likelihoods cannot be compared with those of another model, nor trained on",
        "the log |det| that the layer returns: its sign, the elements that it is summed over, and the scale",
    ),
    "layers": Meaning(
        "inversion",
        "draws are not the events that the noise stands for",
        "how the layer is inverted: its order, when a search or an iteration stops, and the sign of its map",
    ),
    "method": Meaning(
        "method",
        "it returns something else than the model defines, under the same noise",
        "the step that computes this element: its index, its noise, and the state before it",
    ),
    "raises": Meaning("runs", "what needs that call cannot run", "the line in brackets"),
    "timeout": Meaning(
        "ends", "it hangs, or it is slower than that", "the loop at this line; or give a longer --timeout"
    ),
    "crash": Meaning("survives", "the whole process ends, not only the call", "native code, and the limits of memory"),
    "oom": Meaning("memory", "it does not fit here", "a smaller --n or --batch, or a smaller model"),
}
"""The words for each fault, the worst first; where there are several, the first is the answer."""


def rank(check: str) -> int:
    """Return how early a fault comes in an answer."""
    return [*MEANINGS].index(check)
