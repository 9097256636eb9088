"""A node's queue: tasks it holds, those on their way to it included, earliest deadline first.

Axes: N nodes, Q queue slots, K tasks.
"""

from __future__ import annotations

from ..kernels import kernel
from .state import DEADLINE, EARNS, LEFT, NOBODY, PAYS, READY


@kernel
def insert(count, held, queue, task, i, k, left, ready, pays, earns):
    """Puts task k into node i's queue, which has room, behind all of no later deadline.

    Args:
        count: (N,), see `State`, as are the next two.
        held: (N, Q).
        queue: (N, Q, 4).
        task: (K, 4).
        i: The node.
        k: The task.
        left: Work left [Gcycles].
        ready: When it is there [s].
        pays: What its owner pays on delivery [credits].
        earns: What node i gets for it [credits].
    """
    at = count[i]
    while at > 0 and task[held[i, at - 1], DEADLINE] > task[k, DEADLINE]:
        move(held, queue, i, at - 1, at)
        at -= 1
    held[i, at] = k
    queue[i, at, LEFT], queue[i, at, READY] = left, ready
    queue[i, at, PAYS], queue[i, at, EARNS] = pays, earns
    count[i] += 1


@kernel
def move(held, queue, i, here, there):
    """Copies one place of node i's queue to another."""
    held[i, there] = held[i, here]
    for column in range(4):
        queue[i, there, column] = queue[i, here, column]


@kernel
def clear_from(count, held, queue, i, kept):
    """Empties node i's queue from place `kept` on."""
    for q in range(kept, count[i]):
        held[i, q] = NOBODY
        for column in range(4):
            queue[i, q, column] = 0.0
    count[i] = kept


@kernel
def take_out(count, held, queue, i, q):
    """Removes place q of node i's queue."""
    for at in range(q, count[i] - 1):
        move(held, queue, i, at + 1, at)
    clear_from(count, held, queue, i, count[i] - 1)
