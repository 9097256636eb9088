"""The configuration of an edge market, and the named tasks."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from ..consensus import most_liars
from ..kit.fields import check_fields
from ..kit.shapley import check_horizon, check_orders
from .rates import MOST_MEGABYTES, megabytes, most_failures, task_room


@dataclass(frozen=True)
class Config:
    """One edge market. Every field is an argument of `envs.make("edge_market", ...)` and an option `--env.FIELD`."""

    n_nodes: int = 8
    """Number of edge nodes, which are the agents."""
    rule: Literal["posted", "uniform", "mcafee", "vcg"] = "uniform"
    """Clearing rule: posted price, uniform-price double auction, McAfee's double auction, VCG."""
    discrete: bool = False
    """Actions are Discrete(8), ready-made strategies, instead of a Box of markups, shares and scores."""
    max_steps: int = 200
    """Time limit [slots]."""
    slot_seconds: float = 0.2
    """Length of a slot [s]."""
    n_neighbors: int = 4
    """Largest number of links of a node, at least 2."""
    radio_range: float = 0.55
    """Range of links [km]: nodes nearer than this are linked, nearest first. There are 8 nodes a square kilometre."""
    cpu: float = 2.0
    """Mean processor speed of a node [Gcycles/s]."""
    cpu_spread: float = 0.5
    """Processor speeds are uniform within this share of the mean on either side."""
    memory: float = 6.0
    """Memory of a node for models [GB]."""
    n_models: int = 4
    """M: number of models that tasks may need."""
    model_size: float = 2.0
    """Mean size of a model [GB]."""
    model_spread: float = 0.5
    """Sizes of models are uniform within this share of the mean on either side."""
    load_rate: float = 4.0
    """Rate at which a model is read into memory [GB/s]; 0: models stay where they start."""
    popularity: float = 1.0
    """Exponent of Zipf's law of the popularity of models, in an order of each node's own; 0: all alike."""
    strangers: bool = False
    """Users of a node need only models that it does not start with, where there are any."""
    bandwidth: float = 5.0
    """Mean bandwidth of a link in each direction [MB/s], uniform within half of it."""
    latency: float = 0.01
    """Latency of a link [s]: this, and as much again for each kilometre."""
    energy_low: float = 0.05
    """Lowest energy price of computing [credits/Gcycle]."""
    energy_high: float = 0.45
    """Highest energy price of computing [credits/Gcycle]; prices are uniform between the two."""
    energy_churn: float = 0.02
    """Probability in every slot that a node's energy price is drawn anew."""
    load: float = 0.85
    """Mean work that arrives, over what all nodes together can do."""
    imbalance: float = 0.8
    """Nodes' shares of the arrivals are uniform within this fraction of an equal share on either side."""
    burst: float = 1.0
    """Arrival rate in the busy state over that in the calm state; 1: plain Poisson arrivals."""
    burst_seconds: float = 3.0
    """Mean length of a busy spell [s], at least a slot; calm spells last three times as long."""
    work: float = 1.0
    """Mean work of a task [Gcycles]."""
    work_spread: float = 0.75
    """Work of tasks is uniform within this share of the mean on either side."""
    size: float = 1.0
    """Mean input of a task [MB], uniform within half of it."""
    deadline: float = 2.0
    """Mean time from a task's arrival to its deadline [s]."""
    deadline_spread: float = 0.5
    """Times to deadlines are uniform within this share of the mean on either side."""
    value_low: float = 0.5
    """Lowest value of work done in time [credits/Gcycle]."""
    value_high: float = 1.5
    """Highest value of work done in time [credits/Gcycle]; values are uniform between the two."""
    miss_penalty: float = 0.3
    """Penalty over a task's value, charged to the node that holds it when it is missed or dropped."""
    sale_seconds: float = 2.0
    """A node holds no more sold work than the processor share that it does not keep can do in this time [s]."""
    gossip_every: int = 3
    """Slots from one message of a node to its neighbours to the next."""
    failures: float = 0.0
    """Mean number of failures of a node in an episode; each lasts a tenth of the episode on average."""
    # It lasts at least a slot, and may last beyond the end of the episode.
    partition: float = 0.0
    """Share of the episode in which no link crosses the middle of the plane."""
    byzantine: float = 0.0
    """Share of nodes, drawn at reset and rounded, that report no load and half their price to all others."""
    cartel: float = 0.0
    """Share of nodes, drawn at reset, that never ask less than `cartel_price`; rounded to whole nodes."""
    cartel_price: float = 1.0
    """Lowest ask of a member of the cartel [credits/Gcycle]."""
    consensus: Literal["none", "gossip", "hierarchical", "robust"] = "none"
    """Rule by which nodes agree on mean load, ask and demand, which they observe then; see `envs.consensus`."""
    consensus_hops: int = 2
    """Links over which signed estimates are relayed; not with `hierarchical`, whose leaders relay."""
    consensus_rounds: int = 1
    """Exchanges of estimates in a slot; with `hierarchical` those among leaders."""
    consensus_loss: float = 0.0
    """Probability that an exchange between two nodes is lost."""
    consensus_tolerance: int = 1
    """f: liars among the nodes that a node hears which `robust` stands; it takes at least 3 f + 1 heard."""
    consensus_pull: float = 0.05
    """Share by which an estimate moves to the node's own measurement in every slot, so that errors fade."""
    counterfactual: Literal["none", "absent", "shapley"] = "none"
    """Fills `Step.counterfactual` with the others' welfare had the node not been there, or G less its Shapley value."""
    horizon: int = 1
    """Slots over which a counterfactual is rolled out, with all actions held; 1 with Shapley values."""
    orders: int = 8
    """Orders of arrival over which Shapley values of more than 8 nodes in a market are averaged, an even number."""
    heuristic: Literal["truthful", "proportional", "greedy", "local", "consensus-proportional"] = "truthful"
    """Hand-written policy that `envs.heuristic` returns; the last one needs a `consensus`."""
    bound: bool = False
    """Solves the linear programme of the bound at every reset (seconds a world) and reports `bound_share`."""

    def __post_init__(self) -> None:
        """Raises `ValueError` for values out of range or at odds with each other."""
        check_fields(self, _RANGES)
        check_orders(self.orders)
        check_horizon(self.counterfactual, self.horizon)
        for low, high in (("energy_low", "energy_high"), ("value_low", "value_high")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(
                    f"{low}={getattr(self, low)!r} is above {high}={getattr(self, high)!r}: give {low} no more than it"
                )
        largest = (1.0 + self.model_spread) * self.model_size
        if self.memory < largest:
            raise ValueError(
                f"memory={self.memory!r} may not hold the largest model, {largest:g} GB: give as much memory, or "
                "smaller models (model_size)"
            )
        if self.burst > 1.0 and self.burst_seconds < self.slot_seconds:
            raise ValueError(
                f"burst_seconds={self.burst_seconds!r} is less than a slot, slot_seconds={self.slot_seconds!r}: a "
                "spell lasts whole slots, so give burst_seconds no less"
            )
        if self.failures > most_failures(self.max_steps):
            raise ValueError(
                f"failures={self.failures!r} do not fit into max_steps={self.max_steps}, as each lasts a tenth of them "
                f"on average: give at most {math.floor(100.0 * most_failures(self.max_steps)) / 100.0:g}"
            )
        for share in ("byzantine", "cartel"):
            if getattr(self, share) > 0.0 and round(getattr(self, share) * self.n_nodes) == 0:
                raise ValueError(
                    f"{share}={getattr(self, share)!r} of n_nodes={self.n_nodes} is no whole node: give 0, or at least "
                    f"{1.0 / self.n_nodes:g} for one"
                )
        self._check_consensus()
        self._check_size()

    def _check_consensus(self) -> None:
        if self.heuristic == "consensus-proportional" and self.consensus == "none":
            raise ValueError(
                "heuristic='consensus-proportional' needs estimates of demand, and consensus='none': give a consensus"
            )
        heard = most_peers(self)
        if self.consensus == "robust" and self.consensus_tolerance > most_liars(heard):
            raise ValueError(
                f"consensus_tolerance={self.consensus_tolerance} liars take {3 * self.consensus_tolerance + 1} nodes "
                f"heard (3 f + 1), where a node hears at most {heard}: tolerate at most {most_liars(heard)}, or raise "
                "n_nodes, n_neighbors or consensus_hops"
            )
        size = self.n_nodes * heard * (2 + self.n_models) * 8e-6
        if self.consensus in ("gossip", "robust") and size > MOST_MEGABYTES:
            raise ValueError(
                f"consensus_hops={self.consensus_hops} with n_nodes={self.n_nodes} and n_neighbors={self.n_neighbors} "
                f"lets a node hear {heard} others, {size:,.0f} MB a world, where {MOST_MEGABYTES} MB fit: lower one"
            )

    def _check_size(self) -> None:
        slots = self.max_steps + 1
        spell = max(self.burst_seconds / self.slot_seconds, 1.0)
        tasks = task_room(arrivals_of(self), self.n_nodes, slots, self.burst, spell, self.imbalance)
        size = megabytes(tasks, self.n_nodes, slots, 2 + (self.failures > 0.0) + (self.burst > 1.0))
        if size > MOST_MEGABYTES:
            raise ValueError(
                f"load={self.load!r}, cpu={self.cpu!r} and work={self.work!r} with n_nodes={self.n_nodes} and "
                f"max_steps={self.max_steps} need room for {tasks:,} tasks, {size:,.0f} MB a world, where "
                f"{MOST_MEGABYTES} MB fit: lower load, cpu, n_nodes or max_steps, or raise work"
            )


def arrivals_of(config: Config) -> float:
    """Returns the number of tasks that arrive at a node in a slot, mean over nodes and time."""
    return config.load * config.cpu * config.slot_seconds / config.work


def most_peers(config: Config) -> int:
    """Returns the largest possible number of nodes within `consensus_hops` links of a node."""
    at, within = config.n_neighbors, 0
    for _ in range(config.consensus_hops):
        within += at
        at *= config.n_neighbors - 1
    return min(within, config.n_nodes - 1)


_RANGES = (
    ("n_nodes", 2, 1024),
    ("max_steps", 1, 30_000),
    ("slot_seconds", 0.001, 60),
    ("n_neighbors", 2, 16),
    ("radio_range", 0, 1000),
    ("cpu", 0.01, 1e4),
    ("cpu_spread", 0, 0.9),
    ("memory", 0.01, 1e4),
    ("n_models", 1, 32),
    ("model_size", 0.01, 1e4),
    ("model_spread", 0, 0.95),
    ("load_rate", 0, 1e6),
    ("popularity", 0, 5),
    ("bandwidth", 0.01, 1e6),
    ("latency", 0, 60),
    ("energy_low", 0, 100),
    ("energy_high", 0, 100),
    ("energy_churn", 0, 1),
    ("load", 0, 20),
    ("imbalance", 0, 1),
    ("burst", 1, 20),
    ("burst_seconds", 0.01, 1e4),
    ("work", 0.001, 1e4),
    ("work_spread", 0, 0.95),
    ("size", 0, 1e5),
    ("deadline", 0.01, 1e4),
    ("deadline_spread", 0, 0.95),
    ("value_low", 0, 100),
    ("value_high", 0.001, 100),
    ("miss_penalty", 0, 10),
    ("sale_seconds", 0.01, 1e4),
    ("gossip_every", 1, 1000),
    ("failures", 0, 20),
    ("partition", 0, 1),
    ("byzantine", 0, 1),
    ("cartel", 0, 1),
    ("cartel_price", 0, 100),
    ("consensus_hops", 1, 8),
    ("consensus_rounds", 1, 100),
    ("consensus_loss", 0, 1),
    ("consensus_tolerance", 0, 100),
    ("consensus_pull", 0, 1),
    ("horizon", 1, 1000),
    ("orders", 2, 10_000),
)

DEFAULT_TASK = "village-8"
_VILLAGE = Config()
TASKS: dict[str, Config] = {
    "duopoly-2": Config(
        n_nodes=2,
        n_neighbors=2,
        max_steps=100,
        slot_seconds=1.0,
        cpu=8.0,
        cpu_spread=0.0,
        n_models=2,
        model_size=1.0,
        memory=1.5,
        load_rate=0.0,
        model_spread=0.0,
        popularity=0.0,
        strangers=True,
        bandwidth=100.0,
        latency=0.0,
        energy_low=0.0,
        energy_high=1.0,
        energy_churn=1.0,
        load=0.0875,
        imbalance=0.0,
        work=1.0,
        work_spread=0.0,
        deadline=1.0,
        deadline_spread=0.0,
        value_low=0.0,
        value_high=1.0,
        miss_penalty=0.0,
        sale_seconds=4.0,
        gossip_every=1,
    ),
    "village-8": _VILLAGE,
    "city-50": replace(_VILLAGE, n_nodes=50),
    "bursty-8": replace(_VILLAGE, burst=6.0, load=0.75),
    "partition-16": replace(_VILLAGE, n_nodes=16, partition=0.4, failures=0.5),
    "byzantine-16": replace(_VILLAGE, n_nodes=16, byzantine=0.25, cartel=0.25),
    "serving-12": replace(_VILLAGE, n_nodes=12, n_models=8, load=0.7),
}
