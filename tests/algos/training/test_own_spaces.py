"""A saved policy plays somebody else's environment in the agents' own spaces, as it played in training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign_toys
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple
from pettingzoo import ParallelEnv
from run_folders import untrained

from algos import load_policy
from algos.core import Obs, Player, Spec, spec_of
from algos.mappo import Mappo, MappoConfig
from algos.training.own_spaces import OwnSpaces, space_from_plain
from algos.training.policy import Policy
from envs import adapters
from envs.foreign.own_spaces import plain_space


class Jumble(ParallelEnv):
    """Agents 0, 1 and 2 see nested spaces, and choose in a shifted Discrete, a MultiDiscrete and a MultiBinary.

    `boxes` instead steer in Boxes of different bounds, sizes and types. An episode takes six steps.
    """

    metadata = {"name": "jumble_v0"}
    seen = {
        0: Dict(
            {
                "place": Box(-1.0, 1.0, (2, 3), np.float32),
                "cargo": Tuple((Discrete(3, start=-1), MultiBinary(2))),
                "word": Text(4, charset="abcd"),
                "action_mask": MultiBinary(3),
            }
        ),
        1: Tuple((MultiDiscrete([2, 3]), Box(0, 9, (1,), np.int64))),
        2: Dict({"only": Box(-5.0, 5.0, (4,), np.float64), "action_mask": MultiBinary(4)}),
    }
    doing = {
        "choices": {0: Discrete(3, start=1), 1: MultiDiscrete([2, 4], start=[5, -1]), 2: MultiBinary(2)},
        "boxes": {
            0: Box(-2.0, 4.0, (1,), np.float32),
            1: Box(np.array([[0, 10]]), np.array([[3, 20]]), dtype=np.int32),
            2: Box(np.array([-1.0, 0.0, 5.0]), np.array([1.0, 0.5, 9.0]), dtype=np.float64),
        },
    }

    def __init__(self, kind: str = "choices", order: tuple[int, ...] = (0, 1, 2)) -> None:
        self.possible_agents = list(order)
        self.kind = kind
        self.agents: list[int] = []
        self.sent: list[dict[int, Any]] = []

    def observation_space(self, agent: int) -> Any:
        space = self.seen[agent]
        if self.kind == "boxes" and isinstance(space, Dict):
            return Dict({key: part for key, part in space.spaces.items() if key != "action_mask"})
        return space

    def action_space(self, agent: int) -> Any:
        return self.doing[self.kind][agent]

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents, self.clock, self.rng = self.possible_agents[:], 0, np.random.default_rng(seed)
        return self.look(), {agent: {} for agent in self.agents}

    def step(self, actions: dict[int, Any]) -> Any:
        for agent, action in actions.items():
            assert self.action_space(agent).contains(action), (agent, action)
        self.sent.append(actions)
        self.clock += 1
        over = self.clock >= 6
        acted, self.agents = self.agents, [] if over else self.agents
        paid = dict.fromkeys(acted, 1.0)
        return self.look(), paid, dict.fromkeys(acted, False), dict.fromkeys(acted, over), {a: {} for a in acted}

    def look(self) -> dict[int, Any]:
        rng = self.rng
        seen: dict[int, Any] = {
            0: {
                "place": rng.uniform(-1, 1, (2, 3)).astype(np.float32),
                "cargo": (int(rng.integers(-1, 2)), rng.integers(0, 2, 2).astype(np.int8)),
                "word": "".join(rng.choice(list("abcd"), int(rng.integers(1, 5)))),
                "action_mask": np.array([1, 1, 0], np.int8)[rng.permutation(3)],
            },
            1: (np.array([rng.integers(2), rng.integers(3)]), np.array([rng.integers(10)])),
            2: {"only": rng.uniform(-5, 5, 4), "action_mask": np.array([1, 0, 1, 1], np.int8)[rng.permutation(4)]},
        }
        if self.kind == "boxes":
            for agent in (0, 2):
                del seen[agent]["action_mask"]
        return {agent: seen[agent] for agent in self.possible_agents}


CASES: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "nested": (Jumble, {}),
    "boxes": (Jumble, {"kind": "boxes"}),
    "choice": (foreign_toys.Differ, {}),
    "steer": (foreign_toys.Differ, {"kind": "box"}),
    "masked infos": (foreign_toys.Masked, {}),
    "masked dict": (foreign_toys.Masked, {"where": "dict"}),
    "born and dies": (foreign_toys.Scripted, {"born": (0, 2, 0), "ends": (None, None, (4, "die"))}),
    "pictures": (foreign_toys.Painted, {}),
    "gray pictures": (foreign_toys.Painted, {"gray": True, "frame_stack": 1, "image_size": 0}),
    "list style": (foreign_toys.Listed, {}),
    "copies": (foreign_toys.Single, {"n_copies": 3}),
}


def decided(spec: Spec, **options: Any) -> Mappo:
    """An untrained algorithm whose greedy actions differ between observations."""
    algo = Mappo(spec, MappoConfig(hidden=(16,), **options), seed=0)
    for name, parameter in algo.policy.named_parameters():
        if "head" in name:
            parameter.data *= 300
    return algo


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and np.asarray(one).dtype == np.asarray(other).dtype and np.array_equal(one, other)


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("gru", [0, 8])
def test_a_policy_plays_as_in_training(name: str, gru: int) -> None:
    """The same episode twice: by rows, as in training, and by what the environment shows and takes."""
    make, options = CASES[name]
    foreign = adapters.prepare(make, n_workers=0, **options)
    vector = foreign.vector(1)
    algo = decided(spec_of(vector), gru=gru)
    plain = json.loads(json.dumps(vector.own_spaces))
    policy = Policy(algo.policy, spec_of(vector), vector.agents, OwnSpaces(plain, vector.agents, spec_of(vector)))
    player, layout = Player(algo.policy), foreign.layout
    env = adapters.parallel_env(make, **options)

    read: list[Any] = []  # by the networks, from rows and from the environment in turn
    algo.policy.register_forward_pre_hook(lambda _, arguments: read.append(arguments[0].numpy().copy()))
    step = vector.reset(3)
    for episode in range(2):
        observations, infos = env.reset(seed=adapters.episode_seed(3, 0, episode))
        policy.reset()
        started = np.ones(1, bool)
        while env.agents:
            rows = player(Obs(step.obs, step.state, step.adjacency, step.alive, step.action_mask, started))[0]
            actions = policy.act({agent: observations[agent] for agent in env.agents}, infos)
            np.testing.assert_array_equal(read[-1], read[-2])
            assert list(actions) == list(env.agents), "the names are those that came"
            for agent, action in actions.items():
                index = layout.keys.index(agent)
                assert same(action, layout.actions.decode(index, rows[index]))
                assert env.action_space(agent).contains(action)
            final, step = vector.step(rows[None])
            started = final.truncated | ~final.alive.any(axis=1)
            observations, _, _, _, infos = env.step(actions)
    vector.close()
    assert len(read) > 4


class Shifted(foreign_toys.Masked):
    """Pays 1 for the choice that is seen; choices begin at 1."""

    def observation_space(self, agent: str) -> Any:
        return Discrete(3, start=1)

    def action_space(self, agent: str) -> Any:
        return Discrete(3, start=1)

    def look(self) -> Any:
        self.cue = dict.fromkeys(self.possible_agents, 1 + self.clock % 3)
        return dict(self.cue), {agent: {} for agent in self.possible_agents}

    def step(self, actions: dict[str, Any]) -> Any:
        right = {agent: float(action == self.cue[agent]) for agent, action in actions.items()}
        self.where = "late"  # checks no action
        seen, _, died, stopped, infos = super().step(actions)
        return seen, right, died, stopped, infos


def test_a_shifted_discrete_earns_what_it_earned_in_training() -> None:
    vector = adapters.vector(Shifted, 1, 0)
    algo = taught(Mappo(spec_of(vector), MappoConfig(hidden=(8,)), seed=0))
    own = OwnSpaces(json.loads(json.dumps(vector.own_spaces)), vector.agents, spec_of(vector))
    policy = Policy(algo.policy, spec_of(vector), vector.agents, own)
    env, earned = Shifted(), 0.0
    observations, infos = env.reset(seed=0)
    while env.agents:
        observations, rewards, _, _, infos = env.step(policy.act(observations, infos))
        earned += sum(rewards.values())
    assert earned == 14.0


def taught(algo: Mappo) -> Mappo:
    """Weights with which each agent chooses what it sees: one-hot in, logits out, nothing to learn."""
    with torch.no_grad():
        layer, head = algo.policy.trunk.layers[0], algo.policy.trunk.head
        for parameter in algo.policy.parameters():
            parameter.zero_()
        for choice in range(3):
            layer.weights[0][0, choice, choice] = head.weights[0][0, choice, choice] = 5.0  # pyright: ignore
    return algo


def folder_of(tmp_path: Path, vector: Any) -> Path:
    """A run folder of an untrained policy."""
    vector.reset(0)
    return untrained(tmp_path, vector, name="nobody:Jumble")


def test_a_run_folder_is_enough_for_other_peoples_spaces(tmp_path: Path) -> None:
    policy = load_policy(folder_of(tmp_path, adapters.vector(Jumble, 1, 0)))
    env = Jumble()
    observations, infos = env.reset(seed=1)
    while env.agents:
        alone = policy.act_one(1, observations[1])
        actions = policy.act(observations, infos, greedy=bool(env.clock % 2))
        if env.clock % 2:
            assert same(alone, actions[1])
        observations, _, _, _, infos = env.step(actions)
    assert len(env.sent) == 6


def test_what_does_not_fit_an_own_space_is_one_line(tmp_path: Path) -> None:
    policy = load_policy(folder_of(tmp_path, adapters.vector(Jumble, 1, 0)))
    observations, _ = Jumble().reset(seed=1)
    good = observations[0]
    for wrong, line in (
        (np.zeros(3), "observation of 0 is ndarray of shape"),
        ({**good, "place": good["place"].T}, r"shape \(3, 2\), not \(2, 3\)"),
        ({**good, "cargo": (1,)}, "it has 1 parts, not 2"),
        ({**good, "cargo": (7, good["cargo"][1])}, "7 is not in Discrete"),
        ({"place": good["place"]}, "it lacks cargo, word"),
        (None, "observation of 0 is None"),
    ):
        with pytest.raises(ValueError, match=line) as caught:
            policy.act_one(0, wrong)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"action mask of 1 has shape \(3,\); \(8,\) is expected"):
        policy.act_one(1, observations[1], np.ones(3))
    with pytest.raises(ValueError, match="unknown agent 3; the policy was trained for 0, 1, 2"):
        policy.act_one(3, good)


def test_frames_of_one_episode_do_not_show_in_the_next() -> None:
    vector = adapters.vector(foreign_toys.Painted, 1, 0)
    spec = spec_of(vector)
    own = OwnSpaces(json.loads(json.dumps(vector.own_spaces)), vector.agents, spec)
    first = own.row(0, np.full((32, 48, 3), 9, np.uint8))
    own.row(0, np.full((32, 48, 3), 200, np.uint8))
    own.reset()
    np.testing.assert_array_equal(own.row(0, np.full((32, 48, 3), 9, np.uint8)), first)


@pytest.mark.parametrize("kind", ["choices", "boxes"])
def test_spaces_survive_the_way_through_json(kind: str) -> None:
    env = Jumble(kind)
    for agent in env.possible_agents:
        space = env.action_space(agent)
        assert space_from_plain(json.loads(json.dumps(plain_space(space, bounds=True)))) == space
        space = env.observation_space(agent)
        back: Any = space_from_plain(json.loads(json.dumps(plain_space(space, bounds=True))))
        assert back == space


def test_text_is_numbered_the_same_in_every_process() -> None:
    """Its characters are a set, whose order changes with Python's hash seed: a policy would read other letters."""
    code = (
        "import json, numpy as np; from gymnasium.spaces import Dict, Text, Tuple; "
        "from envs.foreign.spaces import Observations; "
        "seen = Observations(['a'], [Dict(word=Tuple([Text(5)]))]); row = np.zeros(5); "
        "seen.write(0, {'word': ('Zag7',)}, row); print(row)"
    )
    rows = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        root = Path(__file__).parents[3]
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=root)
        rows.add(done.stdout)
    assert len(rows) == 1


def test_damaged_own_spaces_are_one_line() -> None:
    vector = adapters.vector(Jumble, 1, 0)
    spec, agents = spec_of(vector), vector.agents
    text = json.dumps(vector.own_spaces)
    paths: list[tuple[Any, ...]] = []

    def walk(value: Any, path: tuple[Any, ...]) -> None:
        paths.append(path)
        for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            walk(value[key], (*path, key))

    walk(json.loads(text), ())
    refused: list[str] = []
    for path in paths[1:]:
        for wrong in (None, True, -7, 10**30, 1e300, float("nan"), "x", [], {}, [1, [2]], {"a": 1}):
            plain = json.loads(text)
            place = plain
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = wrong
            try:
                OwnSpaces(plain, agents, spec)
            except ValueError as error:
                refused.append(str(error))
    assert all(line.startswith("own_spaces ") and "\n" not in line for line in refused)
    assert len(refused) > 5 * len(paths)


def test_the_example_drives_a_saved_policy(tmp_path: Path) -> None:
    examples = Path(__file__).parents[3] / "examples"
    sys.path.insert(0, str(examples))
    try:
        vector = adapters.vector("rows_and_actions:Depot", 1, 0)
        vector.reset(0)
    finally:
        sys.path.remove(str(examples))
    folder = untrained(tmp_path, vector, name="rows_and_actions:Depot", n_workers=0)
    command = [sys.executable, str(examples / "drive_foreign_policy.py"), str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # the script's own folder is on the path
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "crane: return 8.00\ncart: return 8.00\n", "every action is one of the agent's own space"


def test_rows_and_actions_for_policies_of_ones_own() -> None:
    env = adapters.parallel_env(Jumble)
    rows = adapters.Rows(env)
    vector = adapters.vector(Jumble, 1, 0)
    step = vector.reset(0)
    observations, infos = env.reset(seed=adapters.episode_seed(0, 0, 0))
    assert rows.observation_space == vector.observation_space
    assert rows.action_space == vector.action_space
    assert rows.own_spaces == vector.own_spaces
    rng = np.random.default_rng(0)
    while env.agents:
        obs, alive, mask = rows.of(observations, infos, env.agents)
        np.testing.assert_array_equal(obs, step.obs[0])
        np.testing.assert_array_equal(alive, step.alive[0])
        assert mask is not None
        assert step.action_mask is not None
        np.testing.assert_array_equal(mask, step.action_mask[0])
        choice = (rng.random(mask.shape) * mask).argmax(-1)
        observations, _, _, _, infos = env.step(rows.actions(choice, env.agents))
        _, step = vector.step(choice[None])
    with pytest.raises(ValueError, match="agent 9 is not among possible_agents"):
        rows.of({9: None})
