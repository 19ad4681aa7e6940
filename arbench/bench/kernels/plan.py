"""Plans of ``arbench kernels``: the cases of a run of kernels, and the implementations of each kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from arbench.backends import COMPILE as COMPILE
from arbench.bench.case import KERNEL_SPEC, CaseKey
from arbench.bench.dtypes import DTYPES
from arbench.bench.kernels.peers import installed
from arbench.bench.options import Measuring, PlanError, check_device, check_numbers, check_texts, converted
from arbench.bench.plan import Plan
from arbench.border.suggest import did_you_mean
from arbench.results import Run

if TYPE_CHECKING:
    from arbench.kernels import Kernel

OWN, TORCH = "arbench", "torch"
EAGER = "eager"


@dataclass(frozen=True)
class KernelOptions(Measuring):
    """Options of a run of kernels; an empty list means everything.

    Args:
        kernels: names of kernels.
        compiled: number of sizes of each kernel, from the first, at which ``torch.compile`` is timed: compiling
            for one takes seconds.
    """

    kernels: Sequence[str] = ()
    compiled: int = 1
    budget: float = 120.0


@dataclass(frozen=True)
class Implementation:
    """A library that implements a kernel, and the backend that runs it."""

    method: str
    backend: str

    @property
    def interpreted(self) -> bool:
        """True if a CPU runs it only in an interpreter, whose time means nothing."""
        return (self.method, self.backend) == (OWN, "triton")


def recorded_kernel_options(run: Run) -> KernelOptions:
    """Return the options of a recorded run. Raises PlanError if it is not a run of kernels."""
    if "kernels" not in run.plan.get("options", {}):
        raise PlanError("the results file is a run of models; continue it with: arbench run --resume")
    return converted(run, KernelOptions)


def find(names: Sequence[str]) -> list[Kernel]:
    """Return the kernels of these names, or all kernels if there is none. Raises PlanError for an unknown name."""
    from arbench.kernels import KERNELS

    for name in names:
        if name not in KERNELS:
            raise PlanError(f"unknown kernel '{name}'; {did_you_mean(name, KERNELS)}")
    return [kernel for name, kernel in KERNELS.items() if not names or name in names]


def make_kernel_plan(options: KernelOptions) -> Plan:
    """Check the options, and list the cases.

    Raises:
        PlanError: an option is wrong; nothing was measured or written.
    """
    check_texts(options)
    check_numbers(options)
    if options.compiled < 0:
        raise PlanError(f"--compiled must be at least 0, got {options.compiled}")
    check_device(options.device, options.dtype)
    for op in options.ops:
        if op not in ("forward", "backward"):
            raise PlanError(f"unknown op '{op}'; {did_you_mean(op, ('forward', 'backward'))}")
    found = find(options.kernels)
    for kernel in found if options.kernels else ():
        _check_defined(kernel, options)
    cases = [case for kernel in found for case in _cases(kernel, options)]
    if not cases:
        raise PlanError(
            f"none of these kernels has a gradient: {', '.join(kernel.name for kernel in found)}; measure --op forward"
        )
    return Plan(options, list({case.id: case for case in cases}.values()))


def _check_defined(kernel: Kernel, options: KernelOptions) -> None:
    """Check that a kernel that is asked for has sizes on the device in the dtype. Raises PlanError."""
    kind = options.device.partition(":")[0]
    if not kernel.sizes[kind]:
        others = " or ".join(f"--device {other}" for other, sizes in kernel.sizes.items() if sizes)
        raise PlanError(f"kernel '{kernel.name}' is not for {options.device}; pass {others}, or leave it out")
    if not _defined(kernel, options):
        others = " or ".join(name for name in DTYPES if _defined(kernel, replace(options, dtype=name)))
        raise PlanError(f"kernel '{kernel.name}' is not for {options.dtype}; pass --dtype {others}, or leave it out")


def _defined(kernel: Kernel, options: KernelOptions) -> list[Mapping[str, Any]]:
    """Return the configurations worth timing that a kernel has on the device in the dtype."""
    sizes = kernel.sizes[options.device.partition(":")[0]]
    return [config for config in sizes if kernel.defined(config, DTYPES[options.dtype])]


def text_of(config: Mapping[str, Any]) -> str:
    """Return the name of a configuration as a preset, such as ``rows=16000,width=256``."""
    return ",".join(f"{name}={value}" for name, value in config.items())


def config_of(kernel: Kernel, preset: str) -> Mapping[str, Any]:
    """Return the configuration that a preset names. Raises KeyError if the kernel does not have it."""
    known = [*kernel.checks, *(config for sizes in kernel.sizes.values() for config in sizes)]
    return {text_of(config): config for config in known}[preset]


def _cases(kernel: Kernel, options: KernelOptions) -> Iterator[CaseKey]:
    """Yield the cases by configuration and op, torch first; on a CPU, Triton interprets only small configurations."""
    kind = options.device.partition(":")[0]
    ops = [op for op in kernel.ops if not options.ops or op in options.ops]
    for number, config in enumerate(_defined(kernel, options)):
        for op in ops:
            for one in _implementations(kernel, config, op, kind, options.dtype):
                if one.backend != COMPILE or number < options.compiled:
                    yield _case(kernel, config, op, one, options)
    if kind == "cpu" and "triton" in kernel.backends:
        for config in kernel.checks:
            for op in ops:
                yield _case(kernel, config, op, Implementation(OWN, "triton"), options)


def _implementations(
    kernel: Kernel, config: Mapping[str, Any], op: str, kind: str, dtype: str
) -> Iterator[Implementation]:
    yield Implementation(TORCH, EAGER)
    yield Implementation(TORCH, COMPILE)
    native = "triton" if kind == "cuda" else "numba"
    if native in kernel.backends and (native == "triton" or dtype in ("float32", "float64")):
        yield Implementation(OWN, native)
    if kind == "cuda":
        for peer in installed():
            if peer.covers(kernel.name, op, config):
                yield Implementation(peer.name, peer.backend)


def _case(kernel: Kernel, config: Mapping[str, Any], op: Any, one: Implementation, options: KernelOptions) -> CaseKey:
    rows, n = kernel.dims(config)
    return CaseKey(
        spec=KERNEL_SPEC,
        model=kernel.name,
        preset=text_of(config),
        op=op,
        method=one.method,
        backend=one.backend,
        device=options.device,
        dtype=options.dtype,
        batch=rows,
        n=n,
        element=kernel.element,
        weights=0,
        exactness="pointwise",
        reference=one == Implementation(TORCH, EAGER),
    )
