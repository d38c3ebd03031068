"""The machine that stages compute on, as far as it shapes what they write: found without importing a framework."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

CPU = "cpu"
_LEVELS = {
    "avx512": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "avx2": {"avx2", "fma", "bmi2", "f16c"},
    "sse4.2": {"sse4_2", "popcnt"},
    "sve2": {"sve2"},
    "sve": {"sve"},
    "neon": {"asimd"},
}
"""The levels that numeric libraries have kernels for, the widest of an architecture first, and the flags that each needs.

Source: x86-64 psABI, "Micro-Architecture Levels"; Linux, Documentation/arch/arm64/elf_hwcaps.rst.
"""
_MORE = {"avx512_vnni": "vnni", "avx512_bf16": "bf16", "amx_int8": "amx", "i8mm": "i8mm", "bf16": "bf16"}
"""Flags beyond a level for which they have kernels, too."""
_CPUINFO_BYTES = 16_384
"""The first processor's part of /proc/cpuinfo; the others' are the same, and there may be hundreds."""


@functools.cache
def accelerator() -> str:
    """Return the kind of accelerator that a framework would compute on here, or `cpu`; see `find_accelerator`."""
    return find_accelerator(Path("/"), os.environ)


def find_accelerator(root: Path, environment: Mapping[str, str]) -> str:
    """Return what a framework would find: `cpu`, `cuda NVIDIA H100 80GB HBM3`, `rocm 90010` ...

    A GPU that is there counts, whether or not a framework that can use it is installed.

    Args:
        root: the root of the file system.
        environment: the environment variables; an empty list of visible devices hides them all.
    """
    for kind, find, variables in (("cuda", _nvidia, _CUDA_VISIBLE), ("rocm", _amd, _ROCM_VISIBLE)):
        if not any(environment.get(name, "0").strip() in ("", "-1") for name in variables):
            found = find(root)
            if found is not None:
                return f"{kind} {found}".strip()
    return CPU


_CUDA_VISIBLE = ("CUDA_VISIBLE_DEVICES",)
_ROCM_VISIBLE = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")


def _nvidia(root: Path) -> str | None:
    """Return the models of NVIDIA's GPUs, as the driver calls them; None without a device, as in a container without one."""
    if not ((root / "dev/nvidiactl").exists() or (root / "usr/lib/wsl/lib/libcuda.so.1").exists()):
        return None
    files = (root / "proc/driver/nvidia/gpus").glob("*/information")
    return _listed(line.partition(":")[2] for file in files for line in _lines(file) if line.startswith("Model:"))


def _amd(root: Path) -> str | None:
    """Return the architectures of AMD's GPUs; None without a device. The CPU is a node, too, of architecture 0."""
    if not (root / "dev/kfd").exists():
        return None
    files = (root / "sys/class/kfd/kfd/topology/nodes").glob("*/properties")
    found = (line.split() for file in files for line in _lines(file) if line.startswith("gfx_target_version"))
    return _listed(version for _, version in found if version != "0") or None


def _listed(names: Iterator[str]) -> str:
    return ", ".join(sorted({name.strip() for name in names}))


@functools.cache
def made_on() -> str:
    """Return what this machine computes with: `x86_64 avx512 vnni bf16 (AMD EPYC)`, and its accelerator if it has one."""
    words = [os.uname().machine, *instruction_sets(cpuinfo().get("flags", cpuinfo().get("features", "")))]
    model = cpu_model()
    device = "" if accelerator() == CPU else f", {accelerator()}"
    return f"{' '.join(words)}{f' ({model})' if model else ''}{device}"


def instruction_sets(flags: str) -> list[str]:
    """Return the widest level that a processor with `flags`, as Linux lists them, has kernels for, and what goes beyond it."""
    has = set(flags.split())
    level = next(([name] for name, needs in _LEVELS.items() if needs <= has), [])
    return level + list(dict.fromkeys(word for flag, word in _MORE.items() if flag in has))


def has_instruction_set(name: str) -> bool:
    """Tell whether this machine has the instructions of the level `name`."""
    return _LEVELS[name] <= set(cpuinfo().get("flags", "").split())


def cpu_model() -> str:
    """Return the processor's name; ARM kernels give none, and then it is what Python knows, or nothing."""
    import platform

    return cpuinfo().get("model name", "") or platform.processor()


@functools.cache
def cpuinfo() -> dict[str, str]:
    """Return what /proc/cpuinfo says of the first processor, names in lower case; empty where there is none."""
    try:
        with open("/proc/cpuinfo", "rb") as file:
            text = file.read(_CPUINFO_BYTES).decode(errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
