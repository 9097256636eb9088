"""What different agents see and do, as rows of one shape: flattened, padded, masked.

Axes: N agents, O numbers in the longest observation, A actions (choices of the largest `Discrete`, or entries of the
widest `Box`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space
from gymnasium.spaces.utils import flatten, flatten_space

from ..core import Array

MASK = "action_mask"
LARGEST_PRODUCT = 512
"""Most combinations of a `MultiDiscrete` or `MultiBinary` that are numbered through as one `Discrete`."""


class Observations:
    """Writes each agent's observation as float32 into the beginning of a row of O numbers; the rest stays zero.

    A `Box` is flattened, everything else goes through `gymnasium.spaces.flatten` (`Discrete` becomes one-hot). An entry
    `action_mask` of a `Dict` is no observation: `mask` returns it.

    Args:
        agents: (N,) names, for messages.
        spaces: (N,) theirs.
        pictures: All are `Box`es of one shape (C, H, W), which `space` then keeps; rows are flat all the same.

    Raises:
        ValueError: A space has no fixed length.
    """

    def __init__(self, agents: Sequence[str], spaces: Sequence[Space[Any]], *, pictures: bool = False) -> None:
        self._agents = tuple(agents)
        self.pictures = pictures
        self._spaces: list[Space[Any]] = []
        self._masked: list[bool] = []  # (N,) whether a Dict holds the mask
        self._key: list[str | None] = []  # (N,) of the only other entry of that Dict
        low, high = [], []
        for agent, space in zip(agents, spaces, strict=True):
            masked, key = False, None
            if isinstance(space, Dict) and MASK in space.spaces:
                masked = True
                rest = {name: part for name, part in space.spaces.items() if name != MASK}
                if len(rest) == 1:
                    ((key, space),) = rest.items()
                else:
                    space = Dict(rest)
            if not space.is_np_flattenable:
                raise ValueError(
                    f"observation space of {agent} is {space}, which has no fixed length; allowed are Box, Discrete, "
                    "MultiDiscrete, MultiBinary, Text, and Tuple and Dict of them: wrap the environment"
                )
            flat = space if isinstance(space, Box) else flatten_space(space)
            assert isinstance(flat, Box)
            self._spaces.append(space)
            self._masked.append(masked)
            self._key.append(key)
            with np.errstate(over="ignore"):  # a bound beyond float32 is infinite
                low.append(flat.low.reshape(-1).astype(np.float32))
                high.append(flat.high.reshape(-1).astype(np.float32))
        self._boxes = [isinstance(space, Box) for space in self._spaces]  # (N,)
        self.sizes = [len(part) for part in low]  # (N,)
        self.has_masks = any(self._masked)
        length = max(self.sizes)  # O
        shape = tuple(self._spaces[0].shape or ()) if pictures else (length,)
        lowest = np.min([np.pad(part, (0, length - len(part))) for part in low], axis=0)
        highest = np.max([np.pad(part, (0, length - len(part))) for part in high], axis=0)
        self.space = Box(lowest.reshape(shape), highest.reshape(shape), dtype=np.float32)

    def write(self, agent: int, observation: Any, row: Array) -> None:
        """Writes what an agent sees into its (O,) row, whose padding is zero already.

        Raises:
            ValueError: The observation has another length than its space.
        """
        if self._masked[agent]:
            key = self._key[agent]
            if key is None:
                observation = {name: part for name, part in observation.items() if name != MASK}
            else:
                observation = observation[key]
        size = self.sizes[agent]
        flat = np.asarray(observation) if self._boxes[agent] else flatten(self._spaces[agent], observation)
        assert isinstance(flat, np.ndarray)
        if flat.size != size:  # checked here, for a single number would be broadcast
            raise ValueError(
                f"observation of {self._agents[agent]} has shape {flat.shape}, its space is {self._spaces[agent]}"
            )
        row[:size] = flat.reshape(-1)

    def mask(self, agent: int, observation: Any) -> Any:
        """The action mask inside an observation, None where there is none."""
        return observation[MASK] if self._masked[agent] else None


class Actions:
    """One action space for all agents, and the way back to each agent's own.

    Choices are numbered from 0: a `Discrete` with another start is shifted, `MultiDiscrete` and `MultiBinary` are
    numbered through. Agents with fewer choices than others have the rest forbidden (`own`). `Box`es are flattened and
    padded to the widest, whose additional entries others ignore; where bounds differ between agents, the common space
    is [-1, 1], stretched to each agent's own bounds.

    Args:
        agents: (N,) names, for messages.
        spaces: (N,) theirs.

    Raises:
        ValueError: The spaces are of different kinds, of a kind that no policy here can serve, unbounded or too large.
    """

    def __init__(self, agents: Sequence[str], spaces: Sequence[Space[Any]]) -> None:
        self._agents = tuple(agents)
        self._spaces = list(spaces)
        self.idle = [idle_action(space) for space in spaces]
        """(N,) some action of each agent's own space."""
        self.own: Array | None = None
        """(N, A) bool: the choices an agent has; None where all have all, and for a `Box`."""
        boxes = [isinstance(space, Box) for space in spaces]
        if all(boxes):
            self._low, self._high = zip(*(self._bounds(i) for i in range(len(agents))), strict=True)  # (N,) of (A_i,)
            self.space: Box | Discrete = self._common_box()
            return
        if any(boxes):
            one, other = boxes.index(True), boxes.index(False)
            raise ValueError(
                f"{agents[one]} acts in {spaces[one]} and {agents[other]} in {spaces[other]}; all agents must choose "
                "(Discrete) or all must steer (Box): wrap the environment"
            )
        self._stretched = False
        counts = [self._count(i) for i in range(len(agents))]  # (N,)
        self.space = Discrete(max(counts))
        if min(counts) < max(counts):
            self.own = np.arange(max(counts)) < np.array(counts)[:, None]
        self._counts = counts

    def decode(self, agent: int, action: Any) -> Any:
        """The action in the agent's own space.

        Args:
            agent: Its index.
            action: A number in the common `Discrete`, or (A,) in the common `Box`.

        Raises:
            ValueError: The agent has no such choice.
        """
        space = self._spaces[agent]
        if isinstance(space, Box):
            low, high = self._low[agent], self._high[agent]  # (A_i,)
            value = np.asarray(action)[: len(low)]
            if self._stretched:
                value = low + (value + 1.0) * 0.5 * (high - low)
            value = np.clip(value, low, high)
            if space.dtype.kind in "iu":
                value = np.rint(value)
            return value.astype(space.dtype).reshape(space.shape)
        number = int(action)
        if not 0 <= number < self._counts[agent]:
            raise ValueError(
                f"action of {self._agents[agent]} is {number}; it has {self._counts[agent]} choices: heed the mask"
            )
        if isinstance(space, Discrete):
            return int(space.start) + number
        if isinstance(space, MultiDiscrete):
            digits = np.array(np.unravel_index(number, space.nvec.reshape(-1))).reshape(space.nvec.shape)
            return (digits + space.start).astype(space.dtype)
        assert isinstance(space, MultiBinary)
        bits = np.array(np.unravel_index(number, (2,) * int(np.prod(space.shape))))
        return bits.astype(space.dtype).reshape(space.shape)

    def widen(self, agent: int, mask: Any) -> Array:
        """An agent's own mask as (A,) bool; one that allows nothing says nothing, and allows all that it has.

        Raises:
            ValueError: It has another length than the agent has choices.
        """
        wide = np.zeros(int(self.space.n), bool)  # pyright: ignore[reportAttributeAccessIssue] - masks are for Discrete
        count = self._counts[agent]
        allowed = np.asarray(mask, bool)
        if allowed.shape != (count,):
            raise ValueError(
                f"action mask of {self._agents[agent]} has shape {allowed.shape}; ({count},) is expected, an entry for "
                "each of its choices"
            )
        wide[:count] = allowed if allowed.any() else True
        return wide

    def _bounds(self, agent: int) -> tuple[Array, Array]:
        space = self._spaces[agent]
        assert isinstance(space, Box)
        low, high = space.low.reshape(-1).astype(np.float64), space.high.reshape(-1).astype(np.float64)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise ValueError(
                f"action space of {self._agents[agent]} is {space}; its bounds must be finite: wrap the environment so "
                "that actions are bounded"
            )
        return low, high

    def _common_box(self) -> Box:
        width = max(len(low) for low in self._low)  # A
        self._stretched = any(
            not (np.array_equal(low, self._low[0]) and np.array_equal(high, self._high[0]))
            for low, high in zip(self._low, self._high, strict=True)
        )
        if self._stretched:
            return Box(-1.0, 1.0, (width,), np.float32)
        return Box(self._low[0].astype(np.float32), self._high[0].astype(np.float32), dtype=np.float32)

    def _count(self, agent: int) -> int:
        space = self._spaces[agent]
        if isinstance(space, Discrete):
            return int(space.n)
        if isinstance(space, MultiDiscrete):
            count = int(np.prod(space.nvec.astype(np.float64)))  # as floats: 2**64 of them must not wrap round
        elif isinstance(space, MultiBinary):
            count = 2 ** int(np.prod(space.shape))
        else:
            raise ValueError(
                f"action space of {self._agents[agent]} is {space}; allowed are Discrete, Box, MultiDiscrete and "
                "MultiBinary: wrap the environment"
            )
        if count > LARGEST_PRODUCT:
            raise ValueError(
                f"action space of {self._agents[agent]} is {space}, {count} combinations; at most {LARGEST_PRODUCT} "
                "are numbered through: wrap the environment so that an agent chooses fewer things at once"
            )
        return count


def idle_action(space: Space[Any]) -> Any:
    """Some action of a space, always the same: zeros where they are allowed. None in a space not known here."""
    if isinstance(space, Box):
        return np.clip(np.zeros(space.shape, space.dtype), space.low, space.high)
    if isinstance(space, Discrete):
        return int(space.start)
    if isinstance(space, MultiDiscrete):
        return space.start.copy()
    if isinstance(space, MultiBinary):
        return np.zeros(space.shape, space.dtype)
    return None
