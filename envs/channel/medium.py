"""The medium of one episode: messages on their way, what was heard last, and links that are bad for a while.

Axes: N agents, E entries of a message, K = 1 + the longest delay [steps]. Links are [i, j]: agent i hears agent j.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..core import Array
from ..kit.fields import check_fields
from .maths import Heard, delays, faded, heard_after, next_bad, quantised


@dataclass(frozen=True)
class Settings:
    """Options of the medium; see the package's docstring."""

    entries: int = 8
    """Entries of a message."""
    bits: int = 0
    """Bits of an entry; 0: not rounded."""
    loss: float = 0.0
    """Chance that a link loses the message of a step."""
    burst: float = 0.0
    """Mean length of a spell of losses [steps]; 0: losses are independent."""
    delay: int | tuple[int, int] = 0
    """Delay [steps], or the least and the most of it."""
    decay: float = 1.0
    """Factor on what was heard, for each step that it is old."""
    memory: int = 16
    """Time for which a message stays heard after it arrived where no newer one comes [steps]."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for values out of range or at odds with each other."""
        check_fields(self, _RANGES)
        if not self.decay:
            raise ValueError("decay=0 is out of range: give a factor above 0, at most 1; memory=0 forgets at once")
        least, most = self.delays
        if not all(isinstance(d, (int, np.integer)) for d in (least, most)) or not 0 <= least <= most:
            raise ValueError(f"delay={self.delay!r}: give whole steps of at least 0, or (least, most)")
        if self.burst and not self.loss:
            raise ValueError(
                f"burst={self.burst}, but loss=0: nothing is lost in spells; give a loss, or leave burst at 0"
            )
        if self.burst:
            shortest = 1.0 / (1.0 - self.loss) if self.loss < 1.0 else math.inf  # as independent losses have
            if self.burst < shortest - 1e-9:
                raise ValueError(
                    f"burst={self.burst} is too short for loss={self.loss}: spells of losses take at least "
                    f"{shortest:.3g} steps in the mean; give 0 for independent losses, or more"
                )

    @property
    def delays(self) -> tuple[int, int]:
        """The least and the most delay [steps]."""
        if isinstance(self.delay, (tuple, list)):
            return self.delay if len(self.delay) == 2 else (-1, -1)
        return self.delay, self.delay

    @property
    def nothing(self) -> int:
        """The age that says that nothing is heard: above that of any message [steps]."""
        return self.delays[1] + self.memory + 1

    @property
    def message_bits(self) -> int:
        """Bits of a message; an entry that is not rounded counts as 32."""
        return self.entries * (self.bits or 32)


_RANGES = (
    ("entries", 1, 4096),
    ("bits", 0, 16),
    ("loss", 0, 1),
    ("burst", 0, 1_000_000),
    ("decay", 0, 1),
    ("memory", 0, 100_000),
)


class Sent(NamedTuple):
    """Messages of one step."""

    message: Array  # (N, E) float32
    wait: Array  # (N, N) int64 steps until they arrive; -1: never


class Medium:
    """N agents that send one message each a step. All chance is drawn from the generator that `reset` is given."""

    def __init__(self, settings: Settings, n_agents: int) -> None:
        self.settings = settings
        self.n_agents = n_agents
        self.reset(np.random.default_rng(0))

    def reset(self, rng: np.random.Generator) -> None:
        """Starts an episode: nothing was heard, nothing is under way."""
        links = (self.n_agents, self.n_agents)
        self._rng = rng
        self._bad: Array = rng.random(links) < self.settings.loss  # (N, N) links that lose in the coming step
        self._sent: list[Sent] = []  # of the last K steps, the newest first
        nothing = np.zeros((*links, self.settings.entries), np.float32)
        self._heard = Heard(nothing, np.full(links, self.settings.nothing), np.zeros(links, np.int64))

    @property
    def age(self) -> Array:
        """(N, N) int64 age of what is heard [steps]; `Settings.nothing` where nothing is."""
        return self._heard.age

    @property
    def heard(self) -> Array:
        """(N, N, E) float32 what i hears of j, faded; zeros where nothing is heard."""
        return faded(self._heard.message, self._heard.age, self.settings.decay)

    def send(self, message: Array, speaks: Array, reaches: Array) -> Array:
        """Sends the messages of a step, and lets arrive what is due in it.

        The numbers that are drawn do not depend on the arguments, so neither do the fates of links.

        Args:
            message: (N, E) numbers from -1 to 1.
            speaks: (N,) bool, which of them are sent.
            reaches: (N, N) bool: what j says could reach i, but for losses.

        Returns:
            (N, N) bool: messages of this step that reach i, now or later.
        """
        to = self.settings
        delivered = reaches & speaks & ~self._bad & ~np.eye(self.n_agents, dtype=bool)
        self._bad = next_bad(self._bad, self._rng.random(self._bad.shape), to.loss, to.burst)
        least, most = to.delays
        wait = delays(self._rng.random(self._bad.shape), least, most)
        # A message that nobody sent is never read, but silence must not depend on it either.
        said = np.where(speaks[:, None], quantised(message, to.bits), np.float32(0.0))
        self._sent = [Sent(said, np.where(delivered, wait, -1)), *self._sent[:most]]
        sent = np.stack([one.message for one in self._sent])  # (K, N, E), fewer than K in the first steps
        arrives = np.stack([one.wait == k for k, one in enumerate(self._sent)])  # (K, N, N)
        self._heard = heard_after(self._heard, sent, arrives, to.memory, to.nothing)
        return delivered
