"""The state of a batch of edge markets, and what its columns are called.

Axes: B worlds, N nodes, D link slots of a node, Q queue slots of a node, M models, K tasks in the schedule, T slots,
P peers of a node (those it may exchange estimates with), V estimated values (V = 2 + M; V and P are 0 where unused).
Times are seconds since the start, work is in Gcycles, money in credits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

Array = NDArray[Any]

QUEUE_SLOTS = 12
"""Q: most tasks that a node holds, those on their way included. An arrival that finds no slot is dropped."""
TIME_ROUNDING = 1e-9
"""Differences of times up to this are rounding [s]."""
NOBODY = -1
"""Stands in place of a task, a node or a model where there is none."""
POSTED, UNIFORM, MCAFEE, VCG = range(4)
CLEARING_RULES = ("posted", "uniform", "mcafee", "vcg")
"""Numbers and names of the clearing rules."""
DUE, QUEUED, RUNNING, IN_TRANSIT, DONE, MISSED, DROPPED = range(7)
"""Status of a task; one that is DUE arrives later."""
LEFT, READY, PAYS, EARNS = range(4)
"""Columns of `queue`: work left [Gcycles], arrival of the input [s], payments by owner and to holder [credits]."""
ARRIVES, ORIGIN, MODEL = range(3)
"""Columns of `task_int`: slot of arrival, node, model."""
WORK, SIZE, DEADLINE, VALUE = range(4)
"""Columns of `task`."""
BID_MARKUP, ASK_MARKUP, KEEP, THRESHOLD, SCORES = range(5)
"""Columns of a strategy, (N, 4 + M): markups over the price scale, share, pressure, scores of models."""
SPEED, MEMORY, X, Y, BYZANTINE, CARTEL, SHARE, NEIGHBOR_SPEED = range(8)
"""Columns of `node`; SHARE: of arrivals over an equal one; NEIGHBOR_SPEED: that of the fastest neighbour."""
(
    PRICE,  # last price of its market area
    POSTED_PRICE,  # of the posted rule
    BOUGHT,  # 1: a neighbour took a task of it in the last slot (it bought computing)
    SOLD,  # 1: it took a task of a neighbour (it sold computing)
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
    DISAGREEMENT,  # of estimates, summed over slots; see `agreement`
    BIAS,  # likewise
    MESSAGES,
    JUDGED,  # slots of which the two were taken
) = range(19)
N_TOTALS = 19
"""Columns of `totals`, over the episode."""
LOAD, ASKED, FIRST_MODEL = range(3)
"""Columns of `agreed` and `measured`: work held [s], ask [credits/Gcycle], arrivals that need each model [1/slot]."""
NO_CONSENSUS, GOSSIP, HIERARCHICAL, ROBUST = range(4)
CONSENSUS_RULES = ("none", "gossip", "hierarchical", "robust")
"""Numbers and names of the rules by which nodes agree."""
LEVELS = 255
"""Steps of an energy price."""
LATENCY_BINS = 48
"""Number of bins of `latency`."""
LATENCY_LOW, LATENCY_RATIO = 0.01, 1.17
"""The first bin begins at `Params.latency_low`, which is LATENCY_LOW [s] or, where deadlines are longer than the bins
would reach, more. Every bin ends at LATENCY_RATIO times its begin; the last has no end."""


class State(NamedTuple):
    """B worlds. A value: nothing in it is ever changed in place. Successive states share the schedule."""

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
    partner: Array  # (B, N) int32 node that took its task in the last slot, or NOBODY
    agreed: Array  # (B, N, V) float64 each node's estimates of the means over all nodes: LOAD, ASKED, ...
    measured: Array  # (B, N, V) float64 what it last measured of itself
    silence: Array  # (B, N) int32 slots since it last exchanged estimates
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
    peer: Array  # (B, N, P) int32 nodes within reach of relayed messages, in order, then NOBODY
    hops: Array  # (B, N, P) int8 links on the shortest way there, 0 for none, where all work
    key: Array  # (B,) uint64 of the random numbers that decide which exchanges are lost


SCHEDULE = State._fields[State._fields.index("node") :]
_COPIED = State._fields.index("node")


def copied(state: State) -> State:
    """Returns a copy for kernels to write into; the schedule is shared."""
    return State(*(value.copy() for value in state[:_COPIED]), *state[_COPIED:])
