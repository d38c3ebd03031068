from __future__ import annotations

import pytest

from modelyard.errors import ToolError
from modelyard.oci.python import BasePython

PYTHON = BasePython("/usr/bin/python3", (3, 11), (2, 28), "x86_64")


@pytest.mark.parametrize(
    "file",
    [
        "a-1-py3-none-any.whl",
        "a-1-py2.py3-none-any.whl",
        "a-1-cp311-cp311-manylinux_2_28_x86_64.whl",
        "a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "a-1-cp38-abi3-manylinux1_x86_64.whl",
    ],
)
def test_takes_wheels_that_run(file: str) -> None:
    PYTHON.check_wheel(file)


@pytest.mark.parametrize(
    "file",
    [
        "a-1-cp311-cp311-manylinux_2_29_x86_64.whl",
        "a-1-cp312-cp312-manylinux_2_17_x86_64.whl",
        "a-1-cp311-cp311-manylinux_2_17_aarch64.whl",
        "a-1-cp311-cp311-musllinux_1_2_x86_64.whl",
        "a-1-py2-none-any.whl",
    ],
)
def test_refuses_wheels_that_do_not(file: str) -> None:
    with pytest.raises(ToolError, match=r"glibc 2\.28"):
        PYTHON.check_wheel(file)
