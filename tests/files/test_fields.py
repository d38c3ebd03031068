"""Several arrays side by side in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modelyard.files.fields import joined, shape_of

ARRAYS = st.integers(1, 5).flatmap(
    lambda samples: st.dictionaries(
        st.sampled_from(["a", "b_2", "c"]),
        st.one_of(
            hnp.arrays(np.float32, st.tuples(st.just(samples), st.integers(1, 3)), elements=st.floats(-9, 9, width=32)),
            hnp.arrays(np.int64, st.tuples(st.just(samples)), elements=st.integers(0, 9)),
        ),
        min_size=1,
    )
)


@given(ARRAYS)
def test_each_field_is_the_array_that_it_was(arrays: dict[str, np.ndarray]) -> None:
    made = joined(arrays)
    assert made.shape == (len(next(iter(arrays.values()))),)
    assert shape_of(made) == {name: one.shape for name, one in arrays.items()}
    for name, one in arrays.items():
        assert made[name].dtype == one.dtype
        assert np.array_equal(made[name], one)


def test_it_is_mapped_into_memory_as_any_other(tmp_path: Path) -> None:
    made = joined({"kind": np.arange(6), "place": np.ones((6, 2), np.float32)})
    np.save(tmp_path / "y.npy", made, allow_pickle=False)
    read = np.load(tmp_path / "y.npy", mmap_mode="r", allow_pickle=False)
    assert read["place"][2:4].tolist() == [[1, 1], [1, 1]]
    assert shape_of(read["kind"]) == (6,)
