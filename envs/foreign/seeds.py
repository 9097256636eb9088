"""Seeds of episodes. They are below 2^31, because some environments pass their seed to C."""

from __future__ import annotations

import numpy as np


def episode_seed(seed: int, world: int, episode: int) -> int:
    """Returns the seed of episode e of world w, from `SeedSequence([seed, w, e])`."""
    return _seed_of([seed, world, episode])


def copy_seed(seed: int, copy: int) -> int:
    """Returns the seed of copy i of a world, from `SeedSequence([seed, i])`."""
    return _seed_of([seed, copy])


def _seed_of(words: list[int]) -> int:
    # SeedSequence takes half the time for words that are uint32 already.
    entropy = np.array(words, np.uint32) if max(words) < 2**32 else words
    return int(np.random.SeedSequence(entropy).generate_state(1)[0]) >> 1  # pyright: ignore[reportArgumentType]
