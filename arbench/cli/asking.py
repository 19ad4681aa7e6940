"""Options that several commands share: which cases, of what, and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


class Numbers(click.ParamType):
    """One whole number or several behind commas."""

    name = "N[,N...]"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"'{value}' is not a whole number, nor several behind commas")


def _flat(ctx: click.Context, param: click.Parameter, value: tuple[tuple[int, ...], ...]) -> list[int]:
    return [n for numbers in value for n in numbers]


def option(*names: str, **more: Any) -> Callable[[Any], Any]:
    """A click option that shows its default where it has one."""
    return click.option(*names, show_default=more.get("default") is not None, **more)


def _all(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options, shown in this order."""

    def decorated(command: Any) -> Any:
        for one in reversed(options):
            command = one(command)
        return command

    return decorated


_OP = click.Choice(["score", "sample"])
_MODEL = "Model, repeatable; also path.py:Class or package.module:Class.  [default: {}]"
_SUITE = "A run written down as TOML, such as taxonomy; other options go before what it says."

_N = "Elements of an event, repeatable."
_BACKEND = "What runs the models' kernels."


def which_cases(default: str) -> Callable[[Any], Any]:
    """``--model`` to ``--backend``: the fields of ``Options`` that say what is measured.

    Args:
        default: which models there are without ``--model``, in words.
    """
    return _all(
        option("--model", "models", multiple=True, metavar="NAME[:PRESET]", help=_MODEL.format(default)),
        option("--suite", metavar="NAME|FILE", help=_SUITE),
        option("--op", "ops", multiple=True, type=_OP, help="Only this op, repeatable."),
        option("--method", "methods", multiple=True, metavar="NAME", help="Only this method, repeatable."),
        option("--n", "n", multiple=True, type=Numbers(), callback=_flat, help=_N),
        option(
            "--batch",
            "batch",
            multiple=True,
            type=Numbers(),
            callback=_flat,
            help="Events at once, repeatable.  [default: 1]",
        ),
        option("--device", default="cpu", metavar="cpu|cuda|cuda:I", help="Where to run."),
        option("--dtype", default="float32", metavar="float64|float32|float16|bfloat16", help="Precision."),
        option("--backend", default="eager", metavar="eager|triton|numba", help=_BACKEND),
    )


which_inputs = _all(
    option("--seed", type=int, default=0, help="Of weights, noise, data and order."),
    option("--data", type=str, metavar="PATH", help="Your own WAV, PNGs or folder of them."),
    option("--weights", type=str, metavar="FILE", help="Safetensors file.  [default: random weights]"),
)
"""``--seed``, ``--data`` and ``--weights``: what a model is made of and reads."""


def given_options(ctx: click.Context, asked: dict[str, Any]) -> dict[str, Any]:
    """Of a command's options, those that the user gave."""
    given = {k: v for k, v in asked.items() if ctx.get_parameter_source(k).name == "COMMANDLINE"}  # type: ignore[union-attr]
    return {k: v for k, v in given.items() if v not in ((), [])}
