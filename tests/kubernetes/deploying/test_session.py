from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from modelyard.errors import ToolError

if TYPE_CHECKING:
    from tests.kubernetes.api_stub import Cluster
    from tests.kubernetes.conftest import Deployer


def test_production_is_asked_about(deployer: Deployer, cluster: Cluster) -> None:
    with pytest.raises(
        ToolError, match="not confirmed, so nothing was applied\n  without a terminal: doit deploy:kubernetes --yes"
    ):
        deployer(confirm=True)
    assert deployer.asked[0].startswith("change context stub, server http://127.0.0.1:")
    assert cluster.written == []
    deployer.answer = True
    assert deployer(confirm=True)[-1].startswith("deployed render")
    deployer.answer = None
    assert deployer(confirm=True)[-1].endswith(" runs")  # nothing to ask about
    assert deployer(confirm=True, digest="b", options={"yes": True})[-1].startswith("deployed render")
