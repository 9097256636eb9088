"""Seeding many worlds at once gives the bits that numpy gives one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from envs.kit.seeding import seed_words, uniform

EDGES = [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1]


@pytest.mark.parametrize("n", [1, 12, 101])
def test_doubles_are_those_of_default_rng(n: int) -> None:
    seeds = [*EDGES, *np.random.default_rng(0).integers(2**64, size=1000, dtype=np.uint64).tolist()]
    one_by_one = [np.random.default_rng(np.random.SeedSequence(seed)).random(n) for seed in seeds]
    np.testing.assert_array_equal(uniform(seeds, n), one_by_one)


def test_seeds_of_any_kind_and_length_are_taken() -> None:
    kinds: list[Any] = [range(3), np.arange(3), [np.int64(5), np.uint64(2**63)], [2**64, 3, 2**200]]
    for seeds in kinds:
        one_by_one = [np.random.default_rng(np.random.SeedSequence(int(seed))).random(4) for seed in seeds]
        np.testing.assert_array_equal(uniform(seeds, 4), one_by_one)
    with pytest.raises(ValueError, match="non-negative"):
        uniform([3, -1], 4)


@pytest.mark.parametrize("words", [1, 2, 3, 4, 5, 9])
def test_words_are_those_of_seed_sequence(words: int) -> None:
    entropy = np.random.default_rng(words).integers(2**32, size=(500, words), dtype=np.uint32)
    entropy[:2], entropy[2:4, -1], entropy[4:6] = 0, 0, 2**32 - 1
    one_by_one = [np.random.SeedSequence(row).generate_state(1, np.uint64)[0] for row in entropy]
    np.testing.assert_array_equal(seed_words(entropy), np.array(one_by_one))
