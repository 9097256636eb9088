"""Shapley values of the nodes in a slot, at the cost of the trades that are possible in it.

A coalition earns the welfare of a slot from which the other nodes are absent, see `absence`. Payments cancel out in it,
so it depends on who is there and on who takes whose task. A node's processor knows few *turns*: it trades nothing, it
has sold its own task on, or it takes the task of one of its pairs. Each turn is run once. What it brings is

    own[c] + sum over the nodes o that are there of shared[c, o]

where `own` is energy, penalties, own tasks and those it takes in this slot, and `shared` is what tasks taken in earlier
slots bring their owners. With no trades welfare is a sum of games of one and of two nodes, whose Shapley values are
known: two share equally what they add together. What trades add to it is a game of the nodes in pairs, in which a
coalition costs no more than the clearing of its market.

Axes: B worlds, N nodes, P pairs, T turns of a world: those of nodes that trade nothing, of nodes that have sold their
task, and of the sellers of pairs, T = 2 N + P; R copies of worlds, each for one coalition.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kit.kernels import inlined, kernel
from ..kit.shapley import keys_of, shapley_in_groups
from .absence import Trial, close_node, new_trial, queue_again, run_processor
from .book import Book, new_outcome, new_scratch
from .clearing import clear
from .links import find_links
from .market import new_desk, trade
from .params import Params
from .state import MCAFEE, NOBODY, ORIGIN, POSTED_PRICE, UNIFORM, VALUE, Array, State, copied


class Turns(NamedTuple):
    """The outcome of the turns of all nodes in a slot."""

    own: Array  # (B, T) credits, if the node itself is there
    shared: Array  # (B, T, N) credits on top, for each node that is there too


class Slot(NamedTuple):
    """Scratch arrays in which the turns of nodes are found."""

    params: Params
    state: State  # before the slot
    draft: State  # to work in
    strategy: Array  # (B, N, 4 + M), see `state`
    offered: Array  # (B, N) int32 place in its queue of the task that a node offers
    works: Array  # (B, N, D) bool: links that work in the next slot
    trial: Trial


def shapley_values(params: Params, state: State, strategy: Array, orders: int) -> NDArray[np.float64]:
    """Returns the Shapley value of every node in the slot that begins: (B, N).

    Args:
        params: The `Params`.
        state: The `State` before the slot.
        strategy: (B, N, 4 + M), see `state`.
        orders: Orders of arrival, see `kit.shapley`.
    """
    n_worlds, n, slots = state.neighbor.shape
    turns = Turns(np.zeros((n_worlds, 2 * n + n * slots)), np.zeros((n_worlds, 2 * n + n * slots, n)))
    group = np.empty((n_worlds, n), np.int64)
    book = _find_turns(params, state, copied(state), strategy, turns)
    _find_groups(params.rule, book, turns, group)
    posted = np.ascontiguousarray(state.tally[:, :, POSTED_PRICE])
    worth = partial(_added_by_trades, params.rule, book, posted, turns)
    alone, shared = turns.own[:, :n], turns.shared[:, :n]  # (B, N), (B, N, N)
    value = alone + 0.5 * (shared.sum(axis=2) + shared.sum(axis=1))
    return value + shapley_in_groups(worth, group, keys_of(state.step, state.node), orders=orders)


def _added_by_trades(
    rule: int, book: Book, posted: Array, turns: Turns, world: Array, members: Array
) -> NDArray[np.float64]:
    """Returns what trades between members (R, N) add to their welfare: (R,)."""
    added = np.empty(len(world))
    _clear_and_sum(rule, book, posted, turns, world, np.ascontiguousarray(members), added)
    return added


@kernel
def _find_turns(params, state, draft, strategy, turns):
    """Writes what all possible turns of the slot bring. Returns its `Book`."""
    n_worlds, n, slots = state.neighbor.shape
    desk, book, outcome, scratch = new_desk(n_worlds, n, slots)
    trade(params, draft, strategy, np.full(n_worlds, NOBODY, np.int32), desk, book, outcome, scratch)
    if params.faulty:
        find_links(state, params.side, 1, desk.works)
    trial = new_trial(n_worlds, n)
    slot = Slot(params, state, draft, strategy, desk.offered, desk.works, trial)
    buyer, seller, n_pairs, partner = book.buyer, book.seller, book.n_pairs, trial.outcome.partner
    for b in range(n_worlds):
        for i in range(n):
            partner[b, i] = NOBODY
        for c in range(2 * n + n_pairs[b]):
            i, owner = c % n, NOBODY  # of the task that is sold
            if c >= 2 * n:
                i, owner = seller[b, c - 2 * n], buyer[b, c - 2 * n]
                partner[b, owner] = i
            elif c >= n:
                owner = i
                partner[b, owner] = state.neighbor[b, i, 0]  # whoever it is
            if c < n or desk.offered[b, owner] != NOBODY:
                _find_turn(slot, turns, b, i, c)
            if owner != NOBODY:
                partner[b, owner] = NOBODY
    return book


@inlined
def _find_turn(slot, turns, b, i, c):
    """Runs the slot of node i of world b with the trades in `trial.outcome`, and writes what it brings as turn c."""
    state, draft, trial = slot.state, slot.draft, slot.trial
    ledger, partner, shared = trial.ledger, trial.outcome.partner, turns.shared
    queue_again(slot.params, state, draft, slot.offered, trial.outcome, b, i)
    run_processor(slot.params, draft, slot.strategy, ledger, 0, trial, b, i)
    own = -ledger.energy[0, i]
    for at in range(ledger.n_done[0, i]):
        k, pays = ledger.task[0, i, at], ledger.pays[0, i, at]
        origin, value = state.task_int[b, k, ORIGIN], state.task[b, k, VALUE]
        if origin == i or (partner[b, origin] == i and k == state.held[b, origin, slot.offered[b, origin]]):
            own += value  # its owner is this node, or is there to sell the task
        else:
            own += pays
            shared[b, c, origin] += value - pays
    trial.reward[b, i] = 0.0
    close_node(slot.params, draft, slot.works, b, i, trial.reward, trial.cost)
    turns.own[b, c] = own + trial.reward[b, i]


@kernel
def _find_groups(rule, book, turns, group):
    """Numbers the nodes (B, N) by whose presence may matter to whose trades; NOBODY for those that cannot trade.

    Under a rule with one price, these are all traders of an area. A node belongs to them, too, if a trader's turn
    decides whether a task that it took from that node earlier is done in this slot.
    """
    buyer, seller, n_pairs, shared = book.buyer, book.seller, book.n_pairs, turns.shared
    n = group.shape[1]
    for b in range(len(n_pairs)):
        for i in range(n):
            group[b, i] = NOBODY
        for p in range(n_pairs[b]):
            i, j = buyer[b, p], seller[b, p]
            group[b, i] = i if group[b, i] == NOBODY else group[b, i]
            group[b, j] = j if group[b, j] == NOBODY else group[b, j]
            _join(group, b, i, j)
            _join_owners(group, shared, b, i, n + i)
            _join_owners(group, shared, b, j, 2 * n + p)
        if rule in (UNIFORM, MCAFEE):
            _join_areas(book, group, b)


@inlined
def _join_areas(book, group, b):
    """Joins all traders of each area of world b."""
    buyer, area = book.buyer, book.area
    for p in range(book.n_pairs[b]):
        for q in range(p):
            if area[b, buyer[b, p]] == area[b, buyer[b, q]]:
                _join(group, b, buyer[b, p], buyer[b, q])


@inlined
def _join_owners(group, shared, b, i, c):
    """Joins node i of world b with the owners of tasks that turn c of it brings more or less than trading nothing."""
    for o in range(group.shape[1]):
        if shared[b, c, o] != shared[b, i, o]:
            _join(group, b, i, o)


@inlined
def _join(group, b, i, j):
    """Makes one group of those of nodes i and j of world b; it has the lower number. Node j may be in none yet."""
    if group[b, j] == NOBODY:
        group[b, j] = group[b, i]
    low, high = min(group[b, i], group[b, j]), max(group[b, i], group[b, j])
    if low == high:
        return
    for k in range(group.shape[1]):
        if group[b, k] == high:
            group[b, k] = low


@kernel
def _clear_and_sum(rule, book, posted, turns, world, members, out):
    """Clears the markets of coalitions, and sums up what their trades add.

    Args:
        rule: Number of the clearing rule.
        book: The `Book` with all nodes.
        posted: (B, N) prices posted in the last slot.
        turns: The `Turns`.
        world: (R,) the world of each coalition.
        members: (R, N) bool.
        out: (R,), written.
    """
    rows, n = members.shape
    some, prices, place = _book_of(book, posted, world, members)
    outcome, scratch = new_outcome(rows, n), new_scratch(rows, n, book.buyer.shape[1])
    clear(rule, some, prices, outcome, scratch)
    own, shared, partner = turns.own, turns.shared, outcome.partner
    buyer, seller, n_pairs = some.buyer, some.seller, some.n_pairs
    for r in range(rows):
        b, added = world[r], 0.0
        for at in range(n_pairs[r]):
            i, j = buyer[r, at], seller[r, at]
            if partner[r, i] != j:
                continue
            sold, taken = n + i, 2 * n + place[r, at]
            added += own[b, sold] - own[b, i] + own[b, taken] - own[b, j]
            for o in range(n):
                if members[r, o]:
                    added += shared[b, sold, o] - shared[b, i, o] + shared[b, taken, o] - shared[b, j, o]
        out[r] = added


@kernel
def _book_of(book, posted, world, members):
    """Returns the `Book` of coalitions (R, N), the posted prices (R, N), and the places (R, P) of pairs in `book`."""
    rows, n = members.shape
    numbers, sides = np.empty((4, rows, n)), np.empty((3, rows, book.buyer.shape[1]), np.int32)
    finish, counts = np.empty((rows, book.buyer.shape[1])), np.zeros((2, rows), np.int32)
    some = Book(
        numbers[0], numbers[1], numbers[2], sides[0], sides[1], finish, counts[0],
        np.empty((rows, n), np.int32), counts[1],
    )  # fmt: skip
    prices, place, buyer, seller = numbers[3], sides[2], book.buyer, book.seller
    for r in range(rows):
        b, kept = world[r], 0
        some.n_areas[r] = book.n_areas[b]
        for i in range(n):
            some.bid[r, i], some.ask[r, i], some.work[r, i] = book.bid[b, i], book.ask[b, i], book.work[b, i]
            some.area[r, i], prices[r, i] = book.area[b, i], posted[b, i]
        for p in range(book.n_pairs[b]):
            if members[r, buyer[b, p]] and members[r, seller[b, p]]:
                some.buyer[r, kept], some.seller[r, kept] = buyer[b, p], seller[b, p]
                some.finish[r, kept], place[r, kept] = book.finish[b, p], p
                kept += 1
        some.n_pairs[r] = kept
    return some, prices, place
