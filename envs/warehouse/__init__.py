"""Warehouse: robots carry orders from rack faces to stations without getting in each other's way.

| property      | value                                                                                     |
|---------------|-------------------------------------------------------------------------------------------|
| import        | `from envs import warehouse` (clone), `from coterie.envs import warehouse` (installed)    |
| PettingZoo    | `pettingzoo.make("parallel", "coterie/warehouse_v1", task="small-4")`, also `"aec"`       |
| agents        | `robot_0` ... `robot_{N-1}`; N = `n_robots`                                               |
| actions       | `Discrete(7)`, or `Box(-1, 1, (2,))` with `continuous=True`                               |
| observations  | `Box(-1, 1, (O,))`, O = 15 + `n_rays` + 11 `n_neighbors` (+ 6 `n_orders` in `claim`) (+ 4 |
|               | with `position=True`)                                                                     |
| state         | `Box(-1, 1, (S,))`, S = 16 N + 6 `n_orders` + 2                                           |
| control step  | 0.2 s, 4 pymunk substeps; the time limit is `max_steps` (500: 100 s)                      |
| agents die    | only with `battery=True`                                                                  |

**The world.** Robots are discs (chassis 0.23 m, foam bumper 0.07 m, 40 kg) with a differential drive: top speed 1 m/s,
top turn rate 2 rad/s, motors of 80 N, tyres that slip beyond their traction. pymunk simulates contacts with robots,
racks and walls, with friction. Maps are ASCII, a square metre a character: `# wall  R rack  . floor  S station C
charger`; see `layout`. An order names a rack face (a floor cell beside a rack) and a station. A robot drives to the
face, dwells there for 1 s to load (within 0.45 m of its centre, no faster than 0.2 m/s; leaving starts the dwell anew),
drives to the station and dwells for 1 s to unload. A loaded robot weighs 20 kg more and accelerates less. Orders arrive
by a Poisson schedule drawn at reset, at `rush` times the mean rate in the middle third of the episode.

**Dispatch.** `nearest`: a free robot gets the open order with the shortest way to its face, among the `n_orders`
oldest; `fifo`: it gets the oldest; free robots get orders in the sequence of their indices. `claim`: there is no
dispatcher; robots see the `n_orders` oldest open orders, and the first to arrive at a face takes the oldest visible
order there.

**Actions**, discrete: 0 stop, 1 forward (1 m/s), 2 forward-left (1 m/s, 1 rad/s), 3 forward-right, 4 turn left
(2 rad/s), 5 turn right, 6 reverse (0.5 m/s). Continuous: target speed over 1 m/s, target turn rate over 2 rad/s
(positive is to the left). Both are targets that the motors approach within their force.

**Observation**, per robot in its own frame (x ahead, y left); zeros once dead:

| index    | meaning                                                                               | range    |
|----------|---------------------------------------------------------------------------------------|----------|
| 0        | speed ahead over 1 m/s                                                                | [-1, 1]  |
| 1        | turn rate over 2 rad/s                                                                | [-1, 1]  |
| 2        | loaded                                                                                | 0, 1     |
| 3        | battery charge over capacity                                                          | [0, 1]   |
| 4        | share of the dwell done                                                               | [0, 1]   |
| 5        | has somewhere to go                                                                   | 0, 1     |
| 6        | that is a charger                                                                     | 0, 1     |
| 7        | straight distance d [m] to the goal, d / (d + 1)                                      | [0, 1)   |
| 8, 9     | bearing of the goal: cos, sin                                                         | [-1, 1]  |
| 10       | length r [m] of the shortest route, r / (r + 5); 0 with `route_hint=False`            | [0, 1)   |
| 11, 12   | bearing of the next waypoint on it: cos, sin; likewise                                | [-1, 1]  |
| 13       | distance of that waypoint over 1.5 m; likewise                                        | [0, 1]   |
| 14       | time t [s] held up, within 0.5 m of one place with somewhere to go: t / (t + 5)       | [0, 1)   |
| 15 ...   | `n_rays` lidar distances over `lidar_range`, counter-clockwise from straight ahead    | [0, 1]   |
| then     | for each of the `n_neighbors` nearest robots within `sensing_range`, nearest first:   |          |
|   +0     | 1 alive, -1 dead, 0 no robot (then all eleven are 0)                                  | -1, 0, 1 |
|   +1, 2  | relative position x, y over `sensing_range`                                           | [-1, 1]  |
|   +3, 4  | relative velocity x, y over 2 m/s                                                     | [-1, 1]  |
|   +5, 6  | its heading relative to one's own: cos, sin                                           | [-1, 1]  |
|   +7     | it is loaded                                                                          | 0, 1     |
|   +8, 9  | relative position x, y of its next waypoint over `sensing_range`                      | [-1, 1]  |
|   +10    | 1 if its index is lower than one's own, else -1, for robots to break ties by          | -1, 1    |
| then     | in `claim`, for each of the `n_orders` oldest open orders, oldest first:              |          |
|   +0     | 1 an order, 0 none (then all six are 0)                                               | 0, 1     |
|   +1, 2  | bearing cos, sin of the next waypoint to its face (of the face without `route_hint`)  | [-1, 1]  |
|   +3     | length r [m] of the way to its face, r / (r + 5)                                      | [0, 1)   |
|   +4     | length r [m] of the way from there to its station, r / (r + 5)                        | [0, 1)   |
|   +5     | time to its deadline over 60 s                                                        | [-1, 1]  |
| last     | with `position=True`, four:                                                           |          |
|   +0, 1  | x, y over the longer side of the map (the environment's `pose`)                       | [0, 1]   |
|   +2, 3  | its heading: cos, sin                                                                 | [-1, 1]  |

**State** for centralised critics: for each robot 16 entries (alive; position over the map; heading cos, sin; velocity
over 1 m/s; turn rate over 2 rad/s; loaded; battery; dwell; busy; goal over the map; route length r / (r + 5);
charging), zeros once dead; for each of the `n_orders` oldest open orders 6 (present; face and station over the map;
time to deadline over 60 s); time over the time limit; open orders n / (n + `n_orders`).

**Reward** of a robot: +1 a delivery; `shaping` times the progress of its order (potential-based: gamma P' - P, where P
= 1/2 - way to go / typical way, -1/2 without an order; in `claim` a free robot's P is that of the best order it sees);
minus `contact_charge` times the contact impulse over 40 kg m/s. The team reward G is the sum over robots. **Cost**: 1
for a contact impulse above `contact_limit`, 1 for missing the deadline of the order it holds, 1 when its battery runs
flat. **Counterfactual** (`counterfactual="stop" | "absent"`): G had the robot stopped, or not been there; see
`Warehouse.counterfactual` for `horizon`. `"shapley"`: G less the robot's Shapley value, where a coalition earns what it
would if all other robots stopped; exact in groups of up to 8 that may matter to each other in the step, and above that
the mean over `orders` orders of arrival (`coalitions`, `envs.kit.shapley`).

**Battery** (`battery=True`): driving, loads and standby drain it, standing on a charger fills it. A free robot below a
quarter is sent to the nearest charger until it is nine tenths full. An empty robot is dead for the rest of the episode
and stays in the way.

**Communication**: `adjacency` holds live robots within `comm_range`, with `comm_blocked=True` only in sight of each
other.

**Metrics**, over the episode so far: `orders_per_hour` [1/h]; `cycle_time`, mean time from being free to delivering
[s]; `contacts`, how often a robot began to be in contact (impulse of more than 1 N s in a control step);
`deadlock_seconds`, robot-seconds with somewhere to go and less than 0.5 m covered for over 5 s [s]; `idle_share` of
robot time without an order; `energy` [Wh]; `deadline_misses`, orders not delivered by their deadline; `fairness`,
Jain's index of deliveries (1 equal, 1/N one robot does all). Without a delivery `cycle_time` and `fairness` are
undefined, as rates and shares are before the first step: NaN, shown as "-" in tables, and left out of means over
episodes.

**Tasks**: `tiny-2`; `small-4` (default); `medium-8`; `large-16`, with half of the charge for contacts, at which a
learned policy touches others about as often as the heuristic does; `corridor-6`: one-lane aisles, where robots must
give way; `rush-hour-8`: a rush with tight deadlines; `huge-64`.

**Arguments** are the fields of `Config`, documented there.

**Versions.** 0: first. 1: `large-16` charges 0.2 for contacts, not 0.4; the other tasks are as before.
"""

from functools import partial

from .. import aec_env, parallel_env
from .config import DEFAULT_TASK, TASKS, Config
from .env import VERSION, Warehouse
from .heuristic import heuristic

__all__ = [
    "DEFAULT_TASK",
    "TASKS",
    "VERSION",
    "Config",
    "Warehouse",
    "build",
    "env",
    "heuristic",
    "parallel_env",
    "raw_env",
]


def build(config: Config) -> Warehouse:
    """Builds the environment of a configuration."""
    return Warehouse(config)


parallel_env = partial(parallel_env, "warehouse")
env = raw_env = partial(aec_env, "warehouse")
