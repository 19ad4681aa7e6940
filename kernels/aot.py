"""Ahead-of-time compilation for GPUs that are not here: what each program's machine code uses and loads.

    python -m arbench.kernels.aot softmax --target sm_90

prints one JSON object per program: every configuration of the kernel's ``matrix``, in float32, float16 and
bfloat16, forward and backward. It refuses to run in a process where ``TRITON_INTERPRET`` is set.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import tempfile
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
import triton
from torch import Tensor

from arbench.kernels.core.fingerprint import fingerprint
from arbench.kernels.core.launch import Launch, interpreted, most_warps, recording
from arbench.kernels.core.spec import Config, Kernel

TARGETS = ("sm_80", "sm_90", "sm_100", "gfx942")
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_POINTERS = {
    torch.float64: "*fp64",
    torch.float32: "*fp32",
    torch.float16: "*fp16",
    torch.bfloat16: "*bf16",
    torch.int64: "*i64",
    torch.int32: "*i32",
    torch.bool: "*i1",
    torch.uint8: "*u8",
}


@dataclass(frozen=True)
class Program:
    """The machine code of one program for one target."""

    kernel: str
    program: str
    config: dict[str, Any]
    dtype: str
    target: str
    fingerprint: str
    """The fingerprint of everything that the compiler was given."""
    warps: int
    registers: int
    """Registers per thread."""
    spilled: int
    """Bytes per thread (on AMD, registers) that did not fit into registers and go through memory."""
    shared: int
    """Bytes of shared memory per program."""
    loads: dict[str, int]
    """Number of load instructions from global memory by their width in bits per thread, asynchronous copies into
    shared memory included."""
    stores: dict[str, int]
    """Number of store instructions to global memory by their width in bits per thread."""


@dataclass(frozen=True)
class Compilation:
    """Everything that Triton's compiler is given for one launch on one target."""

    kernel: str
    config: Config
    dtype: str
    target: str
    fn: Any
    """The ``triton.jit`` function."""
    signature: dict[str, str]
    constants: dict[str, Any]
    known: dict[tuple[int, ...], Any]
    """Properties of parameters, by their positions."""
    options: dict[str, Any]

    @cached_property
    def fingerprint(self) -> str:
        """A fingerprint of the sources, the arguments, the options, the target and Triton's version."""
        place = _target(self.target)
        return fingerprint(
            self.fn,
            signature=self.signature,
            constants=self.constants,
            known=self.known,
            options=self.options,
            target=[place.backend, place.arch, place.warp_size],
            triton=triton.__version__,
        )

    def facts(self) -> dict[str, Any]:
        """Return what identifies the program, without compiling it."""
        return {
            "kernel": self.kernel,
            "program": self.fn.__name__,
            "config": dict(self.config),
            "dtype": self.dtype,
            "target": self.target,
            "fingerprint": self.fingerprint,
            "warps": self.options["num_warps"],
        }

    def compiled(self) -> Any:
        """Return what Triton's compiler makes of the program."""
        from triton.compiler import ASTSource

        source = ASTSource(fn=self.fn, signature=self.signature, constexprs=self.constants, attrs=self.known)
        return triton.compile(source, target=_target(self.target), options=self.options)


def programs(chosen: Sequence[Compilation]) -> list[Program]:
    """Compile programs, and read the machine code of all that are for one architecture in one go."""
    made = [one.compiled() for one in chosen]
    by_architecture: dict[str, list[int]] = {}
    for i, one in enumerate(made):
        if "ptx" in one.asm:
            by_architecture.setdefault(_architecture(one.asm["ptx"]), []).append(i)
    code = {
        i: text
        for architecture, which in by_architecture.items()
        for i, text in zip(which, _disassembled(architecture, [made[i].asm["cubin"] for i in which]), strict=True)
    }
    return [
        Program(
            **one.facts(),
            shared=found.metadata.shared,
            **(_cuda(found.asm["cubin"], code[i]) if i in code else _hip(found.asm["amdgcn"])),
        )
        for i, (one, found) in enumerate(zip(chosen, made, strict=True))
    ]


def compilations(kernel: Kernel, target: str) -> Iterator[Compilation]:
    """Yield the compilations of a kernel's whole matrix; a program that two configurations share, once.

    Raises:
        RuntimeError: Triton's interpreter is on.
    """
    if interpreted():
        raise RuntimeError("programs cannot be compiled in a process where TRITON_INTERPRET is set")
    seen = set()
    for config in kernel.matrix:
        for dtype in DTYPES:
            for one in launches(kernel, config, dtype):
                made = _compilation(kernel.name, config, dtype, one, target)
                if made.fingerprint not in seen:
                    seen.add(made.fingerprint)
                    yield made


def launches(kernel: Kernel, config: Config, dtype: torch.dtype) -> list[Launch]:
    """Return the launches that a call, and its gradient if it has one, would make."""
    inputs = kernel.inputs(dtype=dtype, device="meta", **config)
    leaves = [inputs[name] for name in kernel.gradients if isinstance(inputs.get(name), Tensor)]
    for leaf in leaves:
        leaf.requires_grad_(True)
    with recording() as found:
        out = kernel.call(**inputs, backend="triton")
        outs = [o for o in (out if isinstance(out, tuple) else (out,)) if o is not None and o.requires_grad]
        if outs:
            torch.autograd.grad(outs, leaves, [torch.empty_like(o) for o in outs], allow_unused=True)
    return list(found)


def _source(launch: Launch) -> tuple[dict[str, str], dict[str, Any], dict[tuple[int, ...], Any]]:
    """Return parameter types, constants and known properties, specialised as Triton's own launcher does."""
    signature: dict[str, str] = {}
    constants = dict(launch.constants)
    known: dict[tuple[int, ...], Any] = {}
    for i, name in enumerate(launch.fn.arg_names):
        if name in constants:
            signature[name] = "constexpr"
            continue
        value = launch.args[name]
        if value is None or (type(value) is int and value == 1):
            signature[name] = "constexpr"
            constants[name] = value
        elif isinstance(value, Tensor):
            signature[name] = _POINTERS[value.dtype]
            if value.storage_offset() * value.itemsize % 16 == 0:
                known[i,] = [["tt.divisibility", 16]]
        elif isinstance(value, float):
            signature[name] = "fp32"
        else:
            signature[name] = "i32" if -(2**31) <= value < 2**31 else "i64"
            if value % 16 == 0:
                known[i,] = [["tt.divisibility", 16]]
    return signature, constants, known


def _target(name: str) -> Any:
    from triton.backends.compiler import GPUTarget

    if name.startswith("sm_"):
        return GPUTarget("cuda", int(name[3:]), 32)
    if name.startswith("gfx"):
        return GPUTarget("hip", name, 64)
    raise ValueError(f"unknown target '{name}'; as in: {', '.join(TARGETS)}")


def _compilation(kernel: str, config: Config, dtype: torch.dtype, launch: Launch, target: str) -> Compilation:
    place = _target(target)
    signature, constants, known = _source(launch)
    if place.backend == "hip" and constants.get("PRECISION") == "tf32x3":  # as launchers decide on AMD
        constants["PRECISION"] = "ieee"
    warps = min(launch.num_warps, most_warps(place.warp_size))
    options = {"num_warps": warps, "num_stages": launch.num_stages, "enable_fp_fusion": True}
    name = str(dtype).removeprefix("torch.")
    return Compilation(kernel, config, name, target, launch.fn, signature, constants, known, options)


def _architecture(ptx: str) -> str:
    """Return what PTX is compiled for, in the disassembler's words: ``SM90a``."""
    found = re.search(r"^\.target sm_(\w+)", ptx, re.MULTILINE)
    assert found is not None, ptx[:200]
    return f"SM{found[1]}"


def _disassembled(architecture: str, cubins: Sequence[bytes]) -> list[str]:
    """Return the instructions of programs: the disassembler takes longer to start than to read them all."""
    parts = [_instructions(one) for one in cubins]
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(b"".join(parts))
        file.flush()
        lines = _tool("nvdisasm", "--binary", architecture, file.name).splitlines()
    assert not any(len(part) % 16 for part in parts), "instructions have 16 bytes"
    ends = list(accumulate(map(len, parts)))
    found: list[list[str]] = [[] for _ in parts]
    for line in lines:
        if at := re.match(r"\s*/\*([0-9a-f]{4,})\*/", line):
            found[bisect(ends, int(at[1], 16))].append(line)
    assert all(found), "a program has no instructions"
    return ["\n".join(of_one) for of_one in found]


def _instructions(cubin: bytes) -> bytes:
    """Return the sections of an ELF file that are code."""
    (start,), (size, count) = struct.unpack_from("<Q", cubin, 40), struct.unpack_from("<HH", cubin, 58)
    sections = [struct.unpack_from("<IIQQQQ", cubin, start + i * size) for i in range(count)]
    code = [cubin[at : at + length] for _, _, flags, _, at, length in sections if flags & 4]
    assert code, "no section of the machine code is executable"
    return b"".join(code)


def _cuda(cubin: bytes, code: str) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        usage = _tool("cuobjdump", "--dump-resource-usage", file.name)
    registers, stack = (re.search(rf"\b{name}:(\d+)", usage) for name in ("REG", "STACK"))
    assert registers is not None, usage
    assert stack is not None, usage
    return {
        "registers": int(registers[1]),
        "spilled": int(stack[1]),
        "loads": _widths(re.findall(r"\b(?:LDG|LDGSTS)\.E((?:\.\w+)*)", code)),
        "stores": _widths(re.findall(r"\bSTG\.E((?:\.\w+)*)", code)),
    }


def _tool(name: str, *words: str) -> str:
    from triton import knobs

    command = [getattr(knobs.nvidia, name).path, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _widths(suffixes: list[str]) -> dict[str, int]:
    """Count instructions by the width in bits that their modifiers name: 32 without any."""
    found: dict[str, int] = {}
    for suffix in suffixes:
        named = re.search(r"\.[US]?(8|16|64|128|256)\b", suffix)
        bits = named[1] if named else "32"
        found[bits] = found.get(bits, 0) + 1
    return found


_AMD = {
    "ubyte": "8",
    "sbyte": "8",
    "byte": "8",
    "ushort": "16",
    "sshort": "16",
    "short": "16",
    "dword": "32",
    "dwordx2": "64",
    "dwordx3": "96",
    "dwordx4": "128",
}


def _hip(code: str) -> dict[str, Any]:
    def number(name: str) -> int:
        found = re.search(rf"\.{name}:\s+(\d+)", code)
        assert found is not None, f"no {name} in the code object"
        return int(found[1])

    def widths(kind: str) -> dict[str, int]:
        found: dict[str, int] = {}
        pattern = rf"\b(?:global|buffer|flat)_{kind}_((?:[us]?byte|[us]?short|dword)(?:x[234])?)"
        for width in re.findall(pattern, code):
            found[_AMD[width]] = found.get(_AMD[width], 0) + 1
        return found

    return {
        "registers": number("vgpr_count"),
        "spilled": number("vgpr_spill_count"),
        "loads": widths("load"),
        "stores": widths("store"),
    }


def main() -> None:
    """Entry point."""
    import argparse

    from arbench.kernels import KERNELS

    with_programs = [name for name, kernel in KERNELS.items() if "triton" in kernel.backends]
    parser = argparse.ArgumentParser(description="Compile kernels ahead of time; print one JSON object per program.")
    parser.add_argument("kernels", metavar="KERNEL", nargs="*", help="all without any: " + ", ".join(with_programs))
    parser.add_argument("--target", action="append", choices=TARGETS, help="repeatable; all targets without it")
    parser.add_argument("--known", type=Path, help="file of fingerprints: list these programs, do not compile them")
    chosen = parser.parse_args()
    for name in chosen.kernels:
        if name not in KERNELS:
            parser.error(f"unknown kernel '{name}'; choose from: {', '.join(with_programs)}")
        if name not in with_programs:
            parser.error(f"kernel '{name}' has no Triton program; choose from: {', '.join(with_programs)}")
    known = set(chosen.known.read_text().split()) if chosen.known else set()
    all_of_them = [
        one
        for name in chosen.kernels or with_programs
        for target in chosen.target or TARGETS
        for one in compilations(KERNELS[name], target)
    ]
    found = iter(programs([one for one in all_of_them if one.fingerprint not in known]))
    for one in all_of_them:
        print(json.dumps(one.facts() if one.fingerprint in known else asdict(next(found))))


if __name__ == "__main__":
    sys.path = [p for p in sys.path if Path(p or ".").resolve() != Path(__file__).parent]
    main()
