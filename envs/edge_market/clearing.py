"""The clearing rules, each a function of its own.

In a slot a node is a buyer of computing (it bids, per Gcycle, for having one task done elsewhere), a seller (it asks,
per Gcycle, for doing one) or neither. A pair is a task and a node that may take it: neighbours, in time by what the
seller reports. Pairs do not depend on bids and asks. A trade moves one task; a task of w Gcycles at the price p costs
w p. A node in no pair does not count as a trader.

The claims below hold within one slot, for nodes that choose bid and ask alone and whose worth and cost per Gcycle are
private. Where a price has decided which nodes may trade, they are paired by earliest finish, never by bids: otherwise
such a node could get a better partner by another bid. On a graph, not every node that may trade finds a partner.

| rule      | no trader loses | payments balance    | truth is best for all | source                                 |
|-----------|-----------------|---------------------|-----------------------|----------------------------------------|
| `posted`  | yes             | yes                 | yes                   | the price is known beforehand          |
| `uniform` | yes             | yes                 | no                    | k-double auction, k = 1/2: Wilson 1985 |
| `mcafee`  | yes             | never a deficit     | yes                   | McAfee 1992, J. Econ. Theory 56        |
| `vcg`     | yes             | a deficit, reported | yes                   | Vickrey 1961, Clarke 1971, Groves 1973 |

Where reports are true, `vcg` alone makes the trades of most worth in total.

Axes: B worlds, N nodes, P pairs, A market areas (what links hold together).
"""

from __future__ import annotations

import math

import numpy as np

from ..kit.kernels import kernel
from .book import Book, Outcome, new_outcome, new_scratch
from .matching import added_by, match
from .state import CLEARING_RULES, MCAFEE, NOBODY, POSTED, UNIFORM, Array

RESPONSE = 0.1
"""Largest relative change of a posted price in a slot."""
LOWEST, HIGHEST = 0.01, 100.0
"""Limits of posted prices [credits/Gcycle]."""


@kernel
def clear_posted(book, posted, outcome, scratch):
    """Trades at the posted price of each area, between bids of at least it and asks of at most it.

    Then the price follows demand.

    Args:
        book: The `Book`.
        posted: (B, N) price posted in each node's last area; written.
        outcome: The `Outcome`, written.
        scratch: The `Scratch`.
    """
    areas, bid, ask, n_areas = book.area, book.bid, book.ask, book.n_areas
    buyer, seller, n_pairs = book.buyer, book.seller, book.n_pairs
    quoted, through, buys, sells = outcome.price, outcome.through, scratch.buys, scratch.sells
    for b in range(len(n_pairs)):
        _find_traders(buyer, seller, n_pairs, b, buys, sells)
        for area in range(n_areas[b]):
            price, members = 0.0, 0
            for i in range(len(buys)):
                if areas[b, i] == area:
                    price += posted[b, i]
                    members += 1
            price /= max(members, 1)
            demand, supply = 0, 0
            for i in range(len(buys)):
                if areas[b, i] == area:
                    wants, serves = buys[i] and bid[b, i] >= price, sells[i] and ask[b, i] <= price
                    demand += wants
                    supply += serves
                    quoted[b, i] = price
                    through[b, i] = wants or serves
            change = RESPONSE * (demand - supply) / max(demand + supply, 1)
            for i in range(len(buys)):
                if areas[b, i] == area:
                    posted[b, i] = min(max(price * (1.0 + change), LOWEST), HIGHEST)
    _pair_by_finish(book, outcome, quoted, quoted)


@kernel
def clear_uniform(book, outcome, scratch):
    """Trades at one price in an area, half-way between the last bid and ask that would trade if all nodes were linked.

    With bids falling and asks rising, k is the last place where the bid is no less than the ask; the price is half-way
    between the two. Bids of at least the price and asks of at most it trade.
    """
    bid, ask, areas, n_areas, n_pairs = book.bid, book.ask, book.area, book.n_areas, book.n_pairs
    buyer, seller, quoted, through = book.buyer, book.seller, outcome.price, outcome.through
    buys, sells, bidders, askers = scratch.buys, scratch.sells, scratch.bidders, scratch.askers
    for b in range(len(n_pairs)):
        if n_pairs[b] == 0:
            continue
        _find_traders(buyer, seller, n_pairs, b, buys, sells)
        for area in range(n_areas[b]):
            n_bidders, n_askers, k = _rank(bid, ask, areas, b, area, buys, sells, bidders, askers)
            if k == 0:
                continue
            price = 0.5 * (bid[b, bidders[k - 1]] + ask[b, askers[k - 1]])
            _quote(areas, b, area, price, quoted)
            for at in range(n_bidders):
                through[b, bidders[at]] = bid[b, bidders[at]] >= price
            for at in range(n_askers):
                through[b, askers[at]] = ask[b, askers[at]] <= price
    _pair_by_finish(book, outcome, quoted, quoted)


@kernel
def clear_mcafee(book, outcome, scratch):
    """Trades by McAfee's double auction: a pair that does not trade sets the price, or the last trade is given up.

    With k as in `clear_uniform`, the price is half-way between bid and ask number k + 1 if the bid and the ask number k
    accept it, and k trade. Otherwise k - 1 trade, buyers at bid k and sellers at ask k.
    """
    bid, ask, areas, n_areas, n_pairs = book.bid, book.ask, book.area, book.n_areas, book.n_pairs
    buyer, seller, quoted, through = book.buyer, book.seller, outcome.price, outcome.through
    buys, sells, bidders, askers = scratch.buys, scratch.sells, scratch.bidders, scratch.askers
    cost, gain = scratch.cost, scratch.gain
    for b in range(len(n_pairs)):
        if n_pairs[b] == 0:
            continue
        _find_traders(buyer, seller, n_pairs, b, buys, sells)
        for area in range(n_areas[b]):
            n_bidders, n_askers, k = _rank(bid, ask, areas, b, area, buys, sells, bidders, askers)
            if k == 0:
                continue
            last_bid, last_ask = bid[b, bidders[k - 1]], ask[b, askers[k - 1]]
            trades, low, high = k - 1, last_ask, last_bid
            if k < n_bidders and k < n_askers:
                price = 0.5 * (bid[b, bidders[k]] + ask[b, askers[k]])
                if last_ask <= price <= last_bid:
                    trades, low, high = k, price, price
            _quote(areas, b, area, 0.5 * (low + high), quoted)
            for at in range(trades):
                i, j = bidders[at], askers[at]
                through[b, i] = through[b, j] = True
                cost[b, i], gain[b, j] = high, low
    _pair_by_finish(book, outcome, cost, gain)


@kernel
def clear_vcg(book, outcome, scratch):
    """Makes the trades of most worth in total; a trader gains what it adds to that (Vickrey, Clarke and Groves).

    A buyer pays its bid less what it adds; a seller gets its ask and what it adds. So a buyer pays what its
    presence costs the others (Clarke's externality).
    """
    bid, ask, works, areas, n_pairs = book.bid, book.ask, book.work, book.area, book.n_pairs
    buyers, sellers, partner, pays, earns = book.buyer, book.seller, outcome.partner, outcome.pays, outcome.earns
    prices, through, buyer, seller, worth = outcome.price, outcome.through, scratch.buyer, scratch.seller, scratch.worth
    of_buyer, of_seller, reached, by = scratch.of_buyer, scratch.of_seller, scratch.reached, scratch.by
    paid, bought = scratch.cost, scratch.gain  # by area; there are no more areas than nodes
    n = len(of_buyer)
    for b in range(len(n_pairs)):
        kept = 0
        for p in range(n_pairs[b]):
            i, j = buyers[b, p], sellers[b, p]
            gain = works[b, i] * (bid[b, i] - ask[b, j])
            if gain > 0.0:
                buyer[kept], seller[kept], worth[kept] = i, j, gain
                kept += 1
        if kept == 0:
            continue
        match(buyer, seller, worth, kept, of_buyer, of_seller, reached, by)
        for area in range(n):
            paid[b, area] = bought[b, area] = 0.0
        for i in range(n):
            if of_buyer[i] == NOBODY:
                continue
            j, work, area = seller[of_buyer[i]], works[b, i], areas[b, i]
            mine = added_by(i, buyer, seller, worth, kept, of_buyer, reached)
            its = added_by(j, seller, buyer, worth, kept, of_seller, reached)
            partner[b, i] = j
            pays[b, i] = work * bid[b, i] - mine
            earns[b, i] = work * ask[b, j] + its
            through[b, i] = through[b, j] = True
            paid[b, area] += 0.5 * (pays[b, i] + earns[b, i])
            bought[b, area] += work
        for i in range(n):
            if bought[b, areas[b, i]] > 0.0:
                prices[b, i] = paid[b, areas[b, i]] / bought[b, areas[b, i]]


@kernel
def clear(rule, book, posted, outcome, scratch):
    """Clears by the rule of this number in CLEARING_RULES; see `clear_posted` for the other arguments."""
    partner, pays, earns, price, through = outcome
    for b in range(len(partner)):
        for i in range(partner.shape[1]):
            partner[b, i], pays[b, i], earns[b, i], price[b, i], through[b, i] = NOBODY, 0.0, 0.0, -1.0, False
    if rule == POSTED:
        clear_posted(book, posted, outcome, scratch)
    elif rule == UNIFORM:
        clear_uniform(book, outcome, scratch)
    elif rule == MCAFEE:
        clear_mcafee(book, outcome, scratch)
    else:
        clear_vcg(book, outcome, scratch)


def clear_market(
    rule: str, bid: Array, ask: Array, work: Array, pairs: Array, finish: Array | None = None, posted: float = 0.5
) -> Outcome:
    """Clears one slot of one area: the rules by themselves, without a world around them.

    Args:
        rule: posted, uniform, mcafee or vcg.
        bid: (N,) of buyers [credits/Gcycle]; the entries of others do not matter.
        ask: (N,) of sellers, likewise.
        work: (N,) of the buyers' tasks [Gcycles].
        pairs: (P, 2) integers: a buyer and a seller that may take its task.
        finish: (P,) when the task would be done: the earliest is paired first. None: in the order of `pairs`.
        posted: Price of the posted rule [credits/Gcycle].

    Raises:
        ValueError: The rule is not known, or a node stands on both sides.
    """
    if rule not in CLEARING_RULES:
        raise ValueError(f"rule is {rule!r}; give one of {', '.join(CLEARING_RULES)}")
    pairs = np.asarray(pairs, np.int32).reshape(-1, 2)  # (P * 2,) -> (P, 2)
    both = np.intersect1d(pairs[:, 0], pairs[:, 1])
    if both.size:
        raise ValueError(f"nodes {both.tolist()} stand on both sides; in a slot a node buys or sells")
    n = len(bid)
    order = np.arange(len(pairs)) if finish is None else finish
    book = Book(
        *(np.array([values], np.float64) for values in (bid, ask, work)),
        buyer=pairs[None, :, 0].copy(),
        seller=pairs[None, :, 1].copy(),
        finish=np.array([order], np.float64),
        n_pairs=np.array([len(pairs)], np.int32),
        area=np.zeros((1, n), np.int32),
        n_areas=np.ones(1, np.int32),
    )
    outcome = new_outcome(1, n)
    clear(CLEARING_RULES.index(rule), book, np.full((1, n), float(posted)), outcome, new_scratch(1, n, len(pairs)))
    return Outcome(*(values[0] for values in outcome))


@kernel
def _find_traders(buyer, seller, n_pairs, b, buys, sells):
    """Writes which nodes are buyers in some pair of world b, and which are sellers: (N,) each."""
    for i in range(len(buys)):
        buys[i] = sells[i] = False
    for p in range(n_pairs[b]):
        buys[buyer[b, p]] = True
        sells[seller[b, p]] = True


@kernel
def _rank(bid, ask, areas, b, area, buys, sells, bidders, askers):
    """Ranks an area's buyers by falling bid, its sellers by rising ask (of equals the lower index first).

    Writes them into bidders and askers, and returns the number of each and k, see `clear_uniform`.
    """
    n_bidders, n_askers = 0, 0
    for i in range(len(buys)):
        if areas[b, i] != area:
            continue
        if buys[i]:
            at = n_bidders
            while at > 0 and bid[b, bidders[at - 1]] < bid[b, i]:
                bidders[at] = bidders[at - 1]
                at -= 1
            bidders[at] = i
            n_bidders += 1
        elif sells[i]:
            at = n_askers
            while at > 0 and ask[b, askers[at - 1]] > ask[b, i]:
                askers[at] = askers[at - 1]
                at -= 1
            askers[at] = i
            n_askers += 1
    k = 0
    while k < min(n_bidders, n_askers) and bid[b, bidders[k]] >= ask[b, askers[k]]:
        k += 1
    return n_bidders, n_askers, k


@kernel
def _quote(areas, b, area, price, quoted):
    for i in range(quoted.shape[1]):
        if areas[b, i] == area:
            quoted[b, i] = price


@kernel
def _pair_by_finish(book, outcome, cost, gain):
    """Pairs nodes that may trade, earliest finish first; buyers pay cost (B, N), sellers get gain (B, N) a Gcycle."""
    through, partner, pays, earns = outcome.through, outcome.partner, outcome.pays, outcome.earns
    buyer, seller, finish, work, n_pairs = book.buyer, book.seller, book.finish, book.work, book.n_pairs
    for b in range(len(n_pairs)):
        while True:
            best, chosen = math.inf, NOBODY
            for p in range(n_pairs[b]):
                if finish[b, p] < best and through[b, buyer[b, p]] and through[b, seller[b, p]]:
                    best, chosen = finish[b, p], p
            if chosen == NOBODY:
                break
            i, j = buyer[b, chosen], seller[b, chosen]
            through[b, i] = through[b, j] = False  # out of the search, until all are paired
            partner[b, i] = j
            pays[b, i] = work[b, i] * cost[b, i]
            earns[b, i] = work[b, i] * gain[b, j]
        for i in range(through.shape[1]):
            if partner[b, i] != NOBODY:
                through[b, i] = through[b, partner[b, i]] = True
