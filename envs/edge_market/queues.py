"""A node's queue: tasks it holds, those on their way to it included, earliest deadline first.

Axes: B worlds, N nodes, Q queue slots, K tasks.
"""

from __future__ import annotations

from ..kit.kernels import kernel
from .state import DEADLINE, EARNS, LEFT, NOBODY, PAYS, READY


@kernel
def insert(count, held, queue, task, b, i, k, left, ready, pays, earns):
    """Puts task k into the queue of node i of world b, which has room, behind all of no later deadline.

    Args:
        count: (B, N), see `State`, as are the next three.
        held: (B, N, Q).
        queue: (B, N, Q, 4).
        task: (B, K, 4).
        b: The world.
        i: The node.
        k: The task.
        left: Work left [Gcycles].
        ready: When it is there [s].
        pays: What its owner pays on delivery [credits].
        earns: What node i gets for it [credits].
    """
    at = count[b, i]
    while at > 0 and task[b, held[b, i, at - 1], DEADLINE] > task[b, k, DEADLINE]:
        move(held, queue, b, i, at - 1, at)
        at -= 1
    held[b, i, at] = k
    queue[b, i, at, LEFT], queue[b, i, at, READY] = left, ready
    queue[b, i, at, PAYS], queue[b, i, at, EARNS] = pays, earns
    count[b, i] += 1


@kernel
def move(held, queue, b, i, here, there):
    """Copies one place of a queue to another."""
    held[b, i, there] = held[b, i, here]
    for column in range(4):
        queue[b, i, there, column] = queue[b, i, here, column]


@kernel
def clear_from(count, held, queue, b, i, kept):
    """Empties a queue from place `kept` on."""
    for q in range(kept, count[b, i]):
        held[b, i, q] = NOBODY
        for column in range(4):
            queue[b, i, q, column] = 0.0
    count[b, i] = kept


@kernel
def take_out(count, held, queue, b, i, q):
    """Removes place q of a queue."""
    for at in range(q, count[b, i] - 1):
        move(held, queue, b, i, at + 1, at)
    clear_from(count, held, queue, b, i, count[b, i] - 1)
