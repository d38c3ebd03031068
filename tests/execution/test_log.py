from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelyard.execution.log import add_traceback, last_lines

if TYPE_CHECKING:
    from pathlib import Path

NOISE = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1795830079.091313   24479 port.cc:153] oneDNN custom operations are on. You may see slightly",
    "I0000 00:00:1795830079.091680   24479 cudart_stub.cc:31] Could not find cuda drivers on your machine",
    "E0000 00:00:1795830086.138234   24479 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error",
    "E0000 00:00:1732.1 1 cuda_dnn.cc:8579] Unable to register cuDNN factory: Attempting to register factory",
    "W0000 00:00:1732.1 1 computation_placer.cc:177] computation placer already registered. Please check linkage",
    "2026-11-28 01:00:00.123456: I tensorflow/core/platform/cpu_feature_guard.cc:210] This TensorFlow binary is",
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow",
    "2026-11-28 01:00:00 [W:onnxruntime:Default, device_discovery.cc:164 Discover] GPU device discovery failed",
]
TOLD = [
    "E0000 00:00:1732.1 1 allocator.cc:12] out of memory",
    "It is 12:00 I think, a.cc:1",
    "UserWarning: the learning rate is 0",
]


@pytest.mark.parametrize("noise", NOISE)
def test_what_a_framework_prints_everywhere_is_left_out(noise: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(f"{TOLD[0]}\n{noise}\n\n{TOLD[1]}\n{TOLD[2]}\n")
    assert last_lines(log) == TOLD


def test_the_traceback_is_left_out_whole_with_the_causes_in_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {n}\n" for n in range(30)) + "Traceback (most recent call last):\nits own\n")
    add_traceback(
        log, "Traceback (most recent call last):\n  a\n\nThe above\n\nTraceback (most recent call last):\n  b\n"
    )
    assert last_lines(log)[-3:] == ["line 29", "Traceback (most recent call last):", "its own"]
    assert len(last_lines(log)) == 12
    assert log.read_text().endswith("  b\n")


def test_no_log_has_no_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "log") == []
