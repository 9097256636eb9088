"""Every algorithm of the table keeps every promise, learns, and runs from the command line; every check can fail."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gradient_bandit import BanditConfig, GradientBandit, LinearPolicy
from gymnasium.spaces import Discrete

import train as command
from algos import ALGOS, load_policy
from algos.comm.config import ChannelConfig
from algos.core import Obs
from algos.credit.rules import NETWORKED
from algos.training import conformance
from algos.training.conformance import CHECKS, SPECS, Build, builder, check_dead, check_resume, check_seed

SMALL: dict[str, Any] = {"hidden": (8,), "rollout_steps": 6, "minibatches": 2}
SMALL |= {"warm_up": 20, "replay_size": 60, "batch": 16, "updates": 1, "policy_start": 0}
"""Options by which an algorithm learns after few steps, where it has them."""
FAST: dict[str, Any] = {"hidden": (32,), "rollout_steps": 16, "lr": 3e-3, "minibatches": 2, "tau": 0.05, "updates": 1}
FAST |= {"policy_start": 0, "warm_up": 256, "batch": 128, "replay_size": 20_000, "policy_lr": 3e-3, "critic_lr": 3e-3}
"""Options by which an algorithm learns a small task in seconds, where it has them."""
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "mappo": [
        {},
        {"credit": "team"},
        {"critic": "local", "share": "none"},
        {"credit": "coma"},
        {"credit": "learned", "critic": "local"},
        {"credit": "difference", "gru": 4},
        {"credit": "shapley", "critic": "joint", "share": "group"},
        {"credit": "coma", "critic": "joint", "comm": "mean"},
        {"gru": 4},
        {"gru": 4, "credit": "team", "share": "group"},
        {"gru": 4, "critic": "local", "agent_id": True, "minibatches": 3, "epochs": 2},
        {"anneal": True, "target_kl": 1e-9, "value_norm": False},
        {"comm": "attention"},
        {"comm": "graph", "comm_heads": 2, "share": "group", "channel": ChannelConfig(loss=0.3, memory=3)},
        {"comm": "mean", "comm_rounds": 2, "gru": 4, "channel": ChannelConfig(delay=1, delay_most=2)},
        {"comm": "attention", "channel": ChannelConfig(bits=2, change=1.0, curriculum=0.5)},
        {"comm": "attention", "comm_gate": True, "channel": ChannelConfig(loss=0.3, memory=0, burst=2.0)},
    ],
    "maddpg": [
        {},
        {"credit": "team", "n_step": 3},
        {"critic": "local", "share": "none", "noise": "ou"},
        {"twin": True, "agent_id": True, "share": "group"},
        {"prioritised": 0.6, "value_norm": False, "update_every": 2, "updates": 2},
        {"replay_on": "memory", "critic": "local", "credit": "team"},
        {"critic": "state"},
        {"critic": "state", "credit": "team"},
        {"credit": "difference", "n_step": 2},
        {"comm": "attention"},
        {"comm": "graph", "comm_gate": True, "share": "none", "channel": ChannelConfig(loss=0.3, memory=0)},
        {"comm": "mean", "twin": True, "n_step": 3, "channel": ChannelConfig(bits=3, change=1.0, memory=0)},
    ],
}
"""Options worth checking, by algorithm; others are checked with their defaults."""


def fitting(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Returns those of the options that the algorithm has."""
    fields = {field.name for field in dataclasses.fields(ALGOS[name].config)}
    return {key: value for key, value in options.items() if key in fields}


def plain(value: Any) -> str:
    """Returns an option as the name of a test has it: of a channel, only what is not as it is by default."""
    if not isinstance(value, ChannelConfig):
        return str(value)
    fields = dataclasses.asdict(value)
    return ",".join(f"{name}={fields[name]}" for name in fields if fields[name] != getattr(ChannelConfig(), name))


def cases() -> list[Any]:
    """Algorithm, options, name of a shape, check: everything that is worth its time.

    All checks take all shapes with an algorithm's defaults, and discrete actions with each variant. The three that
    follow every byte that is learned take all shapes with each variant.
    """
    found = []
    for name in ALGOS:
        for options in VARIANTS.get(name, [{}]):
            for shape, spec in SPECS.items():
                if options.get("critic") == "state" and not spec.state_dim:
                    continue
                if options.get("credit") in NETWORKED and not isinstance(spec.action_space, Discrete):
                    continue
                thorough = not options or shape == "discrete"
                for check in CHECKS if thorough else (check_seed, check_resume, check_dead):
                    words = "-".join(f"{key}={plain(value)}" for key, value in options.items()) or "default"
                    mark = f"{name}-{words}-{shape}-{check.__name__}"
                    found.append(pytest.param(name, options, shape, check, id=mark))
    return found


@pytest.mark.parametrize(("name", "options", "shape", "check"), cases())
def test_promises(name: str, options: dict[str, Any], shape: str, check: Callable[..., None]) -> None:
    check(builder(ALGOS[name], **{**fitting(name, SMALL), **options}), SPECS[shape])


@pytest.mark.parametrize("name", sorted(ALGOS))
def test_it_learns_what_can_be_known(name: str) -> None:
    conformance.check_learns(builder(ALGOS[name], **fitting(name, FAST)))


@pytest.mark.parametrize("name", sorted(ALGOS))
def test_it_runs_from_the_command_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It trains, goes on, is evaluated, and plays from disk."""
    small = [
        word
        for key, value in fitting(name, {**SMALL, "hidden": 8, "warm_up": 80, "replay_size": 800}).items()
        for word in (f"--algo.{key.replace('_', '-')}", str(value))
    ]
    words = ["--env", "spread", "--algo", name, *small, "--n-worlds", "8", "--threads", "1", "--eval-episodes", "2"]
    words += ["--total-steps", "240", "--log-dir", str(tmp_path), "--run-name", "run", "--quiet", "--no-videos"]
    run = tmp_path / "run"
    assert command.main(words) == 0, capsys.readouterr().err
    assert command.main(["--resume", str(run), "--total-steps", "400", "--quiet"]) == 0, capsys.readouterr().err
    capsys.readouterr()
    assert command.main(["--evaluate", str(run), "--episodes", "2", "--json", "--quiet"]) == 0, capsys.readouterr().err
    json.loads(capsys.readouterr().out)
    policy = load_policy(run)
    actions = policy.act({agent: np.zeros(18, np.float32) for agent in policy.agents})
    assert actions.keys() == set(policy.agents)


# Broken algorithms, at least one for each check


class IgnoresItsSeed(GradientBandit):
    def __init__(self, *args: Any, seed: int, **kwargs: Any) -> None:
        super().__init__(*args, seed=0, **kwargs)


class DrawsFromTheGlobalGenerator(GradientBandit):
    def act(self, obs: Obs, *, greedy: bool = False) -> Any:
        torch.rand(1)
        return super().act(obs, greedy=greedy)


class LosesItsGenerator(GradientBandit):
    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._sampling.manual_seed(0)


class HandsOutItsOwnTensors(GradientBandit):
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "policy": dict(self.policy.state_dict())}


class SavesAnObject(GradientBandit):
    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "config": self.config}


class CountsTheDead(GradientBandit):
    def weight(self, alive: Any) -> Any:
        return torch.ones_like(alive, dtype=torch.float32)


class IgnoresMasks(GradientBandit):
    def act(self, obs: Obs, *, greedy: bool = False) -> Any:
        return super().act(obs._replace(action_mask=None), greedy=greedy)


class ActsInDoubles(GradientBandit):
    def act(self, obs: Obs, *, greedy: bool = False) -> Any:
        action = super().act(obs, greedy=greedy)
        return action if self.policy.discrete else action.astype(np.float64)


class TakesNothingBack(GradientBandit):
    def take_back(self) -> None:
        self._before = None


class DrawsWhenGreedy(GradientBandit):
    def act(self, obs: Obs, *, greedy: bool = False) -> Any:
        if greedy:
            torch.rand(1, generator=self._sampling)
        return super().act(obs, greedy=greedy)


class KeepsSomethingToItself(GradientBandit):
    """Its bias is no part of the policy."""

    bias = 0.0

    def act(self, obs: Obs, *, greedy: bool = False) -> Any:
        return super().act(obs._replace(obs=obs.obs + np.float32(self.bias)), greedy=greedy)

    def update(self) -> dict[str, float]:
        scalars = super().update()
        self.bias += 0.5 * bool(scalars)
        return scalars


class ForgetsItsMemory(GradientBandit):
    """Its policy alone acts by a memory that the algorithm does not have."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.policy.__class__ = Turning


class Turning(LinearPolicy):
    def first_memory(self, n_worlds: int, seed: int | None = None) -> Any:
        return {"age": torch.zeros(n_worlds, 3)}

    def act(self, obs: Obs, memory: Any, generator: Any = None) -> Any:
        age = memory.get("age", torch.zeros(len(obs.alive), 3))
        action, _ = super().act(obs._replace(obs=obs.obs * (1 - 2 * (age.numpy()[..., None] % 2))), {}, generator)
        return action, {"age": age + 1}


class NeverForgets(ForgetsItsMemory):
    """The memory of its policy goes on from one episode to the next."""


class ReadsTheState(GradientBandit):
    """Its policy acts by the global state."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.policy.__class__ = AllSeeing


class AllSeeing(LinearPolicy):
    def act(self, obs: Obs, memory: Any, generator: Any = None) -> Any:
        return super().act(obs._replace(obs=obs.obs * obs.state[:, :1, None]), memory, generator)


class ChangesWhatItIsGiven(GradientBandit):
    """Its policy counts in the memory of its caller."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.policy.__class__ = Counting


class Counting(LinearPolicy):
    def first_memory(self, n_worlds: int, seed: int | None = None) -> Any:
        return {"age": torch.zeros(n_worlds, 3)}

    def act(self, obs: Obs, memory: Any, generator: Any = None) -> Any:
        memory.get("age", torch.zeros(1)).add_(1)
        return super().act(obs, memory, generator)


class Descends(GradientBandit):
    def __init__(self, spec: Any, config: BanditConfig, **kwargs: Any) -> None:
        super().__init__(spec, dataclasses.replace(config, lr=-config.lr), **kwargs)


def build_of(kind: type[GradientBandit]) -> Build:
    return lambda spec, *, seed: kind(spec, BanditConfig(), seed=seed)


BROKEN: list[tuple[type[GradientBandit], str, str]] = [
    (IgnoresItsSeed, "check_seed", "discrete"),
    (DrawsFromTheGlobalGenerator, "check_seed", "discrete"),
    (LosesItsGenerator, "check_resume", "discrete"),
    (HandsOutItsOwnTensors, "check_resume", "discrete"),
    (SavesAnObject, "check_resume", "discrete"),
    (CountsTheDead, "check_dead", "box"),
    (IgnoresMasks, "check_acting", "discrete"),
    (ActsInDoubles, "check_acting", "box"),
    (TakesNothingBack, "check_take_back", "discrete"),
    (DrawsWhenGreedy, "check_greedy", "box"),
    (KeepsSomethingToItself, "check_policy", "box"),
    (ForgetsItsMemory, "check_policy", "box"),
    (NeverForgets, "check_memory", "box"),
    (ReadsTheState, "check_memory", "discrete"),
    (ChangesWhatItIsGiven, "check_memory", "box"),
]


@pytest.mark.parametrize("shape", sorted(SPECS))
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_smallest_algorithm_passes(check: Callable[..., None], shape: str) -> None:
    check(build_of(GradientBandit), SPECS[shape])


@pytest.mark.parametrize(("kind", "name", "shape"), BROKEN, ids=lambda value: getattr(value, "__name__", value))
def test_a_broken_algorithm_is_found_out(kind: type[GradientBandit], name: str, shape: str) -> None:
    with pytest.raises(AssertionError):
        getattr(conformance, name)(build_of(kind), SPECS[shape])


def test_an_algorithm_that_does_not_learn_is_found_out() -> None:
    conformance.check_learns(build_of(GradientBandit), steps=400)
    with pytest.raises(AssertionError, match="are right"):
        conformance.check_learns(build_of(Descends), steps=100)


def test_an_algorithm_that_never_updates_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "MOST_STEPS", 20)
    monkeypatch.setattr(GradientBandit, "update", lambda self: {})
    with pytest.raises(AssertionError, match="not learned twice in 20 steps"):
        check_seed(build_of(GradientBandit), SPECS["discrete"])


def test_every_check_is_seen_to_fail() -> None:
    assert {check.__name__ for check in CHECKS} == {name for _, name, _ in BROKEN}
