"""Every figure of a report, as SVG and PNG."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from arbench.report.figures.style import save_bytes
from arbench.report.kernels.fractions import fractions
from arbench.report.kernels.roofline import roofline
from arbench.report.labels import model_label, of_models
from arbench.report.models.batches import batch_figure
from arbench.report.models.curves import curves
from arbench.report.models.map import growth_map
from arbench.report.table import order
from arbench.results import Results

MAP, BATCHES, FRACTIONS, ROOFLINE = "map", "batches", "fractions", "roofline"
KERNELS = {
    FRACTIONS: (fractions, "kernels: fraction of the machine's limit"),
    ROOFLINE: (roofline, "kernels: roofline"),
}
_CAPTIONS = {"seconds": "time over N", "depth": "depth over N"}


@dataclass(frozen=True)
class Drawing:
    """A finished figure. ``name`` is made of letters, digits and hyphens."""

    name: str
    model: str | None
    caption: str
    svg: str
    png: bytes


def draw(results: Results) -> list[Drawing]:
    """The map, what batches do, time and depth over N of each model, kernels; whatever has values."""
    drawings = []
    overview = growth_map(results)
    if overview is not None:
        caption = "growth of scoring depth against growth of sampling depth"
        drawings.append(Drawing(MAP, None, caption, *save_bytes(overview, MAP)))
    swept = batch_figure(results)
    if swept is not None:
        drawings.append(Drawing(BATCHES, None, "time of an element over batch", *save_bytes(swept, BATCHES)))
    models = dict.fromkeys(model_label(case) for case in order(of_models(results)))
    for model, name in zip(models, _names(models), strict=True):
        for metric, words in _CAPTIONS.items():
            figure = curves(results, model, metric)
            if figure is not None:
                full = f"{name}-{metric}"
                drawings.append(Drawing(full, model, f"{model}: {words}", *save_bytes(figure, full)))
    for name, (make, caption) in KERNELS.items():
        figure = make(results)
        if figure is not None:
            drawings.append(Drawing(name, None, caption, *save_bytes(figure, name)))
    return drawings


def save(drawings: list[Drawing], folder: Path) -> list[Path]:
    """Writes ``NAME.svg`` and ``NAME.png`` of each into ``folder``, which is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for drawing in drawings:
        vector, raster = folder / f"{drawing.name}.svg", folder / f"{drawing.name}.png"
        vector.write_text(drawing.svg, encoding="utf-8")
        raster.write_bytes(drawing.png)
        paths += [vector, raster]
    return paths


def _names(models: dict[str, None]) -> list[str]:
    """A file name for each model: safe everywhere, and no two alike."""
    names: list[str] = []
    for model in models:
        plain = re.sub(r"[^A-Za-z0-9]+", "-", model).strip("-").lower() or "model"
        name, number = plain, 2
        while name in (MAP, BATCHES, *KERNELS, *names):
            name, number = f"{plain}-{number}", number + 1
        names.append(name)
    return names
