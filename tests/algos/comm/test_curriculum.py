"""The curriculum of a medium: it tightens with the run, waits while returns fall, and is tight at the end."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from algos.comm.curriculum import Curriculum


def course(share: float, rewards: list[float]) -> list[float]:
    curriculum, found = Curriculum(share), []
    for step, reward in enumerate(rewards):
        curriculum.learned((step + 1) / len(rewards), reward)
        found.append(float(curriculum))
    return found


@pytest.mark.parametrize("share", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("kind", ["rises", "falls", "wanders"])
def test_it_only_tightens_and_is_tight_at_the_end(share: float, kind: str) -> None:
    steps = 50
    noise = np.random.default_rng(0).standard_normal(steps).cumsum()
    rewards = {"rises": np.arange(steps), "falls": -np.arange(steps), "wanders": noise}[kind]
    found = course(share, [float(reward) for reward in rewards])
    assert all(0.0 <= one <= two <= 1.0 for one, two in itertools.pairwise(found))
    assert found[-1] == 1.0


def test_it_grows_in_proportion_while_returns_rise() -> None:
    found = course(0.5, [float(step) for step in range(20)])
    assert found == pytest.approx([min(0.1 * (step + 1), 1.0) for step in range(20)])


def test_it_waits_while_returns_fall() -> None:
    steady = course(0.5, [0.0, 1.0, 0.0, 1.0, 2.0, 3.0, *[4.0] * 14])
    fallen = course(0.5, [0.0, 1.0, 0.0, 1.0, 2.0, -9.0, *[4.0] * 14])
    assert fallen[5] == fallen[4]
    assert steady[5] > steady[4]


def test_without_one_a_medium_is_tight_at_once_and_stays_so() -> None:
    curriculum = Curriculum(0.0)
    assert float(curriculum) == 1.0
    curriculum.learned(0.5, -3.0)
    assert float(curriculum) == 1.0
    assert float(curriculum.progress) == 0.0


def test_it_goes_on_from_its_state() -> None:
    rewards = [0.0, 3.0, 1.0, 2.0, -1.0, 5.0, 6.0, 2.0]
    one, two = Curriculum(0.7), Curriculum(0.7)
    for step, reward in enumerate(rewards):
        if step == 4:
            two.load_state_dict(one.state_dict())
        one.learned(step / 10, reward)
        if step >= 4:
            two.learned(step / 10, reward)
    assert all(torch.equal(part, two.state_dict()[name]) for name, part in one.state_dict().items())
