"""Intersection: vehicles negotiate who crosses first, each an agent that comes, crosses and is gone.

| property      | value                                                                                     |
|---------------|-------------------------------------------------------------------------------------------|
| import        | `from envs import intersection` (clone), `from coterie.envs import intersection`          |
| PettingZoo    | `pettingzoo.make("parallel", "coterie/intersection_v1", task="cross-8")`, also `"aec"`    |
| agents        | `vehicle_0` ... `vehicle_{N-1}`; N = `n_vehicles`, in the order in which they come        |
| actions       | `Discrete(5)` or `Box(-1, 1, (1,))`; `declared`: `Discrete(30)` or `Box(-1, 1, (3,))`     |
| observations  | `Box(-1, 1, (O,))`, O = 24 + 16 `n_conflicts`                                             |
| state         | `Box(-1, 1, (S,))`, S = 16 (N + `n_liars`) + 1                                            |
| control step  | 0.5 s, 5 substeps; the time limit is `max_steps` (120: 60 s)                              |
| agents live   | from entering to leaving or crashing, once; most are not there at the start               |

**Roads.** `rows` x `columns` four-way crossings with `lanes` lanes an approach (3.5 m each, traffic on the right), no
traffic lights. Paths are lines and quarter circles; left turns leave the innermost lane, right turns the outermost, all
lanes go straight on, nobody changes lanes. `roads` lays them out and computes from their geometry where each two
movements conflict: the zone on either within which cars could overlap, and the point where the centre lines cross or
meet. A vehicle's route is drawn at reset, by `left_share` and `right_share` at each crossing (after the first
among the turns open to its lane); it visits no crossing twice and at most `rows` + `columns` of them.

**Vehicles** are boxes of 4.8 x 1.9 m that follow their paths, with the limits of SUMO's default passenger car: at most
2.6 m/s^2 of acceleration and 4.5 m/s^2 of braking. They never roll back, and keep to the speed limit (13.9 m/s;
in curves what 3 m/s^2 sideways allow, slowing down at 2 m/s^2) by themselves. They do not keep their distance by
themselves. Boxes that overlap at a substep have crashed: both agents are terminated and gone from the road, nobody else
is. Who comes when (Poisson, `flow`), from where and where to is drawn at reset, the first vehicle at time 0. One enters
at `entry_speed`, as soon as it could stop behind the last car on its lane even if that braked as hard as it can;
until then it waits outside, in a queue, and its delay counts. Should no agent be on the road while others are still to
come, the next one comes at once: by PettingZoo's rules an episode without live agents is over. Scripted cars on its
lane that it could not stop behind turn off then, and count as arrived; all others drive on. Leaving by the exit and
crashing both terminate an agent; the time limit truncates.

**Actions**, discrete: 0 brake (-4.5 m/s^2), 1 slow down (-2), 2 hold, 3 speed up gently (+1.3), 4 speed up (+2.6).
Continuous: a share of the braking or of the acceleration. With `intent="declared"` a discrete action is
a + 5 w + 15 b: the acceleration a, the announced window w (0 as soon as possible, 1 and 2 that plus 3 s and 6 s), the
bid b (0 or 1); a continuous one has entries for acceleration, window (-1 to 1 is 0 to 6 s later) and bid (-1 to 1 is
0 to 1). A window, 3 s long, is when the vehicle's front is to pass its next stop line. An announcement stands for 3 s;
after that the next action's replaces it, until the line is passed.

**Intent.** `none`: others are sensed (where they are, how fast), but not where they mean to go. Until its middle has
passed the stop line a car is taken to do what is most in one's way: to go straight on, else left, else right.
`shared`: those within `comm_range` know its path, and from its last message (every `intent_period` steps: position,
speed, acceleration) when it enters and leaves the shared zone if it goes on so. `declared`: they know its path and the
window and bid it announces, true or not. A message stays: it is known to whoever is within `comm_range` now, wherever
both were when it was sent.

**Observation**, per vehicle; distances d [m] as d / (|d| + 10), times t [s] as t / (|t| + 3), signed; zeros when it is
not on the road:

| index    | meaning                                                                               | range    |
|----------|---------------------------------------------------------------------------------------|----------|
| 0        | speed over `speed_limit`                                                              | [0, 1]   |
| 1        | highest speed allowed here over `speed_limit`                                         | [0, 1]   |
| 2        | mean acceleration in the last step over 4.5 m/s^2                                     | [-1, 1]  |
| 3        | distance from the front to the next stop line, negative beyond it                     | [-1, 1]  |
| 4, 5, 6  | it turns left there, goes straight on, turns right                                    | 0, 1     |
| 7        | it has passed the line                                                                | 0, 1     |
| 8        | distance to the exit                                                                  | [0, 1]   |
| 9        | gap to the car ahead on its path; 1 without one within `sensing_range` (of centres)   | [0, 1]   |
| 10       | that car's speed less its own, over `speed_limit`                                     | [-1, 1]  |
| 11       | there is one                                                                          | 0, 1     |
| 12       | time it has been standing                                                             | [0, 1)   |
| 13       | it is an emergency vehicle                                                            | 0, 1     |
| 14       | room to the line that braking as hard as possible would need, as a share; 1 beyond    | [0, 1]   |
| 15       | it comes from the south or north (the minor road of the priority rule)                | 0, 1     |
| 16       | there is another crossing after this one                                              | 0, 1     |
| 17, 18   | `declared`: time until its announced window opens, closes; 0 before it announces one  | [-1, 1]  |
| 19       | `declared`: its bid                                                                   | [0, 1]   |
| 20 .. 23 | distance to each of the next 4 conflict points on its path; 1 where there is none     | [0, 1]   |
| then     | for each of `n_conflicts` vehicles within `sensing_range` at the same crossing that   |          |
|          | have a zone to share with it ahead of both, the first to get there first:             |          |
|   +0     | 1 a vehicle, 0 none (then all sixteen are 0)                                          | 0, 1     |
|   +1     | own distance to the zone, negative inside                                             | [-1, 1]  |
|   +2     | its distance to the zone, negative inside                                             | [-1, 1]  |
|   +3     | its distance to having left the zone                                                  | [-1, 1]  |
|   +4, 5  | own and its time to the zone at the present speed (at least 0.5 m/s)                  | [0, 1]   |
|   +6     | its speed over `speed_limit`                                                          | [0, 1]   |
|   +7     | own time to the zone less its, over 5 s, clipped                                      | [-1, 1]  |
|   +8     | 1 both go into the same lane, -1 paths cross                                          | -1, 1    |
|   +9     | it comes from the right 1, from the left -1, from the other side 0                    | -1, 0, 1 |
|   +10    | it is an emergency vehicle                                                            | 0, 1     |
|   +11    | its intent is known                                                                   | 0, 1     |
|   +12,13 | `shared`: time until it enters, leaves the zone; `declared`: until its window opens,  | [-1, 1]  |
|          | closes; 0 before it announces one                                                     |          |
|   +14    | age of that message over 5 s, clipped                                                 | [0, 1]   |
|   +15    | `declared`: its bid                                                                   | [0, 1]   |

**State** for centralised critics: for each vehicle 16 entries (1 on the road, -1 still to come, 0 gone; position x, y
over the network's half extent, or for one to come the time until then; heading cos, sin; speed; acceleration; distance
to the stop line; turns left; turns right; distance to the exit; emergency; time standing; time until its window opens;
bid; scripted), scaled as above; time over the time limit.

**Reward** of a vehicle: `progress_reward` times the share of its route driven in the step; minus `time_charge` a second
(`emergency_weight` times that for an emergency vehicle); minus `comfort_charge` (a / 4.5 m/s^2)^2; plus `exit_reward`
for leaving; minus `crash_charge` (`emergency_weight` times that likewise) for crashing. The team reward G is the sum
over agents, less `time_charge` (likewise) for every second that an agent that is due finds no room to enter: it waits
outside, is paid nothing yet, and its delay counts. **Cost**: 1 for a time to collision below 1.5 s (see `judge`) or for
crashing, 1 for passing the stop line more than 0.5 s outside the announced window.
**Counterfactual** (`counterfactual="stop" | "absent"`): G had the vehicle braked as hard as it can, or not been there.

**Communication**: an agent on the road hears those within `comm_range` whose paths have a zone to share with its own
ahead (`adjacency`); with `intent="none"`, those that may have one for all it knows, so hearing need not be mutual.
Where there are scripted vehicles nobody hears anybody, and announcements are all the talk there is: a scripted vehicle
cannot be heard, so one that is seen and not heard would be known for one.

**Why the crash of an emergency vehicle costs more.** Its trip of about 9 s costs it more than it earns. If its crash
cost no more than others', a crash would cost it as much as a wait of 7 s and spare it the rest of the trip: on
`emergency-8` (1,024 episodes, the others following the rule) one that drove at full throttle, come what may, and
crashed in 20 % of the episodes would earn as much as one that keeps to the priority road, -3.24. With
`emergency_weight` times the charge it earns -6.49, against -3.24, and a crash costs as much as a wait of 39 s; the
longest trip under any of the four rules took 23 s. For other vehicles it is a wait of 50 s.

**Metrics**, over the episode so far: `success`, share of agents that arrived without a crash, which standing still does
not raise; `crash_rate`, share that crashed; `delay`, mean over agents that are due and have not crashed of the time
since they were due beyond that of a free drive so far [s]; `throughput` [veh/h]; `min_ttc`, least time to collision
[s], 0 after a crash, 3 if never less; `min_pet`, least post-encroachment time of crossing paths [s], 0 after a crash on
such, 10 if never less; `longest_wait`
standing or queueing to enter [s]; `fairness`, Jain's index of free over actual travel times of those who arrived (1
equal); `honesty`, share of passed stop lines that were passed as announced; `emergency_delay`, that of emergency
vehicles [s]. Scripted vehicles count in none, except as others' danger. What is a mean or share of nothing is
undefined (nobody is due, nobody arrived, nothing was announced, no emergency vehicle, no time has passed): NaN, "-" in
tables, and left out of means.

**Tasks**: `quiet-4`; `cross-8` (default); `busy-16`; `grid-2x2-24`: four crossings; `liar-8`: two scripted vehicles
beside the agents announce to come late and come at once; `emergency-8`: one agent, drawn at reset, is an
emergency vehicle.

**Rules to beat** (`envs.heuristic("intersection", rule=...)`): `priority` road with gap acceptance (default),
`first-come`, `reservation` (AIM), `auction`; see `rules`. They know all routes and plan for all cars, whatever
`intent` is.

**Arguments** are the fields of `Config`, documented there.

**Versions.** 0: first. 1: an emergency vehicle's crash costs `emergency_weight` times as much; G counts who waits
outside; with scripted vehicles nobody hears anybody, and of them only those in an entrant's way turn off. What agents
of the other tasks see and earn is as before.
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
    """The environment of a configuration."""
    return Intersection(config)


parallel_env = partial(parallel_env, "intersection")
env = raw_env = partial(aec_env, "intersection")
