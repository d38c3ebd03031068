"""The environment of the processes that compute: how many threads, and which instructions at most.

Both change the order in which floats are added up, and so the bytes of what is computed: they are settings of the project,
not what the machine happens to have. What was tried stands in docs/explanation/incremental.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from modelyard.errors import ToolError
from modelyard.keys.machine import has_instruction_set, made_on

_THREADS = (
    "OMP_NUM_THREADS",  # OpenMP: PyTorch, oneDNN, scikit-learn
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",  # numpy, scipy
    "VECLIB_MAXIMUM_THREADS",  # Apple's Accelerate
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
_FIXED = {"OMP_DYNAMIC": "false", "MKL_DYNAMIC": "false"}
"""Else these take fewer threads where there are fewer cores."""

_ISA = {
    "avx2": {
        "ONEDNN_MAX_CPU_ISA": "AVX2",  # TensorFlow, PyTorch
        "ATEN_CPU_CAPABILITY": "avx2",  # PyTorch's own kernels
        "MKL_CBWR": "COMPATIBLE",  # with AVX2, it takes other kernels on each maker's processors
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",
    }
}


SHAPING = (
    *_ISA["avx2"],
    "DNNL_MAX_CPU_ISA",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "TF_ENABLE_ONEDNN_OPTS",
)
"""Variables by which a person chooses kernels; one that is set is in the key of what computes, unless `isa` sets it."""


def chosen(environment: Mapping[str, str], isa: str | None) -> dict[str, str]:
    """Return those of `SHAPING` that a person has set and that reach the frameworks."""
    own = _ISA[isa] if isa else {}
    return {name: environment[name] for name in SHAPING if name in environment and name not in own}


def variables(threads: int, isa: str | None = None) -> dict[str, str]:
    """Return the environment variables that make every framework use `threads` threads and no instruction above `isa`.

    Raises:
        ToolError: this machine has not got the instructions, and its results would be kept as if it had.
    """
    found = dict.fromkeys(_THREADS, str(threads)) | _FIXED
    if isa is None:
        return found
    if lacks(isa):
        msg = f"[tool.modelyard]: key 'isa': {lacks(isa)}\n  {INSTEAD}"
        raise ToolError(msg)
    return found | _ISA[isa]


INSTEAD = "build on one that has, or leave `isa` out of [tool.modelyard]"
"""What to do on a machine that lacks the instructions."""


def lacks(isa: str) -> str:
    """Return that this machine lacks the instructions `isa`, in words; empty if it has them."""
    return "" if has_instruction_set(isa) else f"this machine has no {isa}: {made_on()}"
