"""The state of a batch of edge markets, and what kernels need of a `Config`.

Axes: B worlds, N nodes, D link slots of a node, Q queue slots of a node, M models, K tasks in the schedule, T slots.
Times are seconds since the start, work is in Gcycles, money in credits.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .config import Config, arrivals_of
from .rates import fall_of, pace_when_calm, rise_of, task_room

Array = NDArray[Any]

QUEUE_SLOTS = 12
"""Q: tasks a node can hold, those on their way to it included. An arrival that finds no slot is dropped."""
NOBODY = -1
"""In place of a task, a node or a model where there is none."""
POSTED, UNIFORM, MCAFEE, VCG = range(4)
"""Clearing rules."""
RULES = ("posted", "uniform", "mcafee", "vcg")
DUE, QUEUED, RUNNING, IN_TRANSIT, DONE, MISSED, DROPPED = range(7)
"""What has become of a task; one that is DUE arrives later."""
LEFT, READY, PAYS, EARNS = range(4)
"""Columns of `queue`: work left, when it is there [s], what its owner pays and its holder gets on delivery."""
ARRIVES, ORIGIN, MODEL = range(3)
"""Columns of `task_int`: slot of arrival, node, model."""
WORK, SIZE, DEADLINE, VALUE = range(4)
"""Columns of `task`."""
BID_MARKUP, ASK_MARKUP, KEEP, THRESHOLD, SCORES = range(5)
"""Columns of a strategy, (N, 4 + M): markups over the price scale, share, pressure, scores of models."""
SPEED, MEMORY, X, Y, BYZANTINE, CARTEL, SHARE, REACH = range(8)
"""Columns of `node`; SHARE: of arrivals over an equal one; REACH: speed of the fastest neighbour."""
(
    PRICE,  # last price of its market area
    POSTED_PRICE,  # of the posted rule
    BOUGHT,  # whether it sold on a task (as a buyer of computing) in the last slot
    SOLD,  # whether it took one
    BID,  # last bid, 0 if none
    ASK,  # last ask, 0 if none
    DEMAND,  # running mean of the work that arrives [Gcycles/s]
    USED,  # share of the processor used in the last slot
    SALES,  # work it has taken from others and not finished
    SLOT_PROFIT,  # of the last slot
) = range(10)
N_TALLY = 10
"""Columns of `tally`: what a node remembers of itself."""
LOADED, LAST_USE, WANTED = range(3)
"""Columns of `model`: 1 loaded, 0 not; slot of last use; running mean of arrivals that need it [1/slot]."""
SAID_LOAD, SAID_PRICE, SAID_AT = range(3)
"""Columns of `heard`: seconds of work, credits/Gcycle, when [s] (negative: never)."""
PROFIT, OWN_DONE, OWN_ARRIVED = range(3)
"""Columns of `account`, over the episode."""
(
    ARRIVED,
    FINISHED,
    MISSES,
    DROPS,
    TRADES,
    COLD_STARTS,
    CYCLES,
    CAPACITY,
    PAID,
    EARNED,
    WELFARE,
    PRICE_SUM,
    PRICE_SQUARES,
    PRICE_COUNT,
    OVERLOADED,
) = range(15)
N_TOTALS = 15
"""Columns of `totals`, over the episode."""
LEVELS = 255
"""Steps of an energy price."""
LATENCY_BINS = 48
LATENCY_LOW, LATENCY_RATIO = 0.01, 1.17
"""Bins of `latency` begin at `Rules.latency_low`, LATENCY_LOW [s] unless deadlines are so long that nothing would hold
them, and end at LATENCY_RATIO times their begin; the last has no end."""


class State(NamedTuple):
    """A value: nothing in it is ever changed in place. The schedule is shared between successive states."""

    step: Array  # (B,) int32 slots since the start
    n_held: Array  # (B, N) int32 tasks held
    held: Array  # (B, N, Q) int32 tasks, earliest deadline first, then NOBODY
    queue: Array  # (B, N, Q, 4) float64: LEFT, READY, PAYS, EARNS
    model: Array  # (B, N, M, 3) float64: LOADED, LAST_USE, WANTED
    loading: Array  # (B, N, 2) float64: model being loaded or NOBODY, time left for it [s]
    link_free: Array  # (B, N, D) float64 when the link from i to its d-th neighbour can send again [s]
    heard: Array  # (B, N, D, 3) float64: SAID_LOAD, SAID_PRICE, SAID_AT
    tally: Array  # (B, N, N_TALLY) float64
    account: Array  # (B, N, 3) float64: PROFIT, OWN_DONE, OWN_ARRIVED
    totals: Array  # (B, N_TOTALS) float64
    latency: Array  # (B, LATENCY_BINS) int32 tasks done by latency
    head: Array  # (B,) int32: every task before it has arrived
    status: Array  # (B, K) int8: DUE, QUEUED, ...
    partner: Array  # (B, N) int32 who took its task in the last slot, or NOBODY
    # The schedule, drawn at reset and read-only.
    node: Array  # (B, N, 8) float64
    neighbor: Array  # (B, N, D) int32, nearest first, then NOBODY
    link: Array  # (B, N, D, 2) float64: bandwidth [MB/s], latency [s]
    model_size: Array  # (B, M) float64 [GB]
    task_int: Array  # (B, K, 3) int16: ARRIVES, ORIGIN, MODEL
    task: Array  # (B, K, 4) float32: WORK, SIZE, DEADLINE, VALUE
    energy: Array  # (B, T + 1, N) uint8: the energy price, in LEVELS steps from the lowest to the highest
    up: Array  # (B, T + 1, N) bool: the node works; (B, 1, N) where nothing fails
    cut: Array  # (B, T + 1) bool: no link crosses the middle; likewise
    bound: Array  # (B,) float64 the bound on welfare, 0 unless asked for


SCHEDULE = State._fields[State._fields.index("node") :]
_COPIED = State._fields.index("node")


def copied(state: State) -> State:
    """A copy of everything but the schedule, for kernels to write into."""
    return State(*(value.copy() for value in state[:_COPIED]), *state[_COPIED:])


class Rules(NamedTuple):
    """What the kernels need of a `Config`, as plain numbers."""

    rule: int
    slot: float
    cpu: float
    cpu_spread: float
    memory: float
    model_size: float
    model_spread: float
    strangers: bool
    load_rate: float
    popularity: float
    bandwidth: float
    latency: float
    radio_range: float
    side: float  # of the plane [km]
    energy_low: float
    energy_high: float
    energy_churn: float
    arrivals: float  # tasks a node a slot, on average
    imbalance: float
    burst: float
    burst_slots: float
    calm: float  # arrival rate in the calm state over the mean
    work: float
    work_spread: float
    size: float
    deadline: float
    deadline_spread: float
    value_low: float
    value_high: float
    miss_penalty: float
    sale_seconds: float
    gossip_every: int
    failures: float
    falls: float  # chance that a node fails at the end of a slot
    rises: float  # that a failed one comes back
    partition: float
    n_byzantine: int
    n_cartel: int
    cartel_price: float
    price_scale: float  # what a markup of 1 adds [credits/Gcycle]
    latency_low: float  # where the bins of latencies begin [s]
    max_steps: int
    faulty: bool  # nodes or links may fail, so the market may fall apart


def rules_of(config: Config) -> Rules:
    """The `Rules` of a configuration."""
    longest = config.deadline * (1.0 + config.deadline_spread)
    derived: dict[str, Any] = {
        "rule": RULES.index(config.rule),
        "slot": float(config.slot_seconds),
        "side": math.sqrt(config.n_nodes / 8.0),
        "strangers": bool(config.strangers),
        "arrivals": arrivals_of(config),
        "burst_slots": max(config.burst_seconds / config.slot_seconds, 1.0),
        "calm": pace_when_calm(config.burst),
        "falls": fall_of(config.failures, config.max_steps),
        "rises": rise_of(config.max_steps),
        "gossip_every": int(config.gossip_every),
        "n_byzantine": round(config.byzantine * config.n_nodes),
        "n_cartel": round(config.cartel * config.n_nodes),
        "price_scale": 0.5 * (config.value_low + config.value_high),
        "latency_low": max(LATENCY_LOW, longest / LATENCY_RATIO**LATENCY_BINS),
        "max_steps": int(config.max_steps),
        "faulty": config.failures > 0 or config.partition > 0,
    }
    as_given = {name: float(getattr(config, name)) for name in Rules._fields if name not in derived}
    return Rules(**as_given, **derived)


def n_tasks(config: Config, rules: Rules) -> int:
    """K: room for all arrivals of an episode, see `rates.task_room`."""
    slots = config.max_steps + 1
    return task_room(rules.arrivals, config.n_nodes, slots, config.burst, rules.burst_slots, config.imbalance)


def empty(config: Config, rules: Rules, n_worlds: int) -> State:
    """Worlds without a past or a schedule, for `draw` to fill in."""
    b, n, d, q, m = n_worlds, config.n_nodes, config.n_neighbors, QUEUE_SLOTS, config.n_models
    k, t = n_tasks(config, rules), config.max_steps + 1
    t_fault = t if rules.faulty else 1
    heard = np.zeros((b, n, d, 3))
    heard[..., SAID_AT] = -1.0
    loading = np.zeros((b, n, 2))
    loading[..., 0] = NOBODY
    return State(
        step=np.zeros(b, np.int32),
        n_held=np.zeros((b, n), np.int32),
        held=np.full((b, n, q), NOBODY, np.int32),
        queue=np.zeros((b, n, q, 4)),
        model=np.zeros((b, n, m, 3)),
        loading=loading,
        link_free=np.zeros((b, n, d)),
        heard=heard,
        tally=np.zeros((b, n, N_TALLY)),
        account=np.zeros((b, n, 3)),
        totals=np.zeros((b, N_TOTALS)),
        latency=np.zeros((b, LATENCY_BINS), np.int32),
        head=np.zeros(b, np.int32),
        status=np.zeros((b, k), np.int8),
        partner=np.full((b, n), NOBODY, np.int32),
        node=np.zeros((b, n, 8)),
        neighbor=np.full((b, n, d), NOBODY, np.int32),
        link=np.zeros((b, n, d, 2)),
        model_size=np.zeros((b, m)),
        task_int=np.zeros((b, k, 3), np.int16),
        task=np.zeros((b, k, 4), np.float32),
        energy=np.zeros((b, t, n), np.uint8),
        up=np.ones((b, t_fault, n), np.bool_),
        cut=np.zeros((b, t_fault), np.bool_),
        bound=np.zeros(b),
    )
