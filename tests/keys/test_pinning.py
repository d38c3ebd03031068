from __future__ import annotations

import pytest

from modelyard import ToolError
from modelyard.keys import pinning


def test_every_framework_is_told_how_many_threads() -> None:
    found = pinning.variables(3)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        assert found[name] == "3"
    assert not {"ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"} & found.keys()


def test_instructions_are_bounded_where_the_machine_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinning, "has_instruction_set", lambda name: True)
    found = pinning.variables(1, "avx2")
    assert found["ONEDNN_MAX_CPU_ISA"] == "AVX2"
    assert found["OMP_NUM_THREADS"] == "1"


def test_kernels_that_a_person_chose_are_told_unless_the_setting_chooses_them() -> None:
    environment = {"ONEDNN_MAX_CPU_ISA": "AVX2", "TF_ENABLE_ONEDNN_OPTS": "0", "HOME": "/root"}
    assert pinning.chosen({"HOME": "/root"}, None) == {}
    assert pinning.chosen(environment, None) == {"ONEDNN_MAX_CPU_ISA": "AVX2", "TF_ENABLE_ONEDNN_OPTS": "0"}
    assert pinning.chosen(environment, "avx2") == {"TF_ENABLE_ONEDNN_OPTS": "0"}


def test_a_machine_without_them_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinning, "has_instruction_set", lambda name: False)
    with pytest.raises(ToolError, match=r"\[tool.modelyard\]: key 'isa': this machine has no avx2: "):
        pinning.variables(1, "avx2")
