"""The shares of the memory leave some for everything else."""

from __future__ import annotations

from pathlib import Path

from modelyard.serving.limits import values_limit
from modelyard.serving.shares import HOLDING, KEEPING, LEAST_BYTES, MIB, PARSED_BYTES, PARSING


def test_all_shares_together_leave_a_fifth() -> None:
    assert PARSING + HOLDING + KEEPING <= 0.8
    assert min(PARSING, HOLDING, KEEPING) > 0


def test_the_least_is_enough_to_hold_and_to_parse_a_megabyte() -> None:
    assert HOLDING * LEAST_BYTES > MIB
    assert values_limit(LEAST_BYTES, 1.0) > MIB


def test_a_text_is_parsed_soon_enough_however_many_processors_there_are() -> None:
    assert values_limit(1 << 40, 64) == values_limit(1 << 40, 1) == PARSED_BYTES
    assert values_limit(1 << 40, 0.5) == PARSED_BYTES / 2


def test_the_page_of_the_server_says_the_same_shares() -> None:
    page = (Path(__file__).parents[2] / "docs/reference/serving.md").read_text()

    assert PARSING == 0.5
    assert (
        f"above half of the free memory, or {PARSED_BYTES // MIB} MiB ({PARSED_BYTES // MIB // 2} MiB with half" in page
    )
    assert f"hold {100 * HOLDING:g} % of the free memory at most" in page
    assert KEEPING == 0.1
    assert "States that grow with each step may take a tenth of the free memory" in page
