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
import torch
from counting import Counting
from run_folders import change
from streams import same
from toys import Quadrant, Reach, Recall

from algos import ALGOS, load_policy
from algos.core import Obs, Player, spec_of
from algos.mappo import Mappo, MappoConfig
from algos.nets.actor import Actor
from algos.training import checkpoint, runfolder
from algos.training.plain_spec import spec_to_plain
from algos.training.policy import Policy
from algos.training.run_record import RunRecord
from envs.parallel import ParallelView
from envs.vector import VectorView

ROOT = Path(__file__).parents[3]


def run_folder(tmp_path: Path, env: Any, config: Any, seed: int = 0, name: str = "mappo") -> tuple[Path, Any]:
    """A run folder as `run` leaves it, of an algorithm that was never trained."""
    algo = ALGOS[name].algorithm(spec_of(env), config, seed=seed)
    plain = {
        "env": {"name": "none", "task": "none", "options": {}},
        "algo": {"name": name, "options": dataclasses.asdict(config)},
        "run": {"seed": seed, "n_worlds": 1, "total_steps": 1, "device": "cpu", "threads": 1},
        "spec": spec_to_plain(spec_of(env)),
        "agents": list(env.agents),
    }
    folder = runfolder.create(tmp_path, "run", RunRecord.from_plain(plain))
    checkpoint.save_latest(folder / runfolder.CHECKPOINTS, 0, {"algo": algo.state_dict()})
    return folder, algo


def sharp(algo: Any) -> None:
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


@pytest.mark.parametrize("greedy", [True, False])
@pytest.mark.parametrize(
    ("name", "options"), [("mappo", {"gru": 8}), ("mappo", {}), ("maddpg", {"warm_up": 0})], ids=str
)
def test_training_evaluation_and_a_loaded_policy_act_by_the_same_method(
    tmp_path: Path, name: str, options: dict[str, Any], greedy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In episodes in which one agent is born late and others die: the same actions, memory and reading of an `Obs`."""
    env = VectorView(Counting(late=True, max_steps=9), 1)
    folder, algo = run_folder(tmp_path, env, ALGOS[name].config(hidden=(16,), **options), name=name)
    sharp(algo)
    checkpoint.save_latest(folder / runfolder.CHECKPOINTS, 1, {"algo": algo.state_dict()})
    policy = load_policy(folder)
    chance = algo._generators["sampling" if name == "mappo" else "exploring"]
    other = torch.Generator()
    other.set_state(chance.get_state())
    policy._generator.set_state(chance.get_state())
    player = Player(algo.policy, generator=None if greedy else other)
    heads, read = Actor.heads, []

    def recorded(actor: Actor, obs: Obs, memory: Any) -> Any:
        found = heads(actor, obs, memory)
        present = torch.from_numpy(obs.alive)
        read.append((found[0][present], {name: part[present] for name, part in found[2].items()}))
        return found

    monkeypatch.setattr(Actor, "heads", recorded)
    step, started, seen = env.reset(0), np.ones(1, bool), set()
    for _ in range(40):
        obs, alive = Obs(step.obs, step.state, step.adjacency, step.alive, step.action_mask, started), step.alive[0]
        if started[0]:
            policy.reset()
        present = {agent: index for index, agent in enumerate(env.agents) if alive[index]}
        seen.add((bool(started[0]), len(present)))
        actions = algo.act(obs, greedy=greedy)
        np.testing.assert_array_equal(player(obs)[0][alive], actions[0][alive])
        assert step.action_mask is not None
        infos = {agent: {"action_mask": step.action_mask[0, index]} for agent, index in present.items()}
        told = policy.act({agent: step.obs[0, index] for agent, index in present.items()}, infos, greedy=greedy)
        assert told == {agent: actions[0, index] for agent, index in present.items()}
        assert len(read) == 3, "every one of them reads it once"
        assert same(read[0], read[1])
        assert same(read[1], read[2])
        read.clear()
        final, step = env.step(actions)
        started = final.truncated | ~final.alive.any(1)
    assert len({number for _, number in seen}) > 1, "agents were born or died"
    assert {at_start for at_start, _ in seen} == {True, False}


def test_memory_is_kept_within_and_forgotten_between_episodes(tmp_path: Path) -> None:
    folder, _ = run_folder(tmp_path, Recall(), MappoConfig(gru=8, hidden=(8,)))
    policy = load_policy(folder)
    player = policy.player()
    obs = np.ones((1, 2, 2), np.float32)

    def hidden() -> np.ndarray[Any, Any]:
        return policy._memory["hidden"].numpy().copy()

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


class Counter:
    """An `Acting` that counts each agent's steps in two entries of its memory, whatever it is asked."""

    device = torch.device("cpu")

    def first_memory(self, n_worlds: int, seed: int | None = None) -> dict[str, torch.Tensor]:
        return {"steps": torch.zeros(n_worlds, 2), "messages": torch.zeros(n_worlds, 2, 3, 4)}

    def act(self, obs: Obs, memory: Any, generator: Any = None) -> Any:
        return memory["steps"].long().numpy(), {name: part + 1 for name, part in memory.items()}


def test_a_memory_may_hold_anything_and_stays_with_its_agent() -> None:
    policy = Policy(Counter(), spec_of(Recall()), ("toy_0", "toy_1"))
    for _ in range(3):
        policy.act_one("toy_1", np.zeros(2))
    assert policy.act(dict.fromkeys(policy.agents, np.zeros(2))) == {"toy_0": 0, "toy_1": 3}
    assert policy._memory["messages"][0, :, 0, 0].tolist() == [1.0, 4.0]
    policy.reset()
    assert policy.act_one("toy_1", np.zeros(2)) == 0


def test_a_player_begins_anew_with_another_number_of_worlds() -> None:
    player, env = Player(Counter()), Recall()
    step = env.reset(0)

    def seen(n: int) -> Obs:
        return Obs(step.obs[:n], step.state[:n], step.adjacency[:n], step.alive[:n], None, np.zeros(n, bool))

    assert [player(seen(n)).max() for n in (4, 4, 1, 1)] == [0, 1, 0, 1]


def test_a_late_agent_begins_with_nothing_remembered() -> None:
    algo = Mappo(spec_of(Recall()), MappoConfig(gru=8, hidden=(8,)), seed=0)
    late, fresh = (Policy(algo.policy, spec_of(Recall()), ("toy_0", "toy_1")) for _ in range(2))
    rng = np.random.default_rng(0)
    for _ in range(5):
        late.act({"toy_0": rng.standard_normal(2)})
    assert (late._memory["hidden"][0, 1] == 0).all()
    for obs in rng.standard_normal((5, 2, 2)):
        late.act(dict(zip(late.agents, obs, strict=True)))
        fresh.act({"toy_1": obs[1]})
        assert (late._memory["hidden"][0, 1] == fresh._memory["hidden"][0, 1]).all()


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


def test_masks_are_obeyed(tmp_path: Path) -> None:
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
        "import sys; from algos import load_policy; "
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
