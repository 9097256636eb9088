"""Seeds of episodes: below 2^31, for some environments hand their seed to C."""

from __future__ import annotations

import numpy as np


def episode_seed(seed: int, world: int, episode: int) -> int:
    """The seed of world w's e-th episode, from `SeedSequence([seed, w, e])`."""
    return _seed_of([seed, world, episode])


def copy_seed(seed: int, copy: int) -> int:
    """The seed of copy i of a world, from `SeedSequence([seed, i])`."""
    return _seed_of([seed, copy])


def _seed_of(words: list[int]) -> int:
    # Words that are uint32 already are taken as they are, in half the time.
    entropy = np.array(words, np.uint32) if max(words) < 2**32 else words
    return int(np.random.SeedSequence(entropy).generate_state(1)[0]) >> 1  # pyright: ignore[reportArgumentType]
