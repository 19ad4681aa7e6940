"""arbench list: what there is to measure, and where."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from arbench.cli.errors import refusing


@click.command("list")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="Only this model, repeatable; also path.py:Class or package.module:Class.",
)
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object.")
def command(models: tuple[str, ...], as_json: bool) -> None:
    """List models with their presets, elements, methods and claims, and the devices."""  # fmt: skip
    import torch

    from arbench.bench.settings import DTYPES
    from arbench.methods import methods_for
    from arbench.models import ModelError, names, resolve

    with refusing(ModelError):
        chosen = [resolve(spec) for spec in models or names()]
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found: dict[str, Any] = {
        "models": [
            {
                "name": one.name,
                "summary": _summary(one.cls),
                "source": one.cls.source,
                "element": one.cls.element,
                "default_preset": one.cls.default_preset,
                "presets": {name: dict(config) for name, config in one.cls.presets.items()},
                "methods": [
                    {
                        "op": m.op,
                        "method": m.name,
                        "summary": m.summary,
                        "exactness": m.exactness,
                        "reference": m.reference,
                        "claims": _claims(one.cls.claims.get((m.op, m.name))),
                    }
                    for m in methods_for(one.cls)
                ],
            }
            for one in chosen
        ],
        "devices": ["cpu", *(f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(count))],
        "dtypes": list(DTYPES),
    }
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for model in found["models"]:
        _show(model)
    click.echo(f"devices  {', '.join(found['devices'])}\ndtypes   {', '.join(found['dtypes'])}")


def _summary(cls: type) -> str:
    return (cls.__doc__ or "").strip().split("\n")[0]


def _claims(claim: Any) -> dict[str, str] | None:
    return {"depth": claim.depth, "work": claim.work} if claim else None


def _show(model: dict[str, Any]) -> None:
    click.echo(f"{model['name']}  {model['source']}")
    click.echo(f"  {model['summary']}")
    presets = [p + (" (default)" if p == model["default_preset"] else "") for p in model["presets"]]
    click.echo(f"  presets: {', '.join(presets)}")
    for m in model["methods"]:
        claims = m["claims"]
        claimed = f"depth {claims['depth']}, work {claims['work']}" if claims else "nothing claimed"
        mark = ", reference" if m["reference"] else ""
        click.echo(f"  {m['op']:<7} {m['method']:<22} {claimed:<29} {m['summary']}{mark}")
    click.echo()
