"""The market of a slot: who offers which task, who offers its processor, which pairs may trade, and the trades.

Axes: N nodes, D link slots, Q queue slots, M models, P pairs. One world at a time: a `World` is a row of the `State`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernels import kernel
from .clearing import Book, Outcome, clear
from .state import (
    ASK,
    BID,
    BOUGHT,
    BYZANTINE,
    CARTEL,
    DEADLINE,
    EARNS,
    IN_TRANSIT,
    LAST_USE,
    LEFT,
    LOADED,
    MEMORY,
    MODEL,
    NOBODY,
    ORIGIN,
    PAYS,
    POSTED_PRICE,
    PRICE,
    PRICE_COUNT,
    PRICE_SQUARES,
    PRICE_SUM,
    QUEUE_SLOTS,
    REACH,
    READY,
    SALES,
    SIZE,
    SOLD,
    SPEED,
    TRADES,
    VALUE,
    WORK,
    Array,
    X,
)

BID_MARKUP, ASK_MARKUP, KEEP, THRESHOLD, SCORES = range(5)
"""Columns of a strategy, (N, 4 + M): credits/Gcycle over the price scale, likewise, share, pressure, scores of models."""
NEVER = 2.0
"""A threshold from here on offers nothing."""
SPARE_SLOTS = 2
"""A node offers its processor only while so many of its queue slots are free."""
YIELD = 0.5
"""A model makes room for a task's if its score is not higher than the other's by more than this; for one that is
fetched ahead of any task, only if its score is lower by more than this."""
SOON = 1e-9
"""Rounding of times [s]."""


class World(NamedTuple):
    """One row of a `State`; see there."""

    count: Array
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

    book: Book
    outcome: Outcome
    offered: Array  # (N,) int32 place in its queue of the task a buyer offers, or NOBODY
    sells: Array  # (N,) bool
    room: Array  # (N,) Gcycles of sold work that a seller still takes
    said: Array  # (N,) seconds of work a node reports
    free: Array  # (N,) bool: there is a node to open the area from


@kernel
def new_desk(n, slots):
    """A desk for N nodes of D links."""
    pairs = n * slots
    numbers, whole = np.zeros((3, n)), np.zeros((3, pairs), np.int32)
    finish, area = np.zeros(pairs), np.zeros(n, np.int32)
    count, areas = np.zeros(1, np.int32), np.ones(1, np.int32)
    book = Book(numbers[0], numbers[1], numbers[2], whole[0], whole[1], finish, count, area, areas)
    partner, through = np.zeros(n, np.int32), np.zeros(n, np.bool_)
    outcome = Outcome(partner, np.zeros(n), np.zeros(n), np.zeros(n), through)
    offered, flags, more = np.zeros(n, np.int32), np.zeros((2, n), np.bool_), np.zeros((2, n))
    return Desk(book, outcome, offered, flags[0], more[0], more[1], flags[1])


@kernel
def scheduled(w, t):
    """The slot of the schedule that holds in slot t: past its end, the last."""
    return min(t, len(w.cut) - 1)


@kernel
def linked(rules, w, t, i, j):
    """Whether the link between two neighbours works in slot t."""
    if not rules.faulty:
        return True
    t = scheduled(w, t)
    if w.cut[t] and (w.node[i, X] < 0.5 * rules.side) != (w.node[j, X] < 0.5 * rules.side):
        return False
    return w.up[t, i] and w.up[t, j]


@kernel
def wait_for_model(rules, w, scores, i, m):
    """Seconds until node i could have model m in memory for a task; infinite if its scores forbid it."""
    if w.model[i, m, LOADED] > 0.0:
        return 0.0
    if w.loading[i, 0] == m:
        return w.loading[i, 1]
    if rules.load_rate == 0.0 or room_for(w, scores, i, scores[m] + YIELD) < w.model_size[m]:
        return math.inf
    return w.model_size[m] / rules.load_rate + w.loading[i, 1]


@kernel
def room_for(w, scores, i, bar):
    """Memory [GB] that is free at node i or holds models of scores up to the bar."""
    room = w.node[i, MEMORY]
    for m in range(len(scores)):
        if (w.model[i, m, LOADED] > 0.0 and scores[m] > bar) or w.loading[i, 0] == m:
            room -= w.model_size[m]
    return room


@kernel
def _offers(rules, w, strategy, now, t, absent, desk):
    """Who offers which task at which bid, who offers its processor at which ask, and what load each reports."""
    book, queue, held, task, task_int = desk.book, w.queue, w.held, w.task, w.task_int
    t = scheduled(w, t)
    for i in range(len(w.count)):
        book.bid[i] = book.ask[i] = 0.0
        desk.offered[i] = NOBODY
        desk.sells[i] = False
        w.tally[i, BOUGHT] = w.tally[i, SOLD] = w.tally[i, BID] = 0.0
        w.partner[i] = NOBODY
        if not w.up[t, i] or i == absent:
            continue
        speed, price, threshold = w.node[i, SPEED], w.energy[t, i], strategy[i, THRESHOLD]
        scores = strategy[i, SCORES:]
        ahead, best, best_work = 0.0, 0.0, 1.0
        for q in range(w.count[i]):
            k = held[i, q]
            left, patience = queue[i, q, LEFT], task[k, DEADLINE] - now
            alone = left / speed
            if task_int[k, ORIGIN] == i and left == task[k, WORK] and threshold < NEVER:
                need = ahead + alone
                if w.model[i, task_int[k, MODEL], LOADED] == 0.0:
                    need = max(need, wait_for_model(rules, w, scores, i, task_int[k, MODEL]) + alone)
                if need >= threshold * patience and left < patience * w.node[i, REACH]:
                    value = task[k, VALUE]
                    if need <= patience:  # it can be done here: leaving saves the energy
                        gain = price * left
                    else:
                        gain = value * (1.0 + rules.miss_penalty)
                    if gain > best:
                        best, best_work = gain, left
                        desk.offered[i] = q
            if alone <= patience + SOON:
                ahead += alone
        desk.said[i] = 0.0 if w.node[i, BYZANTINE] > 0.0 else ahead
        quote = max(price + strategy[i, ASK_MARKUP] * rules.price_scale, 0.0)
        if w.node[i, BYZANTINE] > 0.0:
            quote *= 0.5
        if w.node[i, CARTEL] > 0.0:
            quote = max(quote, rules.cartel_price)
        w.tally[i, ASK] = quote
        if desk.offered[i] != NOBODY:
            book.bid[i] = max(best / best_work + strategy[i, BID_MARKUP] * rules.price_scale, 0.0)
            book.work[i] = best_work
            w.tally[i, BID] = book.bid[i]
        else:
            book.ask[i] = quote
            desk.room[i] = (1.0 - strategy[i, KEEP]) * speed * rules.sale_seconds - w.tally[i, SALES]
            desk.sells[i] = desk.room[i] > 0.0 and w.count[i] <= QUEUE_SLOTS - SPARE_SLOTS


@kernel
def _pairs(rules, w, strategy, now, t, desk):
    """Which neighbours may take which task: they have room and, by what they report, can do it in time."""
    book, kept = desk.book, 0
    for i in range(len(w.count)):
        if desk.offered[i] == NOBODY:
            continue
        k, work = w.held[i, desk.offered[i]], book.work[i]
        deadline, m = w.task[k, DEADLINE], w.task_int[k, MODEL]
        for d in range(w.neighbor.shape[1]):
            j = w.neighbor[i, d]
            if j == NOBODY:
                break
            if not desk.sells[j] or work > desk.room[j] or not linked(rules, w, t, i, j):
                continue
            there = max(now, w.link_free[i, d]) + w.task[k, SIZE] / w.link[i, d, 0] + w.link[i, d, 1]
            begin = max(there, now + desk.said[j])
            if w.model[j, m, LOADED] == 0.0:
                begin = max(begin, there + wait_for_model(rules, w, strategy[j, SCORES:], j, m))
            finish = begin + work / w.node[j, SPEED]
            if finish <= deadline + SOON:
                book.buyer[kept], book.seller[kept], book.finish[kept] = i, j, finish
                kept += 1
    book.n_pairs[0] = kept


@kernel
def _areas(rules, w, t, desk):
    """What working links hold together trades at one price: (N,) the area of each node."""
    area, n = desk.book.area, len(w.count)
    if not rules.faulty:
        return  # all is connected, and stays so
    area[:] = NOBODY
    stack, found = np.empty(n, np.int32), 0
    for first in range(n):
        if area[first] != NOBODY:
            continue
        area[first] = found
        stack[0], height = first, 1
        while height > 0:
            height -= 1
            i = stack[height]
            for d in range(w.neighbor.shape[1]):
                j = w.neighbor[i, d]
                if j == NOBODY:
                    break
                if area[j] == NOBODY and linked(rules, w, t, i, j):
                    area[j] = found
                    stack[height] = j
                    height += 1
        found += 1
    desk.book.n_areas[0] = found


@kernel
def insert(w, i, k, left, ready, pays, earns):
    """Puts task k into node i's queue, which has room, behind all of no later deadline."""
    held, queue, at = w.held, w.queue, w.count[i]
    while at > 0 and w.task[held[i, at - 1], DEADLINE] > w.task[k, DEADLINE]:
        held[i, at] = held[i, at - 1]
        for column in range(4):
            queue[i, at, column] = queue[i, at - 1, column]
        at -= 1
    held[i, at] = k
    queue[i, at, LEFT], queue[i, at, READY] = left, ready
    queue[i, at, PAYS], queue[i, at, EARNS] = pays, earns
    w.count[i] += 1


@kernel
def take_out(w, i, q):
    """Removes place q of node i's queue."""
    held, queue, last = w.held, w.queue, w.count[i] - 1
    for at in range(q, last):
        held[i, at] = held[i, at + 1]
        for column in range(4):
            queue[i, at, column] = queue[i, at + 1, column]
    held[i, last] = NOBODY
    for column in range(4):
        queue[i, last, column] = 0.0
    w.count[i] = last


@kernel
def _trade(rules, w, now, i, j, q, pays, earns):
    """Node i's task at place q leaves for neighbour j; the link is theirs alone until all of it is through."""
    k = w.held[i, q]
    d = 0
    while w.neighbor[i, d] != j:
        d += 1
    sent = max(now, w.link_free[i, d]) + w.task[k, SIZE] / w.link[i, d, 0]
    w.link_free[i, d] = sent
    take_out(w, i, q)
    insert(w, j, k, w.task[k, WORK], sent + w.link[i, d, 1], pays, earns)
    w.status[k] = IN_TRANSIT
    w.tally[j, SALES] += w.task[k, WORK]
    w.tally[i, BOUGHT] = w.tally[j, SOLD] = 1.0
    w.partner[i] = j
    w.totals[TRADES] += 1.0


@kernel
def trade(rules, w, strategy, now, t, absent, desk):
    """The market of slot t, which begins at time `now`: offers, pairs, clearing, trades, prices."""
    _offers(rules, w, strategy, now, t, absent, desk)
    _pairs(rules, w, strategy, now, t, desk)
    _areas(rules, w, t, desk)
    clear(rules.rule, desk.book, w.tally[:, POSTED_PRICE], desk.outcome)
    outcome, n = desk.outcome, len(w.count)
    total, priced = 0.0, 0
    for i in range(n):
        if outcome.partner[i] != NOBODY:
            _trade(rules, w, now, i, outcome.partner[i], desk.offered[i], outcome.pays[i], outcome.earns[i])
        if outcome.price[i] >= 0.0:
            w.tally[i, PRICE] = outcome.price[i]
            total += outcome.price[i]
            priced += 1
    if priced > 0:
        mean = total / priced
        w.totals[PRICE_SUM] += mean
        w.totals[PRICE_SQUARES] += mean * mean
        w.totals[PRICE_COUNT] += 1.0


@kernel
def make_room(w, scores, i, m, bar):
    """Drops models of node i of scores up to the bar, lowest first, of equals the least recently used, for model m."""
    free = room_for(w, scores, i, -math.inf)
    while free < w.model_size[m]:
        victim, lowest, oldest = NOBODY, math.inf, math.inf
        for other in range(len(scores)):
            if w.model[i, other, LOADED] == 0.0 or scores[other] > bar:
                continue
            use = w.model[i, other, LAST_USE]
            if scores[other] < lowest or (scores[other] == lowest and use < oldest):
                victim, lowest, oldest = other, scores[other], use
        w.model[i, victim, LOADED] = 0.0
        free += w.model_size[victim]
