"""Worlds side by side with auto-reset: what training runs on.

Axes: B worlds, N agents. No logic of its own: it only decides when a world begins anew, and with which seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .core import Array, BatchEnv, Step, ended, take_worlds

_LARGE = 1 << 20
"""From this size on a state's array is written in place where nobody else has it [bytes]."""
FORMAT = 1  # of state_dict


class VectorView:
    """B worlds of one `BatchEnv`; a world that ends starts its next episode within the same `step`.

    World w's e-th episode is seeded by `SeedSequence([seed, w, e])`, so it depends on nothing else than these three
    and its actions.

    Args:
        env: The dynamics.
        n_worlds: B.
        stagger: Spreads the phases of the episodes: the view truncates the first episode of world w after
            about (w + 1) / B of the time limit, so that later not all worlds reset in the same step. These first
            episodes are never counted in `full_episodes`.
    """

    def __init__(self, env: BatchEnv, n_worlds: int = 64, *, stagger: bool = False) -> None:
        if isinstance(n_worlds, bool) or not isinstance(n_worlds, (int, np.integer)) or n_worlds < 1:
            raise ValueError(f"n_worlds is {n_worlds!r}; it must be a whole number of at least 1")
        self.env = env
        self.n_worlds = int(n_worlds)
        self.stagger = stagger
        self.agents = env.agents
        self.groups: tuple[tuple[int, ...], ...] = getattr(env, "groups", (tuple(range(len(env.agents))),))
        self.observation_space = env.observation_space
        self.action_space = env.action_space
        self.state_space = env.state_space
        self.max_steps = env.max_steps
        self.step_seconds = env.step_seconds
        self.headline_metrics: tuple[str, ...] = tuple(getattr(env, "headline_metrics", ()))

        self.full_episodes: Array = np.zeros(self.n_worlds, bool)
        """(B,) bool: worlds whose episode ended in the last `step` and was not cut short by `stagger`."""
        self._seed = 0
        self._state: Any = None
        self._step: Step | None = None
        self._episode: Array = np.zeros(self.n_worlds, np.int64)  # (B,) index of the running episode
        self._elapsed: Array = np.zeros(self.n_worlds, np.int64)  # (B,) steps made in it
        self._limit: Array = np.zeros(self.n_worlds, np.int64)  # (B,) steps after which the view truncates it

    @property
    def batch_state(self) -> Any:
        """The environment's `State` of all worlds: what a heuristic reads, and a snapshot for who keeps it."""
        self._running()
        return self._state

    def reset(self, seed: int) -> Step:
        """Starts the first episode of every world.

        Args:
            seed: Any integer of at least 0.
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ValueError(f"seed is {seed!r}; it must be a whole number of at least 0")
        self._seed = int(seed)
        self._episode = np.zeros(self.n_worlds, np.int64)
        self._elapsed = np.zeros(self.n_worlds, np.int64)
        # The environment's own limit comes first, or in the same step, except where `stagger` wants it earlier.
        self._limit = np.full(self.n_worlds, self.max_steps, np.int64)
        if self.stagger:
            spread = -(-np.arange(1, self.n_worlds + 1) * self.max_steps // self.n_worlds)  # rounded up, at least 1
            self._limit = spread.astype(np.int64)
        self.full_episodes = np.zeros(self.n_worlds, bool)
        self._state, self._step = self.env.reset(self._seeds(np.arange(self.n_worlds)))
        return self._step

    def step(self, action: Array) -> tuple[Step, Step]:
        """Advances all worlds and restarts those that ended.

        Args:
            action: (B, N) integers for `Discrete`, (B, N, A) floats for `Box`.

        Returns:
            (final, next): the moment the action led to, from which to bootstrap, and the one to act on. They are the
            same object when no world ended; otherwise the rows of worlds that go on are equal.

        Where the environment raises, also in beginning another episode, all is as it was before the call.
        """
        self._running()
        kept = self._state, self._episode, self._elapsed, self._limit, self.full_episodes
        try:
            return self._advance(action)
        except Exception:
            self._state, self._episode, self._elapsed, self._limit, self.full_episodes = kept
            raise

    def _advance(self, action: Array) -> tuple[Step, Step]:
        before = self._state
        self._state, final = self.env.step(before, action)
        self._elapsed = self._elapsed + 1
        early = self._limit < self.max_steps  # (B,) worlds in an episode that `stagger` cuts short
        over = ended(final)  # (B,)
        if early.any():
            cut = early & (self._elapsed >= self._limit) & ~over
            if cut.any():
                final = final._replace(truncated=final.truncated | cut)
                over = over | cut
        self.full_episodes = over & ~early
        rows = np.flatnonzero(over)
        self._step = self._restart(before, final, rows) if rows.size else final
        return final, self._step

    def render(self, world: int = 0) -> Array:
        """(height, width, 3) uint8 picture of one world."""
        self._running()
        return self.env.render(self._state, world)

    @property
    def can_blend(self) -> bool:
        """Whether the environment draws moments between two steps (`between`)."""
        return callable(getattr(self.env, "between", None))

    def render_between(self, before: Any, share: float, world: int = 0) -> Array:
        """(height, width, 3) uint8 picture of a moment between an earlier `batch_state` and the present one.

        Args:
            before: A `batch_state` that was kept, of the same episode and one step ago unless `share` is 0.
            share: How much of the step has passed, from 0 to 1.
            world: Which one.
        """
        if share <= 0.0:
            return self.env.render(before, world)
        between: Any = getattr(self.env, "between")  # noqa: B009 - not all environments have it
        only = np.array([world])
        return self.env.render(between(take_worlds(before, only), take_worlds(self._state, only), share), 0)

    def state_dict(self) -> dict[str, Any]:
        """Arrays and plain data from which `load_state_dict` continues exactly.

        The arrays are shared with the view, which never writes into them.
        """
        step = self._running()
        return {
            "format": FORMAT,
            "name": self.env.name,
            "n_worlds": self.n_worlds,
            "seed": self._seed,
            "episode": self._episode,
            "elapsed": self._elapsed,
            "limit": self._limit,
            "full_episodes": self.full_episodes,
            "state": dict(zip(self._state._fields, self._state, strict=True)),
            "step": step._asdict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> Step:
        """Continues where `state_dict` was taken, and returns the step to act on next.

        Raises:
            ValueError: The state belongs to another environment, number of worlds or version.
        """
        mine = {"format": FORMAT, "name": self.env.name, "n_worlds": self.n_worlds}
        for key, expected in mine.items():
            if state.get(key) != expected:
                raise ValueError(f"saved {key} is {state.get(key)!r}, here it is {expected!r}; load it where it fits")
        world_state, step = self.env.reset([0] * self.n_worlds)  # only for its types, names and shapes
        fields = restored(state["state"], world_state._asdict(), "state")
        loaded = Step(**restored(state["step"], step._asdict(), "step"))
        self._state = type(world_state)(**fields)
        self._step = loaded
        self._seed = int(state["seed"])
        self._episode = np.array(state["episode"], np.int64)
        self._elapsed = np.array(state["elapsed"], np.int64)
        self._limit = np.array(state["limit"], np.int64)
        self.full_episodes = np.array(state["full_episodes"], bool)
        return loaded

    def _running(self) -> Step:
        if self._step is None:
            raise RuntimeError("no worlds are running: call reset(seed) first")
        return self._step

    def _restart(self, before: Any, final: Step, rows: Array) -> Step:
        """Begins the next episode of the worlds in `rows` (R,), `before` being the state before the last step."""
        self._episode = self._episode.copy()
        self._episode[rows] += 1
        self._elapsed[rows] = 0  # made anew in `step`, nobody else has it
        self._limit = self._limit.copy()
        self._limit[rows] = self.max_steps
        state, fresh = self.env.reset(self._seeds(rows))
        if rows.size == self.n_worlds:
            self._state = state
            return fresh
        seen = [*before, *final.metrics.values(), *(part for part in final if isinstance(part, np.ndarray))]
        self._state = type(state)(
            *(_put(value, rows, new, seen) for value, new in zip(self._state, state, strict=True))
        )
        merged: dict[str, Any] = {
            field: None if value is None else _put(value, rows, getattr(fresh, field))
            for field, value in final._asdict().items()
        }
        return Step(**merged)

    def _seeds(self, rows: Array) -> list[int]:
        """What `SeedSequence([seed, world, episode]).generate_state(1, np.uint64)` gives for every row."""
        from .kit.seeding import seed_words  # compiled, so not loaded with the package

        seed = [self._seed >> shift & 0xFFFFFFFF for shift in range(0, max(self._seed.bit_length(), 1), 32)]
        entropy = np.empty((len(rows), len(seed) + 2), np.uint64)
        entropy[:, :-2], entropy[:, -2], entropy[:, -1] = seed, rows, self._episode[rows]
        return seed_words(entropy).tolist()


def _put(value: Any, rows: Array, new: Any, seen: Sequence[Array] = ()) -> Any:
    """`value` with other `rows`: a copy, unless it is large and shares no memory with what others may have `seen`."""
    if isinstance(value, dict):
        return {key: _put(part, rows, new[key]) for key, part in value.items()}
    mine = bool(seen) and value.nbytes >= _LARGE and value.flags.writeable
    if not mine or any(np.may_share_memory(value, other) for other in seen):
        value = value.copy()
    value[rows] = new
    return value


def restored(saved: Any, like: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Copies of saved arrays.

    Args:
        saved: Arrays by name, nested in mappings; None where there is none.
        like: What names, shapes and types must be.
        where: For messages.

    Raises:
        ValueError: They are not.
    """
    if not isinstance(saved, Mapping) or set(saved) != set(like):
        names = sorted(saved) if isinstance(saved, Mapping) else saved
        raise ValueError(f"saved {where} has {names!r}, here it has {sorted(like)}; it is of another version")
    found: dict[str, Any] = {}
    for key, expected in like.items():
        if isinstance(expected, Mapping):
            found[key] = restored(saved[key], expected, f"{where}.{key}")
        elif expected is None or saved[key] is None:
            if expected is not saved[key]:
                raise ValueError(f"saved {where}.{key} is present in only one of saved and here; it does not fit")
            found[key] = None
        else:
            value = np.array(saved[key])
            if value.shape != expected.shape or value.dtype != expected.dtype:
                raise ValueError(
                    f"saved {where}.{key} is {value.dtype}{value.shape}, here it is {expected.dtype}{expected.shape}"
                )
            found[key] = value
    return found
