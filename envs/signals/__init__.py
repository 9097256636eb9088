"""Signals: every crossing's traffic light is an agent; together they bring a town's traffic through.

| property      | value                                                                                     |
|---------------|-------------------------------------------------------------------------------------------|
| import        | `from envs import signals` (clone), `from coterie.envs import signals`                    |
| PettingZoo    | `pettingzoo.make("parallel", "coterie/signals_v0", task="grid-2x2")`, also `"aec"`        |
| agents        | `signal_0` ... `signal_{N-1}`, row by row from the south-west; N = `rows` x `columns`     |
| actions       | `Discrete(4)`: the next phase, masked                                                     |
| observations  | `Box(0, 1, (68,))`                                                                        |
| state         | `Box(0, 1, (S,))`, S = 32 N + 1                                                           |
| control step  | 5 s, 5 substeps; the time limit is `max_steps` (240: 20 min)                              |
| agents live   | for the whole episode                                                                     |

**Roads.** A grid of the four-way crossings of `envs.intersection`, from the same `roads`: the same boxes, arcs and
conflicts. An approach has `lanes` lanes (at least 2): the innermost for left turns alone, the others straight on, the
outermost also right. On leaving a box a vehicle takes the lane that its next turn needs; after that nobody changes
lanes.

**Demand** is drawn at reset: at every entry vehicles come by a Poisson process whose mean over the episode is `flow`
times a factor of the entry, uniform from 1 - `imbalance` to 1 + `imbalance`, and whose rate rises as a sine's square
to `peak` times its first value in the middle of the episode, and falls again. Every vehicle's turns are drawn with
it, by `left_share` and `right_share`. Who came before the start and would still be on its approach is there already.
Who finds no room on the lane at an entry waits outside; that time counts as lost.

**Vehicles** (4.8 m) follow the Intelligent Driver Model (Treiber, Hennecke and Helbing 2000), a = 1.8 m/s^2, b = 2
m/s^2, T = 1.2 s, s0 = 2 m, at most `speed_limit`, in curves what 3 m/s^2 sideways allow, in linearly implicit steps of
1 s (`following`). They stop for red as behind a standing vehicle, and for yellow if they can at 3 m/s^2. Nobody enters
a box while somebody is in it on a path that conflicts, or when there is no room behind it; so boxes stay free, and
nobody collides.

**Actions**: 0 north and south, straight on and right; 1 their left turns; 2 east and west, straight on and right; 3
their left turns. Another phase than the present one begins with `yellow` and `all_red` (together 5 s: one control
step); a phase is kept for at least `min_green`. The mask allows the present phase always, and others once that time
is over. A masked action is taken for the present phase.

**Blackout** (`n_blackouts`): a signal goes dark for `blackout_seconds`, when and which is drawn at reset. It ends its
phase as any phase ends, with `yellow` for who is too near to stop and `all_red`. Then its crossing is an all-way stop:
all stop, and one after the other goes, lane by lane in turn. When it is back, who was let in and moves goes on first. A
dark signal obeys and hears nobody.

**Observation** of a signal; counts are over 25 vehicles, clipped; times t [s] as t / (t + 20). A movement is 3 h +
turn: h the heading (0 to 3: east, north, west, south), turn 0 left, 1 straight on, 2 right:

| index       | meaning                                                                                         |
|-------------|-------------------------------------------------------------------------------------------------|
| 0 .. 11     | by movement: queue, vehicles on its approach slower than 5 km/h                                 |
| 12 .. 23    | by movement: arrivals, vehicles that roll towards the line                                      |
| 24 .. 27    | the phase, one-hot                                                                              |
| 28          | yellow or all-red; by default they are over when the next action is due, and this is 0          |
| 29          | time since the phase was ordered                                                                |
| 30          | dark                                                                                            |
| 31 .. 34    | by heading: how full the road out is                                                            |
| 35          | vehicles that came to the approaches in the last step                                           |
| then        | by heading, for the neighbour there; zeros where there is none:                                 |
| +0, +1      | there is one; it is dark, or oneself is (then the rest is 0)                                    |
| +2 .. +5    | its phase, one-hot                                                                              |
| +6, +7      | its queues east-west, north-south                                                               |

**State** for centralised critics: entries 0 to 30 of every signal and how many vehicles wait outside its entries; time
over the time limit.

**Reward** of a signal, `reward_kind="delay"`: minus the time lost in the step by vehicles on the way to its stop
lines and outside its entries, 1 for ten vehicles that stand all the time; a vehicle loses 1 - v / v_max of every
second. `"pressure"`: minus the absolute difference of the vehicles on the way to it and those on the roads out of it,
over ten. The team reward G is the sum over signals. **Cost**: lanes to it that stand full to their beginning, so that
queues reach the crossing before. **Counterfactual** (`counterfactual="hold"`): G had the signal kept its phase.

**Communication**: `adjacency` holds neighbours in the grid, except with a dark signal.

**Metrics**, over the episode so far: `delay`, time lost by all vehicles over the vehicles that have come [s];
`queue`, mean number of vehicles that stand at a crossing; `stops`, how often a vehicle has come to stand, mean over
those that have come; `throughput`, vehicles that left [veh/h]; `fairness`, Jain's index of free over actual travel
times of those who left (1 equal); `spillback`, mean number of full lanes. What is a mean or rate of nothing is
undefined (nobody has come, nobody has left, no time has passed): NaN, "-" in tables, and left out of means.

**Tasks**: `single`; `arterial-5`: five crossings in a row; `grid-2x2` (default); `grid-4x4`.

**Rules to beat** (`envs.heuristic("signals", rule=...)`): `max-pressure` (default), `fixed`, `actuated`,
`neighbour-demand`; see `rules`.

**Arguments** are the fields of `Config`, documented there.

**Versions.** 0: first.
"""

from functools import partial

from .. import aec_env, parallel_env
from .config import DEFAULT_TASK, TASKS, Config
from .env import VERSION, Signals
from .heuristic import heuristic

__all__ = [
    "DEFAULT_TASK",
    "TASKS",
    "VERSION",
    "Config",
    "Signals",
    "build",
    "env",
    "heuristic",
    "parallel_env",
    "raw_env",
]


def build(config: Config) -> Signals:
    """The environment of a configuration."""
    return Signals(config)


parallel_env = partial(parallel_env, "signals")
env = raw_env = partial(aec_env, "signals")
