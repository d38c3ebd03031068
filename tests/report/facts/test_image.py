from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from modelyard.report.facts import ImageSummary, LayerSummary, Report
from modelyard.report.material import Material
from modelyard.report.measure import measure
from tests.report.conftest import DIGEST, Make, with_state
from tests.shared import there

OLDER: dict[str, Any] = {
    "repository": "team/digits",
    "tag": "1",
    "digest": "sha256:ab",
    "size_bytes": 9,
    "platform": "linux/amd64",
    "builder": "oci",
    "variant": "",
    "layers": [{"name": "base", "digest": "sha256:cd", "size_bytes": 9}],
}


def test_an_image_of_an_older_version_is_taken_for_up_to_date() -> None:
    one = msgspec.convert(OLDER, ImageSummary)
    assert (one.state, one.base) == ("up-to-date", {})
    assert one.layers == (LayerSummary(name="base", digest="sha256:cd", size_bytes=9),)
    assert msgspec.json.decode(msgspec.json.encode(one), type=ImageSummary) == one


def test_its_state_is_one_that_a_stage_may_have() -> None:
    with pytest.raises(msgspec.ValidationError, match="Invalid enum value 'old'"):
        msgspec.convert({**OLDER, "state": "old"}, ImageSummary)


def test_an_image_is_told_with_the_variant_of_its_labels_and_its_layers(
    measured: Callable[..., tuple[Report, Material]],
) -> None:
    report, _ = measured(built=("select", "image"), shipped="v2")
    one = there(report.image)
    assert (one.variant, one.digest, one.size_bytes, one.base) == (
        "v2",
        f"sha256:{DIGEST}",
        3_020_000,
        {"libc6": "2.36-9"},
    )
    assert [(layer.name, layer.size_bytes) for layer in one.layers] == [("base", 3_000_000), ("model", 20_000)]


def test_its_state_is_that_of_the_stage_that_made_it(make: Make) -> None:
    made = with_state(make(built=("image",)), "image:project", "stale")
    assert there(measure(made)[0].image).state == "stale"
