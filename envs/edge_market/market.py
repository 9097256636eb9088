"""The market of a slot: nodes offer tasks and processors, pairs that may trade are found and cleared, tasks leave.

Arrays are bound to names before loops (see `envs.kit.kernels`); all worlds go through each step of the slot at once.

Axes: B worlds, N nodes, D link slots, Q queue slots, M models, P pairs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kit.kernels import inlined, kernel
from .book import Book, new_outcome, new_scratch
from .clearing import clear
from .links import find_areas, find_links, link_to
from .models import wait_for_model
from .queues import insert, take_out
from .state import (
    ASK,
    ASK_MARKUP,
    BID,
    BID_MARKUP,
    BOUGHT,
    BYZANTINE,
    CARTEL,
    DEADLINE,
    IN_TRANSIT,
    KEEP,
    LEFT,
    LEVELS,
    LOADED,
    MEMORY,
    MODEL,
    NEIGHBOR_SPEED,
    NOBODY,
    ORIGIN,
    POSTED_PRICE,
    PRICE,
    PRICE_COUNT,
    PRICE_SQUARES,
    PRICE_SUM,
    QUEUE_SLOTS,
    SALES,
    SIZE,
    SOLD,
    SPEED,
    THRESHOLD,
    TIME_ROUNDING,
    TRADES,
    VALUE,
    WORK,
    Array,
)

NEVER = 2.0
"""A node with a threshold of this or more offers no task."""
SPARE_SLOTS = 2
"""A node offers its processor only while at least this many of its queue slots are free."""


class Desk(NamedTuple):
    """The arrays that the market of a slot works on, besides the `Book`."""

    offered: Array  # (B, N) int32 place in its queue of the task that a buyer offers, or NOBODY
    sells: Array  # (B, N) bool
    room: Array  # (B, N) Gcycles of sold work that a seller still takes
    reported: Array  # (B, N) seconds of work that a node says it holds
    works: Array  # (B, N, D) bool: the link works; all do unless something may fail
    stack: Array  # (N,) int32, for `find_areas`


@kernel
def new_desk(b, n, slots):
    """Returns a `Desk`, a `Book`, an `Outcome` and a `Scratch` for B worlds of N nodes with `slots` link slots each."""
    pairs, numbers = n * slots, np.zeros((5, b, n))
    sides, finish = np.zeros((2, b, pairs), np.int32), np.zeros((b, pairs))
    places, count, areas = np.zeros((2, b, n), np.int32), np.zeros(b, np.int32), np.ones(b, np.int32)
    book = Book(numbers[0], numbers[1], numbers[2], sides[0], sides[1], finish, count, places[0], areas)
    works, stack = np.ones((b, n, slots), np.bool_), np.zeros(n, np.int32)
    desk = Desk(places[1], np.zeros((b, n), np.bool_), numbers[3], numbers[4], works, stack)
    return desk, book, new_outcome(b, n), new_scratch(b, n, pairs)


@inlined
def energy_price(params, energy, b, t, i):
    """Returns what a Gcycle costs node i of world b in slot t [credits]; past the schedule its last slot holds."""
    level = energy[b, min(t, energy.shape[1] - 1), i] / LEVELS
    return params.energy_low + (params.energy_high - params.energy_low) * level


@kernel
def _offer(params, state, strategy, absent, desk, book):
    """Decides for every node whether it offers a task, and at which bid, or its processor, and at which ask.

    Args:
        params: The `Params`.
        state: The `State`; what nodes remember of their bids and asks is written.
        strategy: (B, N, 4 + M), see `state`.
        absent: (B,) int32 a node that takes no part, or NOBODY.
        desk: The `Desk`; written: `offered`, `sells`, `room`, `reported`.
        book: The `Book`; written: `bid`, `ask`, `work`.
    """
    step, count, tally, partner, node = state.step, state.n_held, state.tally, state.partner, state.node
    energy, up = state.energy, state.up
    offered, sells, room, reported = desk.offered, desk.sells, desk.room, desk.reported
    bids, asks, works = book.bid, book.ask, book.work
    for b in range(len(step)):
        t = step[b]
        t_up = min(t, up.shape[1] - 1)
        for i in range(count.shape[1]):
            bids[b, i] = asks[b, i] = 0.0
            offered[b, i] = partner[b, i] = NOBODY
            sells[b, i] = False
            tally[b, i, BOUGHT] = tally[b, i, SOLD] = tally[b, i, BID] = 0.0
            if not up[b, t_up, i] or i == absent[b]:
                continue
            price = energy_price(params, energy, b, t, i)
            chosen, gain, work, ahead = _choose_offer(params, state, strategy, b, i, price)
            quote = max(price + strategy[b, i, ASK_MARKUP] * params.price_scale, 0.0)
            reported[b, i] = ahead
            if node[b, i, BYZANTINE] > 0.0:
                reported[b, i] = 0.0
                quote *= 0.5
            if node[b, i, CARTEL] > 0.0:
                quote = max(quote, params.cartel_price)
            tally[b, i, ASK] = quote
            if chosen != NOBODY:
                offered[b, i] = chosen
                bids[b, i] = max(gain / work + strategy[b, i, BID_MARKUP] * params.price_scale, 0.0)
                works[b, i] = work
                tally[b, i, BID] = bids[b, i]
            else:
                asks[b, i] = quote
                free = (1.0 - strategy[b, i, KEEP]) * node[b, i, SPEED] * params.sale_seconds
                room[b, i] = free - tally[b, i, SALES]
                sells[b, i] = room[b, i] > 0.0 and count[b, i] <= QUEUE_SLOTS - SPARE_SLOTS


@inlined
def _choose_offer(params, state, strategy, b, i, price):
    """Chooses the task of node i of world b whose leaving is worth most, at this energy price [credits/Gcycle].

    Returns:
        Its place in the queue, or NOBODY; what its leaving is worth [credits]; its work [Gcycles]; and the seconds of
        work that the node holds and can still do in time.
    """
    held, queue, model, task, task_int = state.held, state.queue, state.model, state.task, state.task_int
    loading, size = state.loading, state.model_size
    now, threshold = state.step[b] * params.slot, strategy[b, i, THRESHOLD]
    speed, memory, fastest = state.node[b, i, SPEED], state.node[b, i, MEMORY], state.node[b, i, NEIGHBOR_SPEED]
    ahead, best, best_work, chosen = 0.0, 0.0, 1.0, NOBODY
    for q in range(state.n_held[b, i]):
        k = held[b, i, q]
        left, patience = queue[b, i, q, LEFT], task[b, k, DEADLINE] - now
        alone = left / speed
        if threshold < NEVER and task_int[b, k, ORIGIN] == i and left == task[b, k, WORK]:
            need, m = ahead + alone, task_int[b, k, MODEL]
            if model[b, i, m, LOADED] == 0.0:
                wait = wait_for_model(model, loading, size, memory, params.load_rate, strategy, b, i, m)
                need = max(need, wait + alone)
            # A task that can be done here saves its energy by leaving; another one brings its value, and no penalty.
            gain = price * left if need <= patience else task[b, k, VALUE] * (1.0 + params.miss_penalty)
            if need >= threshold * patience and left < patience * fastest and gain > best:
                best, best_work, chosen = gain, left, q
        if alone <= patience + TIME_ROUNDING:
            ahead += alone
    return chosen, best, best_work, ahead


@kernel
def _find_pairs(params, state, strategy, desk, book):
    """Finds the pairs of a task and a neighbour that sells, has room and, by its report, would do it in time.

    Args:
        params: The `Params`.
        state: The `State`.
        strategy: (B, N, 4 + M), see `state`.
        desk: The `Desk` that `_offer` filled in.
        book: The `Book`; written: `buyer`, `seller`, `finish`, `n_pairs`.
    """
    neighbor, held, offered, sells = state.neighbor, state.held, desk.offered, desk.sells
    room, works, work = desk.room, desk.works, book.work
    buyer, seller, finish, n_pairs = book.buyer, book.seller, book.finish, book.n_pairs
    for b in range(len(n_pairs)):
        found = 0
        for i in range(offered.shape[1]):
            if offered[b, i] == NOBODY:
                continue
            k = held[b, i, offered[b, i]]
            for d in range(neighbor.shape[2]):
                j = neighbor[b, i, d]
                if j == NOBODY:
                    break
                if not sells[b, j] or work[b, i] > room[b, j] or not works[b, i, d]:
                    continue
                end = _finish_at(params, state, strategy, desk.reported, b, i, d, k)
                if end < math.inf:
                    buyer[b, found], seller[b, found], finish[b, found] = i, j, end
                    found += 1
        n_pairs[b] = found


@inlined
def sent_at(params, state, b, i, d, k):
    """Returns when node i would have sent the input of task k over its d-th link [s]."""
    return max(state.step[b] * params.slot, state.link_free[b, i, d]) + state.task[b, k, SIZE] / state.link[b, i, d, 0]


@inlined
def _finish_at(params, state, strategy, reported, b, i, d, k):
    """Returns when the d-th neighbour of node i would have done task k [s]; infinite if not in time."""
    task, node, j = state.task, state.node, state.neighbor[b, i, d]
    now, deadline = state.step[b] * params.slot, task[b, k, DEADLINE] + TIME_ROUNDING
    there = sent_at(params, state, b, i, d, k) + state.link[b, i, d, 1]
    begin, need = max(there, now + reported[b, j]), float(task[b, k, WORK]) / node[b, j, SPEED]
    if begin + need > deadline:
        return math.inf
    m, model = state.task_int[b, k, MODEL], state.model
    if model[b, j, m, LOADED] == 0.0:
        memory, loading, size = node[b, j, MEMORY], state.loading, state.model_size
        wait = wait_for_model(model, loading, size, memory, params.load_rate, strategy, b, j, m)
        begin = max(begin, there + wait)
    return begin + need if begin + need <= deadline else math.inf


@kernel
def _carry_out(params, state, offered, n_pairs, outcome):
    """Sends every sold task to its seller; a link sends one task after the other, in each direction."""
    step, count, held, queue, link_free, tally = (
        state.step,
        state.n_held,
        state.held,
        state.queue,
        state.link_free,
        state.tally,
    )
    status, partner, neighbor, link, task = state.status, state.partner, state.neighbor, state.link, state.task
    totals, takes, pays, earns = state.totals, outcome.partner, outcome.pays, outcome.earns
    for b in range(len(step)):
        if n_pairs[b] == 0:
            continue
        for i in range(count.shape[1]):
            j = takes[b, i]
            if j == NOBODY:
                continue
            partner[b, i] = j
            d = link_to(neighbor, b, i, j)
            k = held[b, i, offered[b, i]]
            sent = sent_at(params, state, b, i, d, k)
            link_free[b, i, d] = sent
            there, work = sent + link[b, i, d, 1], float(task[b, k, WORK])
            take_out(count, held, queue, b, i, offered[b, i])
            insert(count, held, queue, task, b, j, k, (work, there, pays[b, i], earns[b, i]))
            status[b, k] = IN_TRANSIT
            tally[b, j, SALES] += work
            tally[b, i, BOUGHT] = tally[b, j, SOLD] = 1.0
            totals[b, TRADES] += 1.0


@kernel
def _tell(tally, totals, n_pairs, price):
    """Tells nodes the price of their area, and adds its mean over nodes to the statistics."""
    for b in range(len(price)):
        if n_pairs[b] == 0:
            continue
        total, priced = 0.0, 0
        for i in range(price.shape[1]):
            if price[b, i] >= 0.0:
                tally[b, i, PRICE] = price[b, i]
                total += price[b, i]
                priced += 1
        if priced > 0:
            mean = total / priced
            totals[b, PRICE_SUM] += mean
            totals[b, PRICE_SQUARES] += mean * mean
            totals[b, PRICE_COUNT] += 1.0


@kernel
def trade(params, state, strategy, absent, desk, book, outcome, scratch):
    """Runs the market of the slot that begins: offers, pairs, clearing, trades, prices."""
    if params.faulty:
        find_links(state, params.side, 0, desk.works)
        find_areas(state.neighbor, desk.works, book.area, book.n_areas, desk.stack)
    _offer(params, state, strategy, absent, desk, book)
    _find_pairs(params, state, strategy, desk, book)
    clear(params.rule, book, state.tally[:, :, POSTED_PRICE], outcome, scratch)
    _carry_out(params, state, desk.offered, book.n_pairs, outcome)
    _tell(state.tally, state.totals, book.n_pairs, outcome.price)
