"""Worlds of `edge_market`, made and played, for its tests."""

from __future__ import annotations

from typing import Any

import numpy as np

import envs
from envs.conformance.play import random_actions
from envs.edge_market import EdgeMarket
from envs.edge_market.heuristic import heuristic
from envs.edge_market.state import State


def make(task: str | None = None, **kw: Any) -> EdgeMarket:
    return envs.make("edge_market", task, **kw)  # pyright: ignore[reportReturnType]


def roll(env: EdgeMarket, seeds: Any, steps: int, kind: str | None = None) -> tuple[State, Any]:
    rng = np.random.default_rng(0)
    state, step = env.reset(seeds)
    for _ in range(steps):
        action = random_actions(env, step, rng) if kind is None else heuristic(env, kind)(state)
        state, step = env.step(state, action)
    return state, step
