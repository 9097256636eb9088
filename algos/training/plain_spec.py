"""The shapes that an algorithm was built for, to and from the plain data of config.json."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from gymnasium.spaces import Box, Discrete

from ..core import Spec
from .typed import typed

LARGEST = 2**26
"""Most agents, numbers in an observation, numbers in a state, or choices that config.json may name."""


def spec_to_plain(spec: Spec) -> dict[str, Any]:
    """Returns a `Spec` as plain data for config.json."""
    space = spec.action_space
    if isinstance(space, Discrete):
        plain: dict[str, Any] = {"kind": "discrete", "n": int(space.n), "start": int(space.start)}
    else:
        plain = {"kind": "box", "low": space.low.tolist(), "high": space.high.tolist(), "dtype": str(space.dtype)}
    return {
        "n_agents": spec.n_agents,
        "obs_dim": spec.obs_dim,
        "state_dim": spec.state_dim,
        "action_space": plain,
        "groups": [list(group) for group in spec.groups],
        "obs_shape": list(spec.obs_shape),
        "pixels": spec.pixels,
        "pose": list(spec.pose),
        "pose_scale": spec.pose_scale,
    }


def spec_from_plain(plain: dict[str, Any]) -> Spec:
    """Undoes `spec_to_plain`.

    Raises:
        ValueError: A value is missing or impossible; the message is one line.
    """
    for name, low in (("n_agents", 1), ("obs_dim", 0), ("state_dim", 0)):
        if not low <= typed(plain.get(name), int, f"spec.{name}") <= LARGEST:
            raise ValueError(f"spec.{name} is {plain[name]}; allowed are {low} to {LARGEST}")
    space = typed(plain.get("action_space"), dict[str, Any], "spec.action_space")
    kind = typed(space.get("kind"), Literal["discrete", "box"], "spec.action_space.kind")
    if kind == "discrete":
        n, start = (typed(space.get(name), int, f"spec.action_space.{name}") for name in ("n", "start"))
        if not 1 <= n <= LARGEST:
            raise ValueError(f"spec.action_space.n is {n}; allowed are 1 to {LARGEST}")
        action_space: Box | Discrete = Discrete(n, start=start)
    else:
        try:
            dtype = np.dtype(typed(space.get("dtype"), str, "spec.action_space.dtype")).type
            action_space = Box(np.array(space["low"], dtype), np.array(space["high"], dtype), dtype=dtype)
        except Exception as error:  # a space refuses by errors of many kinds, assertions among them
            reason = " ".join(str(error).split())
            raise ValueError(f"spec.action_space cannot be a Box: {type(error).__name__}: {reason}") from error
    groups = tuple(tuple(group) for group in typed(plain.get("groups"), list[list[int]], "spec.groups"))
    if sorted(agent for group in groups for agent in group) != list(range(plain["n_agents"])):
        raise ValueError(f"spec.groups is {str(groups)[:60]}; each of {plain['n_agents']} agents must be in one group")
    obs_shape = tuple(typed(plain.get("obs_shape", []), list[int], "spec.obs_shape"))  # older folders do not say: flat
    if any(size < 0 for size in obs_shape):
        raise ValueError(f"spec.obs_shape is {obs_shape}; sizes are not negative")
    pixels = typed(plain.get("pixels", False), bool, "spec.pixels")  # older folders kept images as floats
    pose = tuple(typed(plain.get("pose", []), list[int], "spec.pose"))
    if len(pose) not in (0, 2) or not all(0 <= index < plain["obs_dim"] for index in pose):
        raise ValueError(f"spec.pose is {list(pose)}; it holds two indices of an observation, or none")
    scale = float(typed(plain.get("pose_scale", 1.0), float, "spec.pose_scale"))
    shapes = (plain["n_agents"], plain["obs_dim"], plain["state_dim"])
    return Spec(*shapes, action_space, groups, obs_shape, pixels, pose, scale)
