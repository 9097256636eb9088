"""Edge resource market: edge nodes with scarce compute, memory and bandwidth trade work with their neighbours.

| property      | value                                                                                          |
|---------------|------------------------------------------------------------------------------------------------|
| import        | `from envs import edge_market` (clone), `from coterie.envs import edge_market` (installed)     |
| PettingZoo    | `pettingzoo.make("parallel", "coterie/edge_market_v2", task="village-8")`, also `"aec"`        |
| agents        | `node_0` ... `node_{N-1}`; N = `n_nodes`                                                       |
| actions       | `Box(-1, 1, (4 + M,))`, M = `n_models`, or `Discrete(8)` with `discrete=True`                  |
| observations  | `Box(-1, 1, (O,))`, O = 43 + 5 M + 7 D, D = `n_neighbors`; 3 + M more with a `consensus`       |
| state         | `Box(-1, 1, (S,))`, S = N (12 + M) + 2                                                         |
| control step  | a slot of `slot_seconds` (0.2 s); the time limit is `max_steps` (200: 40 s)                    |
| agents die    | never; a failed node stays an agent whose actions do nothing                                   |

Interests are mixed: each node seeks its own profit, and the team reward is their welfare. Money is in credits, work in
Gcycles, prices in credits/Gcycle; the *price scale* is the mean value of a Gcycle of users' work (1 credit).

**The world.** Nodes lie in a plane, 8 a square kilometre, and are linked to near ones: by a spanning tree, then by the
shortest other links within `radio_range`, at most D for each node. A node has a processor [Gcycles/s], memory for
models [GB] and an energy price that jumps now and then; a link has a bandwidth [MB/s] each way and a latency [s]. Users
give nodes tasks by a schedule drawn at reset. Arrivals are Poisson or bursty; then every node has a busy and a calm
state, with the same chances at the start as at any time. A task has work, input size, deadline and value, and needs one
of M models. The mean work that arrives is `load` times what the nodes can do, in every slot and for every
configuration. A node holds at most 12 tasks, those on their way to it included; an arrival that finds no room is
dropped. Results are small; their way back is not simulated. Nodes remember demand as running means over about 20 slots.

**A slot** runs in this order. *Offers*: a node considers its own tasks that have not begun and whose projected time is
at least `threshold` times the time left to their deadline. The projected time is that of the work ahead of the task, of
loading its model, and of its own work; it is infinite if the model cannot be loaded. Of these the node offers the task
whose leaving is worth most to it: the energy it saves if the task could be done at home in time, else the task's value
and the penalty saved. A node with such a task is a buyer of computing and bids; any other node is a seller and asks.
*Pairs*: a task may go to a linked neighbour that sells, has room for its work and, by the load it reports, would do it
in time. *Clearing* by the chosen rule; a buyer gives away and a seller takes at most one task a slot. *Transport*: a
link sends one input after the other. *Models*: a node reads one that a waiting task needs into memory, or else one to
keep; models of no higher (of lower) score make room, the lowest first, then the least recently used. *Processors* run
tasks of loaded models, earliest deadline first: own ones within the kept share of the slot, sold ones within the rest,
then any; a task that cannot be done in time any more is left alone. *Deadlines*: late tasks are missed and leave. Then
nodes fail or come back, links are cut, new tasks arrive, and nodes whose turn it is send messages to their neighbours.

Payments are made on delivery in time, so they bind both sides: a node that took a task and misses it is not paid and is
charged the penalty. Every task is at every moment exactly one of queued, running, in transit, done, missed or dropped
(or has not arrived yet): `State.status`.

**Clearing rules** (`rule`): `posted` price, which follows demand; `uniform`-price double auction (default); `mcafee`;
`vcg`. Their claims and sources stand in `clearing`, which can be used by itself (`clear_market`): no node that reports
truly loses under any of them; payments balance under `posted` and `uniform`, leave a surplus under `mcafee` and need a
deficit under `vcg`, reported as `payments_balance`; the truth is the best report for all under `posted`, `mcafee` and
`vcg`, within a slot. Every connected part of the network is a market area with a price of its own.

**Actions**, a Box of numbers from -1 to 1:

| index   | meaning                                                                                            |
|---------|----------------------------------------------------------------------------------------------------|
| 0       | bid markup: the bid is what leaving is worth plus this times the price scale, at least 0           |
| 1       | ask markup: the ask is the energy price plus this times the price scale, at least 0                |
| 2       | kept share of the processor, -1 none, 1 all: sold work waits for the rest, and a node holds no     |
|         | more sold work than the rest does in `sale_seconds`                                                |
| 3       | threshold, -1: 0, offer any task; 0: 1, a task that would be late; 1: 2, offer nothing             |
| 4 ...   | for each model its score: above 2/3 keep it (it is read before tasks need it, and makes room only  |
|         | for another such model), below -2/3 let it go (it makes room for all others, none makes room for   |
|         | it); between, models are read as tasks need them, and the least recently used makes room           |

Discrete, with scores of 0: 0 alone (offer nothing, keep all), 1 truthful (markups 0, keep half, offer what would be
late), 2 truthful and early (threshold 0.6), 3 bid low (markup -0.3), 4 ask high (markup 0.3), 5 generous (keep
nothing), 6 reserved (keep 0.8, ask markup 0.3), 7 hand on (threshold 0.2, bid markup 0.3, keep nothing).

**Observation**, per node; q(x) = x / (1 + x); D-bar is the mean deadline `deadline` [s], p the price scale:

| index    | meaning                                                                                  | range    |
|----------|------------------------------------------------------------------------------------------|----------|
| 0        | speed over twice the mean                                                                | [0, 1]   |
| 1        | it works                                                                                 | 0, 1     |
| 2        | energy price over `energy_high`                                                          | [0, 1]   |
| 3        | its work L [s] that can still be done in time, q(L / D-bar)                              | [0, 1)   |
| 4        | of others' work it took [s], likewise                                                    | [0, 1)   |
| 5        | share of its queue slots in use                                                          | [0, 1]   |
| 6        | share of the processor used in the last slot                                             | [0, 1]   |
| 7        | running mean of arriving work over its speed, q                                          | [0, 1)   |
| 8        | tasks projected to be late over 12                                                       | [0, 1]   |
| 9        | worth per Gcycle of the most valuable own task among them that has not begun, q(. / p)   | [0, 1)   |
| 10       | the work w of that task over w + `work`                                                  | [0, 1)   |
| 11       | last price in its area, q(. / p)                                                         | [0, 1)   |
| 12, 13   | it sold a task on in the last slot; it took one                                          | 0, 1     |
| 14, 15   | its last bid (0 if none); what it would ask or asked, q(. / p)                           | [0, 1)   |
| 16       | its posted price, q(. / p)                                                               | [0, 1)   |
| 17       | time left for the model being read, q(. / D-bar)                                         | [0, 1)   |
| 18       | free share of its memory                                                                 | [0, 1]   |
| 19       | profit x in the last slot, x / (1 + abs(x))                                              | (-1, 1)  |
| 20, 21   | it is one of the byzantine nodes; it is in the cartel                                    | 0, 1     |
| 22 ...   | for each of its 3 tasks of earliest deadline:                                            |          |
|   +0     | 1 its own, -1 taken from a neighbour, 0 none (then all seven are 0)                      | -1, 0, 1 |
|   +1     | work left w over w + `work`                                                              | (0, 1)   |
|   +2     | time to its deadline t over t + D-bar                                                    | [0, 1)   |
|   +3     | value per Gcycle, q(. / p)                                                               | [0, 1)   |
|   +4     | time it is projected to need over twice that to its deadline, at most 1                  | [0, 1]   |
|   +5, 6  | its model is loaded; its input is there                                                  | 0, 1     |
| 43 ...   | for each model:                                                                          |          |
|   +0, 1  | loaded; being read                                                                       | 0, 1     |
|   +2     | size over the node's memory                                                              | [0, 1]   |
|   +3     | running mean of own arrivals that need it over an equal share of a mean node's, q        | [0, 1)   |
|   +4     | work held that needs it [s], q(. / D-bar)                                                | [0, 1)   |
| then     | for each of the D links, shortest first:                                                 |          |
|   +0     | 1 works, -1 cut or the neighbour is down, 0 no link (then all seven are 0)               | -1, 0, 1 |
|   +1     | bandwidth over 1.5 times the mean                                                        | [0, 1]   |
|   +2     | latency l over l + `slot_seconds`                                                        | [0, 1)   |
|   +3, 4  | the neighbour's last message: its load [s], q(. / D-bar); its ask, q(. / p)              | [0, 1)   |
|   +5     | how long ago that was: t over t + D-bar; 1 if there was no message                       | [0, 1]   |
|   +6     | time until the link is free, q(. / `slot_seconds`)                                       | [0, 1)   |
| then     | with a `consensus`, the node's estimates of means over all nodes:                        |          |
|   +0, 1  | work held [s], q(. / D-bar); ask, q(. / p)                                               | [0, 1)   |
|   +2 ... | for each model, arrivals that need it over an equal share of a mean node's, q            | [0, 1)   |
|   last   | how long ago the node last exchanged estimates: t over t + D-bar                         | [0, 1)   |

**State** for centralised critics: of each node, entries 0 to 8, 11, 12 and 13 of its observation and which models are
loaded; then the time over the time limit, and 1 while a partition cuts the plane in the middle, else 0.

**Reward** of a node is its profit: the value of its own tasks done in time less what it pays for those done elsewhere,
plus what it earns for others' tasks done in time, minus the energy of all work it ran, minus `miss_penalty` times the
value of each task that was missed or dropped in its hands. The team reward G, welfare, is the sum of profits and of the
exchange's account (payments of buyers less those to sellers), so payments cancel out. **Cost**: 1 for each task missed
or dropped in the node's hands, 1 for a slot that ends with more work than it does in D-bar. **Counterfactual**
(`counterfactual="absent"`): the others' welfare had the node not been there; see `EdgeMarket.counterfactual` for
`horizon`. `"shapley"`: G less the node's Shapley value over who is there, exact up to 8 nodes that may trade with each
other and above that the mean over `orders` orders of arrival (`coalitions`, `envs.kit.shapley`). Where all that is
sold in a slot is done in it and reports are true, G less the others' welfare is under `vcg` exactly the node's profit,
and a buyer pays Clarke's externality (a test holds it to that).

**Faults and malice** are all drawn at reset. Nodes, which all work at first, fail `failures` times on average and lose
all tasks they hold and the models in memory. A partition cuts all links across the middle of the plane for a share of
the episode, and tasks on their way there are dropped. `byzantine` nodes report no load to neighbours and to the market,
and ask half of what their action says. Nodes of the `cartel` never ask less than `cartel_price`. Otherwise the actions
of these nodes count as those of any other.

**Communication**: neighbours over links that work hear each other (`adjacency`). Apart from that, each node sends its
load and its ask to its neighbours every `gossip_every` slots.

**Consensus** (`consensus`; none by default): nodes come to agree on what none of them sees, the mean over all nodes of
the work they hold [s], of their asks, and of the demand for each model. Once the tasks of a slot have arrived, each
node that works measures itself anew and exchanges estimates, `consensus_rounds` times. `gossip`: with all nodes up to
`consensus_hops` links away, over links that work; estimates are signed, so those that relay them cannot change them.
`robust`: the same, but of what is heard the `consensus_tolerance` f highest and lowest are left out; f liars take 3 f +
1 nodes heard. A node that hears fewer still leaves as many out, and so may hold on to its own. `hierarchical`: elected
leaders gather the estimates of their neighbours, agree, and tell them; a leader that fails is replaced in the next
slot. An exchange between two nodes is lost with the chance `consensus_loss`. Byzantine nodes say that they hold no
work, ask half, and need no model. `agreement` has the formulas. Estimates change nothing but observations, and what
nodes do by them.

**Heuristics** (`heuristic`, the policy `envs.heuristic` gives; all in `heuristic.py`): `truthful` (default),
`proportional`, `greedy`, `local`, and with a consensus `consensus-proportional`, which levels work by agreed load.
**The bound** (`bound=True`): a linear programme that knows everything, see `bound`; it takes seconds a world, so it is
for evaluations.

**Metrics**, over the episode so far: `welfare` [credits]; `bound_share`, welfare so far over the bound of the whole
episode, NaN where that is not above 0 (only with `bound=True`); `completion_rate`, `miss_rate` and `drop_rate`, tasks
done in time, missed at their deadline, and dropped (no room, or a failure) over tasks arrived; `latency_p50`,
`latency_p95`, `latency_p99`, from arrival to the end of tasks done in time [s], to within 8 %; `utilisation` of
processors; `fairness`, Jain's index of nodes' shares of their own tasks done (1 equal, 1/N one has all); `profit_gini`,
Gini's coefficient of profits, losses counted as 0 (0 equal); `price`, mean over slots that had one, and
`price_volatility`, its standard deviation over that mean; `offloaded_share`, trades over arrivals; `cold_starts`,
models read because a task waited; `payments_balance`, what buyers paid less what sellers got [credits], a deficit if
negative; `overload_share` of nodes and slots. With a consensus also `consensus_disagreement`, standard deviation of the
estimates of honest nodes that work, and `consensus_bias`, distance of their mean estimate from the mean of what they
measure, each the root mean square over load / D-bar, ask / p and demand over an equal share, mean over slots; and
`consensus_messages`, one for each link that an estimate is sent over. `fairness` is over the nodes at which tasks have
arrived. A mean, share or index of nothing is undefined (no task arrived, none done, none sold, no node with a profit,
no bound above 0): NaN, shown as "-" in tables, and left out of means over episodes.

**Tasks**: `duopoly-2`: two nodes that can trade only with each other draw new private values and costs in every slot,
and can do none of their own tasks because they lack the model: a bargain with private information, see `bargain`;
`village-8` (default); `city-50`; `bursty-8`; `partition-16`: a partition for two fifths of the episode, and failing
nodes; `byzantine-16`: a quarter of the nodes are byzantine, a quarter form a cartel; `serving-12`: 8 models, of which a
node holds about 3.

**Arguments** are the fields of `Config`, documented there.

**Versions.** 0: first. 1: bursts begin as they go on, no longer all calm; no arrivals are left out where many come in a
slot or in a burst; nodes fail as often as asked (it was 0.48 times where 0.5 was asked, 3.4 where 5); a partition may
begin in the first slot; latencies beyond 18 s are reported. Of the named tasks only `bursty-8` and `partition-16`
change. 2: nodes may agree on load, asks and demand (`consensus`); without it nothing changes.
"""

from functools import partial

from .. import aec_env, parallel_env
from .config import DEFAULT_TASK, TASKS, Config
from .env import VERSION, EdgeMarket
from .heuristic import HEURISTICS, heuristic

__all__ = [
    "DEFAULT_TASK",
    "HEURISTICS",
    "TASKS",
    "VERSION",
    "Config",
    "EdgeMarket",
    "build",
    "env",
    "heuristic",
    "parallel_env",
    "raw_env",
]


def build(config: Config) -> EdgeMarket:
    """Builds the environment of a configuration."""
    return EdgeMarket(config)


parallel_env = partial(parallel_env, "edge_market")
env = raw_env = partial(aec_env, "edge_market")
