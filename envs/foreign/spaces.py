"""Observations and actions of different agents as rows of one shape: flattened, padded, masked.

Axes: N agents, O numbers in the longest observation, A actions (choices of the largest `Discrete`, or entries of the
widest `Box`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Space
from gymnasium.spaces.utils import flatten_space

from ..core import Array
from .rows import Writer, writer
from .sorted_text import with_sorted_text

MASK = "action_mask"
LARGEST_PRODUCT = 512
"""Largest number of combinations of a `MultiDiscrete` or `MultiBinary` that are numbered as one `Discrete`."""


class Observations:
    """Writes each agent's observation as float32 to the start of a row of O numbers; the rest stays zero.

    A `Box` is flattened; all other spaces are flattened as by `gymnasium.spaces.flatten` (`Discrete` becomes one-hot).
    An entry `action_mask` of a `Dict` is not part of the row: `mask` returns it. Entries of a `Dict` without a fixed
    length, such as a mission in words, are left out, and `notes` says so.

    Args:
        agents: (N,) names of the agents, for messages.
        spaces: (N,) observation spaces of the agents.
        pictures: All spaces are `Box`es of one shape (C, H, W); `space` then has this shape, while rows stay flat.

    Raises:
        ValueError: A space has no fixed length, or is not one of Gymnasium's.
    """

    def __init__(self, agents: Sequence[str], spaces: Sequence[Space[Any]], *, pictures: bool = False) -> None:
        self._agents = tuple(agents)
        self.given = tuple(spaces)
        """(N,) the agents' spaces as given."""
        self.sources: list[tuple[Space[Any], Any, Any]] = []
        """(N,) the space that becomes a row and, for a `Dict`, the keys of the mask and of the only other entry."""
        self._write: list[Writer] = []  # (N,)
        self.pictures = pictures
        self._masked: list[bool] = []  # (N,) whether the observation is a Dict with a mask
        self._shapes: list[tuple[int, ...] | None] = []  # (N,) see `shape_of`
        self._key: list[Any] = []  # (N,) key of the only other entry of that Dict; None for several
        self.notes: tuple[str, ...] = ()
        """Notes for the user, one line each."""
        low, high, shapes = [], [], []
        left_out: dict[Any, list[str]] = {}  # agents by entry
        for agent, space in zip(agents, spaces, strict=True):
            refuse_strange(f"observation space of {agent}", space)
            masked, key = False, None
            if isinstance(space, Dict):
                masked = MASK in space.spaces
                rest = {name: part for name, part in space.spaces.items() if name != MASK}
                kept = {name: part for name, part in rest.items() if has_length(part)}
                if kept:
                    for name in rest.keys() - kept.keys():
                        left_out.setdefault(name, []).append(agent)
                    rest = kept
                if masked and len(rest) == 1:
                    ((key, space),) = rest.items()
                else:
                    space = Dict(rest)
            if not has_length(space):
                raise ValueError(
                    f"observation space of {agent} is {space}, which has no fixed length; allowed are Box, Discrete, "
                    "MultiDiscrete, MultiBinary, Text, and Tuple and Dict of them: wrap the environment"
                )
            space = with_sorted_text(space)
            flat = space if isinstance(space, Box) else flatten_space(space)
            assert isinstance(flat, Box)
            self.sources.append((space, MASK if masked else None, key))
            self._write.append(writer(space, f"observation of {agent}"))
            self._masked.append(masked)
            self._shapes.append(space.shape if isinstance(space, Box) and not masked else None)
            self._key.append(key)
            shapes.append(tuple(space.shape or ()))
            with np.errstate(over="ignore"):  # a bound beyond float32 is infinite
                low.append(flat.low.reshape(-1).astype(np.float32))
                high.append(flat.high.reshape(-1).astype(np.float32))
        if left_out:
            told = "; ".join(f"{name!r} of {', '.join(whose)}" for name, whose in left_out.items())
            self.notes = (f"observations without a fixed length are left out: {told}",)
        self.sizes = [len(part) for part in low]  # (N,)
        self.has_masks = any(self._masked)
        length = max(self.sizes)  # O
        shape = shapes[0] if pictures else (length,)
        lowest = np.min([np.pad(part, (0, length - len(part))) for part in low], axis=0)
        highest = np.max([np.pad(part, (0, length - len(part))) for part in high], axis=0)
        self.space = Box(lowest.reshape(shape), highest.reshape(shape), dtype=np.float32)

    def write(self, agent: int, observation: Any, row: Array) -> None:
        """Writes an agent's observation into its (O,) row, whose padding is already zero.

        Raises:
            ValueError: The observation does not have the shape of its space.
        """
        if self._masked[agent] and (key := self._key[agent]) is not None:
            observation = observation[key]
        self._write[agent](observation, row)

    def shape_of(self, agent: int) -> tuple[int, ...] | None:
        """Returns the shape of an observation that is written without conversion; None where one is needed."""
        return self._shapes[agent]

    def mask(self, agent: int, observation: Any) -> Any:
        """Returns the action mask inside an observation; None if there is none."""
        return observation[MASK] if self._masked[agent] else None


class Actions:
    """One action space for all agents, and the conversion back to each agent's own.

    Choices are numbered from 0: a `Discrete` with another start is shifted, and the combinations of a `MultiDiscrete`
    or `MultiBinary` are numbered. For agents with fewer choices than others the rest is forbidden (`own`). `Box`es are
    flattened and padded to the widest, and agents ignore the entries that they do not have. Where bounds differ between
    agents, the common space is [-1, 1], scaled to each agent's own bounds.

    Args:
        agents: (N,) names of the agents, for messages.
        spaces: (N,) action spaces of the agents.

    Raises:
        ValueError: The spaces are of different kinds, of an unsupported kind, unbounded or too large.
    """

    def __init__(self, agents: Sequence[str], spaces: Sequence[Space[Any]]) -> None:
        self._agents = tuple(agents)
        self._spaces = list(spaces)
        for agent, space in zip(agents, spaces, strict=True):
            refuse_strange(f"action space of {agent}", space)
        self.idle = [idle_action(space) for space in spaces]
        """(N,) an action of each agent's own space, for agents that are not alive."""
        self.own: Array | None = None
        """(N, A) bool: the choices that an agent has; None where all agents have all choices, and for a `Box`."""
        boxes = [isinstance(space, Box) for space in spaces]
        if all(boxes):
            self._low, self._high = zip(*(self._bounds(i) for i in range(len(agents))), strict=True)  # (N,) of (A_i,)
            self.space: Box | Discrete = self._common_box()
            return
        if any(boxes):
            one, other = boxes.index(True), boxes.index(False)
            raise ValueError(
                f"{agents[one]} acts in {spaces[one]} and {agents[other]} in {spaces[other]}; either all agents must "
                "have discrete actions or all a Box: wrap the environment"
            )
        self._stretched = False
        counts = [self._count(i) for i in range(len(agents))]  # (N,)
        self.space = Discrete(max(counts))
        if min(counts) < max(counts):
            self.own = np.arange(max(counts)) < np.array(counts)[:, None]
        self._counts = counts

    @property
    def simple(self) -> list[tuple[int, int]] | None:
        """(N,) first choice and number of choices, if all agents have a `Discrete`; otherwise None."""
        if not all(isinstance(space, Discrete) for space in self._spaces):
            return None
        return [(int(space.start), int(space.n)) for space in self._spaces]  # pyright: ignore[reportAttributeAccessIssue]

    def decode(self, agent: int, action: Any) -> Any:
        """Returns the action in the agent's own space.

        Args:
            agent: Index of the agent.
            action: A choice in the common `Discrete`, or (A,) numbers in the common `Box`.

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
                f"action of {self._agents[agent]} is {number}; it has {self._counts[agent]} choices: obey the mask"
            )
        if isinstance(space, Discrete):
            return int(space.start) + number
        if isinstance(space, MultiDiscrete):
            digits = np.array(np.unravel_index(number, space.nvec.reshape(-1))).reshape(space.nvec.shape)
            return (digits + space.start).astype(space.dtype)
        assert isinstance(space, MultiBinary)
        bits = np.array(np.unravel_index(number, (2,) * int(np.prod(space.shape))))
        return bits.astype(space.dtype).reshape(space.shape)

    def source(self, agent: int) -> tuple[Space[Any], bool]:
        """Returns an agent's own space, and whether rows are in [-1, 1] and scaled to its bounds."""
        return self._spaces[agent], self._stretched

    def widen(self, agent: int, mask: Any) -> Array:
        """Returns an agent's own mask as (A,) bool. A mask that allows nothing is read as allowing all its choices.

        Raises:
            ValueError: The length of the mask is not the agent's number of choices.
        """
        wide = np.zeros(int(self.space.n), bool)  # pyright: ignore[reportAttributeAccessIssue] - masks are for Discrete
        count = self._counts[agent]
        allowed = np.asarray(mask, bool)
        if allowed.shape != (count,):
            raise ValueError(
                f"action mask of {self._agents[agent]} has shape {allowed.shape}; ({count},) is expected, one entry "
                "for each of its choices"
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
            count = int(np.prod(space.nvec.astype(np.float64)))  # in floats, because integers would wrap at 2**64
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
                "are allowed: wrap the environment so that an agent chooses fewer things at once"
            )
        return count


def idle_action(space: Space[Any]) -> Any:
    """Returns a fixed action of a space, zeros if they are allowed; None for an unknown kind of space."""
    if isinstance(space, Box):
        return np.clip(np.zeros(space.shape, space.dtype), space.low, space.high)
    if isinstance(space, Discrete):
        return int(space.start)
    if isinstance(space, MultiDiscrete):
        return space.start.copy()
    if isinstance(space, MultiBinary):
        return np.zeros(space.shape, space.dtype)
    return None


def has_length(space: Space[Any]) -> bool:
    """Returns whether values of a space flatten to a fixed number of numbers."""
    try:
        return bool(space.is_np_flattenable)
    except NotImplementedError:  # a class of the user's own that does not define it
        return False


def refuse_strange(what: str, space: Any) -> None:
    """Raises `ValueError` for an object that is not one of Gymnasium's spaces."""
    if isinstance(space, Space):
        return
    kind = type(space)
    mend = "build it from gymnasium.spaces"
    if kind.__module__.partition(".")[0] == "gym":
        mend = "it is from the older gym: import gymnasium in its place, or wrap the environment with shimmy"
    raise ValueError(f"{what} is a {kind.__module__}.{kind.__qualname__}, not one of Gymnasium's spaces; {mend}")
