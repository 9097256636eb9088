"""A node's queue: the tasks it holds, those on their way to it included, in order of their deadlines.

Axes: B worlds, N nodes, D link slots, Q queue slots, K tasks.
"""

from __future__ import annotations

from ..kit.kernels import inlined
from .state import DEADLINE, EARNS, LEFT, NOBODY, PAYS, READY


@inlined
def insert(count, held, queue, task, b, i, k, entry):
    """Puts task k into the queue of node i of world b, behind all tasks of no later deadline.

    The queue must have room.

    Args:
        count: (B, N), see `State.n_held`.
        held: (B, N, Q), see `State`.
        queue: (B, N, Q, 4), see `State`.
        task: (B, K, 4), see `State`.
        b: The world.
        i: The node.
        k: The task.
        entry: Four numbers in the order of the columns of `queue`: LEFT, READY, PAYS, EARNS.
    """
    at = count[b, i]
    while at > 0 and task[b, held[b, i, at - 1], DEADLINE] > task[b, k, DEADLINE]:
        copy_place(held, queue, b, i, at - 1, at)
        at -= 1
    held[b, i, at] = k
    queue[b, i, at, LEFT], queue[b, i, at, READY], queue[b, i, at, PAYS], queue[b, i, at, EARNS] = entry
    count[b, i] += 1


@inlined
def copy_place(held, queue, b, i, source, target):
    """Copies one place of a queue to another."""
    held[b, i, target] = held[b, i, source]
    for column in range(4):
        queue[b, i, target, column] = queue[b, i, source, column]


@inlined
def clear_from(count, held, queue, b, i, kept):
    """Empties a queue from place `kept` on."""
    for q in range(kept, count[b, i]):
        held[b, i, q] = NOBODY
        for column in range(4):
            queue[b, i, q, column] = 0.0
    count[b, i] = kept


@inlined
def take_out(count, held, queue, b, i, q):
    """Removes place q of a queue; the places behind it move up."""
    for at in range(q, count[b, i] - 1):
        copy_place(held, queue, b, i, at + 1, at)
    clear_from(count, held, queue, b, i, count[b, i] - 1)
