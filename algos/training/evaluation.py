"""Evaluation of a policy on whole episodes that are fixed beforehand, with bootstrap intervals of the means.

Axes: B worlds, E episodes, K columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from ..core import Action, Array, Obs, Player, StepLike, VectorEnv
from ..report.evaluation_progress import EvaluationStatus
from .episodes import EpisodeStatistics, returns_of_groups, widened
from .finite import check_step

Act = Callable[[Obs], Action]
Policies = Mapping[str, Callable[[VectorEnv], Act]]
"""Makers of policies by name: each takes the worlds and returns a function from `Obs` to actions. A heuristic reads
`env.batch_state` instead."""

UNDEFINED = (math.nan, math.nan, math.nan)
"""The interval of a metric that no episode reported."""

FIRST_SEED = 2**31
"""Training seeds lie below this, evaluation seeds from here on: no policy is judged on an episode that it was trained
on."""
CHOOSING_SEED = 3 * 2**30
"""Evaluations during training, which choose `best.pt`, use seeds from here to 2^32 - 1. Seeds from `FIRST_SEED` to here
are for judging: `--evaluate` and the table at the end. So no checkpoint is judged on the episodes that chose it.

All three ranges lie within 32 bits. World w's e-th episode comes from `SeedSequence([seed, w, e])`, which is padded
with zeros to four words: a seed of two words, such as 2^32, would give the episodes that seed 0 has in other worlds.
"""
MOST_RESAMPLED = 5_000
"""Number of values above which the normal interval is used; the bootstrap would find the same, but take minutes."""
MOST_STEPS = 10_000
"""Default length at which an evaluation cuts an episode that no time limit has ended [steps]."""


def to_obs(step: StepLike, started: Array) -> Obs:
    """Returns the `Obs` of an environment's step; `started`, (B,) bool, marks worlds that begin an episode."""
    return Obs(step.obs, step.state, step.adjacency, step.alive, step.action_mask, started)


def ended_worlds(step: StepLike) -> Array:
    """Returns which worlds' episodes are over, (B,) bool: at the time limit, or with no agent left alive."""
    return step.truncated | ~step.alive.any(axis=1)


@dataclass(frozen=True)
class Evaluation:
    """The episodes of one policy."""

    columns: tuple[str, ...]
    """`return`, `team_return`, `length`, `cost`, returns of groups if any, then the environment's metrics."""
    values: Array
    """(E, K), one row an episode, in the order of the episodes' seeds."""
    notes: tuple[str, ...] = ()
    """Remarks on episodes that were cut, played again or left out, a line each."""
    of_agents: Array = field(default_factory=lambda: np.zeros((0, 0)))
    """(E, N) sums of each agent's own rewards, in the same order."""
    credit: Mapping[str, float] = field(default_factory=dict)
    """How good the credit is that the policy learns from, see `credit_probe.measured`; {} where that is not known."""

    def mean(self, column: str) -> float:
        """Returns the mean of a column over the episodes in which it is defined."""
        return mean_interval(self._column(column))[0]

    def intervals(self, *, level: float = 0.95) -> dict[str, tuple[float, float, float]]:
        """Returns mean and lower and upper end of its bootstrap interval, by column.

        The measures of `credit` follow, whose intervals are NaN: they belong to no single episodes.
        """
        of_episodes = {name: mean_interval(self._column(name), level=level) for name in self.columns}
        return of_episodes | {name: (number, math.nan, math.nan) for name, number in self.credit.items()}

    def __str__(self) -> str:
        return table({"learned": self})

    def _column(self, name: str) -> Array:
        return self.values[:, self.columns.index(name)]


def evaluate(
    env: VectorEnv,
    act: Act,
    n_episodes: int,
    *,
    seed: int = FIRST_SEED,
    most_steps: int = 0,
    stop: Callable[[], bool] | None = None,
    watch: Callable[[], None] | None = None,
    show: Callable[[EvaluationStatus], None] | None = None,
    status: EvaluationStatus | None = None,
) -> Evaluation | None:
    """Plays exactly `n_episodes` episodes and keeps every one.

    The episodes that count are fixed beforehand: episode e belongs to world e mod B, and each world plays its share
    from the reset on. Taking the first episodes that finish would favour short ones.

    An episode that a fault cut short, such as the death of a worker (`env.full_episodes`), does not count, and its
    world plays another in its place. An episode longer than `most_steps` is cut there and counts as it stands, as if
    it had met a time limit; its world cannot begin the next one, so the rest of its share is left out. `notes` says so.

    Args:
        env: B worlds; they are reset.
        act: The policy.
        n_episodes: E.
        seed: Seed of the worlds, and of the medium of a `Player` that talks; the same seed and B give every policy the
            same episodes.
        most_steps: Longest episode [steps]; 0: `MOST_STEPS`, or `env.max_steps` where that is more.
        stop: Called after every step; the evaluation is given up once it returns True.
        watch: Called before every step, for instance to take a picture.
        show: Called after every step with how far the evaluation is.
        status: Name and number of the policy for `show`.

    Returns:
        The episodes; None if `stop` ended the evaluation.

    Raises:
        ValueError: `n_episodes` is less than one.
        NonFiniteError: The environment gave NaN or infinity.
    """
    if n_episodes < 1:
        raise ValueError(f"n_episodes is {n_episodes}; at least 1 is needed")
    n_worlds = env.n_worlds
    most_steps = most_steps or max(env.max_steps, MOST_STEPS)
    share = (n_episodes - np.arange(n_worlds) + n_worlds - 1) // n_worlds  # (B,) episodes of each world
    left = np.maximum(share, 0)  # (B,) that it still has to play
    most = int(left.max()) * min(env.max_steps or most_steps, most_steps) * n_worlds
    step = env.reset(seed)
    if isinstance(act, Player):
        act.reset(seed)
    started = np.ones(n_worlds, dtype=bool)
    groups = returns_of_groups(env.agents, env.groups)
    statistics = EpisodeStatistics(n_worlds, len(env.agents), tuple(step.metrics), groups=groups, window=1)
    values = np.full((n_episodes, len(statistics.columns)), np.nan)
    of_agents = np.full((n_episodes, len(env.agents)), np.nan)
    played = np.zeros(n_episodes, dtype=bool)
    lasted = np.zeros(n_worlds, dtype=np.int64)  # (B,) steps of the running episodes
    cuts = faults = iterations = 0
    while left.any():
        if watch is not None:
            watch()
        acted = step.alive
        final, step = env.step(act(to_obs(step, started)))
        check_step(final, step, acted, env.agents)
        iterations += 1
        started = ended_worlds(final)
        whole = np.asarray(getattr(env, "full_episodes", started))
        lasted += 1
        cut = (lasted >= most_steps) & ~started & (left > 0)  # (B,)
        lasted[started] = 0
        faults += int((started & ~whole & (left > 0)).sum())
        finished = statistics.add(final, started | cut, whole | cut)
        if finished is not None:
            worlds, rows = finished
            counted = left[worlds] > 0
            episodes = ((share - left) * n_worlds + np.arange(n_worlds))[worlds[counted]]
            values = widened(values, rows.shape[1])  # metrics may come late
            values[episodes], played[episodes] = rows[counted], True
            of_agents[episodes] = statistics.returns[counted]
            left[worlds[counted]] -= 1
        cuts += int(cut.sum())
        left[cut] = 0
        if show is not None:
            named = status or EvaluationStatus("", 1, 1, 0, 0, 0, 0)
            done = {"finished": int(played.sum()), "episodes": n_episodes}
            show(named._replace(**done, steps=iterations * n_worlds, most=most))
        if left.any() and stop is not None and stop():
            return None
    notes = []
    if cuts:
        notes.append(
            f"{cuts} of {_episodes(n_episodes)} lasted longer than {most_steps:,} steps and "
            f"{'counts as it stood' if cuts == 1 else 'count as they stood'} then (--eval-steps)"
        )
    if faults:
        notes.append(
            f"{_episodes(faults)} {'was' if faults == 1 else 'were'} cut by a fault of the environment and "
            f"{'does' if faults == 1 else 'do'} not count; {'another' if faults == 1 else 'others'} took "
            f"{'its' if faults == 1 else 'their'} place"
        )
    if not played.all():
        missing = int((~played).sum())
        verb = "was" if missing == 1 else "were"
        notes.append(f"{missing} of {_episodes(n_episodes)} {verb} not played: earlier ones did not end")
    values = widened(values, len(statistics.columns))
    return Evaluation(statistics.columns, values[played], tuple(notes), of_agents[played])


def mean_interval(
    values: Array, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float, float]:
    """Returns the mean with its percentile bootstrap interval (Efron and Tibshirani 1993, chapter 13).

    For more than `MOST_RESAMPLED` values it is the normal interval, the limit of the bootstrap interval.

    Args:
        values: (E,), one number for each episode; NaN stands for undefined and is left out.
        level: Confidence level in (0, 1).
        resamples: Number of times that E values are drawn with replacement.
        seed: Seed of the draws, so that equal values give equal intervals.

    Returns:
        Mean, lower end and upper end; all NaN if no value is defined, all equal if there is only one.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return math.nan, math.nan, math.nan
    mean = float(values.mean())
    if np.ptp(values) == 0:
        return mean, mean, mean
    if len(values) > MOST_RESAMPLED:
        reach = NormalDist().inv_cdf((1 + level) / 2) * float(values.std()) / math.sqrt(len(values))
        return mean, mean - reach, mean + reach
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    for start in range(0, resamples, 1000):  # in parts: E may be large
        part = means[start : start + 1000]
        part[:] = values[rng.integers(len(values), size=(len(part), len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return mean, float(low), float(high)


def compare(
    make_env: Callable[[int], VectorEnv],
    policies: Policies,
    n_episodes: int,
    *,
    seed: int = FIRST_SEED,
    max_worlds: int = 64,
    most_steps: int = 0,
    stop: Callable[[], bool] | None = None,
    show: Callable[[EvaluationStatus], None] | None = None,
) -> dict[str, Evaluation] | None:
    """Evaluates several policies on the same episodes.

    Args:
        make_env: Makes an environment with a given number of worlds.
        policies: Makers of policies by name.
        n_episodes: E, for each policy.
        seed: See `evaluate`.
        max_worlds: Most worlds to step at once.
        most_steps: See `evaluate`.
        stop: See `evaluate`.
        show: See `evaluate`.

    Returns:
        Evaluations by name; None if `stop` ended them.
    """
    env = make_env(worlds_for(n_episodes, max_worlds))
    found: dict[str, Evaluation] = {}
    for number, (name, policy) in enumerate(policies.items(), start=1):
        status = EvaluationStatus(name, number, len(policies), 0, n_episodes, 0, 0)
        evaluation = evaluate(
            env, policy(env), n_episodes, seed=seed, most_steps=most_steps, stop=stop, show=show, status=status
        )
        if evaluation is None:
            return None
        found[name] = evaluation
    return found


def worlds_for(n_episodes: int, max_worlds: int = 64) -> int:
    """Returns how many worlds play `n_episodes` in the fewest rounds, with the fewest idle in the last round."""
    rounds = math.ceil(n_episodes / max_worlds)
    return math.ceil(n_episodes / max(rounds, 1))


def random_policy(env: VectorEnv, *, seed: int = 0) -> Act:
    """Returns a policy that draws uniformly from the allowed actions."""
    rng = np.random.default_rng(seed)
    space = env.action_space

    def act(obs: Obs) -> Action:
        if isinstance(space, Box):
            return rng.uniform(space.low, space.high, (*obs.alive.shape, *space.shape)).astype(np.float32)
        score = rng.random((*obs.alive.shape, int(space.n)))  # (B, N, A), the highest allowed one wins
        return np.where(True if obs.action_mask is None else obs.action_mask, score, -1.0).argmax(axis=-1)

    return act


def table(evaluations: Mapping[str, Evaluation]) -> str:
    """Returns a table as text: mean and 95 % interval of every column, with the policies side by side."""
    names = list(evaluations)
    intervals = {name: evaluation.intervals() for name, evaluation in evaluations.items()}
    columns = list(dict.fromkeys(column for found in intervals.values() for column in found))
    rows = [["", *names]]
    rows += [[column, *(_cell(intervals[name].get(column, UNDEFINED)) for name in names)] for column in columns]
    widths = [max(len(row[index]) for row in rows) for index in range(len(names) + 1)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def summary(evaluations: Mapping[str, Evaluation]) -> dict[str, Any]:
    """Returns means and intervals as plain data for JSON; what is undefined is None."""
    return {
        name: {
            column: dict(zip(("mean", "low", "high"), (_finite(number) for number in interval), strict=True))
            for column, interval in evaluation.intervals().items()
        }
        for name, evaluation in evaluations.items()
    }


def _episodes(count: int) -> str:
    return f"{count} episode{'s' * (count != 1)}"


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _cell(interval: tuple[float, float, float]) -> str:
    mean, low, high = interval
    if math.isnan(mean):
        return "-"
    return _short(mean) if math.isnan(low) else f"{_short(mean)} [{_short(low)}, {_short(high)}]"


def _short(number: float) -> str:
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.3g}"
