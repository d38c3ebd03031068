from __future__ import annotations

import pytest

from modelyard.concurrency.parallel import in_parallel


def test_parallel_work_keeps_its_order_and_its_errors() -> None:
    assert in_parallel(lambda n: n * n, range(100)) == [n * n for n in range(100)]
    assert in_parallel(str, []) == []
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda n: 1 // n, [1, 0, 1])
