from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.keys import machine
from modelyard.keys.machine import find_accelerator, instruction_sets


def put(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


H100 = "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 18\n"
NVIDIA = {"dev/nvidiactl": "", "proc/driver/nvidia/gpus/0000:01:00.0/information": H100}
SECOND = {"proc/driver/nvidia/gpus/0000:02:00.0/information": "Model: NVIDIA A100-SXM4-40GB\n"}
KFD = "sys/class/kfd/kfd/topology/nodes"
AMD = {
    "dev/kfd": "",
    f"{KFD}/0/properties": "gfx_target_version 0\n",
    f"{KFD}/1/properties": "simd 4\ngfx_target_version 90402\n",
}


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({}, "cpu"),
        (NVIDIA, "cuda NVIDIA H100 80GB HBM3"),
        (NVIDIA | SECOND, "cuda NVIDIA A100-SXM4-40GB, NVIDIA H100 80GB HBM3"),
        ({"dev/nvidiactl": ""}, "cuda"),
        ({"usr/lib/wsl/lib/libcuda.so.1": ""}, "cuda"),
        ({"proc/driver/nvidia/gpus/0/information": H100}, "cpu"),  # a container that was given no device
        (AMD, "rocm 90402"),
        ({"dev/kfd": "", f"{KFD}/0/properties": "gfx_target_version 0\n"}, "cpu"),
        (NVIDIA | AMD, "cuda NVIDIA H100 80GB HBM3"),
    ],
)
def test_an_accelerator_is_found_by_its_device(files: dict[str, str], kind: str, tmp_path: Path) -> None:
    assert find_accelerator(put(tmp_path, files), {}) == kind


@pytest.mark.parametrize(
    ("files", "variable", "value", "kind"),
    [
        (NVIDIA, "CUDA_VISIBLE_DEVICES", "", "cpu"),
        (NVIDIA, "CUDA_VISIBLE_DEVICES", "-1", "cpu"),
        (NVIDIA, "CUDA_VISIBLE_DEVICES", "0", "cuda NVIDIA H100 80GB HBM3"),
        (NVIDIA, "HIP_VISIBLE_DEVICES", "", "cuda NVIDIA H100 80GB HBM3"),
        (AMD, "HIP_VISIBLE_DEVICES", "-1", "cpu"),
        (AMD, "ROCR_VISIBLE_DEVICES", "", "cpu"),
    ],
)
def test_a_device_that_is_hidden_is_not_there(
    files: dict[str, str], variable: str, value: str, kind: str, tmp_path: Path
) -> None:
    assert find_accelerator(put(tmp_path, files), {variable: value}) == kind


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("fpu sse4_2 popcnt", ["sse4.2"]),
        ("sse4_2 popcnt avx2 fma bmi2 f16c", ["avx2"]),
        ("sse4_2 popcnt avx2 fma bmi2 f16c avx512f", ["avx2"]),  # Xeon Phi: not what libraries call AVX-512
        ("avx2 fma bmi2 f16c avx512f avx512bw avx512cd avx512dq avx512vl avx512_vnni amx_int8", ["avx512", "vnni", "amx"]),
        ("fp asimd", ["neon"]),
        ("fp asimd sve i8mm bf16", ["sve", "i8mm", "bf16"]),
        ("", []),
    ],
)  # fmt: skip
def test_instruction_sets_are_told_by_the_widest_level_and_what_goes_beyond_it(flags: str, words: list[str]) -> None:
    assert instruction_sets(flags) == words


@pytest.fixture
def cpuinfo(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Be on a machine whose processor is as the dictionary says."""
    found: dict[str, str] = {}
    monkeypatch.setattr(machine, "cpuinfo", lambda: found)
    monkeypatch.setattr(machine, "made_on", machine.made_on.__wrapped__)
    return found


def test_a_machine_is_told_with_its_processor_and_accelerator(
    cpuinfo: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    cpuinfo |= {"flags": "sse4_2 popcnt avx2 fma bmi2 f16c", "model name": "Some CPU"}
    architecture = os.uname().machine
    monkeypatch.setattr(machine, "accelerator", lambda: "cpu")
    assert machine.made_on() == f"{architecture} avx2 (Some CPU)"
    monkeypatch.setattr(machine, "accelerator", lambda: "cuda NVIDIA H100")
    assert machine.made_on() == f"{architecture} avx2 (Some CPU), cuda NVIDIA H100"
    assert machine.has_instruction_set("avx2")
    assert not machine.has_instruction_set("avx512")


def test_a_machine_without_cpuinfo_is_told_as_far_as_python_knows_it(cpuinfo: dict[str, str]) -> None:
    assert machine.made_on()
    assert not machine.has_instruction_set("avx2")


def test_this_machine() -> None:
    assert machine.accelerator()
    if Path("/proc/cpuinfo").exists():
        assert machine.cpuinfo()
