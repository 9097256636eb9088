"""How good a credit is: the numbers, and what they say of rules on rovers and on a team's game."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import envs
from algos.core import spec_of
from algos.credit.measures import correlation, factoredness, learnability
from algos.mappo import Mappo, MappoConfig
from algos.training.credit_probe import can_tell, probe


def test_factoredness_counts_changes_that_are_judged_alike() -> None:
    team = np.array([1.0, -1.0, 2.0, 0.0, 0.0])
    assert factoredness(team, team) == 1.0
    assert factoredness(-team, team) == 0.0
    assert factoredness(np.array([5.0, -0.1, -1.0, 1.0, 0.0]), team) == 0.5  # of four: one is wrong, one is not G's
    assert math.isnan(factoredness(np.zeros(3), np.zeros(3)))
    assert factoredness(team + 1e-9, team) == 1.0  # rounding is no change
    assert factoredness(team + np.array([0, 0, 0, 1e-4, -1e-4]), team) == 0.6
    assert factoredness(team + np.array([0, 0, 0, 1e-4, -1e-4]), team, rounding=1e-3) == 1.0


def test_learnability_compares_ones_own_changes_with_those_of_the_others() -> None:
    assert learnability(np.array([2.0, -2.0]), np.array([1.0, 3.0])) == 0.5
    assert learnability(np.array([3.0]), np.array([1.0])) == 0.75
    assert learnability(np.array([2.0]), np.zeros(1)) == 1.0
    assert learnability(np.array([2.0]), np.array([1e-5]), rounding=1e-4) == 1.0
    assert math.isnan(learnability(np.zeros(2), np.zeros(2)))


def test_correlation_is_undefined_where_nothing_varies() -> None:
    assert correlation(np.array([1.0, 2.0]), np.array([3.0, 5.0])) == pytest.approx(1.0)
    assert math.isnan(correlation(np.ones(3), np.arange(3.0)))


def measured(env: str, credit: str, env_options: dict[str, Any] | None = None, **options: Any) -> dict[str, float]:
    """Returns the measures of a rule under an untrained policy."""
    worlds = envs.vector(env, 8, **(env_options or {}))
    algo = Mappo(spec_of(worlds), MappoConfig(hidden=(8,), credit=credit, **options), seed=0)  # type: ignore[arg-type]
    found = probe(worlds, algo.policy, algo.credited)
    assert found is not None
    return found


def test_the_difference_is_all_that_a_credit_can_be() -> None:
    near = {"n_rovers": 6, "size": 8.0, "counterfactual": "absent"}
    difference = measured("rovers", "difference", near)
    assert difference["factoredness"] == 1.0
    assert difference["correlation"] == pytest.approx(1.0)
    team = measured("rovers", "team", near)
    assert team["factoredness"] == 1.0
    assert team["correlation"] < 0.9
    assert team["learnability"] < 0.5 * difference["learnability"]
    own = measured("rovers", "individual", near)
    assert own["factoredness"] < 0.9  # a find that another has made is worth nothing to the team


@pytest.mark.parametrize("env", ["rovers", "intersection", "edge_market", "spread"])
def test_shapley_values_are_held_against_the_exact_difference(env: str) -> None:
    options: dict[str, Any] = {"counterfactual": "shapley", "max_steps": 24}
    found = measured(env, "shapley", options | ({"n_rovers": 6, "size": 8.0} if env == "rovers" else {}))
    assert found["correlation"] < 1.0 - 1e-6  # with themselves it would be 1


def test_worlds_of_continuous_actions_are_probed() -> None:
    found = measured(
        "rovers", "difference", {"n_rovers": 6, "size": 8.0, "counterfactual": "absent", "continuous": True}
    )
    assert found["factoredness"] == 1.0
    assert found["learnability"] > 0.3


def test_where_actions_change_no_reward_of_their_step_only_the_correlation_is_known() -> None:
    """In `spread` an action moves nobody before the next step."""
    assert set(measured("spread", "individual")) == {"correlation"}


def test_learned_credit_is_measured_by_its_network() -> None:
    found = measured("rovers", "learned", {"n_rovers": 6, "size": 8.0}, gru=4)
    assert found["factoredness"] == 1.0  # what is taken from G does not depend on one's own action
    assert -1.0 <= found["correlation"] < 0.9


def test_returns_are_no_credit_for_single_steps() -> None:
    assert measured("rovers", "coma") == {}


def test_an_environment_that_cannot_tell_is_left_alone() -> None:
    assert can_tell(envs.vector("spread", 2))
    assert not can_tell(envs.vector("whispers", 2))


def test_a_credit_of_several_steps_is_not_held_to_the_reward_of_one() -> None:
    options = {"counterfactual": "stop", "horizon": 3, "max_steps": 24}
    assert set(measured("warehouse", "difference", options)) == {"learnability", "correlation"}


def test_moments_are_spread_over_an_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    credit = Mappo.credited

    def noted(self: Mappo, obs: Any, memory: Any, action: Any, step: Any) -> Any:
        seen.append(now[0])
        return credit(self, obs, memory, action, step)

    worlds = envs.vector("rovers", 2, n_rovers=4, counterfactual="absent")
    now, step = [0], worlds.step

    def counted(action: Any) -> Any:
        now[0] += 1
        return step(action)

    monkeypatch.setattr(worlds, "step", counted)
    monkeypatch.setattr(Mappo, "credited", noted)
    algo = Mappo(spec_of(worlds), MappoConfig(hidden=(8,), credit="difference"), seed=0)
    probe(worlds, algo.policy, algo.credited)
    assert sorted(set(seen)) == [worlds.max_steps // 8 * k - 1 for k in range(1, 9)]
