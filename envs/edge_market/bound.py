"""An upper bound on an episode's welfare: a linear programme over all slots that knows everything beforehand.

Variables, all at least 0: x_{k,j,t}, Gcycles of task k run at node j in slot t, where j is its own node or a neighbour
of it, and t a slot that overlaps the time from when it can be there (without a queue on the link) to its deadline;
and z_{j,m,t}, the share of slot t in which node j has model m in memory. Maximised is

    sum x_{k,j,t} ((1 + penalty_k) value_k / work_k - energy_{j,t})  -  sum penalty_k value_k

    sum over j, t of x_{k,j,t}                 <= work_k            no task is done twice
    sum over k that need m of x_{k,j,t}        <= c_j z_{j,m,t}     only with its model in memory
    sum over k of x_{k,j,t}                    <= c_j               no processor is used twice
    sum over m of size_m z_{j,m,t}             <= memory_j
    x_{k,j,t}                                  <= c_j times the overlap of the slot;   z <= 1

with c_j the Gcycles of a slot and penalty_k 0 where the deadline lies beyond the episode. It is a bound, for it allows
more than the market does: parts of tasks earn parts of their value, a task may run at several nodes at once, models
change in no time, links are always free and never cut, queues have no end, every node buys from and sells to every
neighbour at once, and the future is known. scipy's HiGHS solves it (Huangfu and Hall 2018).

Axes: B worlds, N nodes, D link slots, K tasks, T slots.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from .config import Config
from .state import (
    LEVELS,
    MEMORY,
    NOBODY,
    SPEED,
    Array,
    State,
)


def welfare_bound(config: Config, state: State) -> Array:
    """Returns a bound on the welfare of every policy in these worlds, from start to time limit: (B,) [credits].

    Args:
        config: The configuration of the worlds.
        state: State of the worlds; only its schedule is read.

    Raises:
        RuntimeError: The solver failed.
    """
    return np.array([_of_world(config, state, b) for b in range(len(state.step))])


def _of_world(config: Config, state: State, b: int) -> float:
    slot, slots, penalty = config.slot_seconds, config.max_steps, config.miss_penalty
    node, up = state.node[b], state.up[b]
    arrives, origin, model = state.task_int[b].astype(np.int64).T  # (K,) each
    work, size, deadline, value = state.task[b].astype(np.float64).T
    comes, due = arrives <= slots, deadline <= slots * slot + 1e-9  # (K,) arrives, has its deadline, in the episode
    works = np.ones((slots, config.n_nodes), bool) if len(up) == 1 else up[:slots]
    energy = config.energy_low + (config.energy_high - config.energy_low) * state.energy[b] / LEVELS  # (T + 1, N)

    rows: list[tuple[float, float, int, int, int]] = []  # gain per Gcycle, most, task, node, slot
    for k in np.flatnonzero(comes):
        i = origin[k]
        places = [(i, arrives[k] * slot)]
        for d, j in enumerate(state.neighbor[b, i]):
            if j != NOBODY:
                bandwidth, latency = state.link[b, i, d]
                places.append((j, arrives[k] * slot + size[k] / bandwidth + latency))
        for j, ready in places:
            for t in range(int(ready / slot + 1e-9), min(slots, int(np.ceil(deadline[k] / slot - 1e-9)))):
                overlap = min(deadline[k], (t + 1) * slot) - max(ready, t * slot)
                gain = (1.0 + penalty * due[k]) * value[k] / work[k] - energy[t, j]
                if overlap > 0.0 and gain > 0.0 and works[t, j]:
                    rows.append((gain, node[j, SPEED] * overlap, int(k), int(j), t))
    lost = penalty * value[comes & due].sum()
    if not rows:
        return -lost
    gain, most, task, place, when = (np.array(column) for column in zip(*rows, strict=True))
    task, place, when = task.astype(np.int64), place.astype(np.int64), when.astype(np.int64)
    cell = place * slots + when  # (V,) node and slot
    shelf, which = np.unique(cell * config.n_models + model[task], return_inverse=True)  # of z, and (V,) its own
    n_x, n_z, n_cells = len(rows), len(shelf), config.n_nodes * slots
    z_cell, z_model = shelf // config.n_models, shelf % config.n_models
    speed = np.repeat(node[:, SPEED], slots) * slot  # (N * T,)
    x, z = np.arange(n_x), n_x + np.arange(n_z)
    first_shelf = len(work)
    first_cell = first_shelf + n_z
    first_memory = first_cell + n_cells
    entries = [
        (task, x, np.ones(n_x)),
        (first_shelf + which, x, np.ones(n_x)),
        (first_shelf + np.arange(n_z), z, -speed[z_cell]),
        (first_cell + cell, x, np.ones(n_x)),
        (first_memory + z_cell, z, state.model_size[b][z_model]),
    ]
    row, column, entry = (np.concatenate(part) for part in zip(*entries, strict=True))
    shape = (first_memory + n_cells, n_x + n_z)
    limits = np.concatenate([work, np.zeros(n_z), speed, np.repeat(node[:, MEMORY], slots)])
    bounds = np.stack([np.zeros(n_x + n_z), np.concatenate([most, np.ones(n_z)])], axis=1)
    found = linprog(
        np.concatenate([-gain, np.zeros(n_z)]),
        A_ub=coo_array((entry, (row, column)), shape=shape).tocsr(),
        b_ub=limits,
        bounds=bounds,
        method="highs",
    )
    if found.status != 0:
        raise RuntimeError(f"the bound's linear programme was not solved: {found.message}")
    return float(-found.fun - lost)
