"""Worlds side by side with auto-reset: the view of an environment that training runs on.

Axes: B worlds, N agents. The view has no dynamics: it decides when a world starts its next episode, and its seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .core import Array, BatchEnv, Step, ended, put_worlds, take_worlds

FORMAT = 1
"""Version of what `state_dict` returns."""


class VectorView:
    """B worlds of one `BatchEnv`; a world that ends starts its next episode within the same `step`.

    Episode e of world w is seeded by `SeedSequence([seed, w, e])`, so it depends only on these three numbers and on its
    actions.

    Args:
        env: The environment.
        n_worlds: Number of worlds, B.
        stagger: Truncates the first episode of world w after about (w + 1) / B of the time limit, so that later the
            worlds do not all reset in the same step. These first episodes never count as `full_episodes`.

    Raises:
        ValueError: `n_worlds` is not a whole number of at least 1.
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
        self.pose: tuple[int, ...] = tuple(getattr(env, "pose", ()))  # empty: observations hold no position
        self.pose_scale: float = float(getattr(env, "pose_scale", 1.0))
        self.obs_names: tuple[str, ...] = tuple(getattr(env, "obs_names", ()))  # empty: entries have no names

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
        """The environment's `State` of all worlds: heuristics read it, and keeping it keeps a snapshot."""
        self._running()
        return self._state

    def reset(self, seed: int) -> Step:
        """Starts the first episode of every world.

        Args:
            seed: Any integer of at least 0.

        Raises:
            ValueError: The seed is something else.
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ValueError(f"seed is {seed!r}; it must be a whole number of at least 0")
        self._seed = int(seed)
        self._episode = np.zeros(self.n_worlds, np.int64)
        self._elapsed = np.zeros(self.n_worlds, np.int64)
        # The environment truncates at `max_steps` itself; only a smaller limit, from `stagger`, takes effect here.
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
            (final, next). `final` is what the action led to: rewards, endings, and the observations to bootstrap from.
            `next` is what to act on: in a world that ended it shows the start of the next episode, in all others it
            equals `final`. Where no world ended, both are the same object.

        Raises:
            ValueError: The action does not fit, see `BatchEnv.step`. The view is then as it was before the call, and
                so it is when the environment raises anything else.
        """
        self._running()
        kept = self._state, self._episode, self._elapsed, self._limit, self.full_episodes
        try:
            return self._advance(action)
        except Exception:
            self._state, self._episode, self._elapsed, self._limit, self.full_episodes = kept
            raise

    def _advance(self, action: Array) -> tuple[Step, Step]:
        self._state, final = self.env.step(self._state, action)
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
        self._step = self._restart(final, rows) if rows.size else final
        return final, self._step

    def render(self, world: int = 0) -> Array:
        """Returns a picture of one world, (height, width, 3) uint8."""
        self._running()
        return self.env.render(self._state, world)

    @property
    def can_blend(self) -> bool:
        """Returns whether the environment can draw moments between two steps, by a method `between`."""
        return callable(getattr(self.env, "between", None))

    def render_between(self, before: Any, share: float, world: int = 0) -> Array:
        """Returns a picture, (height, width, 3) uint8, of a moment between an earlier `batch_state` and this one.

        Args:
            before: The `batch_state` of one step ago, in the same episode; of any step where `share` is 0.
            share: Fraction of the step that has passed, from 0 to 1.
            world: Index of the world to draw.
        """
        if share <= 0.0:
            return self.env.render(before, world)
        between: Any = getattr(self.env, "between")  # noqa: B009 - not all environments have it
        only = np.array([world])
        return self.env.render(between(take_worlds(before, only), take_worlds(self._state, only), share), 0)

    def state_dict(self) -> dict[str, Any]:
        """Returns arrays and plain data from which `load_state_dict` continues exactly.

        The arrays are shared with the view, which never writes into them.

        Raises:
            RuntimeError: `reset` has not been called yet.
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
            ValueError: It was saved by another environment, another number of worlds or another version.
        """
        mine = {"format": FORMAT, "name": self.env.name, "n_worlds": self.n_worlds}
        for key, expected in mine.items():
            if state.get(key) != expected:
                raise ValueError(f"saved {key} is {state.get(key)!r}, but that of this view is {expected!r}")
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

    def _restart(self, final: Step, rows: Array) -> Step:
        """Starts the next episode of the worlds in `rows` (R,), and returns the step to act on."""
        self._episode = self._episode.copy()
        self._episode[rows] += 1
        self._elapsed[rows] = 0  # a new array since `_advance`, so nobody else sees the change
        self._limit = self._limit.copy()
        self._limit[rows] = self.max_steps
        state, fresh = self.env.reset(self._seeds(rows))
        if rows.size == self.n_worlds:
            self._state = state
            return fresh
        # This copies the arrays of all worlds. Writing into those above 1 MiB in place, where nobody else had them,
        # gained nothing: training took 1.02 times the CPU time on `city-50`, 1.01 on `grid-4x4` (5 pairs each).
        self._state = put_worlds(self._state, rows, state)
        return _with_worlds(final, rows, fresh)

    def _seeds(self, rows: Array) -> list[int]:
        """Returns `SeedSequence([seed, world, episode]).generate_state(1, np.uint64)` of every row."""
        from .kit.seeding import seed_words  # imported here, because it loads numba

        seed = [self._seed >> shift & 0xFFFFFFFF for shift in range(0, max(self._seed.bit_length(), 1), 32)]
        entropy = np.empty((len(rows), len(seed) + 2), np.uint64)
        entropy[:, :-2], entropy[:, -2], entropy[:, -1] = seed, rows, self._episode[rows]
        return seed_words(entropy).tolist()


def _with_worlds(step: Step, rows: Array, new: Step) -> Step:
    """Returns a copy of `step` in which the worlds in `rows` are those of `new`."""

    def put(value: Array, other: Array) -> Array:
        value = value.copy()
        value[rows] = other
        return value

    merged: dict[str, Any] = {}
    for field, value in step._asdict().items():
        other = getattr(new, field)
        if isinstance(value, dict):
            merged[field] = {name: put(numbers, other[name]) for name, numbers in value.items()}
        else:
            merged[field] = None if value is None else put(value, other)
    return Step(**merged)


def restored(saved: Any, like: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Copies saved arrays after checking that they fit.

    Args:
        saved: Arrays by name, in mappings that may be nested; None for an array that is absent.
        like: Arrays that show which names, shapes and types are expected.
        where: Name of what is restored, for messages.

    Returns:
        The copies, by name.

    Raises:
        ValueError: A name, shape or type is not the expected one.
    """
    if not isinstance(saved, Mapping) or set(saved) != set(like):
        names = sorted(saved) if isinstance(saved, Mapping) else saved
        raise ValueError(f"saved {where} has the fields {names!r}, not {sorted(like)}; it was saved by another version")
    found: dict[str, Any] = {}
    for key, expected in like.items():
        if isinstance(expected, Mapping):
            found[key] = restored(saved[key], expected, f"{where}.{key}")
        elif expected is None or saved[key] is None:
            if expected is not saved[key]:
                came, wanted = ("absent", "an array") if saved[key] is None else ("an array", "none")
                raise ValueError(f"saved {where}.{key} is {came}; {wanted} is expected")
            found[key] = None
        else:
            value = np.array(saved[key])
            if value.shape != expected.shape or value.dtype != expected.dtype:
                raise ValueError(
                    f"saved {where}.{key} is {value.dtype} {value.shape}; {expected.dtype} {expected.shape} is expected"
                )
            found[key] = value
    return found
