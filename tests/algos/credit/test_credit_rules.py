"""Rules of credit: what each makes an agent learn from, and what comes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from toys import Crowd, Match, Toy, train

from algos.core import spec_of
from algos.credit import rules
from algos.maddpg import Maddpg, MaddpgConfig
from algos.mappo import IppoConfig, Mappo, MappoConfig

SMALL: dict[str, Any] = {"rollout_steps": 16, "lr": 3e-3, "minibatches": 2, "hidden": (32,)}
FIELDS = {
    "reward": torch.tensor([[1.0, 2.0]]),
    "team_reward": torch.tensor([5.0]),
    "counterfactual": torch.tensor([[4.0, 5.5]]),
}


@pytest.mark.parametrize(
    ("credit", "expected"),
    [
        ("individual", [[1.0, 2.0]]),
        ("team", [[5.0, 5.0]]),
        ("coma", [[5.0, 5.0]]),
        ("difference", [[1.0, -0.5]]),
        ("shapley", [[1.0, -0.5]]),  # the environment's "counterfactual" is then G less the agent's share
    ],
)
def test_what_an_agent_learns_from(credit: str, expected: list[list[float]]) -> None:
    assert rules.rewards(credit, FIELDS).tolist() == expected


@pytest.mark.parametrize("credit", ["coma", "learned"])
def test_rules_that_compare_actions_need_discrete_ones(credit: str) -> None:
    space = Box(-1.0, 1.0, (2,), np.float32)
    with pytest.raises(ValueError, match=f"credit is '{credit}', which compares discrete actions.*or team, or differ"):
        rules.check(credit, space, centralised=True)
    rules.check(credit, Discrete(3), centralised=True)


def test_coma_needs_a_centralised_critic() -> None:
    with pytest.raises(
        ValueError, match=r"needs a centralised critic: take critic 'central' or 'joint' \(--algo mappo\)"
    ):
        Mappo(spec_of(Match()), IppoConfig(credit="coma"), seed=0)


def learn(env: Toy, updates: int, **options: Any) -> list[dict[str, float]]:
    """Trains a small learner; returns the statistics of its updates."""
    return train(env, Mappo(spec_of(env), MappoConfig(**{**SMALL, **options}), seed=0), updates)


def score(history: list[dict[str, float]]) -> float:
    """Mean share of right actions in the last five updates."""
    return float(np.mean([step["return"] for step in history[-5:]]))


@pytest.mark.parametrize(
    ("credit", "least", "most"),
    [("difference", 0.9, 1.0), ("shapley", 0.9, 1.0), ("team", 0.4, 0.85), ("individual", 0.2, 0.3)],
)
def test_one_of_many_learns_what_it_did(credit: str, least: float, most: float) -> None:
    """In so few updates the team's reward alone teaches far less, and agents that are paid nothing learn nothing."""
    assert least < score(learn(Crowd(n_agents=24), 20, credit=credit, share="none")) <= most


@pytest.mark.parametrize("credit", ["coma", "learned"])
def test_what_a_network_credits_is_learned_from(credit: str) -> None:
    assert score(learn(Crowd(), 40, credit=credit, share="none")) > 0.95


class Paid(Crowd):
    """A crowd that is paid at another scale, and something in any case."""

    def outcome(self, action: Any) -> Any:
        """See `Crowd`."""
        own, died, together = super().outcome(action)
        assert together is not None
        return own, died, 1000.0 * (together + 5.0)


@pytest.mark.parametrize("credit", ["coma", "learned"])
def test_a_network_that_knows_nothing_yet_credits_the_mean(credit: str) -> None:
    """Else its noise would stay in the units of values, the more the smaller rewards are."""
    spread = []
    for env in (Crowd(), Paid()):
        algo = Mappo(spec_of(env), MappoConfig(**SMALL, credit=credit, share="none"), seed=0)  # type: ignore[arg-type]
        train(env, algo, 2)
        spread.append(algo.value_norm.std.clone())
    torch.testing.assert_close(spread[1], 1000.0 * spread[0], rtol=0.02, atol=0.0)


@pytest.mark.parametrize("credit", ["difference", "individual"])
def test_a_replay_keeps_what_its_rule_needs(credit: str) -> None:
    env = Crowd()
    config = MaddpgConfig(
        credit=credit,  # type: ignore[arg-type]
        hidden=(32,),
        warm_up=256,
        batch=128,
        replay_size=20_000,
        policy_lr=3e-3,
        critic_lr=3e-3,
        tau=0.05,
        updates=1,
        policy_start=0,
        critic="local",
    )
    algo = Maddpg(spec_of(env), config, seed=0)
    history = train(env, algo, 300)
    assert algo.replay is not None
    assert ("counterfactual" in algo.replay.fields) == (credit == "difference")
    assert (score(history) > 0.9) == (credit == "difference")


def test_an_environment_without_counterfactuals_is_refused() -> None:
    with pytest.raises(ValueError, match="counterfactual is to be kept, but this environment gives none"):
        learn(Match(), 1, credit="difference")
