"""Named generators: independent, repeatable, saved together, and able to move to another kind of device."""

from __future__ import annotations

import numpy as np
import torch

from algos.maths.chance import Generators


def draws(generators: Generators) -> list[list[float]]:
    return [torch.rand(4, generator=generators[name]).tolist() for name in ("acting", "learning")]


def test_seeds_are_the_words_of_a_seed_sequence() -> None:
    generators = Generators(7, acting="cpu", learning="cpu")
    words = np.random.SeedSequence(7).generate_state(2, np.uint64)
    assert [generators[name].initial_seed() for name in ("acting", "learning")] == [int(word) for word in words]
    one, two = draws(generators)
    assert one != two
    assert draws(Generators(7, acting="cpu", learning="cpu")) == [one, two]
    assert draws(Generators(8, acting="cpu", learning="cpu")) != [one, two]


def test_they_go_on_from_where_they_were_saved() -> None:
    one, two = Generators(7, acting="cpu", learning="cpu"), Generators(8, acting="cpu", learning="cpu")
    draws(one)
    two.load_state_dict(one.state_dict())
    assert draws(one) == draws(two)


def test_one_that_moves_to_another_kind_of_device_does_not_repeat_itself() -> None:
    one = Generators(7, acting="cpu", learning="cpu")
    first = draws(one)
    state = one.state_dict()
    state["acting"] = ("cuda", state["acting"][1])  # as if it was saved on a GPU
    moved = []
    for _ in range(2):
        two = Generators(7, acting="cpu", learning="cpu")
        two.load_state_dict(state)
        moved.append(draws(two))
    assert moved[0] == moved[1], "it is repeatable"
    assert moved[0][0] != first[0]
    assert moved[0][1] == draws(one)[1], "the other one goes on"
