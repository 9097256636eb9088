"""A program that sets torch's default to float64 for work of its own: the same numbers, in the same types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from run_folders import spread
from toys import Leaving, Quadrant, Reach, Recall, train

from algos import ALGOS, load_policy
from algos.core import spec_of

CASES: dict[str, tuple[str, type, dict[str, Any]]] = {
    "choices and memory": ("mappo", Recall, {"gru": 4, "agent_id": True, "target_kl": 0.5}),
    "death and groups": ("ippo", Leaving, {"share": "none"}),
    "steering": ("mappo", Reach, {"credit": "team"}),
    "images": ("mappo", Quadrant, {}),
    "off-policy choices": ("maddpg", Leaving, {"prioritised": 0.6, "agent_id": True, "n_step": 3}),
    "off-policy steering": ("maddpg", Reach, {"twin": True, "noise": "ou"}),
    "off-policy images": ("iddpg", Quadrant, {}),
}


@pytest.fixture
def _float64() -> Iterator[None]:
    yield
    torch.set_default_dtype(torch.float32)


def learned(algo: str, toy: type, options: dict[str, Any], default: torch.dtype) -> tuple[list[Any], dict[str, Any]]:
    """Statistics of a few updates, and all that was learned."""
    torch.set_default_dtype(default)
    env, entry = toy(n_worlds=4), ALGOS[algo]
    small: dict[str, Any] = {"rollout_steps": 8, "minibatches": 2}
    if "ddpg" in algo:
        small = {"warm_up": 24, "batch": 16, "replay_size": 64, "updates": 2}
    learner = entry.algorithm(spec_of(env), entry.config(hidden=(8,), **small, **options), seed=0)
    history = train(env, learner, 3)
    return [list(row.items()) for row in history], learner.state_dict()


def tensors(value: Any, path: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield path, value
    for key, part in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from tensors(part, f"{path}.{key}")


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("case", list(CASES))
def test_learning_does_not_notice(case: str) -> None:
    plain, wide = (learned(*CASES[case], default) for default in (torch.float32, torch.float64))
    np.testing.assert_equal(wide[0], plain[0])
    assert len(plain[0]) == 3
    expected = dict(tensors(plain[1]))
    for name, tensor in tensors(wide[1]):
        assert tensor.dtype == expected[name].dtype, name
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("options", [{}, {"algo_gru": 4, "algo_agent_id": True}, {"continuous": True}])
def test_a_loaded_policy_does_not_notice(tmp_path: Path, options: dict[str, Any]) -> None:
    folder = spread(tmp_path, **options)
    rng = np.random.default_rng(0)
    found = []
    for default in (torch.float32, torch.float64):
        torch.set_default_dtype(default)
        policy = load_policy(folder)
        assert policy.spec.obs_dim > 1
        rng = np.random.default_rng(0)
        policy.reset(0)
        for greedy in (True, False):
            seen = {agent: rng.standard_normal(policy.spec.obs_dim) for agent in policy.agents}
            found.append(policy.act(seen, greedy=greedy))
    np.testing.assert_equal(found[2:], found[:2])
