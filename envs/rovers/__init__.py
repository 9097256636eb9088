"""Rovers: the multi-rover domain, the literature's test of who is to be credited for what the team earned.

| property      | value                                                                                     |
|---------------|-------------------------------------------------------------------------------------------|
| import        | `from envs import rovers` (clone), `from coterie.envs import rovers` (installed)          |
| PettingZoo    | `pettingzoo.make("parallel", "coterie/rovers_v0", task="rovers-16")`, also `"aec"`        |
| agents        | `rover_0` ... `rover_{N-1}`; N = `n_rovers`                                               |
| actions       | `Discrete(5)`, or `Box(-1, 1, (2,))` with `continuous=True`                               |
| observations  | `Box(-1, 1, (11,))`; all but the position are at least 0                                  |
| state         | `Box(-1, 1, (2 N + 4 P + 1,))`; P = `n_pois`                                              |
| control step  | 0.5 s, for films; the time limit is `max_steps` (40)                                      |
| agents die    | never                                                                                     |

**The world.** N rovers on a square field of `size` (30 m) look at P points of interest, each worth between
`least_value` (0.5) and 1. Points lie uniformly in the whole field; rovers start uniformly in a square of `start_size`
(2 m) in its middle, from where they have to spread. A rover is a point that moves by at most `speed` (1 m) a step and
stops at the border; rovers do not touch. All is drawn at reset.

**The team's objective** of an episode, for k = `coupling` and d = `min_distance` (1 m):

    G(z) = sum over points j of  value_j * d / delta_j
    delta_j = min over steps t of the mean of the k least distances max(|rover_i(t) - point_j|, d)

where only rovers within `radius` (2.5 m) count: a point at which k rovers never were within the radius in the same
step adds nothing. So a point is decided by the closest approach of an episode, to be made by k rovers at once, and a
second visit is worth nothing unless it is closer. The places after the first step are the first that count. G over all
value is the metric `score`. The **team reward** of a step is the rise of G, so the return is G.

**Reward** of a rover, its own finds: the rise of what its own approaches alone would earn, as if no other rover ever
came closer. With a coupling k above 1 it is what was observed with it: the rise of the same sum, in which delta_j is
over those steps in which rover i observes point j together with the k - 1 nearest others. So one find may be paid to
many rovers, and learning from it leads them all to the same points. **Cost**: none.

**Counterfactual** (`counterfactual="absent"`): the rise of G in this step had rover i never been there, in no step of
the episode; all others go where they go. With it, D_i = team reward - counterfactual, summed over an episode, is
G(z) - G(z_-i) exactly (but for float32): the difference reward of the literature for the rover's whole way. It is a
closed form that costs nothing, because the points' closest approaches without each rover are kept in the state. A D_i
may be negative: where another rover now finds what rover i had found before, G rises only in the world without it. So
what a find adds is paid when it is made, and taken back in the step in which it turns out that it was not needed.
`"shapley"` (for `coupling=1`): the rise of G less the rise of the rover's Shapley value over who has been there, so
that D_i is that rise: of a point, each piece of the value is shared by all rovers that came at least so close.

**Actions**, discrete: 0 stay, 1 left (-x), 2 right (+x), 3 down (-y), 4 up (+y), each by `speed`. Continuous: the way
along x and y over `speed`; one longer than 1 is shortened to 1.

**Observation**, per rover. Quadrants are 0 right and up, 1 left and up, 2 right and down, 3 left and down; a density s
is given as s / (s + 1):

| index    | meaning                                                                                  | range    |
|----------|------------------------------------------------------------------------------------------|----------|
| 0 ... 3  | for each quadrant: sum over points in it of value * d^2 / max(distance, d)^2             | [0, 1)   |
| 4 ... 7  | for each quadrant: sum over other rovers in it of d^2 / max(distance, d)^2               | [0, 1)   |
| 8, 9     | position x, y: -1 and 1 are the borders                                                  | [-1, 1]  |
| 10       | time left over the time limit                                                            | [0, 1]   |

The eight densities are the published sensors. They see the whole field, and found points as well as open ones: what the
others have done must be told from where they are. Position and time are added: without them a rover could not tell the
border, and its value would be that of any age.

**State** for centralised critics: for each rover its position x, y; for each point its position x, y, its value, and
its closest approach so far as d / delta_j, 0 if there was none; time left over the time limit.

**Communication**: rovers within `comm_range` (10 m) hear each other.

**Metrics**, over the episode so far: `score`, G over all value, in [0, 1]; `observed_share` of points that add
something to it; `found_share` of points that were approached to d, and can add no more; `overlap`, the rovers' own
finds, summed, over G: how often finds are paid on average if each rover is paid its own. Where G is 0 the overlap is
undefined: NaN, shown as "-" in tables, and left out of means over episodes.

**Tasks**: `rovers-8`, `rovers-16` (default), `rovers-32`, with as many points as rovers; `coupled-16`: 16 rovers and 8
points, each of which needs two rovers at once.

**Policy to beat**: full information. Rovers share the points among them by an assignment that is made anew in every
step. Mean scores, random over seeds 0 to 999, assignment
over seeds 0 to 299:

| task         | random | assignment |
|--------------|--------|------------|
| `rovers-8`   | 0.21   | 1.00       |
| `rovers-16`  | 0.27   | 1.00       |
| `rovers-32`  | 0.34   | 1.00       |
| `coupled-16` | 0.14   | 1.00       |

**Sources.** Agogino and Tumer (2004), "Unifying temporal and structural credit assignment problems", and (2008),
"Analyzing and visualizing multiagent rewards in dynamic and stochastic domains": world, sensors, G and difference
rewards. Rahmattalabi, Chung, Colby and Tumer (2016), "D++: Structural credit assignment in tightly coupled multiagent
domains": the coupling, with the mean distance of the k closest. Deviations: G takes distances, as in D++, where the
papers of 2004 and 2008 take their squares; the published sensors are not squashed to [0, 1); quadrants are those of the
field, not of a rover's heading, which it does not have here; the field has a border.

**Arguments** are the fields of `Config`, documented there.

**Versions.** 0: first.
"""

from functools import partial

from .. import aec_env, parallel_env
from .config import DEFAULT_TASK, TASKS, Config
from .env import VERSION, Rovers
from .heuristic import heuristic

__all__ = [
    "DEFAULT_TASK",
    "TASKS",
    "VERSION",
    "Config",
    "Rovers",
    "build",
    "env",
    "heuristic",
    "parallel_env",
    "raw_env",
]


def build(config: Config) -> Rovers:
    """Builds the environment of a configuration."""
    return Rovers(config)


parallel_env = partial(parallel_env, "rovers")
env = raw_env = partial(aec_env, "rovers")
