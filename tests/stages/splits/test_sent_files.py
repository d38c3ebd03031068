"""What clients send, as it is written: texts, arrays and samples of several lengths, each found again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tests.plugins.conftest import no_progress
from tests.stages.splits.test_sent import CODES, chain, ragged
from tests.tasks import write_dataset

from modelyard.artifacts import Dataset, Splits


def test_each_kind_of_column_is_found_again(tmp_path: Path) -> None:
    x = {"text": ["ab", "c"], "words": ragged(2, 3), "year": np.array([7, 8], np.float32)}
    y = np.arange(2)
    write_dataset(
        Splits(x, y, x, y, ["a", "b"], test_sets={"old": (x, y)}), tmp_path, chain=chain(CODES), progress=no_progress
    )
    dataset = Dataset.open(tmp_path)
    assert [(one.name, one.dtype, one.pad) for one in dataset.facts.sent] == [
        ("text", "bytes", None),
        ("words", "float32", -7),
        ("year", "float32", None),
    ]
    for split in ("test", "old"):
        sent = dataset.sent(split)
        assert sent["text"][:].tolist() == [b"ab", b"c"]
        assert [sent["words"][row].tolist() for row in (0, 1)] == [[0, 0], [1, 1, 1]]
        assert sent["year"].tolist() == [7, 8]
