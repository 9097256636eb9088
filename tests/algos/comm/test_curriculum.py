"""The curriculum of a medium: it tightens with the run, waits while returns fall, and is tight at the end."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toys import Toy

from algos.comm.config import ChannelConfig
from algos.comm.curriculum import Curriculum
from algos.core import spec_of
from algos.maddpg import Maddpg, MaddpgConfig
from algos.mappo import Mappo, MappoConfig
from algos.training.schedule import Schedule
from algos.training.session import Session

SMALL: dict[str, Any] = {"hidden": (8,), "comm": "attention"}


class Falling(Toy):
    """Rewards that fall, or rise, with every step of all worlds, whatever agents do."""

    max_steps = 10

    def __init__(self, n_worlds: int = 4, slope: float = -1.0) -> None:
        super().__init__(n_worlds, 2)
        self.slope, self.made = slope, 0

    def outcome(self, action: Any) -> Any:
        self.made += 1
        return np.full(action.shape, self.slope * self.made), np.zeros(action.shape, bool), None


def course(share: float, rewards: list[float]) -> list[float]:
    curriculum, found = Curriculum(share), []
    for step, reward in enumerate(rewards):
        curriculum.learned((step + 1) / len(rewards), reward)
        found.append(float(curriculum))
    return found


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.8, 1.0])
@pytest.mark.parametrize("kind", ["rises", "falls", "wanders"])
def test_it_only_tightens_and_is_tight_well_before_the_end(share: float, kind: str) -> None:
    steps = 50
    noise = np.random.default_rng(0).standard_normal(steps).cumsum()
    rewards = {"rises": np.arange(steps), "falls": -np.arange(steps), "wanders": noise}[kind]
    found = course(share, [float(reward) for reward in rewards])
    assert all(0.0 <= one <= two <= 1.0 for one, two in itertools.pairwise(found))
    assert found[40 - 1] == 1.0  # at TIGHT_BY
    assert max(after - before for before, after in itertools.pairwise(found)) < 0.2


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


def test_time_in_which_nothing_is_learned_tightens_nothing() -> None:
    curriculum = Curriculum(0.5)
    curriculum.waits(0.3)
    curriculum.learned(0.35, 1.0)
    assert float(curriculum) == pytest.approx(0.1)


def test_it_is_overdue_once_it_should_be_tight_and_is_not() -> None:
    curriculum = Curriculum(0.5)
    assert [curriculum.overdue(progress) for progress in (0.5, 0.8, 0.9)] == [False, True, True]
    curriculum.learned(0.85, -1.0)
    assert not curriculum.overdue(0.9)


ALGOS: dict[str, Any] = {
    "mappo": lambda spec, channel: Mappo(spec, MappoConfig(**SMALL, rollout_steps=8, channel=channel), seed=1),
    "maddpg": lambda spec, channel: Maddpg(
        spec, MaddpgConfig(**SMALL, warm_up=80, policy_start=0, batch=8, updates=1, channel=channel), seed=1
    ),
}


@pytest.mark.parametrize("name", ALGOS)
def test_a_run_ends_in_the_medium_that_was_asked_for(name: str, tmp_path: Path) -> None:
    """Rewards that fall with every step hold the medium up all along; MADDPG learns only after a fifth of the run."""

    def make(n_worlds: int) -> Any:
        return Falling(n_worlds)

    env = make(4)
    algo = ALGOS[name](spec_of(env), ChannelConfig(loss=0.5, curriculum=0.4))
    (tmp_path / "checkpoints").mkdir()
    schedule = Schedule(total_steps=4 * 100, eval_episodes=0)
    course = []
    with Session(env, algo, schedule, folder=tmp_path, seed=0, make_env=make, quiet=True) as session:
        while not session.finished:
            session.advance(4)
            course.append(float(algo.policy.conversation.medium.tightness))
    assert len(course) == 100
    assert course[50] < 0.2  # held up, but for the first look, which has nothing to compare with
    assert name == "mappo" or course[18] == 0.0
    assert course[-8] == 1.0
    assert course[0] < course[-1]


def test_the_first_look_of_maddpg_is_no_jump(tmp_path: Path) -> None:
    """What it has collected before it learns does not count, however long that took."""
    algo = ALGOS["maddpg"](spec_of(Falling(4)), ChannelConfig(loss=0.5, curriculum=0.8))
    env = Falling(4, slope=1.0)
    (tmp_path / "checkpoints").mkdir()
    schedule = Schedule(total_steps=4 * 400, eval_episodes=0)
    with Session(env, algo, schedule, folder=tmp_path, seed=0, make_env=Falling, quiet=True) as session:
        session.advance(4 * 63)
        assert float(algo.policy.conversation.medium.tightness) == 0.0
        session.advance(4 * 2)
        # 64 steps of 400 are over, 20 of which it only collected.
        assert float(algo.policy.conversation.medium.tightness) == pytest.approx(44 / 400 / 0.8, abs=0.01)


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
