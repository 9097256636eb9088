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
from envs.warehouse.state import State

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "warehouse": [{"dispatch": "claim", "position": True}, {"dispatch": "claim", "route_hint": False, "n_rays": 7}],
    "intersection": [{"intent": "declared", "n_conflicts": 2}, {"intent": "none"}],
    "traffic_junction": [{"encoding": "published"}, {"difficulty": "hard", "n_cars": 20, "vision": 2}],
    "whispers": [{"game": "listener", "n_agents": 6, "n_symbols": 2}],
    "spread": [{"n_agents": 1}],
    "edge_market": [{"n_models": 3, "n_neighbors": 2}],
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


def shown(state: State, **options: Any) -> tuple[tuple[str, ...], Any]:
    """Names and observations of the same warehouse, seen with other options."""
    env: Any = envs.make("warehouse", **options)
    return env.obs_names, env._step_of(
        state, *(np.zeros(state.alive.shape),) * 2, np.zeros(state.alive.shape, bool)
    ).obs


def test_a_warehouse_shows_the_same_by_the_same_names() -> None:
    env: Any = envs.make("warehouse")
    state, _ = env.reset([0, 1, 2])
    rng = np.random.default_rng(0)
    for _ in range(40):
        state, step = env.step(state, rng.integers(1, 4, (3, 4)))
    ours = env.obs_names
    assert np.ptp(step.obs[..., ours.index("neighbor_1_5m_x")]) > 0.0
    own, neighbor = 15, 11
    for options, shared in (
        ({"n_neighbors": 2}, own + 16 + 2 * neighbor),
        ({"n_neighbors": 5, "position": True}, len(ours)),
        ({"n_rays": 8}, own + 8 + 3 * neighbor),  # every other ray
        ({"n_rays": 6}, own + 2 + 3 * neighbor),  # ahead and behind
        ({"lidar_range": 3.0}, own + 3 * neighbor),
        ({"sensing_range": 3.0}, own + 16),
        ({"route_hint": False}, len(ours) - 4),
    ):
        assert_equal_by_name(ours, step.obs, *shown(state, **options), shared)


def test_spread_shows_the_same_by_the_same_names() -> None:
    rng = np.random.default_rng(0)
    position, velocity, landmark = rng.normal(size=(3, 2, 5, 2)) * RADIUS * 5
    large = observe(position, velocity, landmark)[:, :3]  # the first three of five
    small = observe(position[:, :3], velocity[:, :3], landmark[:, :3])
    assert_equal_by_name(obs_names(3), small, obs_names(5), large, 18)
