"""The market of a slot: who offers which task, who offers its processor, which pairs may trade, and the trades.

Arrays are bound to names before loops (see `envs.kit.kernels`); all worlds go through each step of the slot at once.

Axes: B worlds, N nodes, D link slots, Q queue slots, M models, P pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kit.kernels import kernel
from .book import Book, new_outcome, new_room
from .clearing import clear
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
    X,
)

NEVER = 2.0
"""A threshold from here on offers nothing."""
SPARE_SLOTS = 2
"""A node offers its processor only while so many of its queue slots are free."""


class Desk(NamedTuple):
    """Room to work in."""

    offered: Array  # (B, N) int32 place in its queue of the task a buyer offers, or NOBODY
    sells: Array  # (B, N) bool
    room: Array  # (B, N) Gcycles of sold work that a seller still takes
    said: Array  # (B, N) seconds of work a node reports
    works: Array  # (B, N, D) bool which links work; all, unless something may fail
    stack: Array  # (N,) int32


@kernel
def new_desk(b, n, slots):
    """A desk, a book, an outcome and a room for B worlds of N nodes of D links."""
    pairs, numbers = n * slots, np.zeros((5, b, n))
    sides, finish = np.zeros((2, b, pairs), np.int32), np.zeros((b, pairs))
    places, count, areas = np.zeros((2, b, n), np.int32), np.zeros(b, np.int32), np.ones(b, np.int32)
    book = Book(numbers[0], numbers[1], numbers[2], sides[0], sides[1], finish, count, places[0], areas)
    works, stack = np.ones((b, n, slots), np.bool_), np.zeros(n, np.int32)
    desk = Desk(places[1], np.zeros((b, n), np.bool_), numbers[3], numbers[4], works, stack)
    return desk, book, new_outcome(b, n), new_room(b, n, pairs)


@kernel
def find_links(state, side, after, works):
    """Which links work, so many slots after `State.step`, into works (B, N, D); past the schedule its last slot holds.

    `side` [km] is the plane's.
    """
    step, node, neighbor, up, cut = state.step, state.node, state.neighbor, state.up, state.cut
    for b in range(len(step)):
        t = min(step[b] + after, cut.shape[1] - 1)
        for i in range(neighbor.shape[1]):
            for d in range(neighbor.shape[2]):
                j = neighbor[b, i, d]
                if j == NOBODY:
                    works[b, i, d] = False
                    continue
                across = (node[b, i, X] < 0.5 * side) != (node[b, j, X] < 0.5 * side)
                works[b, i, d] = up[b, t, i] and up[b, t, j] and not (cut[b, t] and across)


@kernel
def energy_price(params, energy, b, t, i):
    """What a Gcycle costs node i in slot t [credits]; past the end of the schedule the last prices hold."""
    level = energy[b, min(t, energy.shape[1] - 1), i] / LEVELS
    return params.energy_low + (params.energy_high - params.energy_low) * level


@kernel
def _offer(params, state, strategy, absent, desk, bids, asks, works):
    """Who offers which task at which bid, who offers its processor at which ask, and what load each reports."""
    step, count, held, queue, model, loading = (
        state.step,
        state.n_held,
        state.held,
        state.queue,
        state.model,
        state.loading,
    )
    tally, partner, node, size, task_int = state.tally, state.partner, state.node, state.model_size, state.task_int
    task, energy, up = state.task, state.energy, state.up
    offered, sells, room, said = desk.offered, desk.sells, desk.room, desk.said
    for b in range(len(step)):
        t, now = step[b], step[b] * params.slot
        t_up = min(t, up.shape[1] - 1)
        for i in range(count.shape[1]):
            bids[b, i] = asks[b, i] = 0.0
            offered[b, i] = partner[b, i] = NOBODY
            sells[b, i] = False
            tally[b, i, BOUGHT] = tally[b, i, SOLD] = tally[b, i, BID] = 0.0
            if not up[b, t_up, i] or i == absent[b]:
                continue
            speed, memory, reach = node[b, i, SPEED], node[b, i, MEMORY], node[b, i, NEIGHBOR_SPEED]
            price, threshold = energy_price(params, energy, b, t, i), strategy[b, i, THRESHOLD]
            ahead, best, best_work, chosen = 0.0, 0.0, 1.0, NOBODY
            for q in range(count[b, i]):
                k = held[b, i, q]
                left, patience = queue[b, i, q, LEFT], task[b, k, DEADLINE] - now
                alone = left / speed
                if threshold < NEVER and task_int[b, k, ORIGIN] == i and left == task[b, k, WORK]:
                    need, m = ahead + alone, task_int[b, k, MODEL]
                    if model[b, i, m, LOADED] == 0.0:
                        wait = wait_for_model(model, loading, size, memory, params.load_rate, strategy, b, i, m)
                        need = max(need, wait + alone)
                    if need >= threshold * patience and left < patience * reach:
                        # What can be done here saves its energy by leaving; what cannot has its value, and no penalty.
                        gain = price * left if need <= patience else task[b, k, VALUE] * (1.0 + params.miss_penalty)
                        if gain > best:
                            best, best_work, chosen = gain, left, q
                if alone <= patience + TIME_ROUNDING:
                    ahead += alone
            quote = max(price + strategy[b, i, ASK_MARKUP] * params.price_scale, 0.0)
            said[b, i] = ahead
            if node[b, i, BYZANTINE] > 0.0:
                said[b, i] = 0.0
                quote *= 0.5
            if node[b, i, CARTEL] > 0.0:
                quote = max(quote, params.cartel_price)
            tally[b, i, ASK] = quote
            if chosen != NOBODY:
                offered[b, i] = chosen
                bids[b, i] = max(best / best_work + strategy[b, i, BID_MARKUP] * params.price_scale, 0.0)
                works[b, i] = best_work
                tally[b, i, BID] = bids[b, i]
            else:
                asks[b, i] = quote
                room[b, i] = (1.0 - strategy[b, i, KEEP]) * speed * params.sale_seconds - tally[b, i, SALES]
                sells[b, i] = room[b, i] > 0.0 and count[b, i] <= QUEUE_SLOTS - SPARE_SLOTS


@kernel
def _pair(params, state, strategy, desk, book):
    """Which neighbours may take which task: they have room and, by what they report, can do it in time."""
    step, held, model, loading, link_free = state.step, state.held, state.model, state.loading, state.link_free
    node, size, neighbor, link, task_int, task = (
        state.node,
        state.model_size,
        state.neighbor,
        state.link,
        state.task_int,
        state.task,
    )
    offered, sells, room, said, up = desk.offered, desk.sells, desk.room, desk.said, desk.works
    work, buyer, seller, finish, n_pairs = book.work, book.buyer, book.seller, book.finish, book.n_pairs
    for b in range(len(step)):
        now, kept = step[b] * params.slot, 0
        for i in range(offered.shape[1]):
            if offered[b, i] == NOBODY:
                continue
            k = held[b, i, offered[b, i]]
            mine, deadline, m = work[b, i], task[b, k, DEADLINE] + TIME_ROUNDING, task_int[b, k, MODEL]
            for d in range(neighbor.shape[2]):
                j = neighbor[b, i, d]
                if j == NOBODY:
                    break
                if not sells[b, j] or mine > room[b, j] or not up[b, i, d]:
                    continue
                there = max(now, link_free[b, i, d]) + task[b, k, SIZE] / link[b, i, d, 0] + link[b, i, d, 1]
                begin, need = max(there, now + said[b, j]), mine / node[b, j, SPEED]
                if begin + need > deadline:
                    continue
                if model[b, j, m, LOADED] == 0.0:
                    memory = node[b, j, MEMORY]
                    wait = wait_for_model(model, loading, size, memory, params.load_rate, strategy, b, j, m)
                    begin = max(begin, there + wait)
                    if begin + need > deadline:
                        continue
                buyer[b, kept], seller[b, kept], finish[b, kept] = i, j, begin + need
                kept += 1
        n_pairs[b] = kept


@kernel
def find_areas(neighbor, works, area, n_areas, stack):
    """What working links hold together trades at one price.

    Args:
        neighbor: (B, N, D), see `State`.
        works: (B, N, D) which links work.
        area: (B, N), written: of each node.
        n_areas: (B,), written: how many there are.
        stack: (N,) int32 to work in.
    """
    for b in range(len(area)):
        area[b] = NOBODY
        found = 0
        for first in range(area.shape[1]):
            if area[b, first] != NOBODY:
                continue
            area[b, first] = found
            stack[0], height = first, 1
            while height > 0:
                height -= 1
                i = stack[height]
                for d in range(neighbor.shape[2]):
                    j = neighbor[b, i, d]
                    if j != NOBODY and works[b, i, d] and area[b, j] == NOBODY:
                        area[b, j] = found
                        stack[height] = j
                        height += 1
            found += 1
        n_areas[b] = found


@kernel
def _carry_out(params, state, offered, n_pairs, outcome):
    """Tasks leave for who takes them; a link serves one after the other, in each direction."""
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
        now = step[b] * params.slot
        for i in range(count.shape[1]):
            j = takes[b, i]
            if j == NOBODY:
                continue
            partner[b, i] = j
            d = 0
            while neighbor[b, i, d] != j:
                d += 1
            k = held[b, i, offered[b, i]]
            sent = max(now, link_free[b, i, d]) + task[b, k, SIZE] / link[b, i, d, 0]
            link_free[b, i, d] = sent
            there, work = sent + link[b, i, d, 1], float(task[b, k, WORK])
            take_out(count, held, queue, b, i, offered[b, i])
            insert(count, held, queue, task, b, j, k, work, there, pays[b, i], earns[b, i])
            status[b, k] = IN_TRANSIT
            tally[b, j, SALES] += work
            tally[b, i, BOUGHT] = tally[b, j, SOLD] = 1.0
            totals[b, TRADES] += 1.0


@kernel
def _tell(tally, totals, n_pairs, price):
    """Nodes learn the price of their area; the mean over nodes goes into the statistics."""
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
def trade(params, state, strategy, absent, desk, book, outcome, room):
    """The market of the slot that begins: offers, pairs, clearing, trades, prices."""
    if params.faulty:
        find_links(state, params.side, 0, desk.works)
        find_areas(state.neighbor, desk.works, book.area, book.n_areas, desk.stack)
    _offer(params, state, strategy, absent, desk, book.bid, book.ask, book.work)
    _pair(params, state, strategy, desk, book)
    clear(params.rule, book, state.tally[:, :, POSTED_PRICE], outcome, room)
    _carry_out(params, state, desk.offered, book.n_pairs, outcome)
    _tell(state.tally, state.totals, book.n_pairs, outcome.price)
