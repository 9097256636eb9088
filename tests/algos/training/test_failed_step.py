"""A run whose environment raises is saved as it was before that step: it goes on bit for bit, memory and draws too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import short_maddpg_runs
from counting import Counting
from short_runs import CASES, Make, counting, rows, saved, start
from streams import assert_same

from algos.core import Obs, spec_of
from algos.maddpg import Maddpg, MaddpgConfig
from algos.mappo import Mappo
from algos.report.monitor import Monitor
from algos.report.progress import Progress
from algos.training import checkpoint
from algos.training.schedule import Schedule
from algos.training.session import Session, run
from envs.vector import VectorView

CASES_OF_MAPPO = {**CASES, "memory and masks": (counting, CASES["memory"][1])}


class Failing:
    """Worlds that raise once, instead of their step number `at` (from 0)."""

    def __init__(self, env: Any, at: int) -> None:
        self.inner, self.left = env, at

    def step(self, action: Any) -> Any:
        self.left -= 1
        if self.left == -1:
            raise RuntimeError("the simulator fell over")
        return self.inner.step(action)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.mark.parametrize(  # at the first step, in a rollout, at the first of one, after updates
    ("case", "at"),
    [("memory", 0), ("memory", 5), ("memory", 8), ("memory and masks", 19), ("continuous", 19)],
)
def test_a_failed_step_of_mappo_is_as_if_never_asked(tmp_path: Path, case: str, at: int) -> None:
    make, config = CASES_OF_MAPPO[case]
    start(tmp_path / "whole", make, config)
    with pytest.raises(RuntimeError, match="fell over"):
        start(tmp_path / "failed", lambda n: Failing(make(n), at), config)
    assert saved(tmp_path / "failed")["algo"]["pending"] is None
    start(tmp_path / "failed", make, config, resume=True)
    assert_same(saved(tmp_path / "failed"), saved(tmp_path / "whole"))
    assert rows(tmp_path / "failed") == rows(tmp_path / "whole")


@pytest.mark.parametrize("case", short_maddpg_runs.RUNS)
@pytest.mark.parametrize("at", [3, 20])  # random actions, learned ones with noise
def test_a_failed_step_of_maddpg_is_as_if_never_asked(
    tmp_path: Path, case: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_maddpg_runs.start(tmp_path / "whole", case)
    make, options = short_maddpg_runs.RUNS[case]
    monkeypatch.setitem(short_maddpg_runs.RUNS, case, (lambda n: Failing(make(n), at), options))
    with pytest.raises(RuntimeError, match="fell over"):
        short_maddpg_runs.start(tmp_path / "failed", case)
    monkeypatch.undo()
    short_maddpg_runs.start(tmp_path / "failed", case, resume=True)
    assert_same(saved(tmp_path / "failed"), saved(tmp_path / "whole"))


@pytest.mark.parametrize("algo", [Mappo, Maddpg])
def test_taking_back_twice_or_what_was_observed_changes_nothing(algo: Any) -> None:
    env = CASES["memory"][0](4)
    config: Any = CASES["memory"][1] if algo is Mappo else MaddpgConfig(hidden=(8,), warm_up=24, replay_size=100)
    learner = algo(spec_of(env), config, seed=0)
    step = env.reset(0)
    obs = Obs(step.obs, step.state, step.adjacency, step.alive, step.action_mask, np.ones(4, bool))
    fresh = learner.state_dict()
    learner.take_back()
    assert_same(learner.state_dict(), fresh)
    first = learner.act(obs)
    for _ in range(2):
        learner.take_back()
        assert_same(learner.state_dict(), fresh)
    assert (learner.act(obs) == first).all()
    greedy = learner.act(obs, greedy=True)
    learner.take_back()
    assert (learner.act(obs) == first).all(), "greedy play in between is nobody's step"
    assert greedy.shape == first.shape


@pytest.mark.parametrize("algo", [Mappo, Maddpg])
def test_what_was_loaded_is_not_taken_back_to_before_it_was_loaded(algo: Any) -> None:
    env = CASES["memory"][0](4)
    config: Any = CASES["memory"][1] if algo is Mappo else MaddpgConfig(hidden=(8,), warm_up=24, replay_size=100)
    one, two = algo(spec_of(env), config, seed=0), algo(spec_of(env), config, seed=1)
    step = env.reset(0)
    obs = Obs(step.obs, step.state, step.adjacency, step.alive, step.action_mask, np.ones(4, bool))
    for learner in (one, two):
        learner.act(obs)
    two.load_state_dict(one.state_dict())
    two.take_back()
    assert_same(two.state_dict(), one.state_dict())


class Fragile(Counting):
    """Fails to begin an episode the `at`-th time; the next time it succeeds."""

    asked = 0

    def __init__(self, at: int) -> None:
        super().__init__(late=True, max_steps=9)
        self.at = at

    def reset(self, seeds: Sequence[int]) -> Any:
        self.asked += 1
        if self.asked == self.at:
            raise RuntimeError("no such map")
        return super().reset(seeds)


def test_a_failed_reset_leaves_the_checkpoint_before_that_step(tmp_path: Path) -> None:
    """The step was made and the next episode could not begin: the checkpoint is of the time before both."""
    config = CASES["deaths and masks"][1]
    make: Make = counting
    start(tmp_path / "whole", make, config)
    with pytest.raises(RuntimeError, match="no such map"):
        start(tmp_path / "failed", lambda n: VectorView(Fragile(4), n, stagger=True), config)
    start(tmp_path / "failed", make, config, resume=True)
    assert_same(saved(tmp_path / "failed"), saved(tmp_path / "whole"))


def test_worlds_for_an_evaluation_that_cannot_be_made_cost_no_training(tmp_path: Path) -> None:
    """As where they cannot be stepped: what was learned so far is saved."""
    (tmp_path / "checkpoints").mkdir()
    make, config = CASES["continuous"]

    def none(n: int) -> Any:
        raise RuntimeError("no worker starts")

    env = make(4)
    with pytest.raises(RuntimeError, match="no worker"):
        run(
            Session(
                env,
                Mappo(spec_of(env), config, seed=0),
                Schedule(total_steps=400, eval_every=120, save_every=0),
                folder=tmp_path,
                seed=0,
                make_env=none,
                quiet=True,
            )
        )
    assert checkpoint.load_latest(tmp_path / "checkpoints")[1]["run"]["steps"] == 120


@pytest.mark.parametrize("eval_every", [0, 8])
def test_a_failed_evaluation_ends_the_bar_and_hands_over_the_rows(
    tmp_path: Path, eval_every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    for what in (Progress, Monitor):

        def close(*arguments: Any, what: Any = what, real: Any = what.close) -> None:
            closed.append(what.__name__)
            real(*arguments)

        monkeypatch.setattr(what, "close", close)
    make, config = CASES["memory"]
    (tmp_path / "checkpoints").mkdir()
    env = make(4)
    failing: Any = lambda n: Failing(make(n), 1)  # noqa: E731
    with pytest.raises(RuntimeError, match="fell over"):
        run(
            Session(
                env,
                Mappo(spec_of(env), config, seed=0),
                Schedule(total_steps=32, eval_every=eval_every, eval_episodes=2),
                folder=tmp_path,
                seed=0,
                make_env=failing,
                quiet=True,
            )
        )
    assert sorted(closed) == ["Monitor", "Progress"]
