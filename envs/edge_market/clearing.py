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


class Room(NamedTuple):
    """Room to work in, one for all slots."""

    buys: Array  # (N,) bool
    sells: Array  # (N,) bool
    taken: Array  # (N,) bool
    bidders: Array  # (N,) int32
    askers: Array  # (N,) int32
    cost: Array  # (N,) prices for buyers
    gain: Array  # (N,) prices for sellers
    of_buyer: Array  # (N,) int32
    of_seller: Array  # (N,) int32
    by: Array  # (N,) int32
    buyer: Array  # (P,) int32
    seller: Array  # (P,) int32
    worth: Array  # (P,)


@kernel
def new_outcome(n):
    """An `Outcome` of N nodes to write into."""
    return Outcome(np.zeros(n, np.int32), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, np.bool_))


@kernel
def new_room(n, pairs):
    """A `Room` for N nodes and at most so many pairs."""
    flags, places, prices = np.zeros((3, n), np.bool_), np.zeros((5, n), np.int32), np.zeros((2, n))
    sides, worth = np.zeros((2, pairs), np.int32), np.zeros(pairs)
    return Room(
        flags[0],
        flags[1],
        flags[2],
        places[0],
        places[1],
        prices[0],
        prices[1],
        places[2],
        places[3],
        places[4],
        sides[0],
        sides[1],
        worth,
    )


@kernel
def clear_posted(book, posted, outcome, room):
    """Who bids at least the price of its area, and who asks at most that, trade at it; then the price follows demand.

    Args:
        book: The `Book`.
        posted: (N,) price posted in each node's last area; written.
        outcome: The `Outcome`, written.
        room: The `Room`.
    """
    buys, sells = room.buys, room.sells
    _find_traders(book, buys, sells)
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
    _pair_by_finish(book, outcome, outcome.price, outcome.price, room.taken)


@kernel
def clear_uniform(book, outcome, room):
    """One price in an area, half-way between the last bid and ask that would trade were everybody linked to everybody.

    With bids falling and asks rising, k is the last place where the bid is no less than the ask; the price is half-way
    between the two. Who bids at least that, or asks at most that, trades.
    """
    bid, ask, through, bidders, askers = book.bid, book.ask, outcome.through, room.bidders, room.askers
    _find_traders(book, room.buys, room.sells)
    for area in range(book.n_areas[0]):
        n_bidders, n_askers, k = _rank(book, room, area)
        if k == 0:
            continue
        price = 0.5 * (bid[bidders[k - 1]] + ask[askers[k - 1]])
        _quote(book, area, price, outcome)
        for at in range(n_bidders):
            through[bidders[at]] = bid[bidders[at]] >= price
        for at in range(n_askers):
            through[askers[at]] = ask[askers[at]] <= price
    _pair_by_finish(book, outcome, outcome.price, outcome.price, room.taken)


@kernel
def clear_mcafee(book, outcome, room):
    """McAfee's double auction: the price is set by who does not trade, or else the last trade is given up.

    With k as in `clear_uniform`, the price is half-way between bid and ask number k + 1 if the bid and the ask number k
    accept it, and k trade. Otherwise k - 1 trade, buyers at bid k and sellers at ask k.
    """
    bid, ask, through, bidders, askers = book.bid, book.ask, outcome.through, room.bidders, room.askers
    cost, gain = room.cost, room.gain
    _find_traders(book, room.buys, room.sells)
    for area in range(book.n_areas[0]):
        n_bidders, n_askers, k = _rank(book, room, area)
        if k == 0:
            continue
        last_bid, last_ask = bid[bidders[k - 1]], ask[askers[k - 1]]
        trades, low, high = k - 1, last_ask, last_bid
        if k < n_bidders and k < n_askers:
            price = 0.5 * (bid[bidders[k]] + ask[askers[k]])
            if last_ask <= price <= last_bid:
                trades, low, high = k, price, price
        _quote(book, area, 0.5 * (low + high), outcome)
        for at in range(trades):
            i, j = bidders[at], askers[at]
            through[i] = through[j] = True
            cost[i], gain[j] = high, low
    _pair_by_finish(book, outcome, cost, gain, room.taken)


@kernel
def clear_vcg(book, outcome, room):
    """Vickrey, Clarke and Groves: the trades worth most, and everybody keeps what it adds to that worth.

    A buyer pays its bid less what it adds; a seller gets its ask and what it adds. So a buyer pays the others' loss by
    its being there (Clarke's externality).
    """
    bid, ask, works, area = book.bid, book.ask, book.work, book.area
    partner, pays, earns, price, through = outcome.partner, outcome.pays, outcome.earns, outcome.price, outcome.through
    buyer, seller, worth = room.buyer, room.seller, room.worth
    kept = 0
    for p in range(book.n_pairs[0]):
        b, s = book.buyer[p], book.seller[p]
        gain = works[b] * (bid[b] - ask[s])
        if gain > 0.0:
            buyer[kept], seller[kept], worth[kept] = b, s, gain
            kept += 1
    match(buyer, seller, worth, kept, room.of_buyer, room.of_seller, room.gain, room.by)
    of_buyer, of_seller = room.of_buyer, room.of_seller
    for i in range(len(bid)):
        if of_buyer[i] == NOBODY:
            continue
        j, work = seller[of_buyer[i]], works[i]
        mine = added_by_buyer(i, buyer, seller, worth, kept, of_buyer, room.gain)
        its = added_by_seller(j, buyer, seller, worth, kept, of_seller, room.gain)
        partner[i] = j
        pays[i] = work * bid[i] - mine
        earns[i] = work * ask[j] + its
        through[i] = through[j] = True
    paid, bought = room.cost, room.gain  # by area; there are no more areas than nodes
    paid[:] = bought[:] = 0.0
    for i in range(len(bid)):
        if of_buyer[i] != NOBODY:
            paid[area[i]] += 0.5 * (pays[i] + earns[i])
            bought[area[i]] += works[i]
    for i in range(len(bid)):
        if bought[area[i]] > 0.0:
            price[i] = paid[area[i]] / bought[area[i]]


@kernel
def clear(rule, book, posted, outcome, room):
    """Clears by the rule of that number; see `clear_posted` for the arguments."""
    partner, pays, earns, price, through = outcome
    for i in range(len(partner)):
        partner[i], pays[i], earns[i], price[i], through[i] = NOBODY, 0.0, 0.0, -1.0, False
    if rule == POSTED:
        clear_posted(book, posted, outcome, room)
    elif book.n_pairs[0] == 0:
        return
    elif rule == UNIFORM:
        clear_uniform(book, outcome, room)
    elif rule == MCAFEE:
        clear_mcafee(book, outcome, room)
    else:
        clear_vcg(book, outcome, room)


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
    clear(RULES.index(rule), book, np.full(n, float(posted)), outcome, new_room(n, len(pairs)))
    return outcome


@kernel
def _find_traders(book, buys, sells):
    """Writes who is a buyer in some pair, and who a seller: (N,) each."""
    buyer, seller = book.buyer, book.seller
    for i in range(len(buys)):
        buys[i] = sells[i] = False
    for p in range(book.n_pairs[0]):
        buys[buyer[p]] = True
        sells[seller[p]] = True


@kernel
def _rank(book, room, area):
    """Ranks an area's buyers by falling bid, its sellers by rising ask (of equals the lower index first).

    They stand in `room.bidders` and `room.askers`; returned is how many of each there are, and k.
    """
    areas, bid, ask = book.area, book.bid, book.ask
    buys, sells, bidders, askers = room.buys, room.sells, room.bidders, room.askers
    n_bidders, n_askers = 0, 0
    for i in range(len(areas)):
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
    return n_bidders, n_askers, k


@kernel
def _quote(book, area, price, outcome):
    areas, quoted = book.area, outcome.price
    for i in range(len(quoted)):
        if areas[i] == area:
            quoted[i] = price


@kernel
def _pair_by_finish(book, outcome, cost, gain, taken):
    """Pairs those who are through, the earliest finish first; buyers pay cost (N,), sellers get gain (N,), a Gcycle.

    `taken` (N,) is to work in.
    """
    through, partner, pays, earns = outcome.through, outcome.partner, outcome.pays, outcome.earns
    buyer, seller, finish, work, n_pairs = book.buyer, book.seller, book.finish, book.work, book.n_pairs[0]
    for i in range(len(taken)):
        taken[i] = False
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
