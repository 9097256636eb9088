"""Traffic junction: cars that see little cross each other's way, and would do better if they talked.

| property      | value                                                                                     |
|---------------|-------------------------------------------------------------------------------------------|
| import        | `from envs import traffic_junction` (clone), `from coterie.envs import ...` (installed)   |
| PettingZoo    | `pettingzoo.make("parallel", "coterie/traffic_junction_v0", task="hard-0")`, also `"aec"` |
| agents        | `car_0` ... `car_{N-1}` in order of arrival; N = 15, 40, 62 on easy, medium, hard         |
| actions       | `Discrete(2)`: 0 gas, 1 brake                                                             |
| observations  | `Box(0, high, (O,))`, O = 38, 62, 114 with a vision of 1; 22, 46, 98 with a vision of 0   |
| state         | `Box(0, high, (S,))`, S = 43, 160, 388                                                    |
| control step  | 0.5 s in pictures; the time limit is `max_steps` (20, 40, 80)                             |
| agents live   | from entering to leaving by the end of their route, once; one is alive at the start       |

**The game** is that of CommNet (Sukhbaatar et al. 2016, section 4.2) with the rules of IC3Net's code (Singh et al.
2019; as of October 2019), on which later papers build. Cars drive along fixed routes over a grid of cells. In a step a
car gives gas and moves to the next cell of its route, or brakes and stays; a car that gives gas on the last cell
leaves, and its agent dies. All move at once, and nothing stops two cars from being in the same cell: that is a crash,
which is charged in every step, and both drive on. Then, entry by entry, a car arrives with probability `arrival_rate`,
on a route that is drawn uniformly among those from that entry, even if another car is in the entry's cell; but no car
arrives while `n_cars` are on the roads. Only the time limit ends an episode.

| level    | map     | roads           | entries x routes | most cars | arrival rate | steps |
|----------|---------|-----------------|------------------|-----------|--------------|-------|
| `easy`   | 7 x 7   | 1 x 1, one-way  | 2 x 1            | 5         | 0.3          | 20    |
| `medium` | 14 x 14 | 1 x 1, two-way  | 4 x 3            | 10        | 0.2          | 40    |
| `hard`   | 18 x 18 | 2 x 2, two-way  | 8 x 7            | 20        | 0.05         | 80    |

Cars keep to the right; at up to two crossings (easy: none) a route goes straight on, right or left. Routes are the same
cells, with the same numbers, as in IC3Net's code.

**Tasks**: `easy-1`, `easy-0`, `medium-1` (default), `medium-0`, `hard-1`, `hard-0`: level and vision. With a vision of
0 a car sees only its own cell, and must talk to know of others before it hits them.

**Reward** of a car: -`time_charge` tau (0.01), where tau is the number of steps that it has been on the road, and
-`crash_charge` (10) in a step after which it shares its cell; 0 in the step in which it leaves. The team reward G is
the sum over the cars on the roads, as published. **Cost**: 1 for each car that shares its cell after the step.
**Counterfactual** (`counterfactual="absent"`): G had the car not been there.

**Observation**, `encoding="compact"`; D rows and columns, R routes, C = `n_cars`, W = (2 `vision` + 1)^2 cells seen,
row by row from the upper left:

| index         | meaning                                                                   | range           |
|---------------|---------------------------------------------------------------------------|-----------------|
| 0, 1          | its column and its row, over D - 1 (the environment's `pose`)             | [0, 1]          |
| 2             | its last action; 0 before the first                                       | 0, 1            |
| 3             | how many of the cars in its cell entered before it                        | 0 ... C - 1     |
| 4 ...         | for each cell seen: there is a road                                       | 0, 1            |
| 4 + W ...     | for each cell seen: number of other cars in it                            | 0 ... C - 1     |
| 4 + 2 W ...   | number of its route, one-hot                                              | 0, 1            |
| then D, D     | its row, one-hot; its column, one-hot                                     | 0, 1            |

This tells what the published encoding tells, in a tenth of the numbers on hard, and entry 3 besides: without it two
cars in one cell on one route would observe the same, and a deterministic policy would move them alike for ever.
`encoding="published"` is IC3Net's vector: last action, number of the route over R - 1, and for each cell seen a one-hot
class (each road cell has its own, then "no road", an unused one, and the number of cars, oneself included): 2 + W V
numbers with V = 15, 59, 147; 1,325 on hard with a vision of 1. Route numbers of others are never observed.

**State** for centralised critics: for each of the K = 13, 52, 128 road cells, row by row, the number of cars in it;
then, for each, the number of cars whose next cell it is; then the steps that the cars in it have been on the road over
the time limit, summed; then the time over the time limit, the episode's arrival rate, cars on the roads over `n_cars`,
and whether there has been a crash.

**Communication**: all cars on the roads hear each other, or those within `comm_range` (Euclidean, between cells).

**Curriculum.** IC3Net raises arrival rates while it trains (easy 0.1 to 0.3, medium 0.05 to 0.2, hard 0.02 to 0.05). An
episode here knows nothing of the training around it, so with `least_rate_share` below 1 each episode's rate is drawn
uniformly between that share of `arrival_rate` and `arrival_rate`: one run covers all of them. The shares of IC3Net's
curricula are 0.33, 0.25 and 0.4. Evaluate with 1, its default.

**Metrics**, over the episode so far:

- `success`: 1 if there has been no crash, else 0: the published measure, with the actions that are evaluated, sampled
  or greedy. It says nothing about speed, so read it beside the next ones.
- `crashes`: cars in a shared cell, summed over steps.
- `throughput`: cars that have left by the end of their route.
- `delay`: steps that these took beyond the fewest, mean.
- `brakes`: actions to brake over cars that have entered.
- `cars`: cars on the roads, mean over steps.

Before a car has left the mean delay is undefined, and before the first step that of cars: NaN, shown as "-" in tables,
and left out of means over episodes.

**Deviations from the published game**

1. There, a car that has left is reborn in another place as the same agent. Here an agent never comes back: every car
   has a name of its own, and N names are enough but for a chance of 1e-6 an episode (`start.most_arrivals`); when they
   run out no more cars enter. So about four in five rows of a step are those of cars that have left or are to come.
2. A world without live agents would be over. So each world starts with a car, on any route with equal chance, where the
   published one starts empty; and when the last car has left and none arrives, one enters.
3. All chance is drawn at reset, so arrivals do not depend on actions, except for cars that find the roads full.
4. A car that enters is not charged in that step, as it has not acted; in G its crash counts, as published.
5. The last action of a car that enters is gas; there, it may be that of the car whose agent it inherits.
6. IC3Net ignores crashes in cell (0, 0), where cars that have left are kept. No road leads there: nothing changes.

The rules of 2016 differ from those of 2019 (hard: 0.1, 40 steps), and so do those of other papers' tables, such as
TarMAC's: compare only what was measured on the same game.

**Policies to beat** (`envs.heuristic("traffic_junction", rule=...)`), 2,000 episodes, seeds 0 to 1,999, success /
delay [steps]. `priority` (default) knows all cars and their routes; `vision` knows what a car with a vision of 1
observes, and does not talk; `gas` never brakes. The published game, run from IC3Net's code at the same arrival rates
for 2,000 episodes each, gives always gas a success of 0.289, 0.033 and 0.071; its observations and rewards equal those
here in 53,000 compared steps of cars.

| rule       | `easy`       | `medium`     | `hard`       |
|------------|--------------|--------------|--------------|
| `priority` | 1.000 / 0.13 | 1.000 / 0.21 | 1.000 / 0.11 |
| `vision`   | 0.964 / 0.30 | 0.952 / 0.65 | 0.988 / 0.35 |
| `gas`      | 0.308 / 0    | 0.029 / 0    | 0.082 / 0    |

So a silent rule with a vision of 1 avoids nearly all crashes, by keeping a distance where nobody is close behind (a
rule that only gives way makes 0.77, 0.30 and 0.66). What messages are worth there shows in the delay; what they are
worth for success shows with a vision of 0.

**Arguments** are the fields of `Config`, documented there.

**Versions.** 0: first.
"""

from functools import partial

from .. import aec_env, parallel_env
from .config import DEFAULT_TASK, TASKS, Config
from .env import VERSION, TrafficJunction
from .heuristic import heuristic

__all__ = [
    "DEFAULT_TASK",
    "TASKS",
    "VERSION",
    "Config",
    "TrafficJunction",
    "build",
    "env",
    "heuristic",
    "parallel_env",
    "raw_env",
]


def build(config: Config) -> TrafficJunction:
    """Builds the environment of a configuration."""
    return TrafficJunction(config)


parallel_env = partial(parallel_env, "traffic_junction")
env = raw_env = partial(aec_env, "traffic_junction")
