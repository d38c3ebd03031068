"""The order that samples are learnt in: the same for a seed, each sample once an epoch."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard_plugins.support.data.order import PLAIN, Mixing, Order, by_block


def dataset(lengths: list[int]) -> Any:
    return SimpleNamespace(lengths=lambda _split: {"length": np.array(lengths)})


@given(
    samples=st.integers(1, 60),
    size=st.integers(1, 9),
    block=st.integers(0, 9),
    buckets=st.integers(0, 3),
    least=st.integers(1, 2),
)
@settings(max_examples=80, deadline=None)
def test_each_sample_is_in_one_batch_of_each_epoch(
    samples: int, size: int, block: int, buckets: int, least: int
) -> None:
    rows = np.arange(samples) * 3
    lengths = dataset(np.random.default_rng(0).integers(1, 9, samples * 3).tolist())
    order = Order(lengths, rows, size, np.random.default_rng(1), Mixing(block, buckets), least=least)
    epochs = [order.epoch() for _ in range(2)]
    for epoch in epochs:
        assert sorted(np.concatenate(epoch)) == rows.tolist()
        assert sorted(map(len, epoch)) == sorted(end - begin for begin, end in order.bounds)
        assert size == 1 or len(epoch) == 1 or min(map(len, epoch)) >= least


def test_the_plain_order_is_one_permutation_an_epoch() -> None:
    rows, again = np.arange(10), np.random.default_rng(5)
    order = Order(dataset([]), rows, 4, np.random.default_rng(5), PLAIN)
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate(order.epoch()), again.permutation(rows))


def test_without_chance_nothing_moves() -> None:
    order = Order(dataset([]), np.arange(5), 2, None, Mixing(block=3))
    assert [one.tolist() for one in order.epoch()] == [[0, 1], [2, 3], [4]]


def test_blocks_are_the_same_on_every_machine() -> None:
    found = by_block(np.arange(10_000), 64, np.random.default_rng(7))
    digest = hashlib.sha256(found.astype("<i8").tobytes()).hexdigest()
    assert digest[:16] == "de16c458e3b8edbc"


def test_what_is_read_lies_in_eight_blocks_from_anywhere() -> None:
    found = by_block(np.arange(8192), 64, np.random.default_rng(0))
    for start in range(0, len(found), 512):
        blocks = np.unique(found[start : start + 512] // 64)
        assert len(blocks) == 8
    assert np.abs(np.corrcoef(np.arange(8192), found)[0, 1]) < 0.2


def test_buckets_pad_little() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 960)
    some = dataset(lengths.tolist())

    def padded(mixing: Mixing) -> float:
        batches = Order(some, np.arange(960), 16, np.random.default_rng(0), mixing).epoch()
        return sum(lengths[one].max() * len(one) for one in batches) / lengths.sum()

    assert padded(PLAIN) > 1.7
    assert padded(Mixing(buckets=20)) < 1.1
