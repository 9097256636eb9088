"""Entries of observations have names, and equal names mean the same quantity in all tasks of an environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from counting import Counting

import envs
from envs import builder
from envs.conformance.batch import check_spaces
from envs.spread.motion import RADIUS
from envs.spread.observe import obs_names, observe
from envs.vector import VectorView

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "warehouse": [{"dispatch": "claim", "position": True}, {"dispatch": "claim", "route_hint": False, "n_rays": 7}],
    "intersection": [{"intent": "declared", "n_conflicts": 2}, {"intent": "none"}],
    "traffic_junction": [{"encoding": "published"}, {"difficulty": "hard", "n_cars": 20, "vision": 2}],
    "whispers": [{"game": "listener", "n_agents": 6, "n_symbols": 2}],
    "signals": [{"consensus": "gossip"}],
    "spread": [{"n_agents": 1}],
    "edge_market": [{"n_models": 3, "n_neighbors": 2}, {"n_models": 3, "consensus": "gossip"}],
}
CASES = [(name, {"task": task}) for name in sorted(envs.ENVS) for task in builder.tasks(name) if task != "huge-64"] + [
    (name, options) for name, every in OPTIONS.items() for options in every
]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_every_entry_has_a_name_of_its_own(name: str, options: dict[str, Any]) -> None:
    env: Any = envs.make(name, **options)
    assert len(set(env.obs_names)) == len(env.obs_names) == env.observation_space.shape[0]
    assert VectorView(env, 1).obs_names == env.obs_names


@pytest.mark.parametrize("names", [("a",), ("a", "a"), ("a", ""), ("a", 1)])
def test_wrong_names_are_found_out(names: tuple[Any, ...]) -> None:
    size = Counting().observation_space.shape[0]
    good = tuple(f"entry_{k}" for k in range(size))
    check_spaces(type("Named", (Counting,), {"obs_names": good}))
    with pytest.raises(AssertionError, match="obs_names"):
        check_spaces(type("Named", (Counting,), {"obs_names": (*names, *good[2:])}))


def test_views_of_environments_without_names_have_none() -> None:
    assert VectorView(Counting(), 1).obs_names == ()


def assert_equal_by_name(ours: Sequence[str], obs: Any, theirs: Sequence[str], others: Any, shared: int) -> None:
    names = [name for name in ours if name in theirs]
    assert len(names) == shared
    of_ours, of_theirs = ([of.index(name) for name in names] for of in (list(ours), list(theirs)))
    np.testing.assert_array_equal(obs[..., of_ours], others[..., of_theirs])


OWN, NEIGHBOR, CONFLICT = 15, 11, 16
"""Entries of a robot on itself and on each neighbour, and of a vehicle on each conflict."""


@pytest.mark.parametrize(
    ("name", "options", "others", "shared"),
    [
        ("warehouse", {}, {"n_neighbors": 2}, OWN + 16 + 2 * NEIGHBOR),
        ("warehouse", {}, {"n_neighbors": 5, "position": True}, OWN + 16 + 3 * NEIGHBOR),
        ("warehouse", {}, {"n_rays": 8}, OWN + 8 + 3 * NEIGHBOR),  # every other ray
        ("warehouse", {}, {"n_rays": 6}, OWN + 2 + 3 * NEIGHBOR),  # ahead and behind
        ("warehouse", {}, {"lidar_range": 3.0}, OWN + 3 * NEIGHBOR),
        ("warehouse", {}, {"sensing_range": 3.0}, OWN + 16),
        ("warehouse", {}, {"route_hint": False}, OWN - 4 + 16 + 3 * NEIGHBOR),
        ("intersection", {}, {"n_conflicts": 2}, 24 + 2 * CONFLICT),
        ("intersection", {}, {"sensing_range": 20.0}, 24 - 3),
        ("intersection", {}, {"comm_range": 30.0, "n_conflicts": 0}, 24),
        ("traffic_junction", {}, {"vision": 0}, 62 - 16),
        ("traffic_junction", {"encoding": "published"}, {"encoding": "published", "vision": 0}, 2 + 59),
    ],
)
def test_equal_names_are_equal_numbers(name: str, options: dict[str, Any], others: dict[str, Any], shared: int) -> None:
    """The same worlds, in which nothing depends on what is seen, with the sensors of two tasks."""
    one: Any = envs.make(name, **options)
    other: Any = envs.make(name, **others)
    rng, seen = np.random.default_rng(0), 0.0
    (ours, step), (theirs, shown) = (env.reset([0, 1]) for env in (one, other))
    for _ in range(30):
        action = rng.integers(0, int(one.action_space.n), (2, len(one.agents)))
        if name == "warehouse":
            action = 1 + action % 3  # they drive on
        (ours, step), (theirs, shown) = one.step(ours, action), other.step(theirs, action)
        assert_equal_by_name(one.obs_names, step.obs, other.obs_names, shown.obs, shared)
        seen = max(seen, float(np.abs(step.obs).max()))
    assert seen > 0.0


def test_spread_shows_the_same_by_the_same_names() -> None:
    rng = np.random.default_rng(0)
    position, velocity, landmark = rng.normal(size=(3, 2, 5, 2)) * RADIUS * 5
    large = observe(position, velocity, landmark)[:, :3]  # the first three of five
    small = observe(position[:, :3], velocity[:, :3], landmark[:, :3])
    assert_equal_by_name(obs_names(3), small, obs_names(5), large, 18)
