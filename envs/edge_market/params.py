"""The parameters of the kernels: a `Config` as plain numbers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from .config import Config, arrivals_of
from .rates import fall_of, pace_when_calm, rise_of, task_room
from .state import CLEARING_RULES, CONSENSUS_RULES, LATENCY_BINS, LATENCY_LOW, LATENCY_RATIO


class Params(NamedTuple):
    """Most are fields of `Config`, described there."""

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
    rises: float  # chance that a failed node comes back at the end of a slot
    partition: float
    n_byzantine: int
    n_cartel: int
    cartel_price: float
    price_scale: float  # what a markup of 1 adds [credits/Gcycle]
    latency_low: float  # where the bins of latencies begin [s]
    max_steps: int
    faulty: bool  # nodes or links may fail, so the market may fall apart
    consensus: int
    consensus_hops: int
    consensus_rounds: int
    consensus_loss: float
    consensus_tolerance: int
    consensus_pull: float


def params_of(config: Config) -> Params:
    """Returns the `Params` of a configuration."""
    longest = config.deadline * (1.0 + config.deadline_spread)
    derived: dict[str, Any] = {
        "rule": CLEARING_RULES.index(config.rule),
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
        "consensus": CONSENSUS_RULES.index(config.consensus),
        "consensus_hops": int(config.consensus_hops),
        "consensus_rounds": int(config.consensus_rounds),
        "consensus_tolerance": int(config.consensus_tolerance),
    }
    as_given = {name: float(getattr(config, name)) for name in Params._fields if name not in derived}
    return Params(**as_given, **derived)


def n_tasks(config: Config, params: Params) -> int:
    """Returns K: room for all arrivals of an episode, see `rates.task_room`."""
    slots = config.max_steps + 1
    return task_room(params.arrivals, config.n_nodes, slots, config.burst, params.burst_slots, config.imbalance)
