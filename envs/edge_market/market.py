"""The market of a slot: who offers which task, who offers its processor, which pairs may trade, and the trades.

One world at a time: a `World` is a row of the `State`. Arrays are bound to names before loops, see `envs.kernels`.

Axes: N nodes, D link slots, Q queue slots, M models, P pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kernels import kernel
from .clearing import Book, clear, new_outcome, new_room
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
    NOBODY,
    ORIGIN,
    POSTED_PRICE,
    PRICE,
    PRICE_COUNT,
    PRICE_SQUARES,
    PRICE_SUM,
    QUEUE_SLOTS,
    REACH,
    SALES,
    SIZE,
    SOLD,
    SPEED,
    THRESHOLD,
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
SOON = 1e-9
"""Rounding of times [s]."""


class World(NamedTuple):
    """One row of a `State`; see there."""

    n_held: Array
    held: Array
    queue: Array
    model: Array
    loading: Array
    link_free: Array
    heard: Array
    tally: Array
    account: Array
    totals: Array
    latency: Array
    status: Array
    partner: Array
    node: Array
    neighbor: Array
    link: Array
    model_size: Array
    task_int: Array
    task: Array
    energy: Array
    up: Array
    cut: Array


class Desk(NamedTuple):
    """Room to work in, one for all worlds."""

    offered: Array  # (N,) int32 place in its queue of the task a buyer offers, or NOBODY
    sells: Array  # (N,) bool
    room: Array  # (N,) Gcycles of sold work that a seller still takes
    said: Array  # (N,) seconds of work a node reports
    works: Array  # (N, D) bool which links work; all, unless something may fail
    stack: Array  # (N,) int32


@kernel
def new_desk(n, slots):
    """A desk, a book, an outcome and a room for N nodes of D links."""
    pairs, numbers = n * slots, np.zeros((5, n))
    buyer, seller, finish = np.zeros(pairs, np.int32), np.zeros(pairs, np.int32), np.zeros(pairs)
    area, count, areas = np.zeros(n, np.int32), np.zeros(1, np.int32), np.ones(1, np.int32)
    book = Book(numbers[0], numbers[1], numbers[2], buyer, seller, finish, count, area, areas)
    works, stack = np.ones((n, slots), np.bool_), np.zeros(n, np.int32)
    desk = Desk(np.zeros(n, np.int32), np.zeros(n, np.bool_), numbers[3], numbers[4], works, stack)
    return desk, book, new_outcome(n), new_room(n, pairs)


@kernel
def find_links(node, neighbor, up, cut, side, t, works):
    """Which links work in slot t of a schedule, into works (N, D); past its end the last slot holds."""
    t = min(t, len(cut) - 1)
    for i in range(len(neighbor)):
        for d in range(neighbor.shape[1]):
            j = neighbor[i, d]
            if j == NOBODY:
                works[i, d] = False
                continue
            across = (node[i, X] < 0.5 * side) != (node[j, X] < 0.5 * side)
            works[i, d] = up[t, i] and up[t, j] and not (cut[t] and across)


@kernel
def energy_price(rules, energy, t, i):
    """What a Gcycle costs node i in slot t [credits]; past the end of the schedule the last prices hold."""
    level = energy[min(t, len(energy) - 1), i] / LEVELS
    return rules.energy_low + (rules.energy_high - rules.energy_low) * level


@kernel
def _offers(rules, w, strategy, now, t, absent, desk, bid, ask, work):
    """Who offers which task at which bid, who offers its processor at which ask, and what load each reports."""
    count, held, queue, model, loading = w.n_held, w.held, w.queue, w.model, w.loading
    tally, partner, node, size = w.tally, w.partner, w.node, w.model_size
    task_int, task, energy, up = w.task_int, w.task, w.energy, w.up
    offered, sells, room, said = desk.offered, desk.sells, desk.room, desk.said
    t_up = min(t, len(up) - 1)
    for i in range(len(count)):
        bid[i] = ask[i] = 0.0
        offered[i] = partner[i] = NOBODY
        sells[i] = False
        tally[i, BOUGHT] = tally[i, SOLD] = tally[i, BID] = 0.0
        if not up[t_up, i] or i == absent:
            continue
        speed, price, threshold = node[i, SPEED], energy_price(rules, energy, t, i), strategy[i, THRESHOLD]
        ahead, best, best_work = 0.0, 0.0, 1.0
        for q in range(count[i]):
            k = held[i, q]
            left, patience = queue[i, q, LEFT], task[k, DEADLINE] - now
            alone = left / speed
            if task_int[k, ORIGIN] == i and left == task[k, WORK] and threshold < NEVER:
                need, m = ahead + alone, task_int[k, MODEL]
                if model[i, m, LOADED] == 0.0:
                    wait = wait_for_model(model, loading, size, node[i, MEMORY], rules.load_rate, strategy, i, m)
                    need = max(need, wait + alone)
                if need >= threshold * patience and left < patience * node[i, REACH]:
                    # What can be done here saves its energy by leaving; what cannot has its value, and no penalty.
                    gain = price * left if need <= patience else task[k, VALUE] * (1.0 + rules.miss_penalty)
                    if gain > best:
                        best, best_work = gain, left
                        offered[i] = q
            if alone <= patience + SOON:
                ahead += alone
        quote = max(price + strategy[i, ASK_MARKUP] * rules.price_scale, 0.0)
        said[i] = ahead
        if node[i, BYZANTINE] > 0.0:
            said[i] = 0.0
            quote *= 0.5
        if node[i, CARTEL] > 0.0:
            quote = max(quote, rules.cartel_price)
        tally[i, ASK] = quote
        if offered[i] != NOBODY:
            bid[i] = max(best / best_work + strategy[i, BID_MARKUP] * rules.price_scale, 0.0)
            work[i] = best_work
            tally[i, BID] = bid[i]
        else:
            ask[i] = quote
            room[i] = (1.0 - strategy[i, KEEP]) * speed * rules.sale_seconds - tally[i, SALES]
            sells[i] = room[i] > 0.0 and count[i] <= QUEUE_SLOTS - SPARE_SLOTS


@kernel
def _pairs(rules, w, strategy, now, desk, work, buyer, seller, finish):
    """Which neighbours may take which task: they have room and, by what they report, can do it in time. How many."""
    held, model, loading, link_free, node, size = w.held, w.model, w.loading, w.link_free, w.node, w.model_size
    neighbor, link, task_int, task = w.neighbor, w.link, w.task_int, w.task
    offered, sells, room, said, works = desk.offered, desk.sells, desk.room, desk.said, desk.works
    kept = 0
    for i in range(len(offered)):
        if offered[i] == NOBODY:
            continue
        k = held[i, offered[i]]
        deadline, m = task[k, DEADLINE], task_int[k, MODEL]
        for d in range(neighbor.shape[1]):
            j = neighbor[i, d]
            if j == NOBODY:
                break
            if not sells[j] or work[i] > room[j] or not works[i, d]:
                continue
            there = max(now, link_free[i, d]) + task[k, SIZE] / link[i, d, 0] + link[i, d, 1]
            begin = max(there, now + said[j])
            if model[j, m, LOADED] == 0.0:
                wait = wait_for_model(model, loading, size, node[j, MEMORY], rules.load_rate, strategy, j, m)
                begin = max(begin, there + wait)
            done = begin + work[i] / node[j, SPEED]
            if done <= deadline + SOON:
                buyer[kept], seller[kept], finish[kept] = i, j, done
                kept += 1
    return kept


@kernel
def find_areas(neighbor, works, area, stack):
    """What working links hold together trades at one price: area (N,) of each node, written; returns how many.

    `stack` (N,) is to work in.
    """
    area[:] = NOBODY
    found = 0
    for first in range(len(area)):
        if area[first] != NOBODY:
            continue
        area[first] = found
        stack[0], height = first, 1
        while height > 0:
            height -= 1
            i = stack[height]
            for d in range(neighbor.shape[1]):
                j = neighbor[i, d]
                if j != NOBODY and works[i, d] and area[j] == NOBODY:
                    area[j] = found
                    stack[height] = j
                    height += 1
        found += 1
    return found


@kernel
def _carry_out(w, now, offered, partner, pays, earns):
    """Tasks leave for who takes them; a link serves one after the other, in each direction."""
    count, held, queue, link_free, tally, status = w.n_held, w.held, w.queue, w.link_free, w.tally, w.status
    neighbor, link, task, totals = w.neighbor, w.link, w.task, w.totals
    for i in range(len(partner)):
        j = partner[i]
        w.partner[i] = j
        if j == NOBODY:
            continue
        d = 0
        while neighbor[i, d] != j:
            d += 1
        k = held[i, offered[i]]
        sent = max(now, link_free[i, d]) + task[k, SIZE] / link[i, d, 0]
        link_free[i, d] = sent
        take_out(count, held, queue, i, offered[i])
        insert(count, held, queue, task, j, k, float(task[k, WORK]), sent + link[i, d, 1], pays[i], earns[i])
        status[k] = IN_TRANSIT
        tally[j, SALES] += task[k, WORK]
        tally[i, BOUGHT] = tally[j, SOLD] = 1.0
        totals[TRADES] += 1.0


@kernel
def _quote(tally, totals, price):
    """Nodes learn the price of their area; the mean over nodes goes into the statistics."""
    total, priced = 0.0, 0
    for i in range(len(price)):
        if price[i] >= 0.0:
            tally[i, PRICE] = price[i]
            total += price[i]
            priced += 1
    if priced > 0:
        mean = total / priced
        totals[PRICE_SUM] += mean
        totals[PRICE_SQUARES] += mean * mean
        totals[PRICE_COUNT] += 1.0


@kernel
def trade(rules, w, strategy, now, t, absent, desk, book, outcome, room):
    """The market of slot t, which begins at time `now`: offers, pairs, clearing, trades, prices."""
    if rules.faulty:
        find_links(w.node, w.neighbor, w.up, w.cut, rules.side, t, desk.works)
        book.n_areas[0] = find_areas(w.neighbor, desk.works, book.area, desk.stack)
    _offers(rules, w, strategy, now, t, absent, desk, book.bid, book.ask, book.work)
    n_pairs = _pairs(rules, w, strategy, now, desk, book.work, book.buyer, book.seller, book.finish)
    book.n_pairs[0] = n_pairs
    clear(rules.rule, book, w.tally[:, POSTED_PRICE], outcome, room)
    if n_pairs > 0:
        _carry_out(w, now, desk.offered, outcome.partner, outcome.pays, outcome.earns)
        _quote(w.tally, w.totals, outcome.price)
