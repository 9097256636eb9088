"""The others' welfare in a slot, had one node been absent: for each node, at the cost of what its absence changes.

Within a slot, nodes matter to each other by trades alone: by who takes whose task, and for which payments. So the slot
is run once with all nodes, which fills a `Ledger`. Then, for each node in turn, the market is cleared without it; the
nodes whose trades differ run the slot again, and the nodes whose tasks those run get their profits anew. All others
keep theirs.

The parts of a slot are those of `market` and `work`, and sums are made in the same order. So results equal those of
whole slots without the node to the bit; the tests compare them.

Axes: B worlds, N nodes, Q queue slots, P pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..kit.kernels import inlined, kernel
from .book import Book, Outcome, new_outcome
from .clearing import clear
from .events import fail_node, receive
from .links import find_links, link_to
from .market import energy_price, new_desk, sent_at, trade
from .queues import insert, take_out
from .state import ARRIVES, EARNS, KEEP, NOBODY, ORIGIN, PAYS, POSTED_PRICE, QUEUE_SLOTS, VALUE, WORK, Array
from .work import load_node, run_node, settle_node


class Ledger(NamedTuple):
    """The work that processors did in a slot. The payments for a task are those of `State.queue`."""

    n_done: Array  # (B, N) int32 number of tasks that a node has done
    task: Array  # (B, N, Q) int32 these tasks, in the order in which they ended
    pays: Array  # (B, N, Q) what their owners pay [credits]
    earns: Array  # (B, N, Q) what the node gets [credits]
    energy: Array  # (B, N) the price of the node's energy [credits]


class Actual(NamedTuple):
    """The slot with all nodes."""

    offered: Array  # (B, N) int32 place in its queue of the task that a node offers
    outcome: Outcome
    ledger: Ledger
    reward: Array  # (B, N) profits
    works: Array  # (B, N, D) bool: links that work in the next slot


class Trial(NamedTuple):
    """A slot without one node, for one world after the other. `again` nodes are `anew` too."""

    outcome: Outcome
    ledger: Ledger  # of one world; only the rows of nodes in `again` have a meaning
    again: Array  # (N,) bool: the node trades otherwise, so it runs the slot again
    anew: Array  # (N,) bool: the node's profit is found anew
    reward: Array  # (B, N) profits of these nodes
    cost: Array  # (B, N) has no meaning
    places: Array  # (Q,) int32, for `run_node`
    ends: Array  # (Q,), for `run_node`


@kernel
def welfare_without_each(params, state, draft, strategy, out):
    """Finds the others' welfare in a slot without node i, for every i.

    Args:
        params: The `Params`.
        state: The `State` before the slot.
        draft: A copy of it to work in.
        strategy: (B, N, 4 + M), see `state`.
        out: (B, N), written.
    """
    n_worlds, n_nodes, slots = state.neighbor.shape
    nobody, met = np.full(n_worlds, NOBODY, np.int32), np.zeros(n_worlds, np.bool_)
    desk, book, outcome, scratch = new_desk(n_worlds, n_nodes, slots)
    trade(params, draft, strategy, nobody, desk, book, outcome, scratch)
    offered = desk.offered
    if params.faulty:
        find_links(state, params.side, 1, desk.works)
    trial = new_trial(n_worlds, n_nodes)
    actual = Actual(offered, outcome, _new_ledger(n_worlds, n_nodes), np.zeros((n_worlds, n_nodes)), desk.works)
    _run_all(params, draft, strategy, actual, trial)
    buyer, seller, finish = np.empty_like(book.buyer), np.empty_like(book.seller), np.empty_like(book.finish)
    n_pairs = np.empty_like(book.n_pairs)
    without = Book(book.bid, book.ask, book.work, buyer, seller, finish, n_pairs, book.area, book.n_areas)
    posted = draft.tally[:, :, POSTED_PRICE]
    for a in range(n_nodes):
        _leave_out(a, book, without, met)
        posted[:] = state.tally[:, :, POSTED_PRICE]
        clear(params.rule, without, posted, trial.outcome, scratch)
        for b in range(n_worlds):
            out[b, a] = _welfare(params, state, draft, strategy, actual, trial, met[b], a, b)


@kernel
def _new_ledger(b, n):
    money, done = np.zeros((2, b, n, QUEUE_SLOTS)), np.zeros((b, n, QUEUE_SLOTS), np.int32)
    return Ledger(np.zeros((b, n), np.int32), done, money[0], money[1], np.zeros((b, n)))


@kernel
def new_trial(b, n):
    """Returns a `Trial` of B worlds of N nodes to write into."""
    flags, money = np.zeros((2, n), np.bool_), np.zeros((2, b, n))
    places, ends = np.zeros(QUEUE_SLOTS, np.int32), np.zeros(QUEUE_SLOTS)
    return Trial(new_outcome(b, n), _new_ledger(1, n), flags[0], flags[1], money[0], money[1], places, ends)


@kernel
def _run_all(params, draft, strategy, actual, trial):
    """Runs the slot of all nodes after its market, and writes the ledger and the profits of `actual`."""
    ledger, reward, anew, again = actual.ledger, actual.reward, trial.anew, trial.again
    again[:], anew[:] = False, True
    for b in range(reward.shape[0]):
        for i in range(reward.shape[1]):
            run_processor(params, draft, strategy, ledger, b, trial, b, i)
        _pay(draft, ledger, trial, b, reward)
        for i in range(reward.shape[1]):
            close_node(params, draft, actual.works, b, i, reward, trial.cost)


@kernel
def _leave_out(a, book, without, met):
    """Writes into `without` the pairs of `book` without node a, and into met (B,) whether it was in one.

    Where it was not, there is nothing to clear, so no pairs are written.
    """
    buyer, seller, finish, n_pairs = book.buyer, book.seller, book.finish, book.n_pairs
    others_buyer, others_seller, others_finish, n_kept = without.buyer, without.seller, without.finish, without.n_pairs
    for b in range(len(n_pairs)):
        kept = 0
        for p in range(n_pairs[b]):
            if buyer[b, p] == a or seller[b, p] == a:
                continue
            others_buyer[b, kept], others_seller[b, kept] = buyer[b, p], seller[b, p]
            others_finish[b, kept] = finish[b, p]
            kept += 1
        met[b] = kept < n_pairs[b]
        n_kept[b] = kept if met[b] else 0


@inlined
def _welfare(params, state, draft, strategy, actual, trial, met, a, b):
    """Returns the others' welfare without node a in world b, where it was in a pair (`met`) or not."""
    n, again, anew, entries = actual.reward.shape[1], trial.again, trial.anew, trial.ledger
    _find_again(state, actual, trial, met, a, b)
    entries.n_done[0, a], entries.energy[0, a] = 0, 0.0
    for others in (False, True):  # who else is concerned is known only when the nodes in `again` have run
        if others:
            _find_anew(state, actual.ledger, trial, b)
        for i in range(n):
            if i != a and (anew[i] and not again[i] if others else again[i]):
                queue_again(params, state, draft, actual.offered, trial.outcome, b, i)
                run_processor(params, draft, strategy, entries, 0, trial, b, i)
    welfare = _pay(draft, actual.ledger, trial, b, trial.reward)
    for i in range(n):
        if i == a:
            continue
        if anew[i]:
            close_node(params, draft, actual.works, b, i, trial.reward, trial.cost)
        welfare += trial.reward[b, i] if anew[i] else actual.reward[b, i]
    return welfare


@inlined
def _find_again(state, actual, trial, met, a, b):
    """Marks node a and the nodes that trade otherwise without it; brings the trades of a node in no pair up to date."""
    partner, pays, earns = actual.outcome.partner, actual.outcome.pays, actual.outcome.earns
    partners, paid, earned = trial.outcome.partner, trial.outcome.pays, trial.outcome.earns
    again, ledger = trial.again, actual.ledger
    for i in range(len(again)):
        again[i] = i == a
    for i in range(len(again)):
        if not met:
            partners[b, i], paid[b, i], earned[b, i] = partner[b, i], pays[b, i], earns[b, i]
            continue
        j = partner[b, i]
        if partners[b, i] != j:
            again[i] = True
            if j != NOBODY:
                again[j] = True
            if partners[b, i] != NOBODY:
                again[partners[b, i]] = True
        elif j != NOBODY and (paid[b, i] != pays[b, i] or earned[b, i] != earns[b, i]):
            k = state.held[b, i, actual.offered[b, i]]
            for at in range(ledger.n_done[b, j]):  # payments are made when a task is done, mostly in a later slot
                again[j] |= ledger.task[b, j, at] == k


@inlined
def _find_anew(state, ledger, trial, b):
    """Marks the nodes that run again, and those whose tasks these did or do now."""
    again, anew, task_int = trial.again, trial.anew, state.task_int
    for i in range(len(anew)):
        anew[i] = again[i]
    for i in range(len(anew)):
        if not again[i]:
            continue
        for at in range(ledger.n_done[b, i]):
            anew[task_int[b, ledger.task[b, i, at], ORIGIN]] = True
        for at in range(trial.ledger.n_done[0, i]):
            anew[task_int[b, trial.ledger.task[0, i, at], ORIGIN]] = True


@inlined
def queue_again(params, state, draft, offered, outcome, b, i):
    """Puts node i of the draft back to where it was before the slot, and carries out its trades."""
    count, held, queue, task, neighbor = draft.n_held, draft.held, draft.queue, draft.task, draft.neighbor
    count[b, i] = state.n_held[b, i]
    for q in range(count[b, i]):
        held[b, i, q] = state.held[b, i, q]
        for column in range(4):
            queue[b, i, q, column] = state.queue[b, i, q, column]
    for m in range(draft.model.shape[2]):
        for column in range(3):
            draft.model[b, i, m, column] = state.model[b, i, m, column]
    draft.loading[b, i, 0], draft.loading[b, i, 1] = state.loading[b, i, 0], state.loading[b, i, 1]
    if outcome.partner[b, i] != NOBODY:
        take_out(count, held, queue, b, i, offered[b, i])
    for d in range(neighbor.shape[2]):
        j = neighbor[b, i, d]
        if j == NOBODY:
            break
        if outcome.partner[b, j] != i:
            continue
        k, back = state.held[b, j, offered[b, j]], link_to(neighbor, b, j, i)
        there = sent_at(params, state, b, j, back, k) + state.link[b, j, back, 1]
        insert(
            count, held, queue, task, b, i, k, (float(task[b, k, WORK]), there, outcome.pays[b, j], outcome.earns[b, j])
        )


@inlined
def run_processor(params, draft, strategy, ledger, row, trial, b, i):
    """Lets node i read its models and run its processor, and writes into a row of the ledger what that did."""
    t, up, held, queue = draft.step[b], draft.up, draft.held, draft.queue
    ledger.n_done[row, i], ledger.energy[row, i] = 0, 0.0
    if not up[b, min(t, up.shape[1] - 1), i]:
        return
    if params.load_rate > 0.0:
        load_node(params, draft, strategy, b, i)
    done, n_done = run_node(params, draft, strategy[b, i, KEEP], b, i, trial.places, trial.ends)
    ledger.n_done[row, i] = n_done
    ledger.energy[row, i] = energy_price(params, draft.energy, b, t, i) * done
    for at in range(n_done):
        q = trial.places[at]
        ledger.task[row, i, at] = held[b, i, q]
        ledger.pays[row, i, at], ledger.earns[row, i, at] = queue[b, i, q, PAYS], queue[b, i, q, EARNS]


@inlined
def _pay(draft, ledger, trial, b, reward):
    """Writes into reward (B, N) what all processors bring the nodes in `anew`. Returns the exchange's account."""
    again, anew, exchange = trial.again, trial.anew, 0.0
    for i in range(len(anew)):
        if anew[i]:
            reward[b, i] = 0.0
    for i in range(len(anew)):
        if again[i]:
            exchange = _pay_node(draft, trial.ledger, 0, anew, b, i, reward, exchange)
        else:
            exchange = _pay_node(draft, ledger, b, anew, b, i, reward, exchange)
    return exchange


@inlined
def _pay_node(draft, ledger, row, anew, b, i, reward, exchange):
    """Adds what the processor of node i brings to the profits of nodes in `anew` and to the exchange's account."""
    for at in range(ledger.n_done[row, i]):
        k, pays, earns = ledger.task[row, i, at], ledger.pays[row, i, at], ledger.earns[row, i, at]
        origin = draft.task_int[b, k, ORIGIN]
        if anew[origin]:
            reward[b, origin] += draft.task[b, k, VALUE] - pays
        if anew[i]:
            reward[b, i] += earns
        exchange += pays - earns
    if anew[i]:
        reward[b, i] -= ledger.energy[row, i]
    return exchange


@inlined
def close_node(params, draft, works, b, i, reward, cost):
    """Ends the slot of node i: deadlines pass, it may fail, and tasks arrive."""
    t, up, task_int, k = draft.step[b] + 1, draft.up, draft.task_int, draft.head[b]
    is_up = up[b, min(t, up.shape[1] - 1), i]
    settle_node(params, draft, b, i, reward, cost)
    if params.faulty:
        fail_node(params, draft, works, is_up, b, i, reward, cost)
    while k < task_int.shape[1] and task_int[b, k, ARRIVES] == t:
        if task_int[b, k, ORIGIN] == i:
            receive(params, draft, is_up, b, i, k, reward, cost)
        k += 1
