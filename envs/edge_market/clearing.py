"""The clearing rules, each a function of its own.

In a slot a node is a buyer of computing (it bids, per Gcycle, for having one task done elsewhere), a seller (it asks,
per Gcycle, for doing one) or neither. A pair is a task and a node that may take it: neighbours, in time by what the
seller reports. Pairs do not depend on bids and asks. A trade moves one task; a task of w Gcycles at the price p costs
w p. Whose pairs hold no trader of the other side is no trader at all.

The claims below are for one slot, bids and asks being all that a node chooses, and worth and cost per Gcycle its own
affair. Where a price has chosen who trades, pairs are made by earliest finish, never by bids: if they were, who is
through could be served better by bidding otherwise. On a graph not everybody who is through finds a partner.

| rule      | no trader loses | payments balance    | truth is best for all | source                                 |
|-----------|-----------------|---------------------|-----------------------|----------------------------------------|
| `posted`  | yes             | yes                 | yes                   | the price is known beforehand          |
| `uniform` | yes             | yes                 | no                    | k-double auction, k = 1/2: Wilson 1985 |
| `mcafee`  | yes             | never a deficit     | yes                   | McAfee 1992, J. Econ. Theory 56        |
| `vcg`     | yes             | a deficit, reported | yes                   | Vickrey 1961, Clarke 1971, Groves 1973 |

`vcg` alone trades what is worth most, where reports are true.

Axes: N nodes, P pairs, A market areas (what links hold together).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..kernels import kernel
from .matching import added_by_buyer, added_by_seller, match
from .state import MCAFEE, NOBODY, POSTED, RULES, UNIFORM, Array

RESPONSE = 0.1
"""Largest change of a posted price in a slot, over it."""
LOWEST, HIGHEST = 0.01, 100.0
"""Between these posted prices stay [credits/Gcycle]."""


class Book(NamedTuple):
    """What there is to clear in a world's slot."""

    bid: Array  # (N,) credits/Gcycle
    ask: Array  # (N,) likewise
    work: Array  # (N,) Gcycles of the task that a buyer offers
    buyer: Array  # (P,) int32 of each pair
    seller: Array  # (P,) int32
    finish: Array  # (P,) when the task would be done by what is reported [s]
    n_pairs: Array  # (1,) int32: so many of the P are meant
    area: Array  # (N,) int32
    n_areas: Array  # (1,) int32


class Outcome(NamedTuple):
    """What came of it."""

    partner: Array  # (N,) int32 the seller of each buyer, or NOBODY
    pays: Array  # (N,) credits that each buyer pays for its task
    earns: Array  # (N,) credits that its seller gets for it, by buyer
    price: Array  # (N,) credits/Gcycle in each node's area; negative where there was none
    through: Array  # (N,) bool: bid high enough, or asked little enough, to trade had it found a partner


@kernel
def clear_posted(book, posted, outcome):
    """Who bids at least the price of its area, and who asks at most that, trade at it; then the price follows demand.

    Args:
        book: The `Book`.
        posted: (N,) price posted in each node's last area; written.
        outcome: The `Outcome`, written.
    """
    buys, sells = _traders(book)
    areas, bid, ask, quoted, through = book.area, book.bid, book.ask, outcome.price, outcome.through
    for area in range(book.n_areas[0]):
        price, members = 0.0, 0
        for i in range(len(areas)):
            if areas[i] == area:
                price += posted[i]
                members += 1
        price /= max(members, 1)
        demand, supply = 0, 0
        for i in range(len(areas)):
            if areas[i] == area:
                demand += buys[i] and bid[i] >= price
                supply += sells[i] and ask[i] <= price
                quoted[i] = price
                through[i] = (buys[i] and bid[i] >= price) or (sells[i] and ask[i] <= price)
        change = RESPONSE * (demand - supply) / max(demand + supply, 1)
        for i in range(len(areas)):
            if areas[i] == area:
                posted[i] = min(max(price * (1.0 + change), LOWEST), HIGHEST)
    _pair_by_finish(book, outcome, outcome.price, outcome.price)


@kernel
def clear_uniform(book, outcome):
    """One price in an area, half-way between the last bid and ask that would trade were everybody linked to everybody.

    With bids falling and asks rising, k is the last place where the bid is no less than the ask; the price is half-way
    between the two. Who bids at least that, or asks at most that, trades.
    """
    buys, sells = _traders(book)
    bid, ask, through = book.bid, book.ask, outcome.through
    for area in range(book.n_areas[0]):
        bidders, askers, k = _ranked(book, buys, sells, area)
        if k == 0:
            continue
        price = 0.5 * (bid[bidders[k - 1]] + ask[askers[k - 1]])
        _quote(book, area, price, outcome)
        for i in bidders:
            through[i] = bid[i] >= price
        for j in askers:
            through[j] = ask[j] <= price
    _pair_by_finish(book, outcome, outcome.price, outcome.price)


@kernel
def clear_mcafee(book, outcome):
    """McAfee's double auction: the price is set by who does not trade, or else the last trade is given up.

    With k as in `clear_uniform`, the price is half-way between bid and ask number k + 1 if the bid and the ask number k
    accept it, and k trade. Otherwise k - 1 trade, buyers at bid k and sellers at ask k.
    """
    buys, sells = _traders(book)
    n = len(buys)
    cost, gain = np.zeros(n), np.zeros(n)  # prices for buyers, and for sellers
    for area in range(book.n_areas[0]):
        bidders, askers, k = _ranked(book, buys, sells, area)
        if k == 0:
            continue
        last_bid, last_ask = book.bid[bidders[k - 1]], book.ask[askers[k - 1]]
        trades, low, high = k - 1, last_ask, last_bid
        if k < len(bidders) and k < len(askers):
            price = 0.5 * (book.bid[bidders[k]] + book.ask[askers[k]])
            if last_ask <= price <= last_bid:
                trades, low, high = k, price, price
        _quote(book, area, 0.5 * (low + high), outcome)
        for i in bidders[:trades]:
            outcome.through[i] = True
            cost[i] = high
        for j in askers[:trades]:
            outcome.through[j] = True
            gain[j] = low
    _pair_by_finish(book, outcome, cost, gain)


@kernel
def clear_vcg(book, outcome):
    """Vickrey, Clarke and Groves: the trades worth most, and everybody keeps what it adds to that worth.

    A buyer pays its bid less what it adds; a seller gets its ask and what it adds. So a buyer pays the others' loss by
    its being there (Clarke's externality).
    """
    n, n_pairs = len(book.bid), book.n_pairs[0]
    buyer, seller, worth = np.empty(n_pairs, np.int32), np.empty(n_pairs, np.int32), np.empty(n_pairs)
    kept = 0
    for p in range(n_pairs):
        b, s = book.buyer[p], book.seller[p]
        gain = book.work[b] * (book.bid[b] - book.ask[s])
        if gain > 0.0:
            buyer[kept], seller[kept], worth[kept] = b, s, gain
            kept += 1
    of_buyer, of_seller, _ = match(buyer, seller, worth, kept, n)
    paid, bought = np.zeros(book.n_areas[0]), np.zeros(book.n_areas[0])
    for i in range(n):
        if of_buyer[i] == NOBODY:
            continue
        j, work = seller[of_buyer[i]], book.work[i]
        mine = added_by_buyer(i, buyer, seller, worth, kept, n, of_buyer)
        its = added_by_seller(j, buyer, seller, worth, kept, n, of_seller)
        outcome.partner[i] = j
        outcome.pays[i] = work * book.bid[i] - mine
        outcome.earns[i] = work * book.ask[j] + its
        outcome.through[i] = outcome.through[j] = True
        paid[book.area[i]] += 0.5 * (outcome.pays[i] + outcome.earns[i])
        bought[book.area[i]] += work
    for i in range(n):
        if bought[book.area[i]] > 0.0:
            outcome.price[i] = paid[book.area[i]] / bought[book.area[i]]


@kernel
def clear(rule, book, posted, outcome):
    """Clears by the rule of that number; see `clear_posted` for the arguments."""
    partner, pays, earns, price, through = outcome
    for i in range(len(partner)):
        partner[i], pays[i], earns[i], price[i], through[i] = NOBODY, 0.0, 0.0, -1.0, False
    if rule == POSTED:
        clear_posted(book, posted, outcome)
    elif book.n_pairs[0] == 0:
        return
    elif rule == UNIFORM:
        clear_uniform(book, outcome)
    elif rule == MCAFEE:
        clear_mcafee(book, outcome)
    else:
        clear_vcg(book, outcome)


def clear_market(
    rule: str, bid: Array, ask: Array, work: Array, pairs: Array, finish: Array | None = None, posted: float = 0.5
) -> Outcome:
    """Clears one slot of one area, for whoever studies the rules by themselves.

    Args:
        rule: posted, uniform, mcafee or vcg.
        bid: (N,) of buyers [credits/Gcycle]; the entries of others do not matter.
        ask: (N,) of sellers, likewise.
        work: (N,) of the buyers' tasks [Gcycles].
        pairs: (P, 2) integers: a buyer and a seller that may take its task.
        finish: (P,) when it would be done; who comes first is paired first. Left out: in the order of `pairs`.
        posted: Price of the posted rule [credits/Gcycle].

    Raises:
        ValueError: The rule is not known, or a node stands on both sides.
    """
    if rule not in RULES:
        raise ValueError(f"rule is {rule!r}; give one of {', '.join(RULES)}")
    pairs = np.asarray(pairs, np.int32).reshape(-1, 2)  # (P * 2,) -> (P, 2)
    both = np.intersect1d(pairs[:, 0], pairs[:, 1])
    if both.size:
        raise ValueError(f"nodes {both.tolist()} stand on both sides; in a slot a node buys or sells")
    n = len(bid)
    order = np.arange(len(pairs)) if finish is None else finish
    book = Book(
        *(np.asarray(values, np.float64) for values in (bid, ask, work)),
        buyer=pairs[:, 0].copy(),
        seller=pairs[:, 1].copy(),
        finish=np.asarray(order, np.float64),
        n_pairs=np.array([len(pairs)], np.int32),
        area=np.zeros(n, np.int32),
        n_areas=np.ones(1, np.int32),
    )
    outcome = new_outcome(n)
    clear(RULES.index(rule), book, np.full(n, float(posted)), outcome)
    return outcome


def new_outcome(n: int) -> Outcome:
    """An `Outcome` of N nodes to write into."""
    return Outcome(np.empty(n, np.int32), np.empty(n), np.empty(n), np.empty(n), np.empty(n, np.bool_))


@kernel
def _traders(book):
    """(N,) who is a buyer in some pair, and who a seller."""
    buyer, seller = book.buyer, book.seller
    buys, sells = np.zeros(len(book.bid), np.bool_), np.zeros(len(book.bid), np.bool_)
    for p in range(book.n_pairs[0]):
        buys[buyer[p]] = True
        sells[seller[p]] = True
    return buys, sells


@kernel
def _ranked(book, buys, sells, area):
    """Buyers of an area by falling bid, sellers by rising ask (of equals the lower index first), and k."""
    areas, bid, ask = book.area, book.bid, book.ask
    n = len(buys)
    bidders, askers = np.empty(n, np.int32), np.empty(n, np.int32)
    n_bidders, n_askers = 0, 0
    for i in range(n):
        if areas[i] != area:
            continue
        if buys[i]:
            at = n_bidders
            while at > 0 and bid[bidders[at - 1]] < bid[i]:
                bidders[at] = bidders[at - 1]
                at -= 1
            bidders[at] = i
            n_bidders += 1
        elif sells[i]:
            at = n_askers
            while at > 0 and ask[askers[at - 1]] > ask[i]:
                askers[at] = askers[at - 1]
                at -= 1
            askers[at] = i
            n_askers += 1
    k = 0
    while k < min(n_bidders, n_askers) and bid[bidders[k]] >= ask[askers[k]]:
        k += 1
    return bidders[:n_bidders], askers[:n_askers], k


@kernel
def _quote(book, area, price, outcome):
    areas, quoted = book.area, outcome.price
    for i in range(len(quoted)):
        if areas[i] == area:
            quoted[i] = price


@kernel
def _pair_by_finish(book, outcome, cost, gain):
    """Pairs those who are through, the earliest finish first; buyers pay cost (N,), sellers get gain (N,), a Gcycle."""
    through, partner, pays, earns = outcome.through, outcome.partner, outcome.pays, outcome.earns
    buyer, seller, finish, work, n_pairs = book.buyer, book.seller, book.finish, book.work, book.n_pairs[0]
    taken = np.zeros(len(through), np.bool_)
    while True:
        best, chosen = math.inf, NOBODY
        for p in range(n_pairs):
            b, s = buyer[p], seller[p]
            if finish[p] < best and through[b] and through[s] and partner[b] == NOBODY and not taken[s]:
                best, chosen = finish[p], p
        if chosen == NOBODY:
            return
        b, s = buyer[chosen], seller[chosen]
        taken[s] = True
        partner[b] = s
        pays[b] = work[b] * cost[b]
        earns[b] = work[b] * gain[s]
