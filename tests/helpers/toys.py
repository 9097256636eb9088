"""Small worlds with known best returns, in numpy alone, for checking algorithms.

Axes: B worlds, N agents, O observation, S global state, A actions.

Chance is a hash of (seed, world, episode, agent, step): nothing to store, nothing that depends on order. One class, one
question:

    Match      can it learn at all: the action must equal what is seen
    Offset     is a constant in every reward found before it drowns what matters
    Endless    does a time limit cut the value (it must not)
    Departing  does a time limit of one agent alone, in a world that goes on
    Leaving    does death cut the value (it must), does it do so for others
    Martyr     does an agent die for its team when it is paid by the team
    Recall     does memory work: the cue is shown once, the answer is due later
    Quadrant   can it see: images, and what matters may be anywhere in a quarter of them
    Roles      do agents with equal observations learn different things
    Payoff     do two find the joint action that pays, from rewards that neither explains alone
    Carry      do two share a load out of continuous actions
    Weather    does the critic see the global state: rewards carry a term that no agent can see
    Crowd      who of many made the team's reward, when nobody is paid for their own part
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

Array = NDArray[Any]


class ToyStep(NamedTuple):
    """The fields of `algos.core.StepLike`."""

    obs: Array  # (B, N, O)
    state: Array  # (B, S)
    adjacency: Array  # (B, N, N)
    alive: Array  # (B, N)
    action_mask: Array | None  # (B, N, A)
    reward: Array  # (B, N)
    team_reward: Array  # (B,), the sum of `reward` unless said otherwise
    counterfactual: Array | None
    cost: Array  # (B, N)
    terminated: Array  # (B, N)
    truncated: Array  # (B,)
    metrics: dict[str, Array]  # (B,) each


def chance(*keys: Array | int) -> Array:
    """Uniform numbers in [0, 1) from broadcast integer keys: the finaliser of splitmix64, once per key."""
    x = np.uint64(0x9E3779B97F4A7C15)
    with np.errstate(over="ignore"):
        for key in keys:
            x = (x ^ np.asarray(key).astype(np.uint64)) * np.uint64(0xBF58476D1CE4E5B9) + np.uint64(0x9E3779B97F4A7C15)
            x = (x ^ (x >> np.uint64(30))) * np.uint64(0x94D049BB133111EB)
            x = x ^ (x >> np.uint64(31))
    return np.asarray((x >> np.uint64(11)).astype(np.float64) / 2.0**53)


class Toy:
    """B worlds with auto-reset; a subclass says what is seen (`observe`) and what actions lead to (`outcome`)."""

    obs_dim = 1
    obs_shape: tuple[int, ...] = ()  # before it is flattened, where that is not (O,)
    state_dim = 0
    max_steps = 1
    step_seconds = 1.0
    unseen = 0.0  # what the environment says that the dead observe
    ends_in_death = True  # the last step is the true end, all agents die; False: a mere time limit
    action_space: Box | Discrete = Discrete(2)

    def __init__(self, n_worlds: int = 16, n_agents: int = 2, groups: tuple[tuple[int, ...], ...] = ()) -> None:
        self.n_worlds, self.n_agents = n_worlds, n_agents
        self.agents = tuple(f"toy_{i}" for i in range(n_agents))
        self.groups = groups or (tuple(range(n_agents)),)
        self.observation_space = Box(-10.0, 10.0, self.obs_shape or (self.obs_dim,), np.float32)
        self.state_space = Box(-10.0, 10.0, (self.state_dim,), np.float32)

    def observe(self) -> Array:
        """(B, N, O)."""
        return np.ones((self.n_worlds, self.n_agents, self.obs_dim))

    def global_state(self) -> Array:
        """(B, S)."""
        return np.zeros((self.n_worlds, self.state_dim))

    def action_mask(self) -> Array | None:
        """(B, N, A)."""
        return None

    def outcome(self, action: Array) -> tuple[Array, Array, Array | None]:
        """Returns reward (B, N), the agents that die (B, N), team reward (B,) or None for the sum."""
        raise NotImplementedError

    def leavers(self) -> Array:
        """(B, N) bool: agents that are out of time after this step; the world may go on. The clock has advanced."""
        return np.zeros_like(self.alive)

    def draw(self, key: int, clock: Array | int = 0) -> Array:
        """(B, N) uniform numbers, the same for the whole episode unless `clock` says otherwise."""
        worlds = np.arange(self.n_worlds)[:, None]
        clock = np.broadcast_to(clock, self.n_worlds)[:, None]
        return chance(self.seed, key, worlds, self.episode[:, None], clock, np.arange(self.n_agents)[None])

    def reset(self, seed: int) -> ToyStep:
        """See `VectorEnv`."""
        self.seed = seed
        self.episode = np.zeros(self.n_worlds, np.int64)
        self.clock = np.zeros(self.n_worlds, np.int64)
        self.alive = np.ones((self.n_worlds, self.n_agents), bool)
        self.returns = np.zeros(self.n_worlds)
        return self._step()

    def step(self, action: Array) -> tuple[ToyStep, ToyStep]:
        """See `VectorEnv`."""
        if isinstance(self.action_space, Box):
            assert action.dtype == np.float32
            assert ((action >= self.action_space.low) & (action <= self.action_space.high)).all()
        else:
            assert action.dtype == np.int64
            mask = self.action_mask()
            if mask is not None:
                allowed = np.take_along_axis(mask, action[..., None], -1)[..., 0]  # (B, N)
                assert allowed[self.alive].all()
        reward, dies, team = self.outcome(action)
        reward = np.where(self.alive, reward, 0.0)
        self.clock = self.clock + 1
        self.returns = self.returns + reward.sum(1)
        over = self.clock >= self.max_steps
        truncated = over & (not self.ends_in_death)
        dies = (dies | (over & self.ends_in_death)[:, None]) & self.alive
        self.alive = self.alive & ~dies
        final = self._step(reward, dies, truncated, team)  # leavers still see
        self.alive = self.alive & ~self.leavers()
        final = final._replace(alive=self.alive)
        ended = truncated | ~self.alive.any(1)
        if not ended.any():
            return final, final
        self.episode = self.episode + ended
        self.clock = np.where(ended, 0, self.clock)
        self.alive = self.alive | ended[:, None]
        self.returns = np.where(ended, 0.0, self.returns)
        return final, self._step(reward, dies, truncated, team)

    def render(self, world: int = 0) -> Array:
        """See `VectorEnv`."""
        return np.zeros((8, 8, 3), np.uint8)

    def state_dict(self) -> dict[str, Any]:
        """See `VectorEnv`."""
        names = ("seed", "episode", "clock", "alive", "returns")
        return {name: np.copy(getattr(self, name)) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> ToyStep:
        """See `VectorEnv`."""
        for name, value in state.items():
            setattr(self, name, int(value) if name == "seed" else np.copy(value))
        return self._step()

    def _step(
        self,
        reward: Array | None = None,
        dies: Array | None = None,
        truncated: Array | None = None,
        team: Array | None = None,
    ) -> ToyStep:
        b, n = self.n_worlds, self.n_agents
        reward = np.zeros((b, n)) if reward is None else reward
        return ToyStep(
            obs=np.where(self.alive[..., None], self.observe(), self.unseen).astype(np.float32),
            state=self.global_state().astype(np.float32),
            adjacency=np.broadcast_to(~np.eye(n, dtype=bool), (b, n, n)),
            alive=self.alive,
            action_mask=self.action_mask(),
            reward=reward.astype(np.float32),
            team_reward=(reward.sum(1) if team is None else team).astype(np.float32),
            counterfactual=None,
            cost=np.zeros((b, n), np.float32),
            terminated=np.zeros((b, n), bool) if dies is None else dies,
            truncated=np.zeros(b, bool) if truncated is None else truncated,
            metrics={"return": self.returns.astype(np.float32)},
        )


class Match(Toy):
    """One step: the action must equal the one seen. Best return 1 an agent; with masks some others are forbidden."""

    obs_dim = 4
    action_space: Box | Discrete = Discrete(4)

    def __init__(self, n_worlds: int = 16, n_agents: int = 2, *, masked: bool = False) -> None:
        super().__init__(n_worlds, n_agents)
        self.masked = masked

    def target(self) -> Array:
        """(B, N) in 0..3."""
        return (self.draw(0) * 4).astype(np.int64)

    def observe(self) -> Array:
        """(B, N, 4) one-hot."""
        return np.eye(4)[self.target()]

    def action_mask(self) -> Array | None:
        """(B, N, 4): the target and, by chance, others; for the dead nothing at all."""
        if not self.masked:
            return None
        others = np.stack([self.draw(1 + a) < 0.5 for a in range(4)], -1)
        return (others | (self.observe() > 0)) & self.alive[..., None]

    def outcome(self, action: Array) -> tuple[Array, Array, Array | None]:
        """1 for the right action."""
        return (action == self.target()).astype(float), np.zeros_like(self.alive), None


class Reach(Toy):
    """One step, continuous, bounds that are neither symmetric nor equal: a_0 must be the number seen, a_1 its double.

    Best return 1 an agent; 1 minus the mean squared error otherwise.
    """

    obs_dim = 1
    action_space: Box | Discrete = Box(np.array([-1.0, -2.0], np.float32), np.array([3.0, 6.0], np.float32))

    def observe(self) -> Array:
        """(B, N, 1), from -0.5 to 2.5."""
        return (self.draw(0) * 3.0 - 0.5)[..., None]

    def outcome(self, action: Array) -> tuple[Array, Array, Array | None]:
        """1 - mean squared error."""
        goal = self.observe() * np.array([1.0, 2.0])
        return 1.0 - np.square(action - goal).mean(-1), np.zeros_like(self.alive), None


class Offset(Match):
    """`Match` for ten steps, cut by a time limit, with a constant in every reward: best return 10 (1 + offset)."""

    max_steps = 10
    ends_in_death = False

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = offset

    def target(self) -> Array:
        """(B, N) in 0..3, another one in every step."""
        return (self.draw(0, self.clock) * 4).astype(np.int64)

    def outcome(self, action: Array) -> tuple[Array, Array, Array | None]:
        """See the class."""
        return self.offset + (action == self.target()), np.zeros_like(self.alive), None


class Endless(Toy):
    """Reward 1 a step whatever happens, cut into episodes of 5 by a time limit: the value is 1 / (1 - gamma)."""

    max_steps = 5
    ends_in_death = False

    def outcome(self, action: Array) -> tuple[Array, Array, Array | None]:
        """1 each; the team's reward is 1, not N."""
        return np.ones(self.alive.shape), np.zeros_like(self.alive), np.ones(self.n_worlds)


class Departing(Endless):
    """`Endless`, but agent i is out of time after 2 + i steps, and the dead observe NaN.

    The value is still 1 / (1 - gamma), and the team's too, which is paid 1 as long as the world lasts. With more than 3
    agents the world meets its limit of 5 steps, with fewer it ends when the last one leaves.
    """

    unseen = np.nan

    def leavers(self) -> Array:
        """See the class."""
        return self.clock[:, None] >= 2 + np.arange(self.n_agents)


class Leaving(Toy):
    """Action 0: 0.2, and stay. Action 1: 1, and die. Time limit 10.

    With gamma = 0.9 staying is worth 0.2 / (1 - 0.9) = 2 and leaving 1: the best return is 2 an agent. An algorithm
    that bootstraps after death believes that leaving is worth 1 + 0.9 V > 2.
    """

    max_steps = 10
    ends_in_death = False

    def outcome(self, action: Array) -> tuple[Array, Array, Array | None]:
        """See the class."""
        return np.where(action == 1, 1.0, 0.2), action == 1, None


class Martyr(Toy):
    """Action 1 of agent 0 kills it, and from the next step on the team earns 1 a step; its own reward is never any.

    Nothing else matters. Time limit 6: the best team return is 5, reached by dying at once. `Step.reward` is 0.1 for
    staying alive, so an agent paid by itself never dies.
    """

    obs_dim = 1
    state_dim = 1
    max_steps = 6
    ends_in_death = False

    def global_state(self) -> Array:
        """(B, 1): has agent 0 died."""
        return 1.0 - self.alive[:, :1].astype(float)

    def outcome(self, action: Array) -> tuple[Array, Array, Array | None]:
        """See the class."""
        dies = np.zeros_like(self.alive)
        dies[:, 0] = action[:, 0] == 1
        return np.full(self.alive.shape, 0.1) * ~dies, dies, (~self.alive[:, 0]).astype(float)


class Recall(Toy):
    """A cue, +1 or -1, at the first of 3 steps, nothing after. At the last, action 0 must answer -1 and 1 answer +1.

    Best return 1 an agent; 0.5 without memory.
    """

    obs_dim = 2
    max_steps = 3

    def observe(self) -> Array:
        """(B, N, 2): the cue while it is shown, and the clock."""
        clock = np.broadcast_to(self.clock[:, None], self.alive.shape)
        cue = np.where(self.draw(0) < 0.5, -1.0, 1.0)
        return np.stack([cue * (clock == 0), clock / 2.0], -1)

    def outcome(self, action: Array) -> tuple[Array, Array, Array | None]:
        """1 for the right answer at the last step."""
        right = action == (self.draw(0) >= 0.5)
        return (right & (self.clock[:, None] == 2)).astype(float), np.zeros_like(self.alive), None


class Quadrant(Match):
    """`Match`, but the action is shown as the quarter of a noisy image in which there is a bright spot of 2 x 2."""

    size = 8
    obs_dim = size * size
    obs_shape = (1, size, size)

    def observe(self) -> Array:
        """(B, N, 64): noise up to 0.5, and the spot, which is 1."""
        half, pixel = self.size // 2, np.arange(self.size)
        inside = [(self.draw(1 + axis) * (half - 1)).astype(np.int64) for axis in range(2)]  # first row and column
        row, column = (half * (self.target() >> 1) + inside[0], half * (self.target() & 1) + inside[1])
        in_row, in_column = ((start[..., None] <= pixel) & (pixel < start[..., None] + 2) for start in (row, column))
        spot = in_row[..., :, None] & in_column[..., None, :]  # (B, N, 8, 8)
        noise = 0.5 * chance((self.draw(3) * 2**53)[..., None], np.arange(self.obs_dim))  # (B, N, 64)
        return np.where(spot.reshape(noise.shape), 1.0, noise)


class Roles(Toy):
    """Everybody sees the same; agents of group g must do g. Best return 1 an agent; 1 / N shared without ids."""

    def __init__(self, n_worlds: int = 16, groups: tuple[tuple[int, ...], ...] = ((0,), (1,), (2,))) -> None:
        super().__init__(n_worlds, sum(map(len, groups)), groups)
        self.action_space = Discrete(len(groups))
        self.role = np.array([g for _, g in sorted((i, g) for g, members in enumerate(groups) for i in members)])

    def outcome(self, action: Array) -> tuple[Array, Array, Array | None]:
        """1 for the right role."""
        return (action == self.role).astype(float), np.zeros_like(self.alive), None


class Payoff(Toy):
    """One step, a matrix game of two: both are paid 4, 2 or 6 where their actions agree and -2 where they do not.

    Best return 6, where both choose action 2. To agree on any other action is a Nash equilibrium too.
    """

    payoff = np.array([[4.0, -2.0, -2.0], [-2.0, 2.0, -2.0], [-2.0, -2.0, 6.0]])
    action_space: Box | Discrete = Discrete(3)

    def outcome(self, action: Array) -> tuple[Array, Array, Array | None]:
        """The same for both."""
        paid = self.payoff[action[:, 0], action[:, 1]]
        return np.stack([paid, paid], -1), np.zeros_like(self.alive), paid


class Carry(Toy):
    """One step, continuous, two agents: both are paid -(a_0 + a_1 - x)^2 - (a_0^2 + a_1^2) / 2, x seen by both.

    Best where each carries a_i = 0.4 x, which is paid -0.2 x^2: on average -0.2 / 3, as x is uniform in -1..1.
    """

    action_space: Box | Discrete = Box(-1.0, 1.0, (1,), np.float32)

    def load(self) -> Array:
        """(B, 1)."""
        return self.draw(0)[:, :1] * 2.0 - 1.0

    def observe(self) -> Array:
        """(B, N, 1)."""
        return np.repeat(self.load()[..., None], self.n_agents, 1)

    def outcome(self, action: Array) -> tuple[Array, Array, Array | None]:
        """The same for both."""
        carried = action[..., 0]  # (B, N)
        paid = -np.square(carried.sum(1) - self.load()[:, 0]) - np.square(carried).sum(1) / 2.0
        return np.stack([paid, paid], -1), np.zeros_like(self.alive), paid


class Weather(Match):
    """`Match`, but every reward also carries 5 z, z in -1..1 drawn by the world and seen in the global state alone."""

    state_dim = 1

    def global_state(self) -> Array:
        """(B, 1)."""
        return self.draw(9)[:, :1] * 2.0 - 1.0

    def outcome(self, action: Array) -> tuple[Array, Array, Array | None]:
        """Match plus weather."""
        reward, dies, _ = super().outcome(action)
        return reward + 5.0 * self.global_state(), dies, None


class Crowd(Match):
    """Eight that play `Match` and are paid together only, with a counterfactual: the others' right actions."""

    def __init__(self, n_worlds: int = 16, n_agents: int = 8) -> None:
        super().__init__(n_worlds, n_agents)

    def outcome(self, action: Array) -> tuple[Array, Array, Array | None]:
        """Nothing for oneself."""
        self.right = (action == self.target()) & self.alive
        return np.zeros(self.right.shape), np.zeros_like(self.alive), self.right.sum(1).astype(float)

    def step(self, action: Array) -> tuple[ToyStep, ToyStep]:
        """See `VectorEnv`; the return is the mean share of right actions."""
        final, following = super().step(action)
        without = (final.team_reward[:, None] - self.right).astype(np.float32)
        metrics = {"return": final.team_reward}
        return final._replace(counterfactual=without, metrics=metrics), following


def train(env: Any, algo: Any, updates: int, seed: int = 0) -> list[dict[str, float]]:
    """The smallest training loop: the statistics of every update, and `return`, that of the episodes that ended.

    Returns:
        One dict an update; `return` is the mean over the episodes and agents.
    """
    from algos.core import Obs, Transition

    def seen(step: ToyStep, started: Array) -> Any:
        return Obs(step.obs, step.state, step.adjacency, step.alive, step.action_mask, started)

    step, started = env.reset(seed), np.ones(env.n_worlds, bool)
    history: list[dict[str, float]] = []
    returns: list[float] = []
    while len(history) < updates:
        obs = seen(step, started)
        action = algo.act(obs)
        final, step = env.step(action)
        ended = final.truncated | ~final.alive.any(1)
        going = np.zeros(env.n_worlds, bool)
        algo.observe(
            Transition(
                obs=obs,
                action=action,
                reward=final.reward,
                team_reward=final.team_reward,
                counterfactual=final.counterfactual,
                cost=final.cost,
                terminated=final.terminated,
                truncated=final.truncated,
                final=seen(final, going),
                ended=ended,
            )
        )
        started = ended
        returns += list(final.metrics["return"][ended] / len(env.agents))
        stats = algo.update()
        if stats:
            history.append({**stats, "return": float(np.mean(returns)) if returns else float("nan")})
            returns = []
    return history
