"""Signals: the traffic light of every crossing is an agent; together they bring a town's traffic through.

| property      | value                                                                                     |
|---------------|-------------------------------------------------------------------------------------------|
| import        | `from envs import signals` (clone), `from coterie.envs import signals`                    |
| PettingZoo    | `pettingzoo.make("parallel", "coterie/signals_v1", task="grid-2x2")`, also `"aec"`        |
| agents        | `signal_0` ... `signal_{N-1}`, row by row from the south-west; N = `rows` x `columns`     |
| actions       | `Discrete(4)`: the next phase, with a mask                                                |
| observations  | `Box(0, 1, (68,))`; 72 with a `consensus`                                                 |
| state         | `Box(0, 1, (S,))`, S = 32 N + 1                                                           |
| control step  | 5 s, 5 substeps; the time limit is `max_steps` (240: 20 min)                              |
| agents live   | for the whole episode                                                                     |

**Roads.** The network is a grid of the four-way crossings of `envs.roads`, with the same boxes, arcs and conflicts as
in `envs.intersection`. An approach has `lanes` lanes (at least 2): the innermost is for left turns alone, the others
are for going straight on, the outermost also for right turns. When a vehicle leaves a box, it takes the lane that its
next turn needs; after that it does not change lanes.

**Demand** is drawn at reset. At every entry vehicles arrive by a Poisson process. Its mean rate over the episode is
`flow` times a factor of the entry, uniform from 1 - `imbalance` to 1 + `imbalance`; it rises as the square of a sine to
`peak` times its first value in the middle of the episode, and falls again. Every vehicle's turns are drawn with it, by
`left_share` and `right_share`. Vehicles that came before the start and would still be on their approach are there
already. Vehicles that find no room on their lane wait outside the entry, and that time counts as lost.

**Vehicles** (4.8 m long) follow the Intelligent Driver Model (Treiber, Hennecke and Helbing 2000) with a = 1.8 m/s^2, b
= 2 m/s^2, T = 1.2 s and s0 = 2 m, in linearly implicit steps of 1 s (see `following`). They keep to `speed_limit`; in
curves, lateral acceleration is at most 3 m/s^2. They stop for a red light as behind a standing vehicle, and for a
yellow one if they can at 3 m/s^2. No vehicle enters a box while another is in it on a path that conflicts, or when
there is no room beyond it; so boxes stay free, and no vehicles collide.

**Actions**: 0 green for north and south, straight on and right; 1 for their left turns; 2 for east and west, straight
on and right; 3 for their left turns. A change of phase begins with `yellow` and `all_red` (together 5 s: one control
step), and a phase is kept for at least `min_green`. The mask always allows the present phase, and the others once that
time is over. A masked action counts as the present phase.

**Blackout** (`n_blackouts`): a signal goes dark for `blackout_seconds`; which one and when is drawn at reset. It ends
its phase as any phase ends, with `yellow` for vehicles too near to stop, and `all_red`. Then its crossing is an all-way
stop: all vehicles stop, and one goes after the other, lane by lane in turn. When the signal is back, a vehicle that was
let go and moves goes on first. A dark signal follows no actions and hears no other signal.

**Observation** of a signal. Counts are divided by 25 vehicles and clipped at 1, times t [s] given as t / (t + 20). A
movement is 3 h + turn: h is the heading (0 to 3: east, north, west, south), turn is 0 left, 1 straight on, 2 right:

| index       | meaning                                                                                         |
|-------------|-------------------------------------------------------------------------------------------------|
| 0 .. 11     | by movement: the queue, vehicles on the approach slower than 5 km/h                             |
| 12 .. 23    | by movement: vehicles that roll towards the line                                                |
| 24 .. 27    | the phase, one-hot                                                                              |
| 28          | yellow or all-red; with the default durations they are over when it acts next, and this is 0    |
| 29          | time since the phase was ordered                                                                |
| 30          | it is dark                                                                                      |
| 31 .. 34    | by heading: occupied share of the road out                                                      |
| 35          | vehicles that came to the approaches in the last step                                           |
| then        | by heading, for the neighbour there; all 0 where there is none:                                 |
| +0, +1      | there is a neighbour; it or the signal itself is dark (then the rest is 0)                      |
| +2 .. +5    | its phase, one-hot                                                                              |
| +6, +7      | its queues east-west, north-south                                                               |
| 68, 69      | with a `consensus`: its estimates of the mean queue at a crossing, east-west and north-south    |
| 70          | its estimate of the mean number of vehicles that came to a crossing in the last step            |
| 71          | time since the signal last exchanged estimates                                                  |

**State** for centralised critics: for every signal entries 0 to 30 and the number of vehicles that wait outside its
entries; time over the time limit.

**Reward** of a signal. `reward_kind="delay"`: minus the time lost in the step by vehicles on the way to its stop lines
and outside its entries; -1 for ten vehicles that stand for the whole step. In each second a vehicle loses 1 - v / v_max
seconds. `"pressure"`: minus the absolute difference between the vehicles on the way to the signal and those on the
roads out of it, over ten. The team reward G is the sum over signals. **Cost**: the number of lanes to the signal that
are full to their beginning, so that queues reach back to the previous crossing. **Counterfactual**
(`counterfactual="hold"`): G had the signal kept its phase.

**Communication**: signals hear their neighbours in the grid (`adjacency`), unless one of the two is dark.

**Consensus** (`consensus`; none by default): signals come to agree on the mean demand at a crossing: queues east-west
and north-south, and vehicles that came. In every control step each signal measures its own by what it observes, and
exchanges estimates `consensus_rounds` times with all signals up to `consensus_hops` crossings away, by way of signals
that are not dark; estimates are signed, so those that relay them cannot change them. `gossip` keeps the mean; `robust`
leaves out the `consensus_tolerance` f highest and lowest estimates heard, and takes 3 f + 1 heard. An exchange is lost
with the chance `consensus_loss`. `n_liars` signals say that nobody waits and comes. `envs.consensus.tracking` has the
formulas. Estimates change nothing but observations.

**Metrics**, over the episode so far:

- `delay`: time lost by all vehicles, per vehicle that has come [s].
- `queue`: mean number of standing vehicles per crossing.
- `stops`: how often a vehicle has come to a stop, mean over the vehicles that have come.
- `throughput`: vehicles that left [vehicles/h].
- `fairness`: Jain's index of the ratios of free to actual travel time, over vehicles that left; 1 if all are equal.
- `spillback`: mean number of full lanes.
- With a consensus: `consensus_disagreement`, standard deviation of the estimates of signals that neither lie nor are
  dark; `consensus_bias`, distance of their mean from the mean of what these signals measure; both are root mean squares
  over the three values [vehicles], mean over steps; `consensus_messages`, one for each link that an estimate goes over.

A mean or rate of nothing is undefined (no vehicle has come or left, no time has passed): it is NaN, "-" in tables, and
left out of means.

**Tasks**: `single`; `arterial-5`, five crossings in a row; `grid-2x2` (default); `grid-4x4`.

**Policies to beat** (`envs.heuristic("signals", rule=...)`): `max-pressure` (default), `fixed`, `actuated`,
`neighbour-demand`. See `envs.signals.heuristic`.

**Arguments** are the fields of `Config`, documented there.

**Versions.** 0: first. 1: signals may agree on demand (`consensus`); without it nothing changes.
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
    """Builds the environment of a configuration."""
    return Signals(config)


parallel_env = partial(parallel_env, "signals")
env = raw_env = partial(aec_env, "signals")
