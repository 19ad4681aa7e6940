"""A model of a plain module that returns parameters (B, N, K) for events (B, N), and of a law that is named."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from arbench.adapters.forward.convention import Convention, convention_of, events
from arbench.adapters.forward.outputs import parameters
from arbench.distributions import law_of
from arbench.models import Context, ModelError, Source

OWN = ("law", "shift", "begin", "seed")
"""Settings of the adapter, which are no arguments of the module."""
PRESET = "given"
"""Name of the only preset: the module with the arguments that the user gives."""


class Forward(Source):
    """A module of which only ``forward`` is known: a subclass is made for each by ``adapted``.

    Args:
        law: the law of an element, as ``arbench.distributions.law_of`` takes it.
        shift: 1 if output i of the module is the law of element i + 1, 0 if it is that of element i; None to find out.
        begin: what the module reads before the first element, where ``shift`` is 1.
        seed: seed of random weights.
        **settings: arguments of the module's class, or of the function that returns it.
    """

    steps = False
    presets = {PRESET: {}}
    default_preset = PRESET
    made: ClassVar[Any]
    """What the user named: a class of modules, a module, or a function that returns one."""
    conventions: ClassVar[dict[int, Convention]]
    """What was found about events of N elements, for each N that was asked for."""

    def __init__(self, *, law: str, shift: int | None = None, begin: float = 0, seed: int = 0, **settings: Any) -> None:
        super().__init__()
        self.distribution = law_of(law)
        if shift not in (None, 0, 1):
            raise ValueError(f"shift is 0 or 1, got {shift!r:.40}")
        self.shift, self.begin = shift, begin
        self.network = _built(type(self).made, settings, seed)

    def schedule(self, n: int) -> Sequence[int]:
        """Return the bounds of groups of one element.

        Raises:
            ValueError: the module fails on ``n`` elements, or returns something else than parameters of them.
        """
        bounds = super().schedule(n)
        self.convention(n)
        return bounds

    def convention(self, n: int) -> Convention:
        """Return how outputs for events of ``n`` elements are read. Raises ValueError as ``schedule`` does."""
        known = type(self).conventions
        if n not in known:
            known[n] = convention_of(self.network, self.distribution, n, self.shift)
        return known[n]

    def observe(self, n: int, rows: Sequence[int], seed: int, data: Any = None) -> tuple[Tensor, Context]:
        """Return random events (B, N), symbols or standard normal numbers, and no conditioning."""
        self.schedule(n)
        draw = [torch.Generator().manual_seed(seed * 65537 + row) for row in rows]
        return torch.cat([events(self.distribution, 1, n, generator) for generator in draw]), {}

    def forward(self, f: Tensor, code: Any) -> Tensor:
        """Return the parameters (B, N, K) of every element."""
        how = self.convention(f.shape[1])
        if how.shift:
            f = torch.cat([f.new_full((len(f), 1), self.begin), f[:, :-1]], dim=1)
        return parameters(self.network(f), how.part)

    def start(self, batch: int, n: int, code: Any) -> Any:
        """Return the conditioning: there is no state."""
        return code

    def extend(self, state: Any, f: Tensor, g0: int, g1: int) -> tuple[Tensor, Any]:
        """Return the parameters of elements g0 .. g1-1, from a pass over all elements."""
        return self(f, state)[:, g0:g1], state

    def mark(self, state: Any, g: int) -> Any:
        """Return nothing: there is no state to come back to."""
        return None

    def rewind(self, state: Any, mark: Any, f: Tensor, g: int) -> Any:
        """Return the state."""
        return state


def adapted(found: Any, like: Any, name: str, law: str | None) -> type[Source] | None:
    """Return a class of models of a module, or of what makes one, whose law is named; None without a law.

    Args:
        found: a subclass of ``nn.Module``, an object of one, or a function that returns such an object.
        like: what ``found`` makes, where that is known.
        name: what the user calls the model, for messages.
        law: the law of an element.

    Raises:
        ModelError: there is no such law.
    """
    makes_a_module = not inspect.isclass(found) and callable(found)
    if law is None or not (makes_a_module or (inspect.isclass(found) and issubclass(found, nn.Module))):
        return None
    try:
        distribution = law_of(str(law))
    except ValueError as error:
        raise ModelError(f"model '{name}': {error}") from None
    about = type(found) if isinstance(found, nn.Module) else found
    return type(
        getattr(about, "__name__", type(about).__name__),
        (Forward,),
        {
            "__doc__": inspect.getdoc(about) if about.__doc__ is not nn.Module.__doc__ else "",
            "__module__": getattr(about, "__module__", "__main__"),
            "__init__": _constructor(found),
            "made": found if inspect.isclass(found) or isinstance(found, nn.Module) else staticmethod(found),
            "conventions": {},
            "element": "symbol" if distribution.finite else "number",
        },
    )


def _constructor(found: Any) -> Callable[..., None]:
    """Return a constructor whose signature has the arguments of the module beside the adapter's own."""

    def __init__(self: Forward, **settings: Any) -> None:  # noqa: N807
        Forward.__init__(self, **settings)

    own = [one for one in inspect.signature(Forward.__init__).parameters.values() if one.name != "settings"]
    try:
        theirs = [] if isinstance(found, nn.Module) else list(inspect.signature(found).parameters.values())
    except (TypeError, ValueError):  # a class of C, whose arguments nothing says
        theirs = [inspect.Parameter("settings", inspect.Parameter.VAR_KEYWORD)]
    taken = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in theirs if one.kind in taken]
    anything = [one for one in theirs if one.kind is inspect.Parameter.VAR_KEYWORD]
    both = [one for one in named if one.name not in OWN]
    __init__.__signature__ = inspect.Signature([*own, *both, *anything])  # type: ignore[attr-defined]
    return __init__


def _built(made: Any, settings: Mapping[str, Any], seed: int) -> nn.Module:
    """Return a module: a copy of the user's, or one with random weights of a seed.

    Raises:
        ValueError: a module takes no settings, or a function returns none.
    """
    if isinstance(made, nn.Module):
        if settings:
            raise ValueError(f"it is built already; leave out {min(settings)}")
        return copy.deepcopy(made)
    takes = inspect.signature(made).parameters
    more = {"seed": seed} if "seed" in takes else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = made(**settings, **more)
    if not isinstance(network, nn.Module):
        raise ValueError(f"{made.__name__} returns {type(network).__name__}; return an nn.Module")
    return network
