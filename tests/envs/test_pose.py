"""Where observations hold an agent's own position, `pose` says where, and the view for training passes it on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from counting import Counting

import envs
from envs.conformance.batch import check_spaces
from envs.conformance.play import roll
from envs.vector import VectorView

POSED = sorted(name for name in envs.ENVS if hasattr(envs.make(name), "pose"))


@pytest.mark.parametrize("name", sorted(envs.ENVS))
def test_the_view_passes_it_on(name: str) -> None:
    env: Any = envs.make(name)
    view = VectorView(env, 2)
    assert view.pose == getattr(env, "pose", ())
    assert view.pose_scale == getattr(env, "pose_scale", 1.0)


@pytest.mark.parametrize("name", POSED)
def test_positions_are_finite_and_inside_their_bounds(name: str) -> None:
    env: Any = envs.make(name)
    pose, space = list(env.pose), env.observation_space
    for _, _, _, _, step in roll(env, [0, 1], 20):
        position = step.obs[:, :, pose]  # (B, N, 2)
        assert np.isfinite(position).all()
        assert (position >= space.low[pose]).all()
        assert (position <= space.high[pose]).all()


def test_those_of_spread_are_its_agents_positions() -> None:
    assert "spread" in POSED
    env: Any = envs.make("spread", n_agents=4)
    for _, _, _, state, step in roll(env, [3, 4], 10):
        shown = step.obs[:, :, list(env.pose)] * env.pose_scale
        np.testing.assert_array_equal(shown, state.position.astype(np.float32))


@pytest.mark.parametrize(("pose", "scale"), [((0,), 1.0), ((0, 0), 1.0), ((0, 99), 1.0), ((-1, 0), 1.0), ((0, 1), 0.0)])
def test_a_wrong_pose_is_found_out(pose: tuple[int, ...], scale: float) -> None:
    kind = type("Posed", (Counting,), {"pose": (0, 1), "pose_scale": 2.0})
    check_spaces(kind)
    kind = type("Posed", (Counting,), {"pose": pose, "pose_scale": scale})
    with pytest.raises(AssertionError, match="pose"):
        check_spaces(kind)
