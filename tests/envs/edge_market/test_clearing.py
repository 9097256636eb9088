"""The economics of the clearing rules, on random markets and on small ones with known answers."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from envs.edge_market.book import Book, new_outcome, new_scratch
from envs.edge_market.clearing import HIGHEST, LOWEST, RESPONSE, clear_market
from envs.edge_market.clearing import clear as clear_kernel
from envs.edge_market.links import find_areas

RULES = ("posted", "uniform", "mcafee", "vcg")
TRUTHFUL = ("posted", "mcafee", "vcg")
CLOSE = 1e-9


class Market(NamedTuple):
    """Traders with their worth and cost per Gcycle, their sides, and which pairs are possible."""

    worth: Any  # (N,)
    cost: Any  # (N,)
    work: Any  # (N,)
    pairs: Any  # (P, 2)
    finish: Any  # (P,)

    def clear(self, rule: str, bid: Any = None, ask: Any = None) -> Any:
        bid, ask = self.worth if bid is None else bid, self.cost if ask is None else ask
        return clear_market(rule, bid, ask, self.work, self.pairs, self.finish, posted=0.6)

    def utility(self, outcome: Any) -> Any:
        """(N,) of buyers and sellers, by their true worth and cost."""
        found = np.zeros(len(self.worth))
        for i, j in enumerate(outcome.partner):
            if j >= 0:
                found[i] += self.worth[i] * self.work[i] - outcome.pays[i]
                found[j] += outcome.earns[i] - self.cost[j] * self.work[i]
        return found


def market(seed: int, buyers: int = 4, sellers: int = 4, density: float = 0.7) -> Market:
    rng = np.random.default_rng(seed)
    n = buyers + sellers
    pairs = [(i, j) for i in range(buyers) for j in range(buyers, n) if rng.random() < density]
    return Market(
        rng.random(n) * 1.5, rng.random(n), 0.2 + rng.random(n), np.array(pairs).reshape(-1, 2), rng.random(len(pairs))
    )


def best_worth(one: Market, without: int = -1) -> float:
    """By scipy's assignment: an independent computation."""
    n = len(one.worth)
    gain = np.zeros((n, n))
    for i, j in one.pairs:
        if without not in (i, j):
            gain[i, j] = max(one.work[i] * (one.worth[i] - one.cost[j]), 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return float(gain[rows, columns].sum())


@pytest.mark.parametrize("rule", RULES)
def test_no_node_trades_twice_or_outside_the_pairs(rule: str) -> None:
    traded = 0
    for seed in range(60):
        one = market(seed, density=0.5)
        partner = one.clear(rule).partner
        taken = partner[partner >= 0].tolist()
        assert len(taken) == len(set(taken))
        allowed = {tuple(pair) for pair in one.pairs.tolist()}
        assert all((i, j) in allowed for i, j in enumerate(partner.tolist()) if j >= 0)
        traded += len(taken)
    assert traded > 30


@pytest.mark.parametrize("rule", RULES)
def test_no_trader_loses_by_true_reports(rule: str) -> None:
    gains = np.array([one.utility(one.clear(rule)).min() for one in map(market, range(200))])
    assert gains.min() >= -CLOSE


@pytest.mark.parametrize("rule", RULES)
def test_no_trader_is_asked_more_than_its_bid_or_given_less_than_its_ask(rule: str) -> None:
    """This holds for any reports, true or not."""
    for seed in range(100):
        one = market(seed)
        outcome = one.clear(rule)
        for i, j in enumerate(outcome.partner):
            if j >= 0:
                assert outcome.pays[i] <= one.worth[i] * one.work[i] + CLOSE
                assert outcome.earns[i] >= one.cost[j] * one.work[i] - CLOSE


def test_payments_balance_where_the_rule_says_so() -> None:
    balance = {rule: np.array([np.subtract(*money(market(seed), rule)) for seed in range(200)]) for rule in RULES}
    assert np.abs(balance["posted"]).max() < CLOSE
    assert np.abs(balance["uniform"]).max() < CLOSE
    assert balance["mcafee"].min() > -CLOSE
    assert balance["mcafee"].max() > 0.01  # a trade given up leaves the exchange a surplus
    assert balance["vcg"].max() < CLOSE  # never a surplus with single offers on both sides ...
    assert balance["vcg"].min() < -0.1  # ... and a deficit in the rule


def money(one: Market, rule: str) -> tuple[float, float]:
    outcome = one.clear(rule)
    return float(outcome.pays.sum()), float(outcome.earns.sum())


def best_misreport(one: Market, rule: str) -> float:
    """The most that one trader gains over the truth by any bid or ask of a grid, or one just beside another's."""
    truth = one.utility(one.clear(rule))
    others = np.concatenate([one.worth, one.cost])
    tries = np.concatenate([np.linspace(0.0, 2.0, 21), others - 1e-6, others + 1e-6])
    most = -np.inf
    for i in range(len(one.worth)):
        for report in tries:
            bid, ask = one.worth.copy(), one.cost.copy()
            bid[i] = ask[i] = report
            most = max(most, one.utility(one.clear(rule, bid, ask))[i] - truth[i])
    return most


@pytest.mark.parametrize("rule", TRUTHFUL)
def test_no_misreport_gains(rule: str) -> None:
    assert max(best_misreport(market(seed), rule) for seed in range(25)) <= CLOSE


def test_misreports_gain_under_the_uniform_price() -> None:
    """So the search can find some, and the table of claims is right about this rule."""
    assert max(best_misreport(market(seed), "uniform") for seed in range(10)) > 0.05


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (2, 7), (1, 1)])
def test_vcg_trades_what_is_worth_most(shape: tuple[int, int]) -> None:
    for seed in range(60):
        one = market(seed, *shape)
        outcome = one.clear("vcg")
        made = sum(one.work[i] * (one.worth[i] - one.cost[j]) for i, j in enumerate(outcome.partner) if j >= 0)
        assert made == pytest.approx(best_worth(one), abs=1e-9)


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (2, 7)])
def test_under_vcg_every_trader_keeps_what_it_adds(shape: tuple[int, int]) -> None:
    """And a buyer pays Clarke's externality: what the others lose by its being there."""
    for seed in range(40):
        one = market(seed, *shape)
        outcome = one.clear("vcg")
        utility, whole = one.utility(outcome), best_worth(one)
        for i in range(len(one.worth)):
            alone = best_worth(one, without=i)
            assert utility[i] == pytest.approx(whole - alone, abs=1e-9)
            j = outcome.partner[i]
            if j >= 0:
                others = whole - one.work[i] * one.worth[i]
                assert outcome.pays[i] == pytest.approx(alone - others, abs=1e-9)


def full(bids: list[float], asks: list[float], rule: str) -> Any:
    n = len(bids) + len(asks)
    pairs = list(itertools.product(range(len(bids)), range(len(bids), n)))
    bid, ask = np.array(bids + [0.0] * len(asks)), np.array([0.0] * len(bids) + asks)
    return clear_market(rule, bid, ask, np.ones(n), np.array(pairs))


def test_the_uniform_price_lies_between_the_last_bid_and_ask_that_trade() -> None:
    outcome = full([0.9, 0.7, 0.3], [0.1, 0.4, 0.8], "uniform")  # k = 2: 0.7 meets 0.4
    assert outcome.price[0] == pytest.approx(0.55)
    assert (outcome.partner >= 0).tolist() == [True, True, False, False, False, False]
    assert outcome.pays[:2] == pytest.approx([0.55, 0.55])


def test_mcafee_takes_its_price_from_the_next_two_or_gives_up_a_trade() -> None:
    outcome = full([0.9, 0.7, 0.5], [0.1, 0.4, 0.6], "mcafee")  # (0.5 + 0.6) / 2 suits 0.7 and 0.4
    assert outcome.pays[:2] == pytest.approx([0.55, 0.55])
    assert outcome.partner[2] == -1
    outcome = full([0.9, 0.7, 0.1], [0.1, 0.6, 0.8], "mcafee")  # (0.1 + 0.8) / 2 does not suit 0.6
    assert (outcome.partner >= 0).sum() == 1
    assert outcome.pays[0] == pytest.approx(0.7)
    assert outcome.earns[0] == pytest.approx(0.6)


def test_vcg_in_the_smallest_market() -> None:
    outcome = full([0.9], [0.2], "vcg")  # each side adds all of 0.7: the buyer pays the ask, the seller gets the bid
    assert outcome.pays[0] == pytest.approx(0.2)
    assert outcome.earns[0] == pytest.approx(0.9)


def book_of(bid: Any, ask: Any, pairs: Any, finish: Any, area: Any) -> Book:
    """One world's book of tasks of 1 Gcycle."""
    n, sides = len(bid), np.array(pairs, np.int32).T  # (2, P)
    return Book(
        bid=np.array([bid]),
        ask=np.array([ask]),
        work=np.ones((1, n)),
        buyer=sides[None, 0].copy(),
        seller=sides[None, 1].copy(),
        finish=np.array([finish]),
        n_pairs=np.array([len(pairs)], np.int32),
        area=np.array([area], np.int32),
        n_areas=np.array([max(area) + 1], np.int32),
    )


def test_the_posted_price_follows_demand() -> None:
    book = book_of([0.9, 0.8, 0.0], [0.0, 0.0, 0.1], [(0, 2), (1, 2)], [1.0, 2.0], [0, 0, 0])
    posted, outcome, scratch = np.array([[0.4, 0.5, 0.6]]), new_outcome(1, 3), new_scratch(1, 3, 2)
    clear_kernel(RULES.index("posted"), book, posted, outcome, scratch)
    assert outcome.price == pytest.approx(0.5)  # the mean of what was posted in the area
    assert outcome.partner.tolist() == [[2, -1, -1]]  # the earlier finish comes first
    assert outcome.through.tolist() == [[True, True, True]]
    assert outcome.pays[0, 0] == pytest.approx(0.5)
    assert posted == pytest.approx(0.5 * (1 + RESPONSE / 3))  # two want to buy, one to sell
    book.bid[0, :2] = 0.0
    posted[:] = LOWEST
    clear_kernel(RULES.index("posted"), book, posted, outcome, scratch)
    assert (posted >= LOWEST).all()
    assert LOWEST < HIGHEST


def test_areas_are_what_links_hold_together() -> None:
    neighbor = np.array([[[1, -1], [0, 2], [1, -1], [4, -1], [3, -1]]] * 2, np.int32)
    works, area, n_areas = np.ones(neighbor.shape, bool), np.zeros((2, 5), np.int32), np.zeros(2, np.int32)
    works[1, 1, 1] = works[1, 2, 0] = False  # in the second world only
    find_areas(neighbor, works, area, n_areas, np.zeros(5, np.int32))
    assert n_areas.tolist() == [2, 3]
    assert area.tolist() == [[0, 0, 0, 1, 1], [0, 0, 1, 2, 2]]


def test_areas_have_prices_of_their_own() -> None:
    book = book_of([0.9, 0.0, 0.6, 0.0], [0.0, 0.7, 0.0, 0.2], [(0, 1), (2, 3)], [0.0, 0.0], [0, 0, 1, 1])
    outcome = new_outcome(1, 4)
    clear_kernel(RULES.index("uniform"), book, np.zeros((1, 4)), outcome, new_scratch(1, 4, 2))
    assert outcome.price == pytest.approx(np.array([[0.8, 0.8, 0.4, 0.4]]))


@pytest.mark.parametrize("rule", RULES)
def test_worlds_are_cleared_apart(rule: str) -> None:
    """Two worlds in one book end as each by itself, whichever comes first."""
    ones = [market(seed) for seed in (3, 4)]
    n, most = len(ones[0].worth), max(len(one.pairs) for one in ones)
    for order in ((0, 1), (1, 0)):
        book = Book(
            bid=np.zeros((2, n)),
            ask=np.zeros((2, n)),
            work=np.zeros((2, n)),
            buyer=np.zeros((2, most), np.int32),
            seller=np.zeros((2, most), np.int32),
            finish=np.zeros((2, most)),
            n_pairs=np.zeros(2, np.int32),
            area=np.zeros((2, n), np.int32),
            n_areas=np.ones(2, np.int32),
        )
        for b, which in enumerate(order):
            one = ones[which]
            book.bid[b], book.ask[b], book.work[b] = one.worth, one.cost, one.work
            book.n_pairs[b] = len(one.pairs)
            book.buyer[b, : len(one.pairs)], book.seller[b, : len(one.pairs)] = np.array(one.pairs).T
            book.finish[b, : len(one.pairs)] = one.finish
        outcome = new_outcome(2, n)
        clear_kernel(RULES.index(rule), book, np.full((2, n), 0.6), outcome, new_scratch(2, n, most))
        for b, which in enumerate(order):
            alone = ones[which].clear(rule)
            assert all((mine[b] == its).all() for mine, its in zip(outcome, alone, strict=True))


def test_mistakes_are_named_in_one_line() -> None:
    with pytest.raises(ValueError, match="rule is 'dutch'; give one of posted, uniform, mcafee, vcg"):
        clear_market("dutch", np.ones(2), np.ones(2), np.ones(2), np.array([[0, 1]]))
    with pytest.raises(ValueError, match=r"nodes \[1\] stand on both sides"):
        clear_market("vcg", np.ones(3), np.ones(3), np.ones(3), np.array([[0, 1], [1, 2]]))
