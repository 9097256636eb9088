"""Each agent's own spaces, and how the adapter reads them, as plain data that fits into JSON.

With it a saved policy reads an environment's own observations and returns its own actions, without the environment or
this package being installed. It is a dictionary:

    agents    (N,) for each agent, the index of its entry in `kinds`
    kinds     a list of dictionaries; agents with equal spaces share one:

        observation    the space that becomes a row: without the mask, and before a picture is prepared
        mask           the key of the action mask in a `Dict` observation, or None
        entry          the key of the row's space in a `Dict` observation, if it is the only other entry
        transforms     for a picture: names of `supersuit.utils.basic_transforms` with their arguments, in order
        stack          for a picture: the number of frames seen at once; 0 where the observation is not a picture
        action         the agent's action space
        stretched      whether rows of actions are in [-1, 1] and are scaled to the action space's bounds

A row is the observation flattened by `gymnasium.spaces.flatten`, padded with zeros. A space is a dictionary too: see
`plain_space`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, OneOf, Space, Text, Tuple

from .pictures import Pictures
from .spaces import Actions, Observations


def described(env: Any, keys: Sequence[Any], observations: Observations, actions: Actions) -> dict[str, Any]:
    """Returns the own spaces of all agents as plain data; see the module's docstring.

    Args:
        env: The environment as it is read, in `Pictures` where it shows some.
        keys: (N,) possible agents.
        observations: How rows are made of what they see.
        actions: How their actions are made of rows.
    """
    agents: list[int] = []
    kinds: list[dict[str, Any]] = []
    for i, key in enumerate(keys):
        picture = env.preparation(key) if isinstance(env, Pictures) else None
        seen, mask, entry = observations.sources[i]
        if picture is not None:
            seen = env.env.observation_space(key)
        action, stretched = actions.source(i)
        kind = {
            "observation": plain_space(seen, bounds=picture is not None),
            "mask": mask,
            "entry": entry,
            "transforms": [] if picture is None else picture[0],
            "stack": 0 if picture is None else picture[1],
            "action": plain_space(action, bounds=True),
            "stretched": stretched,
        }
        if kind not in kinds:
            kinds.append(kind)
        agents.append(kinds.index(kind))
    return {"agents": agents, "kinds": kinds}


def plain_space(space: Space[Any], *, bounds: bool) -> dict[str, Any]:
    """Returns a space as plain data; its `kind` is the name of the class in lower case.

    Args:
        space: A space that can be flattened.
        bounds: Include a `Box`'s bounds, as one number where all are equal; otherwise only its shape.

    Raises:
        ValueError: The class of the space is unknown.
    """
    if isinstance(space, Box):
        plain: dict[str, Any] = {"kind": "box", "shape": list(space.shape), "dtype": str(space.dtype)}
        return plain | ({"low": _short(space.low), "high": _short(space.high)} if bounds else {})
    if isinstance(space, Discrete):
        return {"kind": "discrete", "n": int(space.n), "start": int(space.start)}
    if isinstance(space, MultiDiscrete):
        nvec, start = space.nvec.tolist(), space.start.tolist()
        return {"kind": "multidiscrete", "nvec": nvec, "start": start, "dtype": str(space.dtype)}
    if isinstance(space, MultiBinary):
        return {"kind": "multibinary", "shape": list(space.shape)}
    if isinstance(space, Text):  # in the order that gives each character its number
        return {"kind": "text", "max_length": space.max_length, "characters": "".join(space.character_list)}
    if isinstance(space, (Tuple, OneOf)):
        kind = "tuple" if isinstance(space, Tuple) else "oneof"
        return {"kind": kind, "parts": [plain_space(part, bounds=bounds) for part in space.spaces]}
    if isinstance(space, Dict):  # as pairs: keys need not be text
        return {"kind": "dict", "parts": [[k, plain_space(part, bounds=bounds)] for k, part in space.spaces.items()]}
    raise ValueError(
        f"{space} is of an unknown kind; allowed are Box, Discrete, MultiDiscrete, MultiBinary, Text, Tuple, OneOf and "
        "Dict: wrap the environment"
    )


def _short(bound: Any) -> Any:
    """Returns one number if all are equal, otherwise all of them as a flat list."""
    flat = np.asarray(bound).reshape(-1)
    return flat[0].item() if flat.size and (flat == flat[0]).all() else flat.tolist()
