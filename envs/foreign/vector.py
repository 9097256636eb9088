"""Worlds of a foreign environment side by side with auto-reset, for training.

Axes: B worlds, N agents, O observation, S global state, A actions.

Stepping does not overlap with acting. Acting took 3 to 9 % of training on MPE, SISL, RWARE and CartPole (two workers,
two cores). With a worker on every core, as by default, overlapping would slow stepping by as much as it saves.
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
from .news import ABSENT, MetricNames, News
from .workers import InProcess, PictureError, WorkerError, Workers, usable_cores

FORMAT = 1
"""Version of what `state_dict` returns."""


def _to_stderr(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # a closed terminal, or one without these characters, ends no run
        sys.stderr.write(text + "\n")


class ForeignVector:
    """B worlds of one environment; a world that ends starts its next episode within the same `step`.

    Episode e of world w is reset with a seed from `SeedSequence([seed, w, e])`, whichever process steps it. For an
    environment that draws all its chance from that seed, results do not depend on the number of workers.

    `state_dict` contains the seed, the counters and the last `Step`. The inner state of a foreign environment cannot be
    saved without running code from the file. So after `load_state_dict` the first `step`, whatever its actions,
    truncates the episodes that were running and starts new ones; all its rewards are 0.

    Args:
        build: Makes one environment as a `ParallelEnv`; called in the workers.
        layout: The layout that `layout.probe` returned for it.
        name: Name for messages and checkpoints.
        n_worlds: Number of worlds, B.
        n_workers: Processes that step the worlds, at most one for each world; None for as many as there are usable
            cores; 0 steps them in this process.
        stagger: Truncates the first episode of world w after about (w + 1) / B of the time limit, if that is known, so
            that later the worlds do not all reset in the same step. These first episodes never count as
            `full_episodes`.
        notify: Called with a line for the user, once for each topic: a worker died and was started again, a metric
            appeared late, or an ending was read as the time limit. None writes to stderr.
        said: Topics that were reported already; shared by all vectors of a run.
        blank: The reason why the worlds are known not to draw, for messages.

    Raises:
        ValueError: A number is not allowed.
        WorkerError: A worker could not be started.
    """

    headline_metrics: tuple[str, ...] = ()
    resume_note = "worlds of a foreign environment cannot be saved: they start new episodes"
    """Note for the user when a run goes on from a checkpoint."""

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
        """Whether observations are pictures whose numbers are multiples of 1/255 from 0 to 1."""
        self.action_space = layout.actions.space
        # Any finite numbers fit: they are clipped to each agent's own Box, and entries beyond its length are ignored.
        large = np.finfo(np.float32).max
        boxed = isinstance(self.action_space, Box)
        self._takes = Box(-large, large, self.action_space.shape, np.float32) if boxed else self.action_space
        self.state_space = layout.state_space
        self.max_steps = layout.max_steps
        """Time limit of an episode [steps]; 0 if it is unknown."""
        self.step_seconds = layout.step_seconds
        self.own_spaces = layout.own_spaces
        """The agents' own spaces as plain data, for saved policies; see `foreign.own_spaces`."""
        self.notes = layout.notes
        """Notes for the user on how the environment is read, one line each."""

        self.full_episodes: Array = np.zeros(self.n_worlds, bool)
        """(B,) bool: worlds whose episode ended in the last `step` and was not cut short by `stagger` or a restart."""
        self._layout = layout
        self._others: Array = ~np.eye(len(layout.agents), dtype=bool)  # (N, N), where all agents hear each other
        self._blank = blank
        self._seed = 0
        self._step: Step | None = None
        self._loaded = False  # whether the next step truncates the episodes of the saved state

        descriptor = nameless_file(size_of(layout, self.n_worlds))
        weakref.finalize(self, os.close, descriptor)
        memory = mapped(descriptor, size_of(layout, self.n_worlds))
        self._board = board_in(memory, layout, self.n_worlds)
        self._metrics = MetricNames(layout.metrics)
        self._said = set() if said is None else said
        self._notify = notify or _to_stderr
        board = self._board
        listener = weakref.WeakMethod(self._take_news)  # weak, so that the crew does not keep this object alive

        def on_news(rows: Sequence[int], news: News | None) -> None:
            if (method := listener()) is not None:
                method(rows, news)

        self._crew: InProcess | Workers  # steps the worlds, in this process or in workers
        if self.n_workers:
            self._crew = Workers(build, layout, board, descriptor, self.n_workers, self._notify, on_news)
        else:
            self._crew = InProcess(build, layout, board, on_news)
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
            (final, next). `final` is what the action led to, from which to bootstrap; `next` is what to act on. They
            are equal in worlds that go on, except for agents that left: only `final` has their last observation.

        Raises:
            ValueError: The action has the wrong shape or type, is not one of the choices or is not finite.
            WorkerError: A worker died twice; in this process, the environment raised.
        """
        last = self._running()
        board, action = self._board, checked(self._takes, action, last.alive)
        if self._loaded:
            return self._truncate_saved(last)
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
        if lost:  # their last step is unknown, so the one before takes its place
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
        """Returns a picture of one world, (height, width, 3) uint8.

        Raises:
            PictureError: The environment does not draw.
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
        """Ids of the worker processes; () if there are none."""
        return self._crew.processes

    def state_dict(self) -> dict[str, Any]:
        """Returns arrays and plain data, without the environments' inner state; see above."""
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
        """Returns the saved `Step`; the next `step` truncates the episodes that were running and starts new ones.

        Raises:
            ValueError: It was saved by another environment, another number of worlds or another version.
        """
        mine = {"format": FORMAT, "name": self.name, "n_worlds": self.n_worlds}
        for key, expected in mine.items():
            if state.get(key) != expected:
                raise ValueError(f"saved {key} is {state.get(key)!r}, but that of this view is {expected!r}")
        like = Step(**self._moment(self._board.next), **self._nothing())
        saved = dict(state["step"])
        told = saved.pop("metrics")  # the names that appeared in the run may differ from those known here
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
        """Ends the workers; also done when the object is deleted and when the interpreter exits."""
        self._close()
        self._step = None

    def _take_news(self, rows: Sequence[int], news: News | None) -> None:
        """Takes in the news of the process that has these rows; None: it was started again."""
        self._metrics.assign(rows, news.metrics if news else None)
        for what, line in news.lines.items() if news else ():
            if what not in self._said:  # each process reports it for its own worlds
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

    def _truncate_saved(self, last: Step) -> tuple[Step, Step]:
        """Returns the saved step as the end of its episodes, and the start of the next ones."""
        self._loaded = False
        self.full_episodes = np.zeros(self.n_worlds, bool)
        self._step = Step(**self._moment(self._board.next), **self._nothing())
        return _cut_off(last), self._step

    def _begun(self, final: Step, rows: Array) -> Step:
        """Returns `final` with the worlds in `rows` at the start of their next episodes, without rewards or endings."""
        board = self._board.next

        def put(value: Array, other: Any) -> Array:
            value = value.copy()
            value[rows] = other
            return value

        alive = put(final.alive, board.alive[rows])
        near = put(final.adjacency, board.hears[rows]) if self._layout.neighbors else self._others
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
        """Returns a frame as fields of a `Step`; they are copies, because the workers write into the frame again."""
        alive = frame.alive.copy()
        hears = frame.hears if self._layout.neighbors else self._others
        return {
            "obs": frame.obs.copy(),
            "state": frame.state.copy(),
            "alive": alive,
            "adjacency": hears & alive[:, :, None] & alive[:, None, :],
            "action_mask": frame.mask.copy() if self._layout.masks else None,
            "metrics": self._metrics.read(frame.metrics),
        }

    def _nothing(self) -> dict[str, Any]:
        """Returns the fields of a `Step` for rewards, costs and endings after a reset: all zero."""
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
    """Returns `last` as the end of all its episodes: truncated, without rewards."""
    zero = np.zeros_like
    return last._replace(
        reward=zero(last.reward),
        team_reward=zero(last.team_reward),
        cost=zero(last.cost),
        terminated=zero(last.terminated),
        truncated=np.ones_like(last.truncated),
    )


def _put(step: Step, rows: Array, new: Step) -> Step:
    """Returns a copy of `step` in which the worlds in `rows` are those of `new`."""

    def put(value: Any, other: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, dict):  # metrics, of which `new` may not have all
            return {key: put(part, other.get(key, np.full_like(part, ABSENT))) for key, part in value.items()}
        value = value.copy()
        value[rows] = other[rows]
        return value

    return Step(*map(put, step, new))
