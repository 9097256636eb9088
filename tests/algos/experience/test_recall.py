"""Recall against a search in plain Python: which earlier steps are needed, and where each message was said."""

from __future__ import annotations

import pytest
import torch

from algos.core import NOTHING
from algos.experience.recall import recall

STEPS, B, N = 9, 2, 3
Place = tuple[int, int]
"""Steps since the oldest one that is stored, and world."""


def heard_in_all(share: float, seed: int = 0) -> torch.Tensor:
    """Ages of up to 4 steps, (STEPS, B, N, N), in steps from the oldest on."""
    generator = torch.Generator().manual_seed(seed)
    age = torch.randint(5, (STEPS, B, N, N), generator=generator)
    silent = torch.rand(age.shape, generator=generator) > share
    return age.masked_fill(silent | torch.eye(N, dtype=torch.bool), NOTHING).to(torch.uint8)


def needed(place: Place, heard: torch.Tensor, rounds: int) -> set[Place]:
    """The earlier steps on which what is heard in a step depends."""
    found: set[Place] = set()
    for old in heard[place].flatten().tolist() if rounds else []:
        if 0 < old <= place[0]:
            earlier = (place[0] - old, place[1])
            found |= {earlier} | needed(earlier, heard, rounds - 1)
        if old == 0:
            found |= needed(place, heard, rounds - 1)
    return found


@pytest.mark.parametrize("rounds", [1, 2, 3])
@pytest.mark.parametrize("oldest", [0, 5])
@pytest.mark.parametrize("share", [0.0, 0.25, 0.6])
def test_a_message_is_where_a_search_finds_it(rounds: int, oldest: int, share: float) -> None:
    heard = heard_in_all(share, seed=1)
    store = heard.roll(oldest, 0).flatten(0, 1)  # the ring begins anew after `oldest` rows
    places: list[Place] = [(8, 0), (3, 1), (0, 0), (5, 1), (5, 1)]
    moment = torch.tensor([time * B + world for time, world in places])
    age = torch.stack([heard[place] for place in places])
    found = recall(moment, age, store, oldest=oldest * B, n_worlds=B, rounds=rounds)

    earlier = [((index // B - oldest) % STEPS, index % B) for index in found.earlier.tolist()]
    assert len(set(earlier)) == len(earlier)
    wanted = set().union(*(needed(place, heard, rounds) for place in places))
    assert set(earlier) == wanted
    assert bool(wanted) == (share > 0)
    all_places = places + earlier
    inner = set().union(*(needed(place, heard, rounds - 1) for place in places))
    assert set(all_places[: len(found.age)]) == set(places) | inner
    assert found.said_in.shape == found.age.shape
    forgotten = 0
    for row, (time, world) in enumerate(all_places[: len(found.age)]):
        for i in range(N):
            for j in range(N):
                old, now = int(heard[time, world, i, j]), int(found.age[row, i, j])
                if old == NOTHING or old > time:
                    assert now == NOTHING
                    forgotten += old != NOTHING
                    continue
                said_in = int(found.said_in[row, i, j])
                assert now == old
                assert said_in == row if old == 0 else said_in >= len(places)
                assert all_places[said_in] == (time - old, world)
    assert bool(forgotten) == (share > 0)


def test_what_comes_after_the_newest_step_hears_of_it() -> None:
    heard = torch.full((4, 1, 2, 2), NOTHING, dtype=torch.uint8)
    age = torch.tensor([[[NOTHING, 1], [4, NOTHING]], [[NOTHING, 5], [0, NOTHING]]], dtype=torch.uint8)
    found = recall(torch.tensor([4, 4]), age, heard.flatten(0, 1), oldest=0, n_worlds=1, rounds=1)
    assert found.earlier.tolist() == [0, 3]
    assert found.age.tolist() == [[[NOTHING, 1], [4, NOTHING]], [[NOTHING, NOTHING], [0, NOTHING]]]
    assert found.said_in[0, 0, 1] == 3
    assert found.said_in[0, 1, 0] == 2
    assert found.said_in[1, 1, 0] == 1
