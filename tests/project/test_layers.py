"""The import contracts of pyproject.toml are kept, and each of them notices what it forbids."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from grimp import ImportGraph, build_graph
from importlinter import Contract
from importlinter.application.use_cases import read_user_options
from importlinter.configuration import configure
from importlinter.contracts.acyclic_siblings import AcyclicSiblingsContract
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.independence import IndependenceContract
from importlinter.contracts.layers import LayersContract

ROOT = Path(__file__).parents[2]
TYPES: dict[str, type[Contract]] = {
    "acyclic_siblings": AcyclicSiblingsContract,
    "forbidden": ForbiddenContract,
    "independence": IndependenceContract,
    "layers": LayersContract,
}
FORBIDDEN = [
    ("The rooms: ", "arbench.bench.plan", "arbench.cli.run"),
    ("The rooms: ", "arbench.bench.plan", "arbench.gate.titles"),
    ("The rooms: ", "arbench.cli.run", "arbench.api"),
    ("The rooms: ", "arbench.api.exact", "arbench.testing"),
    ("The gate: ", "arbench.gate.counters.check", "arbench.gate.timing.check"),
    ("The gate: ", "arbench.gate.timing.check", "arbench.gate.counters.check"),
    ("backends, border, files, git and own ", "arbench.git", "arbench.results"),
    ("backends, border, files, git and own ", "arbench.backends", "arbench.kernels"),
    ("backends, border, files, git and own ", "arbench.files", "arbench.data"),
    ("backends, border, files, git and own ", "arbench.border.printable", "arbench.report"),
    ("backends, border, files, git and own ", "arbench.own.raised", "arbench.bench"),
    ("The systems wing: ", "arbench.models.wavenet", "arbench.methods"),
    ("The systems wing: ", "arbench.kernels.softmax", "arbench.data"),
    ("The systems wing: ", "arbench.methods", "arbench.train"),
    ("Models: ", "arbench.models.wavenet", "arbench.models.pixelcnn"),
    ("Adapters: ", "arbench.adapters.forward.model", "arbench.adapters.hf.model"),
    ("Models: ", "arbench.models.layers.dilated", "arbench.models.events"),
    ("The instruments wing: ", "arbench.results", "arbench.report"),
    ("The instruments wing: ", "arbench.stats", "arbench.meters"),
    ("Reports: ", "arbench.report.models", "arbench.report.kernels"),
    ("Reports: ", "arbench.report.history", "arbench.report.compare"),
    ("Systems know ", "arbench.methods", "arbench.meters"),
    ("Systems know ", "arbench.data", "arbench.bench"),
    ("Systems know ", "arbench.train.loop", "arbench.bench.plan"),
    ("Systems know ", "arbench.train.quality", "arbench.results"),
    ("Instruments know ", "arbench.meters", "arbench.models"),
    ("Instruments know ", "arbench.stats", "arbench.bench"),
    ("Instruments know ", "arbench.report", "arbench.train"),
    ("Reports need results alone: ", "arbench.report.page", "torch"),
    ("Reports need results alone: ", "arbench.stats", "triton"),
    ("Oracles share no code ", "arbench.bench.models.oracle.categorical", "arbench.distributions"),
    ("Oracles share no code ", "arbench.bench.models.oracle.discretised", "arbench.kernels"),
    ("No circle of imports", "arbench.bench.case", "arbench.bench.plan"),
    ("No circle of imports", "arbench.gate.timing.protocol", "arbench.gate.timing.check"),
    ("No circle of imports", "arbench.meters.depth", "arbench.meters.count"),
]
"""Beginning of the contract's name, the module that imports, and what it must not import."""


@pytest.fixture(scope="module")
def graph() -> ImportGraph:
    """Return the imports of the package, external ones included."""
    return build_graph("arbench", include_external_packages=True, cache_dir=None)


@pytest.fixture(scope="module")
def contracts() -> dict[str, Contract]:
    """Return the contracts of pyproject.toml by name."""
    configure()
    options: Any = read_user_options(str(ROOT / "pyproject.toml"))
    return {
        one["name"]: TYPES[one["type"]](one["name"], options.session_options, one) for one in options.contracts_options
    }


def kept(contract: Contract, graph: ImportGraph) -> bool:
    return contract.check(deepcopy(graph), verbose=False).kept


def test_contracts_are_kept(graph: ImportGraph, contracts: dict[str, Contract]) -> None:
    broken = [name for name, contract in contracts.items() if not kept(contract, graph)]
    assert not broken, "run lint-imports to see which imports break these contracts"


@pytest.mark.parametrize(("begins", "importer", "imported"), FORBIDDEN)
def test_a_forbidden_import_is_noticed(
    begins: str, importer: str, imported: str, graph: ImportGraph, contracts: dict[str, Contract]
) -> None:
    (contract,) = (contract for name, contract in contracts.items() if name.startswith(begins))
    planted = deepcopy(graph)
    assert {importer, imported} <= planted.modules
    assert not planted.direct_import_exists(importer=importer, imported=imported)
    planted.add_import(importer=importer, imported=imported, line_number=1, line_contents=f"import {imported}")
    assert not kept(contract, planted)


def test_no_contract_is_left_out(contracts: dict[str, Contract]) -> None:
    for name in contracts:
        assert any(name.startswith(begins) for begins, *_ in FORBIDDEN), f"plant an import that breaks '{name}'"


def test_a_system_that_no_layer_names_is_noticed(graph: ImportGraph, contracts: dict[str, Contract]) -> None:
    (models,) = (contract for name, contract in contracts.items() if name.startswith("Models: "))
    grown = deepcopy(graph)
    grown.add_module("arbench.models.novel")
    assert not kept(models, grown)
