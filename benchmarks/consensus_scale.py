"""Constants of agreement at up to a million nodes: the time of a link in memory, trees, and partners from everywhere.

Axes: N nodes, D link slots of a node, L links. One network, and one value a node.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import report
from consensus_rules import CALLED, MEAN_DEGREE
from scipy.spatial import KDTree

sys.path.insert(0, str(report.ROOT))

from envs.consensus import NOBODY, grow, metropolis, swept
from envs.consensus.gossip import plain_round

SIZES = (2**10, 2**15, 2**20)


def near(n_nodes: int, seed: int) -> np.ndarray:
    """Returns the neighbours in a random geometric graph, (1, N, D), without a matrix; it may fall into parts."""
    place = np.random.default_rng(seed).random((n_nodes, 2))
    pairs = KDTree(place).query_pairs(math.sqrt(MEAN_DEGREE / (math.pi * n_nodes)), output_type="ndarray")
    node, other = np.concatenate([pairs, pairs[:, ::-1]]).T  # (2 L,) each
    order = np.lexsort((other, node))
    node, other = node[order], other[order]
    count = np.bincount(node, minlength=n_nodes)
    neighbor = np.full((1, n_nodes, int(count.max())), NOBODY, np.int32)
    neighbor[0, node, np.arange(len(node)) - np.repeat(np.cumsum(count) - count, count)] = other
    return neighbor


def of_link(neighbor: np.ndarray, seconds: float = 2.0) -> float:
    """Returns the processor time of a round of gossip over each directed link [ns]."""
    weight = metropolis(neighbor, neighbor >= 0)
    value = np.random.default_rng(0).normal(size=(*neighbor.shape[:2], 1))
    out, rounds = np.empty_like(value), 0
    plain_round(neighbor, weight, value, out)
    begin = time.process_time()
    while time.process_time() - begin < seconds:
        plain_round(neighbor, weight, value, out)
        rounds += 1
    return 1e9 * (time.process_time() - begin) / (rounds * int((neighbor >= 0).sum()))


def everywhere(n_nodes: int, within: float, seed: int = 0) -> dict[str, float]:
    """Returns rounds and messages a node until all agree, if each calls `CALLED` random ones of all nodes a round.

    Exchanges go both ways, with Metropolis weights, as in `calls` on a complete graph.
    """
    rng = np.random.default_rng(seed)
    value = rng.normal(size=n_nodes)
    value = (value - value.mean()) / value.std()
    rounds, messages = 0, 0
    caller = np.repeat(np.arange(n_nodes), CALLED)
    while np.abs(value).max() > within:
        called = (caller + rng.integers(1, n_nodes, len(caller))) % n_nodes
        one = np.unique(np.minimum(caller, called) * n_nodes + np.maximum(caller, called))  # each exchange once
        i, j = one // n_nodes, one % n_nodes
        degree = np.bincount(i, minlength=n_nodes) + np.bincount(j, minlength=n_nodes)
        flow = (value[j] - value[i]) / (1 + np.maximum(degree[i], degree[j]))
        value = value + np.bincount(i, flow, n_nodes) - np.bincount(j, flow, n_nodes)
        rounds, messages = rounds + 1, messages + 2 * len(one)
    return {"rounds": rounds, "messages": messages / n_nodes}


def scale(within: float, sizes: Sequence[int] = SIZES) -> list[dict[str, Any]]:
    """Returns a row for each size: time of a link, hops and messages of a tree, rounds with partners everywhere."""
    rows = []
    for n in sizes:
        neighbor = near(n, seed=0)
        begin = time.process_time()
        tree = grow(neighbor, neighbor >= 0, np.ones((1, n), np.bool_))
        grown = time.process_time() - begin
        agreed = swept(tree, np.zeros((1, n, 1)))
        row = {"nodes": n, "links": int((neighbor >= 0).sum()), "link_ns": of_link(neighbor)}
        row |= {"tree_hops": int(agreed.hops[0]), "tree_messages": float(agreed.messages[0] / n)}
        row |= {"tree_levels": int(tree.level.max()), "grow_seconds": grown, "everywhere": everywhere(n, within)}
        rows.append(row)
    return rows


def scale_table(rows: Sequence[dict[str, Any]]) -> str:
    """Returns the constants for reading."""
    head = ["nodes", "directed links", "a link and round [ns]", "tree: levels", "rounds", "messages a node"]
    head += ["growing it [s]", "3 of all nodes: rounds", "messages a node"]
    lines = []
    for row in rows:
        tree = [str(row["tree_levels"]), f"{row['tree_hops']:,}", report.short(row["tree_messages"])]
        far = [str(row["everywhere"]["rounds"]), report.short(row["everywhere"]["messages"])]
        size = [f"{row['nodes']:,}", f"{row['links']:,}", report.short(row["link_ns"])]
        lines.append([*size, *tree, report.short(row["grow_seconds"]), *far])
    return report.markdown(head, lines)
