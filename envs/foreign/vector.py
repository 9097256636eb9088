"""Worlds of somebody else's environment side by side with auto-reset: what training runs on.

Axes: B worlds, N agents, O observation, S global state, A actions.

Stepping does not overlap with acting. Acting took 3 to 9 % of training on MPE, SISL, RWARE and CartPole (two workers,
two cores); with a worker on every core, as by default, it would take from stepping what it saves.
"""

from __future__ import annotations

import contextlib
import os
import sys
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from ..core import Array, Step
from ..kit.actions import checked
from ..vector import restored
from .board import Frame, board_in, mapped, nameless_file, size_of
from .layout import Layout
from .tellings import ABSENT, MetricNames, News
from .workers import Here, PictureError, WorkerError, Workers, usable_cores

FORMAT = 1  # of state_dict


def _to_stderr(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # a screen that is gone, or knows no such letters, ends no run
        sys.stderr.write(text + "\n")


class ForeignVector:
    """B worlds of one environment; a world that ends starts its next episode within the same `step`.

    World w's e-th episode is reset with a seed from `SeedSequence([seed, w, e])`, whichever process steps it: with an
    environment that draws all its chance from that seed, the number of workers changes nothing.

    What is kept across `state_dict` is ours: seed, counters and what was shown last. The inner state of a foreign
    environment cannot be saved without running code from the file, so after `load_state_dict` the episodes that were
    running are truncated by the first `step`, whatever its actions, and new ones begin. That step pays no reward.

    Args:
        build: Makes one environment as a `ParallelEnv`; called in the workers.
        layout: What `layout.probe` found out about it.
        name: For messages and checkpoints.
        n_worlds: B.
        n_workers: Processes that step the worlds, at most one a world; None for as many as there are usable cores; 0
            steps them in this process.
        stagger: Spreads the phases of the episodes where the time limit is known: the first episode of world w is
            truncated after about (w + 1) / B of it, so that later not all worlds reset in the same step. These first
            episodes are never counted in `full_episodes`.
        notify: Told, once each, when a worker died and was started again, when a metric came late and how an end was
            read; None writes to stderr.
        said: What was told already; shared by all vectors of a run.
        blank: Why the worlds are known not to draw, for messages.

    Raises:
        ValueError: A number is not allowed.
        WorkerError: A worker could not be started.
    """

    headline_metrics: tuple[str, ...] = ()
    resume_note = "worlds of a foreign environment cannot be saved: they begin new episodes"
    """What a run that goes on from a checkpoint has to say."""

    def __init__(
        self,
        build: Callable[[], Any],
        layout: Layout,
        name: str,
        n_worlds: int = 64,
        n_workers: int | None = None,
        *,
        stagger: bool = False,
        notify: Callable[[str], None] | None = None,
        said: set[str] | None = None,
        blank: str = "",
    ) -> None:
        for what, number, least in (("n_worlds", n_worlds, 1), ("n_workers", n_workers, 0)):
            if number is None:
                continue
            if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < least:
                raise ValueError(f"{what} is {number!r}; it must be a whole number of at least {least}")
        if n_workers and not usable_cores():
            raise ValueError(f"n_workers is {n_workers}; this system allows only 0, stepping in this process")
        self.name = name
        self.n_worlds = int(n_worlds)
        self.n_workers = min(self.n_worlds, usable_cores() if n_workers is None else int(n_workers))
        self.stagger = stagger
        self.agents = layout.agents
        self.groups = layout.groups
        self.observation_space = layout.observations.space
        self.pixels = layout.observations.pictures
        """Observations are pictures whose numbers are multiples of 1/255 from 0 to 1."""
        self.action_space = layout.actions.space
        # Numbers outside a Box are cut to each agent's own, and those beyond it are ignored; they must only be numbers.
        large = np.finfo(np.float32).max
        boxed = isinstance(self.action_space, Box)
        self._takes = Box(-large, large, self.action_space.shape, np.float32) if boxed else self.action_space
        self.state_space = layout.state_space
        self.max_steps = layout.max_steps
        """Steps to the time limit, as far as it is known; otherwise 0."""
        self.step_seconds = layout.step_seconds
        self.own_spaces = layout.own_spaces
        """The agents' own spaces as plain data, see `foreign.own_spaces`: for policies that are to play without us."""
        self.notes = layout.notes
        """What a user should know about how the environment is read, a line each."""

        self.full_episodes: Array = np.zeros(self.n_worlds, bool)
        """(B,) bool: worlds whose episode ended in the last `step` and was not cut short by `stagger` or a restart."""
        self._layout = layout
        self._others: Array = ~np.eye(len(layout.agents), dtype=bool)  # (N, N), where everybody hears everybody else
        self._blank = blank
        self._seed = 0
        self._step: Step | None = None
        self._loaded = False  # the next step truncates what was running when the state was saved

        descriptor = nameless_file(size_of(layout, self.n_worlds))
        weakref.finalize(self, os.close, descriptor)
        memory = mapped(descriptor, size_of(layout, self.n_worlds))
        self._board = board_in(memory, layout, self.n_worlds)
        self._metrics = MetricNames(layout.metrics)
        self._said = set() if said is None else said
        self._notify = notify or _to_stderr
        board, listener = self._board, weakref.WeakMethod(self._hear)  # the crew must not keep this object alive

        def hear(rows: Sequence[int], news: News | None) -> None:
            if (method := listener()) is not None:
                method(rows, news)

        self._crew: Here | Workers
        if self.n_workers:
            self._crew = Workers(build, layout, board, descriptor, self.n_workers, self._notify, hear)
        else:
            self._crew = Here(build, layout, board, hear)
        self._close = weakref.finalize(self, self._crew.close)  # also when the interpreter exits

    def reset(self, seed: int) -> Step:
        """Starts the first episode of every world.

        Args:
            seed: Any integer of at least 0.
        """
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ValueError(f"seed is {seed!r}; it must be a whole number of at least 0")
        self._seed = int(seed)
        self._board.episode[:] = 0
        self._loaded = False
        return self._begin()

    def step(self, action: Array) -> tuple[Step, Step]:
        """Advances all worlds and restarts those that ended.

        Args:
            action: (B, N) integers for `Discrete`, (B, N, A) floats for `Box`. Rows of dead agents are ignored.

        Returns:
            (final, next): the moment the action led to, from which to bootstrap, and the one to act on. The rows of
            worlds that go on are equal, but for agents that left: `final` still has their last observation.

        Raises:
            ValueError: The action has the wrong shape or type, is no choice or is not finite.
            WorkerError: A worker died twice; in this process, the environment raised.
        """
        last = self._running()
        board, action = self._board, checked(self._takes, action, last.alive)
        if self._loaded:
            return self._end_of_what_was_saved(last)
        board.action[:] = action
        lost = self._crew.step()

        final = Step(
            **self._moment(board.final),
            reward=board.reward.copy(),
            team_reward=board.team_reward.copy(),
            cost=board.cost.copy(),
            terminated=board.terminated.copy(),
            truncated=board.truncated.copy(),
            counterfactual=None,
        )
        ended = board.ended
        self.full_episodes = board.whole.copy()
        if lost:  # all that is known of their last moment is the one before
            rows = np.array(lost)
            ended[rows], self.full_episodes[rows] = True, False
            final = _put(final, rows, _cut_off(last))
        self._step = final
        rows = np.flatnonzero(ended)
        if rows.size:
            self._step = self._begun(final, rows)
        left = last.alive & ~final.alive & ~final.terminated  # (B, N)
        if left.any() and (left := left & ~ended[:, None]).any():
            self._step = self._step._replace(obs=np.where(left[:, :, None], np.float32(0), self._step.obs))
        return final, self._step

    def render(self, world: int = 0) -> Array:
        """(height, width, 3) uint8 picture of one world.

        Raises:
            PictureError: The environment draws none.
        """
        self._running()
        try:
            picture = self._crew.render(world)
        except WorkerError as error:  # drawing brought its process down; the next step starts it again
            raise PictureError(f"{self.name} gives no picture: {error}") from error
        if isinstance(picture, str):
            raise PictureError(f"{self.name} gives no picture: {self._blank or picture}")
        return picture

    @property
    def processes(self) -> tuple[int, ...]:
        """Ids of the worker processes; () where there are none."""
        return self._crew.processes

    def state_dict(self) -> dict[str, Any]:
        """Arrays and plain data: all that is ours. The environments' inner state is not in it."""
        step = self._running()
        return {
            "format": FORMAT,
            "name": self.name,
            "n_worlds": self.n_worlds,
            "seed": self._seed,
            "episode": self._board.episode.copy(),
            "step": step._asdict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> Step:
        """Shows what was shown last; the next `step` ends the episodes that were running then, and begins new ones.

        Raises:
            ValueError: The state belongs to another environment, number of worlds or version.
        """
        mine = {"format": FORMAT, "name": self.name, "n_worlds": self.n_worlds}
        for key, expected in mine.items():
            if state.get(key) != expected:
                raise ValueError(f"saved {key} is {state.get(key)!r}, here it is {expected!r}; load it where it fits")
        like = Step(**self._moment(self._board.next), **self._nothing())
        saved = dict(state["step"])
        told = saved.pop("metrics")  # a run may have met more of them than are known here, or fewer
        self._metrics.remember(told)
        self._said |= {f"metric {name}" for name in told}
        fields = restored(saved, {k: v for k, v in like._asdict().items() if k != "metrics"}, "step")
        loaded = Step(**fields, metrics=self._metrics.complete(told, self.n_worlds))
        self._seed = int(state["seed"])
        self._board.episode[:] = np.asarray(state["episode"]) + 1
        self._begin()
        self._step = loaded
        self._loaded = True
        return loaded

    def close(self) -> None:
        """Ends the workers; also done when the object is forgotten and when the interpreter exits."""
        self._close()
        self._step = None

    def _hear(self, rows: Sequence[int], news: News | None) -> None:
        """Takes in what the process that has these rows told; None: it began anew."""
        self._metrics.assign(rows, news.metrics if news else None)
        for what, line in news.lines.items() if news else ():
            if what not in self._said:  # each process says it of its own worlds
                self._said.add(what)
                self._notify(f"{self.name}: {line}")

    def _running(self) -> Step:
        if self._step is None:
            raise RuntimeError("no worlds are running: call reset(seed) first")
        return self._step

    def _begin(self) -> Step:
        board = self._board
        board.stagger[:] = 0
        if self.stagger and self.max_steps:
            spread = -(-np.arange(1, self.n_worlds + 1) * self.max_steps // self.n_worlds)  # rounded up, at least 1
            board.stagger[:] = np.where(spread < self.max_steps, spread, 0)
        self.full_episodes = np.zeros(self.n_worlds, bool)
        self._crew.reset(self._seed)
        self._step = Step(**self._moment(board.next), **self._nothing())
        return self._step

    def _end_of_what_was_saved(self, last: Step) -> tuple[Step, Step]:
        self._loaded = False
        self.full_episodes = np.zeros(self.n_worlds, bool)
        self._step = Step(**self._moment(self._board.next), **self._nothing())
        return _cut_off(last), self._step

    def _begun(self, final: Step, rows: Array) -> Step:
        """`final`, but the worlds in `rows` are at the beginning of their next episodes, which brought nothing yet."""
        board = self._board.next

        def put(value: Array, other: Any) -> Array:
            value = value.copy()
            value[rows] = other
            return value

        alive = put(final.alive, board.alive[rows])
        near = put(final.adjacency, board.near[rows]) if self._layout.neighbors else self._others
        fresh = self._metrics.read(board.metrics)
        return Step(
            obs=put(final.obs, board.obs[rows]),
            state=put(final.state, board.state[rows]),
            alive=alive,
            adjacency=near & alive[:, :, None] & alive[:, None, :],
            action_mask=None if final.action_mask is None else put(final.action_mask, board.mask[rows]),
            reward=put(final.reward, 0.0),
            team_reward=put(final.team_reward, 0.0),
            cost=put(final.cost, 0.0),
            terminated=put(final.terminated, False),
            truncated=put(final.truncated, False),
            counterfactual=None,
            metrics={name: put(told, fresh[name][rows]) for name, told in final.metrics.items()},
        )

    def _moment(self, frame: Frame) -> dict[str, Any]:
        """A frame as fields of a `Step`, copied: the workers write into it again."""
        alive = frame.alive.copy()
        hears = frame.near if self._layout.neighbors else self._others
        return {
            "obs": frame.obs.copy(),
            "state": frame.state.copy(),
            "alive": alive,
            "adjacency": hears & alive[:, :, None] & alive[:, None, :],
            "action_mask": frame.mask.copy() if self._layout.masks else None,
            "metrics": self._metrics.read(frame.metrics),
        }

    def _nothing(self) -> dict[str, Any]:
        """The fields of a `Step` that say what a step brought, when there was none."""
        b, n = self.n_worlds, len(self.agents)
        return {
            "reward": np.zeros((b, n), np.float32),
            "team_reward": np.zeros(b, np.float32),
            "cost": np.zeros((b, n), np.float32),
            "terminated": np.zeros((b, n), bool),
            "truncated": np.zeros(b, bool),
            "counterfactual": None,
        }


def _cut_off(last: Step) -> Step:
    """The end of episodes of which nothing is known but the moment before: truncated there, and not paid."""
    zero = np.zeros_like
    return last._replace(
        reward=zero(last.reward),
        team_reward=zero(last.team_reward),
        cost=zero(last.cost),
        terminated=zero(last.terminated),
        truncated=np.ones_like(last.truncated),
    )


def _put(step: Step, rows: Array, new: Step) -> Step:
    """A copy of `step` with the worlds in `rows` from `new`."""

    def put(value: Any, other: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, dict):  # of metrics, of which `new` may not know all
            return {key: put(part, other.get(key, np.full_like(part, ABSENT))) for key, part in value.items()}
        value = value.copy()
        value[rows] = other[rows]
        return value

    return Step(*map(put, step, new))
