"""Spread: MPE's simple_spread, N agents cover N landmarks without running into each other, many worlds at once.

| property      | value                                                                                     |
|---------------|-------------------------------------------------------------------------------------------|
| import        | `from envs import spread` (clone), `from coterie.envs import spread` (installed)          |
| PettingZoo    | `pettingzoo.make("parallel", "coterie/spread_v0", n_agents=3)`, also `"aec"`              |
| agents        | `agent_0` ... `agent_{N-1}`; N = `n_agents`; as many landmarks                            |
| actions       | `Discrete(5)`, or `Box(0, 1, (5,))` with `continuous=True`                                |
| observations  | `Box(-inf, inf, (6 N,))`                                                                  |
| state         | `Box(-inf, inf, (6 N^2,))`: all agents' observations in a row                             |
| control step  | 0.1 s; the time limit is `max_steps` (25)                                                 |
| agents die    | never                                                                                     |

**The same as mpe2.** Every number is that of `mpe2.simple_spread_v3` 1.1 (tests compare them step by step), the start
included: `reset([seed])` here is `reset(seed=seed)` there. So a policy trained here acts there unchanged, and the other
way round. Its `N` is `n_agents`, its `max_cycles` is `max_steps`, its `continuous_actions` is `continuous`. Its
options `curriculum`, `terminate_on_success` and `num_..._neighbors` are not offered. Two things differ: an action
outside the Box is refused instead of clipped, and two agents in exactly the same place do not push each other (in mpe2
their positions become NaN).

**The world.** Agents are discs of radius 0.15 and mass 1 in an open plane; a landmark is a point. All start uniformly
in the square [-1, 1] x [-1, 1], at rest. In a step an agent moves by 0.1 s times the velocity it has; then its velocity
loses a quarter and gains 0.1 s times the force. The force is up to 5 along each axis from its action, and 100 times the
depth by which it overlaps another agent, with an onset smoothed over 0.001. So an action first moves an agent in the
next step.

**Actions**, discrete: 0 nothing, 1 left (-x), 2 right (+x), 3 down (-y), 4 up (+y), each a force of 5. Continuous: the
same five as shares from 0 to 1; right less left and up less down make the force, and the first has no effect.

**Observation**, per agent, in the world's units, unbounded:

| index             | meaning                                                                              |
|-------------------|--------------------------------------------------------------------------------------|
| 0, 1              | its velocity x, y [1/s]                                                              |
| 2, 3              | its position x, y                                                                    |
| 4 ...             | for each landmark in order: x, y relative to it                                      |
| 4 + 2 N ...       | for each other agent in order: x, y relative to it                                   |
| 2 + 4 N ...       | 2 (N - 1) zeros, where MPE has the others' messages; this task has none              |

**Reward** of agent i: -(1 - `local_ratio`) d - `local_ratio` c_i, where d, the same for all agents, is the sum over
landmarks of the distance to the nearest agent, and c_i is the number of other agents that agent i overlaps. The team
reward G is the sum over agents. **Cost**: c_i. **Counterfactual** (`counterfactual="absent"`): G of the others, had
agent i not been there. There is no `"stop"`: an action moves no agent before the next step, so stopping would not
change G. `"shapley"`: G less the agent's Shapley value over who is there, exact up to 8 agents and above that the mean
over `orders` orders of arrival (`envs.kit.shapley`); a field without agents is worth 0.

**Scales.** The return of 25 steps is reported as the mean over agents (`return` in this suite's tables; mpa; BenchMARL)
or as their sum, N times that (`team_return`; EPyMARL, JaxMARL). on-policy's variant also counts every agent's collision
with itself, so its numbers cannot be compared.

**Metrics**, over the episode so far: `collisions`, pairs of overlapping agents, summed over steps; `landmark_distance`,
from a landmark to its nearest agent, mean over steps and landmarks; `covered_share` of landmarks with an agent's centre
within 0.1, mean over steps; `covered_now` is that share at this moment. Before the first step the means over steps are
undefined: NaN, shown as "-" in tables, and left out of means over episodes.

**Tasks**: `spread-3` (default), `spread-5` and `spread-10`, named after their number of agents.

**Arguments** are the fields of `Config`, documented there.

**Versions.** 0: first.
"""

from functools import partial

from .. import aec_env, parallel_env
from .config import DEFAULT_TASK, TASKS, Config
from .env import VERSION, Spread
from .heuristic import heuristic

__all__ = [
    "DEFAULT_TASK",
    "TASKS",
    "VERSION",
    "Config",
    "Spread",
    "build",
    "env",
    "heuristic",
    "parallel_env",
    "raw_env",
]


def build(config: Config) -> Spread:
    """Builds the environment of a configuration."""
    return Spread(config)


parallel_env = partial(parallel_env, "spread")
env = raw_env = partial(aec_env, "spread")
