"""Batches of similar length in random order, each row once, and the same order for the same seed and epoch."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compaware.components.core.training.length_buckets import LengthBucketSampler

LENGTHS = np.random.default_rng(0).integers(5, 60, 6_410)


def batches(sampler, size) -> list[list[int]]:
    order = list(sampler)
    return [order[start : start + size] for start in range(0, len(order), size)]


@given(lengths=st.lists(st.integers(1, 500), max_size=300), batch_size=st.integers(1, 40), seed=st.integers(0, 9))
def test_an_epoch_has_each_row_once(lengths, batch_size, seed):
    sampler = LengthBucketSampler(np.array(lengths, np.int32), batch_size, seed)
    assert sorted(sampler) == list(range(len(lengths))) and len(sampler) == len(lengths)


def test_batches_need_little_padding():
    padded = sum(len(batch) * max(LENGTHS[batch]) for batch in batches(LengthBucketSampler(LENGTHS, 32, 0), 32))
    assert padded < 1.05 * LENGTHS.sum()


def test_the_lengths_of_consecutive_batches_are_not_correlated():
    means = [LENGTHS[batch].mean() for batch in batches(LengthBucketSampler(LENGTHS, 32, 0), 32)]
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.25


def test_an_epochs_order_depends_on_seed_and_epoch_alone():
    sampler, resumed = LengthBucketSampler(LENGTHS, 32, 7), LengthBucketSampler(LENGTHS, 32, 7)
    first = list(sampler)
    sampler.set_epoch(1)
    resumed.set_epoch(1)
    assert list(sampler) == list(resumed) != first
    assert list(LengthBucketSampler(LENGTHS, 32, 8)) != first


def test_batches_of_a_small_data_set_change_from_epoch_to_epoch():
    sampler = LengthBucketSampler(LENGTHS[:128], 16, 0)
    first = {frozenset(batch) for batch in batches(sampler, 16)}
    sampler.set_epoch(1)
    assert not first & {frozenset(batch) for batch in batches(sampler, 16)}
