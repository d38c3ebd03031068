"""A place in a trace, and the header that names it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.serving.trace import RANDOM, SAMPLED, Trace
from modelyard.serving.traces import read_parent

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7", "b7ad6b7169203331"


def test_the_header_names_our_span_not_the_client_s() -> None:
    assert Trace(TRACE, SPAN, PARENT, SAMPLED).parent().decode() == f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(("flags", "sampled"), [(0, False), (SAMPLED, True), (RANDOM, False), (SAMPLED | RANDOM, True)])
def test_whether_it_is_sampled_is_one_flag_of_several(flags: int, sampled: bool) -> None:
    assert Trace(TRACE, SPAN, "", flags).sampled is sampled


@given(st.integers(1, (1 << 128) - 1), st.integers(1, (1 << 64) - 1), st.integers(0, 3))
def test_who_is_called_with_it_reads_the_same(trace: int, span: int, flags: int) -> None:
    place = Trace(f"{trace:032x}", f"{span:016x}", "", flags)

    assert read_parent(place.parent()) == (place.trace_id, place.span_id, flags)
