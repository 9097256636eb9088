"""The stage game of `duopoly-2`, and its equilibrium solved numerically.

In every slot of `duopoly-2` each node draws a new energy price c, uniform in [0, 1], and users give it a number of
tasks, Poisson, of 1 Gcycle each, whose values are uniform in [0, 1], which only the other node can do, and only in this
slot. So if exactly one node has tasks, it bids for its most valuable one, of value v, the other asks, and under the
`uniform` rule they trade half-way between bid and ask if the bid is no less: the 1/2-double auction of Chatterjee and
Samuelson (1983, Operations Research 31). Neither knows the other's type. For uniform v and c their equilibrium is
bid = 2/3 v + 1/12, ask = 2/3 c + 1/4 where trade is possible; it attains 27/32 of the gains from trade, and no
mechanism that balances attains more (Myerson and Satterthwaite 1983). There are other equilibria (Leininger, Linhart
and Radner 1989), so a strategy is judged by its regret: what a trader gains by deviating.

Given n >= 1 tasks of Poisson number with mean m, the best value has the distribution (e^{m v} - 1) / (e^m - 1).

Axes: G grid points of types, L grid points of prices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .config import Config
from .state import Array

GRID = np.linspace(0.005, 0.995, 100)
"""(G,) types: middles of 100 bins of [0, 1]."""
PRICES = np.linspace(0.0, 1.0, 201)
"""(L,) possible bids and asks [credits/Gcycle]."""
TREMBLE = np.array([-1.65, -1.04, -0.67, -0.39, -0.13, 0.13, 0.39, 0.67, 1.04, 1.65])
"""Ten equally likely values of a standard normal variable."""


class Bargain(NamedTuple):
    """Outcome of two strategies, means per meeting of a buyer and a seller."""

    trade: float  # share of meetings with a trade
    buyer: float  # the buyer's mean gain [credits]
    seller: float  # the seller's
    efficiency: float  # of the gains from trade that there are
    regret: float  # the most that buyer or seller gains by another strategy, over the gains from trade


class Equilibrium(NamedTuple):
    """Strategies by type, and their outcome."""

    bid: Array  # (G,) by value
    ask: Array  # (G,) by cost
    outcome: Bargain


def value_chances(mean_tasks: float) -> Array:
    """Returns the chances (G,) of the best of n >= 1 uniform values, n Poisson with this mean; 0: of one value."""
    edges = np.linspace(0.0, 1.0, len(GRID) + 1)
    below = np.expm1(mean_tasks * edges) / np.expm1(mean_tasks) if mean_tasks > 0 else edges
    return np.diff(below)


def mean_tasks(config: Config) -> float:
    """Returns the mean number of tasks that a node of `duopoly-2` gets in a slot."""
    return config.load * config.cpu * config.slot_seconds / config.work


def meetings(config: Config) -> float:
    """Returns the chance in a slot that exactly one of two nodes has a task, times one meeting."""
    some = -np.expm1(-mean_tasks(config))
    return float(2.0 * some * (1.0 - some))


def best_bids(asks: Array, chances: Array) -> tuple[Array, Array]:
    """Returns the best bid by value (G,) and its gain (G,), against asks (K,) with these chances (K,)."""
    order = np.argsort(asks, kind="stable")
    weight = np.concatenate([[0.0], np.cumsum(chances[order])])
    money = np.concatenate([[0.0], np.cumsum((chances * asks)[order])])
    reached = np.searchsorted(asks[order], PRICES + 1e-12, side="right")  # (L,) asks that a bid accepts
    gain = weight[reached] * (GRID[:, None] - 0.5 * PRICES) - 0.5 * money[reached]  # (G, L)
    best = gain.argmax(axis=1)
    return PRICES[best], gain.max(axis=1)


def best_asks(bids: Array, chances: Array) -> tuple[Array, Array]:
    """Returns the best ask by cost (G,) and its gain (G,): the mirror image, prices and types counted from 1 down."""
    mirrored, gain = best_bids(1.0 - bids, chances)
    return (1.0 - mirrored)[::-1], gain[::-1]


def judge(bid: Array, ask: Array, values: Array) -> Bargain:
    """Returns the outcome of strategies (G,), for values with these chances (G,) and uniform costs."""
    costs = np.full(len(GRID), 1.0 / len(GRID))
    meet = values[:, None] * costs  # (G, G)
    trade = bid[:, None] >= ask - 1e-12
    price = 0.5 * (bid[:, None] + ask)
    there = (meet * np.maximum(GRID[:, None] - GRID, 0.0)).sum()
    buyer = float((meet * trade * (GRID[:, None] - price)).sum())
    seller = float((meet * trade * (price - GRID)).sum())
    gain_buyer = float(values @ best_bids(ask, costs)[1]) - buyer
    gain_seller = float(costs @ best_asks(bid, values)[1]) - seller
    return Bargain(
        trade=float((meet * trade).sum()),
        buyer=buyer,
        seller=seller,
        efficiency=(buyer + seller) / there,
        regret=max(gain_buyer, gain_seller) / there,
    )


def solve(mean: float, rounds: int = 600, tremble: float = 0.1) -> Equilibrium:
    """Finds strategies from which deviations hardly gain: averaged best responses that start at the truth.

    Of the many equilibria it finds one that is robust to trembling hands (Selten 1975): each side responds to reports
    of the other with a normal error. Without the error best responses end in step functions; with it, in smooth ones.

    Args:
        mean: Mean number of tasks; 0: uniform values.
        rounds: Number of best responses; in round r each side moves 1 / (r / 20 + 2) of the way.
        tremble: Standard deviation of the error [credits/Gcycle].
    """
    values, costs = value_chances(mean), np.full(len(GRID), 1.0 / len(GRID))
    bid, ask = GRID.copy(), GRID.copy()
    for r in range(rounds):
        share = 1.0 / (0.05 * r + 2.0)
        asks, bids = ((one[:, None] + tremble * TREMBLE).ravel() for one in (ask, bid))  # (G, 10) -> (G * 10,)
        some_costs, some_values = (np.repeat(chances, len(TREMBLE)) / len(TREMBLE) for chances in (costs, values))
        wanted_bid, wanted_ask = best_bids(asks, some_costs)[0], best_asks(bids, some_values)[0]
        bid, ask = (1.0 - share) * bid + share * wanted_bid, (1.0 - share) * ask + share * wanted_ask
    return Equilibrium(bid, ask, judge(bid, ask, values))
