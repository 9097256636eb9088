"""Intersection: vehicles negotiate which of them crosses first. Each is an agent that arrives, crosses and leaves.

| property      | value                                                                                     |
|---------------|-------------------------------------------------------------------------------------------|
| import        | `from envs import intersection` (clone), `from coterie.envs import intersection`          |
| PettingZoo    | `pettingzoo.make("parallel", "coterie/intersection_v1", task="cross-8")`, also `"aec"`    |
| agents        | `vehicle_0` ... `vehicle_{N-1}`; N = `n_vehicles`, in order of arrival                    |
| actions       | `Discrete(5)` or `Box(-1, 1, (1,))`; `declared`: `Discrete(30)` or `Box(-1, 1, (3,))`     |
| observations  | `Box(-1, 1, (O,))`, O = 24 + 16 `n_conflicts`                                             |
| state         | `Box(-1, 1, (S,))`, S = 16 (N + `n_liars`) + 1                                            |
| control step  | 0.5 s, 5 substeps; the time limit is `max_steps` (120: 60 s)                              |
| agents live   | from entering to leaving or crashing, once; most are not alive at the start               |

**Roads.** There are `rows` x `columns` four-way crossings with `lanes` lanes per approach (3.5 m each, traffic on the
right) and no traffic lights. Paths are lines and quarter circles. Left turns leave the innermost lane, right turns the
outermost; all lanes go straight on; vehicles do not change lanes. `envs.roads` computes from the geometry where any two
movements conflict: the zone on each path within which cars could overlap, and the point where the centre lines cross or
meet. A vehicle's route is drawn at reset, by `left_share` and `right_share` at each crossing (after the first crossing,
among the turns allowed from its lane). It visits no crossing twice, and at most `rows` + `columns` of them.

**Vehicles** are boxes of 4.8 x 1.9 m that follow their paths, with the limits of SUMO's default passenger car: at most
2.6 m/s^2 of acceleration and 4.5 m/s^2 of braking. They never roll back. They keep to the speed limit by themselves:
13.9 m/s on straight roads; in curves, lateral acceleration is at most 3 m/s^2, and they slow down for curves at 2
m/s^2. They do not keep their distance by themselves. Two vehicles whose boxes overlap at a substep have crashed: both
are terminated and removed from the road, and no other vehicle is.

Times of arrival (Poisson, `flow`) and routes are drawn at reset; the first vehicle arrives at time 0. A vehicle enters
at `entry_speed`, as soon as it could stop behind the last car on its lane even if that one braked as hard as it can.
Until then it waits outside in a queue, and its delay counts. If no agent is on the road while others are still to
come, the next one arrives at once, because by PettingZoo's rules an episode without live agents is over. Scripted cars
on its lane that it could not stop behind turn off then, and count as arrived; all others drive on. Leaving by the exit
and crashing both terminate an agent; the time limit truncates.

**Actions**, discrete: 0 brake (-4.5 m/s^2), 1 slow down (-2), 2 hold, 3 speed up gently (+1.3), 4 speed up (+2.6).
Continuous: a share of the hardest braking (-1) or the strongest acceleration (1). With `intent="declared"` a discrete
action is a + 5 w + 15 b: the acceleration a, the announced window w (0: as soon as possible; 1 and 2: 3 s and 6 s
later) and the bid b (0 or 1). A continuous one has entries for acceleration, window (-1 to 1 means 0 to 6 s later) and
bid (-1 to 1 means 0 to 1). The window is 3 s long; in it the vehicle's front is to pass its next stop line. An
announcement stands for 3 s; after that the announcement of the next action replaces it, until the line is passed.

**Intent.** `none`: agents sense where other vehicles are and how fast, but not where they mean to go. Until its centre
has passed the stop line, another car is expected to make the first of these movements that conflicts with one's own:
straight on, left, right. `shared`: agents within `comm_range` of a vehicle know its path, and from its last message
(position, speed and acceleration, every `intent_period` steps) when it will enter and leave the shared zone if it goes
on like this. `declared`: they know its path and the window and bid that it announces, true or not. A message stays: all
agents that are within `comm_range` now know it, wherever both were when it was sent.

**Observation** of each vehicle. Distances d [m] are given as d / (|d| + 10), times t [s] as t / (|t| + 3), both with
their sign. All entries are 0 while the vehicle is not on the road:

| index    | meaning                                                                               | range    |
|----------|---------------------------------------------------------------------------------------|----------|
| 0        | speed over `speed_limit`                                                              | [0, 1]   |
| 1        | highest speed allowed here over `speed_limit`                                         | [0, 1]   |
| 2        | mean acceleration in the last step over 4.5 m/s^2                                     | [-1, 1]  |
| 3        | distance from the front to the next stop line, negative beyond it                     | [-1, 1]  |
| 4, 5, 6  | it turns left there; goes straight on; turns right                                    | 0, 1     |
| 7        | it has passed the line                                                                | 0, 1     |
| 8        | distance to the exit                                                                  | [0, 1]   |
| 9        | gap to the car ahead on its path; 1 without one within `sensing_range` (of centres)   | [0, 1]   |
| 10       | that car's speed less its own, over `speed_limit`                                     | [-1, 1]  |
| 11       | there is one                                                                          | 0, 1     |
| 12       | time it has been standing                                                             | [0, 1)   |
| 13       | it is an emergency vehicle                                                            | 0, 1     |
| 14       | shortest braking distance over the distance to the line, at most 1; 1 beyond the line | [0, 1]   |
| 15       | it comes from the south or north (the minor road of the priority rule)                | 0, 1     |
| 16       | there is another crossing after this one                                              | 0, 1     |
| 17, 18   | `declared`: time until its announced window opens; closes; 0 before it announces one  | [-1, 1]  |
| 19       | `declared`: its bid                                                                   | [0, 1]   |
| 20 .. 23 | distance to each of the next 4 conflict points on its path; 1 where there is none     | [0, 1]   |
| then     | for each of `n_conflicts` vehicles within `sensing_range` at the same crossing that   |          |
|          | have a zone to share with it ahead of both, in the order in which they get there:     |          |
|   +0     | 1 a vehicle, 0 none (then all sixteen are 0)                                          | 0, 1     |
|   +1     | own distance to the zone, negative inside                                             | [-1, 1]  |
|   +2     | its distance to the zone, negative inside                                             | [-1, 1]  |
|   +3     | its distance to the end of the zone                                                   | [-1, 1]  |
|   +4, 5  | own time and its time to the zone at present speeds (at least 0.5 m/s)                | [0, 1]   |
|   +6     | its speed over `speed_limit`                                                          | [0, 1]   |
|   +7     | own time to the zone less its time, over 5 s, clipped                                 | [-1, 1]  |
|   +8     | 1 both paths lead into the same lane, -1 they cross                                   | -1, 1    |
|   +9     | it comes from the right 1, from the left -1, from the opposite side 0                 | -1, 0, 1 |
|   +10    | it is an emergency vehicle                                                            | 0, 1     |
|   +11    | its intent is known                                                                   | 0, 1     |
|   +12,13 | `shared`: time until it enters; leaves the zone; `declared`: until its window opens;  | [-1, 1]  |
|          | closes; 0 before it announces one                                                     |          |
|   +14    | age of that message over 5 s, clipped                                                 | [0, 1]   |
|   +15    | `declared`: its bid                                                                   | [0, 1]   |

**State** for centralised critics: for each vehicle 16 entries (1 on the road, -1 still to come, 0 gone; position x, y
over the network's half extent, or the time until it is due in place of x for a vehicle still to come; heading cos, sin;
speed; acceleration; distance to the stop line; turns left; turns right; distance to the exit; emergency; time standing;
time until its window opens; bid; scripted), scaled as above; time over the time limit.

**Reward** of a vehicle: `progress_reward` times the share of its route driven in the step; minus `time_charge` per
second (times `emergency_weight` for an emergency vehicle); minus `comfort_charge` (a / 4.5 m/s^2)^2; plus `exit_reward`
for leaving; minus `crash_charge` (times `emergency_weight` for an emergency vehicle) for crashing. The team reward G is
the sum over agents, less the same time charge for every second that an agent that is due waits outside for room to
enter; its own reward does not count that time. **Cost**: 1 for a time to collision below 1.5 s (see `judge`) or for
crashing; 1 for passing the stop line more than 0.5 s outside the announced window.
**Counterfactual** (`counterfactual="stop" | "absent"`): G had the vehicle braked as hard as it can, or not been there.
`"shapley"`: G less the vehicle's Shapley value, where a coalition earns what it would if all other agents braked as
hard as they can; exact in groups of up to 8 that may matter to each other in the step, and above that the mean over
`orders` orders of arrival (`coalitions`, `envs.kit.shapley`).

**Communication**: an agent on the road hears the agents within `comm_range` whose paths share a zone with its own ahead
of both (`adjacency`). With `intent="none"` it hears those that may share one as far as it knows, so hearing need not be
mutual. Where there are scripted vehicles no agent hears another, and announcements are the only communication: scripted
vehicles cannot be heard, so a vehicle that is seen but not heard would be known to be scripted.

**Why the crash of an emergency vehicle costs more.** The trip of an emergency vehicle, about 9 s long, costs it more
than it earns. If its crash cost no more than that of others, a crash would cost it as much as a wait of 7 s and save it
the rest of the trip. On `emergency-8` (1,024 episodes, the other vehicles following the rule), an emergency vehicle
that always drives at full throttle crashes in 20 % of the episodes, and would earn as much as one that follows the
priority rule: -3.24. With `emergency_weight` times the charge it earns -6.49 against -3.24, and a crash costs as much
as a wait of 39 s; the longest trip under any of the four rules took 23 s. For other vehicles a crash costs as much as a
wait of 50 s.

**Metrics**, over the episode so far:

- `success`: share of agents that arrived without a crash; standing still does not raise it.
- `crash_rate`: share of agents that crashed.
- `delay`: time since an agent was due, less that of an undisturbed drive to where it is; mean over agents that are due
  and have not crashed [s].
- `throughput`: agents that arrived [vehicles/h].
- `min_ttc`: least time to collision [s]; 0 after a crash, 3 if never less.
- `min_pet`: least post-encroachment time of crossing paths [s]; 0 after a crash on such paths, 10 if never less.
- `longest_wait`: longest time that an agent stood, or queued to enter [s].
- `fairness`: Jain's index of the ratios of free to actual travel time, over agents that arrived; 1 if all are equal.
- `honesty`: share of passed stop lines that were passed as announced.
- `emergency_delay`: delay of emergency vehicles [s].

Scripted vehicles count in none of them, except as a danger to agents. A mean or share of nothing is undefined (no agent
is due or has arrived, nothing was announced, there is no emergency vehicle, no time has passed): it is NaN, "-" in
tables, and left out of means.

**Tasks**: `quiet-4`; `cross-8` (default); `busy-16`; `grid-2x2-24`, with four crossings; `liar-8`, where two scripted
vehicles announce that they come late, but come at once; `emergency-8`, where one agent, drawn at reset, is an emergency
vehicle; `blind-8`, a blind crossing: agents sense others only within 15 m and know nothing of their plans, but can hear
them within 60 m, so that they have to tell each other that they come.

**Policies to beat** (`envs.heuristic("intersection", rule=...)`): `priority`, a priority road with gap acceptance
(default); `first-come`; `reservation` (AIM); `auction`. See `planner`. They know all routes and plan for all cars,
whatever `intent` is.

**Arguments** are the fields of `Config`, documented there.

**Versions.** 0: first. 1: an emergency vehicle's crash costs `emergency_weight` times as much; G counts the time of
agents that wait outside; with scripted vehicles no agent hears another, and only those turn off that are in the way of
a vehicle that enters. Observations and rewards of the other tasks are as before.
"""

from functools import partial

from .. import aec_env, parallel_env
from .config import DEFAULT_TASK, TASKS, Config
from .env import VERSION, Intersection
from .heuristic import heuristic

__all__ = [
    "DEFAULT_TASK",
    "TASKS",
    "VERSION",
    "Config",
    "Intersection",
    "build",
    "env",
    "heuristic",
    "parallel_env",
    "raw_env",
]


def build(config: Config) -> Intersection:
    """Builds the environment of a configuration."""
    return Intersection(config)


parallel_env = partial(parallel_env, "intersection")
env = raw_env = partial(aec_env, "intersection")
