"""Conversion between agents' own spaces and the rows that networks read and write.

In training all observations and actions are rows of one shape, whatever spaces the agents of somebody else's
environment have. A saved policy plays in that environment: it takes observations as the environment gives them, and
returns actions of the agent's own action space. The conversion is described by plain data in `config.json`, written by
the adapter of that environment (`foreign/own_spaces.py`), whose documentation lists the entries.

Axes: N agents, O observation, A actions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, OneOf, Space, Text, Tuple
from gymnasium.spaces.utils import flatdim, flatten

from ..core import Array, Spec

LARGEST = 2**26
"""Largest number of entries of an observation: 256 MiB."""


@dataclass(frozen=True)
class _Kind:
    """The spaces of the agents of one kind."""

    observation: Space[Any]
    mask: Any
    """Key of the mask in a `Dict` observation, or None."""
    entry: Any
    """Key of the only other entry, or None."""
    transforms: tuple[tuple[str, Any], ...]
    stack: int
    action: Space[Any]
    stretched: bool


class OwnSpaces:
    """The own spaces of all agents. It keeps the last frames of agents that see pictures, for as long as an episode.

    Args:
        plain: The plain data, see the module.
        agents: (N,) names, for messages.
        spec: Shapes that the policy was built for.

    Raises:
        ValueError: The data is damaged, or does not fit `spec`.
    """

    def __init__(self, plain: Mapping[str, Any], agents: Sequence[str], spec: Spec) -> None:
        self._agents, self._spec = tuple(agents), spec
        try:
            kinds = [_kind(kind) for kind in plain["kinds"]]
            self._kinds = [kinds[_index(i, len(kinds))] for i in plain["agents"]]  # (N,)
            fits = len(self._kinds) == len(self._agents) and all(self._fits(kind) for kind in self._kinds)
        except Exception as error:  # spaces refuse by assertions and errors of many types
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"own_spaces is damaged: {type(error).__name__}: {reason}") from error
        if not fits:
            raise ValueError("own_spaces does not fit spec and agents")
        self._pictures = {}  # by agent, the stack of its frames
        self.reset()

    def reset(self) -> None:
        """Forgets all frames."""
        self._pictures.clear()

    def row(self, agent: int, observation: Any) -> Array:
        """Returns an observation as the first of the O numbers that the networks read, (at most O,) float32.

        Args:
            agent: Its index.
            observation: As the environment gives it.

        Raises:
            ValueError: The observation does not fit the agent's space.
        """
        kind = self._kinds[agent]
        try:
            if kind.mask is not None:
                observation = {key: part for key, part in observation.items() if key != kind.mask}
            if kind.entry is not None:
                observation = observation[kind.entry]
            _check(kind.observation, observation)
            if kind.stack:
                frame = self._picture(agent, kind)(np.asarray(observation))
                return frame.reshape(-1)
            if isinstance(kind.observation, Box):
                return np.asarray(observation).reshape(-1).astype(np.float32)
            flat = np.asarray(flatten(kind.observation, observation)).astype(np.float32)
        except Exception as error:  # spaces refuse by errors of many types
            came = _shown(observation)
            reason = f" ({' '.join(str(error).split())})" if str(error) else ""
            raise ValueError(
                f"observation of {self._agents[agent]} is {came}; its environment shows {kind.observation}{reason}"
            ) from error
        if flat.size != flatdim(kind.observation):
            raise ValueError(
                f"observation of {self._agents[agent]} has {flat.size} numbers; {kind.observation} has "
                f"{flatdim(kind.observation)}"
            )
        return flat

    def mask(self, agent: int, observation: Any, given: Any) -> Array | None:
        """Returns the mask of an agent's actions, (A,) bool; None if it acts in a `Box`.

        Args:
            agent: Its index.
            observation: Its observation, which may hold a mask.
            given: A mask from elsewhere, with an entry for each of its own choices; None: none.

        Raises:
            ValueError: The mask has another length than the agent has choices.
        """
        kind, n_actions = self._kinds[agent], int(getattr(self._spec.action_space, "n", 0))
        if isinstance(kind.action, Box):
            return None
        count = _count(kind.action)
        if given is None and kind.mask is not None and isinstance(observation, Mapping):
            given = observation.get(kind.mask)
        wide = np.arange(n_actions) < count
        if given is not None:
            allowed = np.asarray(given, bool)
            if allowed.shape != (count,):
                raise ValueError(
                    f"action mask of {self._agents[agent]} has shape {allowed.shape}; ({count},) is expected"
                )
            if allowed.any():  # a mask that allows nothing is ignored, as in training
                wide[:count] = allowed
        return wide

    def action(self, agent: int, action: Any) -> Any:
        """Returns an action in the agent's own space.

        Args:
            agent: Its index.
            action: The number of a choice, or (A,) in the common `Box`.
        """
        kind = self._kinds[agent]
        space = kind.action
        if isinstance(space, Discrete):
            return int(space.start) + int(action)
        if isinstance(space, MultiDiscrete):
            digits = np.array(np.unravel_index(int(action), space.nvec.reshape(-1))).reshape(space.nvec.shape)
            return (digits + space.start).astype(space.dtype)
        if isinstance(space, MultiBinary):
            bits = np.array(np.unravel_index(int(action), (2,) * math.prod(space.shape)))
            return bits.astype(space.dtype).reshape(space.shape)
        assert isinstance(space, Box)
        low, high = space.low.reshape(-1).astype(np.float64), space.high.reshape(-1).astype(np.float64)
        value = np.asarray(action)[: len(low)]
        if kind.stretched:
            value = low + (value + 1.0) * 0.5 * (high - low)
        value = np.clip(value, low, high)
        if space.dtype.kind in "iu":
            value = np.rint(value)
        return value.astype(space.dtype).reshape(space.shape)

    def _fits(self, kind: _Kind) -> bool:
        """Returns whether the spaces of a kind fit the shapes that the policy was built for."""
        space = self._spec.action_space
        if isinstance(kind.action, Box) != isinstance(space, Box):
            return False
        if isinstance(space, Box):
            wide_enough = math.prod(kind.action.shape or ()) <= space.shape[0]
        else:
            wide_enough = 0 < _count(kind.action) <= space.n
        return wide_enough and (kind.stack > 0 or flatdim(kind.observation) <= self._spec.obs_dim)

    def _picture(self, agent: int, kind: _Kind) -> Any:
        if agent not in self._pictures:
            from .frames import Frames  # here: it loads SuperSuit, which only pictures need

            self._pictures[agent] = Frames(kind.observation, kind.transforms, kind.stack)
        return self._pictures[agent]


def space_from_plain(plain: Mapping[str, Any]) -> Space[Any]:
    """Returns a space from plain data.

    Raises:
        Exception: The data is damaged; the error may be of any type.
    """
    kind = plain["kind"]
    if kind == "box":
        shape, dtype = _shape(plain["shape"]), np.dtype(plain["dtype"])
        if "low" not in plain:
            whole = np.iinfo(dtype) if dtype.kind in "iu" else None
            low, high = (-np.inf, np.inf) if whole is None else (whole.min, whole.max)
            if dtype.kind == "b":
                low, high = 0, 1
        else:
            low, high = (_bound(plain[name], shape, dtype) for name in ("low", "high"))
        return Box(low, high, shape, dtype.type)  # pyright: ignore[reportArgumentType] - numpy's types
    if kind == "discrete":
        return Discrete(_whole(plain["n"]), start=_whole(plain["start"]))
    if kind == "multidiscrete":
        return MultiDiscrete(plain["nvec"], dtype=np.dtype(plain["dtype"]).type, start=plain["start"])
    if kind == "multibinary":
        shape = _shape(plain["shape"])
        return MultiBinary(shape[0] if len(shape) == 1 else list(shape))
    if kind == "text":
        return Text(_whole(plain["max_length"]), charset=str(plain["characters"]))
    if kind in ("tuple", "oneof"):
        parts = [space_from_plain(part) for part in plain["parts"]]
        return Tuple(parts) if kind == "tuple" else OneOf(parts)
    if kind == "dict":
        return Dict([(key, space_from_plain(part)) for key, part in plain["parts"]])  # a sequence keeps its order
    raise ValueError(f"there is no space of kind {kind!r}")


def _kind(plain: Mapping[str, Any]) -> _Kind:
    transforms = tuple((str(name), tuple(v) if isinstance(v, list) else v) for name, v in plain["transforms"])
    stack, stretched = _whole(plain["stack"]), plain["stretched"]
    if not isinstance(stretched, bool):
        raise TypeError(f"stretched is {stretched!r}, not true or false")
    seen, done = space_from_plain(plain["observation"]), space_from_plain(plain["action"])
    for key in ("mask", "entry"):
        if not isinstance(plain[key], (str, int, float, type(None))):
            raise TypeError(f"{key} is {plain[key]!r}, not a key")
    if stack and not isinstance(seen, Box):
        raise ValueError(f"stack is {stack}, but {seen} is no picture")
    return _Kind(seen, plain["mask"], plain["entry"], transforms, stack, done, stretched)


def _index(value: Any, count: int) -> int:
    if not 0 <= _whole(value) < count:
        raise ValueError(f"{value} is none of {count} kinds")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is not a whole number")
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{value} is too large")
    return value


def _shape(plain: Any) -> tuple[int, ...]:
    shape = tuple(_whole(size) for size in plain)
    if any(size < 0 for size in shape) or math.prod(shape) > LARGEST:
        raise ValueError(f"shape is {shape}; at most {LARGEST:,} numbers are allowed")
    return shape


def _bound(plain: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    """Returns one bound of a `Box` from one number for all entries, or from one for each."""
    bound = np.asarray(plain, dtype)
    return np.full(shape, bound) if bound.ndim == 0 else bound.reshape(shape)


def _count(space: Space[Any]) -> int:
    """Returns the number of choices in a space, 0 if it is not a space of choices."""
    if isinstance(space, Discrete):
        return int(space.n)
    if isinstance(space, MultiDiscrete):
        return math.prod(int(size) for size in space.nvec.reshape(-1))
    if isinstance(space, MultiBinary):
        return 2 ** min(math.prod(space.shape), 64)
    return 0


def _check(space: Space[Any], value: Any) -> None:
    """Raises if a part of an observation has another shape than its space: flattened, it would be scrambled."""
    if isinstance(space, Dict):
        if missing := [str(key) for key in space.spaces if key not in value]:  # rows may leave others out
            raise ValueError(f"it lacks {', '.join(missing)}")
        for key, part in space.spaces.items():
            _check(part, value[key])
    elif isinstance(space, Tuple):
        if len(value) != len(space.spaces):
            raise ValueError(f"it has {len(value)} parts, not {len(space.spaces)}")
        for part, own in zip(space.spaces, value, strict=True):
            _check(part, own)
    elif isinstance(space, (Box, MultiBinary, MultiDiscrete)):
        shape = np.shape(value)
        flat = shape == (math.prod(space.shape),)
        if not flat and [size for size in shape if size != 1] != [size for size in space.shape if size != 1]:
            raise ValueError(f"shape {shape}, not {space.shape}")
    elif isinstance(space, Discrete) and not 0 <= np.asarray(value).item() - int(space.start) < int(space.n):
        raise ValueError(f"{value} is not in {space}")


def _shown(observation: Any) -> str:
    """Describes an observation in a few words."""
    if isinstance(observation, Mapping):
        return f"a dictionary of {', '.join(map(str, observation)) or 'nothing'}"
    if isinstance(observation, (int, float, str, bool)) or observation is None:
        return repr(observation)[:60]
    try:
        return f"{type(observation).__name__} of shape {np.shape(observation)}"
    except ValueError:  # parts of different lengths
        return type(observation).__name__
