"""A saved policy on PettingZoo's dictionaries: the same as in training, all at once or one agent alone."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counting import Counting
from run_folders import change
from toys import Quadrant, Reach, Recall

from algos.core import Obs, spec_of
from algos.mappo import Mappo
from algos.mappo_config import MappoConfig
from algos.training import checkpoint, runfolder
from algos.training.plain_spec import spec_to_plain
from algos.training.policy import Player, Policy, load_policy
from algos.training.run_record import RunRecord
from envs.parallel import ParallelView
from envs.vector import VectorView

ROOT = Path(__file__).parents[3]


def run_folder(tmp_path: Path, env: Any, config: MappoConfig, seed: int = 0) -> tuple[Path, Mappo]:
    """A run folder as `run` leaves it, of an algorithm that was never trained."""
    algo = Mappo(spec_of(env), config, seed=seed)
    plain = {
        "env": {"name": "none", "task": "none", "options": {}},
        "algo": {"name": "mappo", "options": dataclasses.asdict(config)},
        "run": {"seed": seed, "n_worlds": 1, "total_steps": 1, "device": "cpu", "threads": 1},
        "spec": spec_to_plain(spec_of(env)),
        "agents": list(env.agents),
    }
    folder = runfolder.create(tmp_path, "run", RunRecord.from_plain(plain))
    checkpoint.save_latest(folder / runfolder.CHECKPOINTS, 0, {"algo": algo.state_dict()})
    return folder, algo


def sharp(algo: Mappo) -> None:
    """Makes an untrained policy decided, so that greedy actions differ between observations."""
    for name, parameter in algo.policy.named_parameters():
        if "head" in name:
            parameter.data *= 300


@pytest.mark.parametrize("gru", [0, 8])
@pytest.mark.parametrize("share", ["all", "none"])
def test_dictionaries_give_the_actions_of_training(tmp_path: Path, gru: int, share: Any) -> None:
    """A parallel env driven by `act`, and one agent at a time by `act_one`, against the batch of one in training."""
    env = VectorView(Counting(max_steps=12), 1)
    config = MappoConfig(gru=gru, share=share, hidden=(16,))
    folder, algo = run_folder(tmp_path, env, config)
    sharp(algo)
    checkpoint.save_latest(folder / runfolder.CHECKPOINTS, 1, {"algo": algo.state_dict()})
    together, alone = load_policy(folder), load_policy(folder)
    assert together.agents == env.agents
    for seed in range(3):
        parallel = ParallelView(Counting(max_steps=12))
        observations, infos = parallel.reset(seed=seed)
        state, step = parallel.env.reset([seed])
        together.reset()
        alone.reset()
        player, started = Player(algo.policy), np.ones(1, bool)
        seen = set()
        while parallel.agents:
            obs = Obs(step.obs, step.state, step.adjacency, step.alive, step.action_mask, started)
            expected = player(obs)[0]
            actions = together.act({agent: observations[agent] for agent in parallel.agents}, infos)
            assert set(actions) == set(parallel.agents)
            for agent in reversed(parallel.agents):  # in any order
                one = alone.act_one(agent, observations[agent], infos[agent].get("action_mask"))
                assert one == actions[agent] == expected[env.agents.index(agent)]
                assert parallel.action_space(agent).contains(one)
                seen.add(one)
            state, step = parallel.env.step(state, expected[None])
            started = np.zeros(1, bool)
            observations, _, _, _, infos = parallel.step(actions)
        assert len(seen) > 1


def test_memory_is_kept_within_and_forgotten_between_episodes(tmp_path: Path) -> None:
    folder, _ = run_folder(tmp_path, Recall(), MappoConfig(gru=8, hidden=(8,)))
    policy = load_policy(folder)
    player = policy.player()
    obs = np.ones((1, 2, 2), np.float32)

    def hidden() -> np.ndarray[Any, Any]:
        return policy._hidden.numpy().copy()

    assert (hidden() == 0).all()
    policy.act({"toy_0": obs[0, 0], "toy_1": obs[0, 1]})
    both = hidden()
    assert (both != 0).any(axis=-1).all()
    policy.act_one("toy_0", obs[0, 0])
    assert (hidden()[0, 1] == both[0, 1]).all()
    assert (hidden()[0, 0] != both[0, 0]).any()
    policy.reset()
    assert (hidden() == 0).all()
    assert player is not policy.player()


def test_a_late_agent_begins_with_nothing_remembered() -> None:
    algo = Mappo(spec_of(Recall()), MappoConfig(gru=8, hidden=(8,)), seed=0)
    late, fresh = (Policy(algo.policy, spec_of(Recall()), ("toy_0", "toy_1")) for _ in range(2))
    rng = np.random.default_rng(0)
    for _ in range(5):
        late.act({"toy_0": rng.standard_normal(2)})
    assert (late._hidden[0, 1] == 0).all()
    for obs in rng.standard_normal((5, 2, 2)):
        late.act(dict(zip(late.agents, obs, strict=True)))
        fresh.act({"toy_1": obs[1]})
        assert (late._hidden[0, 1] == fresh._hidden[0, 1]).all()


def test_sampled_actions_follow_the_seed(tmp_path: Path) -> None:
    folder, _ = run_folder(tmp_path, Reach(), MappoConfig())
    policy = load_policy(folder)
    obs = {"toy_0": np.zeros(1, np.float32), "toy_1": np.zeros(1, np.float32)}

    def draw(seed: int) -> np.ndarray[Any, Any]:
        policy.reset(seed)
        return np.stack([policy.act(obs, greedy=False)["toy_1"] for _ in range(5)])

    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(1) != draw(2)).any()
    space = Reach().action_space
    assert all(space.contains(action) for action in draw(3))
    greedy = policy.act(obs)["toy_0"]
    np.testing.assert_array_equal(greedy, policy.act(obs)["toy_0"])
    assert greedy.dtype == np.float32


def test_masks_are_heeded(tmp_path: Path) -> None:
    folder, _ = run_folder(tmp_path, VectorView(Counting(), 1), MappoConfig())
    policy = load_policy(folder)
    obs = np.zeros(3, np.float32)
    for allowed in range(3):
        mask = np.eye(3, dtype=np.int8)[allowed]
        assert policy.act_one("counter_1", obs, mask) == allowed
        assert policy.act({"counter_1": obs}, {"counter_1": {"action_mask": mask}}, greedy=False) == {
            "counter_1": allowed
        }


def test_mistakes_are_named(tmp_path: Path) -> None:
    folder, _ = run_folder(tmp_path, VectorView(Counting(), 1), MappoConfig())
    policy = load_policy(folder)
    with pytest.raises(ValueError, match="unknown agent 'robot_9'; the policy was trained for counter_0"):
        policy.act({"robot_9": np.zeros(3)})
    with pytest.raises(ValueError, match=r"shape \(4,\); the policy was trained on \(3,\)"):
        policy.act_one("counter_0", np.zeros(4))
    with pytest.raises(ValueError, match="action mask of counter_0"):
        policy.act_one("counter_0", np.zeros(3), np.ones(2))
    with pytest.raises(ValueError, match="no best checkpoint"):
        load_policy(folder, which="best")
    with pytest.raises(ValueError, match="there is no such folder"):
        load_policy(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"has no config\.json"):
        load_policy(tmp_path)
    (folder / "config.json").write_text('{"a": ')
    with pytest.raises(ValueError, match="is damaged"):
        load_policy(folder)
    (folder / "config.json").write_text('{"format": "other"}')
    with pytest.raises(ValueError, match="not written by Coterie"):
        load_policy(folder)


def test_a_checkpoint_of_other_shapes_is_named(tmp_path: Path) -> None:
    folder, _ = run_folder(tmp_path, VectorView(Counting(), 1), MappoConfig())
    _, other = run_folder(tmp_path, VectorView(Counting(), 1), MappoConfig(hidden=(7,)))
    checkpoint.save_latest(folder / runfolder.CHECKPOINTS, 1, {"algo": other.state_dict()})
    with pytest.raises(ValueError, match="does not fit") as caught:
        load_policy(folder)
    assert "\n" not in str(caught.value)


def test_no_environment_is_imported(tmp_path: Path) -> None:
    folder, _ = run_folder(tmp_path, VectorView(Counting(), 1), MappoConfig())
    script = (
        "import sys; from algos.training.policy import load_policy; "
        f"policy = load_policy({str(folder)!r}); policy.act_one('counter_0', [0, 0, 0]); "
        "print([name for name in sys.modules if name.split('.')[0] in ('envs', 'pettingzoo', 'pymunk', 'tyro')])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"


def test_a_policy_can_be_made_without_a_folder() -> None:
    env: Any = Reach()
    algo = Mappo(spec_of(env), MappoConfig(), seed=0)
    policy = Policy(algo.policy, spec_of(env), env.agents)
    assert policy.act_one("toy_0", [0.5]).shape == (2,)


def test_an_image_may_come_flat_but_not_in_another_order(tmp_path: Path) -> None:
    env: Any = Quadrant()
    folder, algo = run_folder(tmp_path, env, MappoConfig())
    sharp(algo)
    checkpoint.save_latest(folder / runfolder.CHECKPOINTS, 1, {"algo": algo.state_dict()})
    policy, step = load_policy(folder), env.reset(0)
    assert policy.spec.obs_shape == (1, 8, 8)
    expected = Player(algo.policy)(Obs(step.obs, step.state, step.adjacency, step.alive, None, np.ones(16, bool)))
    assert len(np.unique(expected)) > 1
    for obs, actions in zip(step.obs, expected, strict=True):
        for shape in ((64,), (1, 8, 8)):
            assert policy.act({"toy_0": obs[0].reshape(shape)}) == {"toy_0": actions[0]}
    with pytest.raises(ValueError, match=r"shape \(8, 8, 1\); the policy was trained on \(1, 8, 8\)"):
        policy.act_one("toy_0", np.zeros((8, 8, 1)))


@pytest.mark.parametrize("part", ["env", "algo", "run", "spec"])
def test_a_config_without_its_inner_keys_is_refused_in_one_line(tmp_path: Path, part: str) -> None:
    folder, _ = run_folder(tmp_path, VectorView(Counting(max_steps=12), 1), MappoConfig(hidden=(16,)))
    change(folder, part, value={})
    with pytest.raises(ValueError, match=rf"is damaged: it lacks {part}\."):
        load_policy(folder)
