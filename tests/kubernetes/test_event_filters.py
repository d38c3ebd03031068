from __future__ import annotations

from typing import Any

import pytest

from modelyard.kubernetes.event_filters import lets_through

EVENT = {"type": "picture.seen", "source": "/cameras/7"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], True),
        ([{"exact": {"type": "picture.seen"}}], True),
        ([{"exact": {"type": "picture.gone"}}], False),
        ([{"exact": {"type": "picture.seen", "source": "/doors"}}], False),
        ([{"prefix": {"type": "picture."}}, {"suffix": {"source": "/7"}}], True),
        ([{"prefix": {"type": "picture."}}, {"suffix": {"source": "/8"}}], False),
        ([{"exact": {"subject": "a"}}], None),
        ([{"exact": {"subject": "a", "type": "picture.gone"}}], False),
        ([{"cesql": "type = 'picture.seen'"}], None),
        ([{"cesql": "true"}, {"exact": {"type": "picture.gone"}}], False),
        ([{"any": [{"exact": {"type": "a"}}, {"exact": {"type": "b"}}]}], False),
        ([{"any": [{"exact": {"type": "a"}}, {"exact": {"subject": "b"}}]}], None),
        ([{"any": [{"exact": {"type": "picture.seen"}}, {"cesql": "false"}]}], True),
        ([{"all": [{"prefix": {"type": "p"}}, {"exact": {"type": "a"}}]}], False),
        ([{"not": {"exact": {"type": "picture.seen"}}}], False),
        ([{"not": {"prefix": {"subject": "a"}}}], None),
        ([{"not": {"all": [{"exact": {"type": "a"}}]}}], True),
    ],
)
def test_what_is_known_of_an_event_decides_whether_it_passes(filters: list[Any], expected: bool | None) -> None:
    assert lets_through({"spec": {"filters": filters}}, EVENT) is expected


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [({}, True), ({"type": ""}, True), ({"type": "picture.seen"}, True), ({"type": "a"}, False), ({"x": "a"}, None)],
)
def test_the_older_filter_compares_attributes(attributes: dict[str, str], expected: bool | None) -> None:
    assert lets_through({"spec": {"filter": {"attributes": attributes}}}, EVENT) is expected


@pytest.mark.parametrize("filters", ["text", [None], ["text"], [{"exact": "a"}], [{"any": {"a": "b"}}], [{"new": 1}]])
def test_what_is_no_filter_is_read_without_an_error(filters: Any) -> None:
    assert lets_through({"spec": {"filters": filters}}, EVENT) in (True, False, None)
